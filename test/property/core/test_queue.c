/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of a queue against a naive model that searches over everything: who is next,
 * what every tenant's counter is (also after lifts, corrections, changes of weight and of fairness),
 * lengths, tokens, deadlines; no counter falls but by a correction; nothing lower is served while
 * something promoted waits; every served entry's reason. And positions: against the order in which
 * the entries are then served.
 */
#include "core/queue/queue.h"
#include "test.h"

enum { HISTORIES = 10000, STEPS = 150, ENTRIES = 40, TENANTS = 6, LINES = 500 };

enum place { OUT, WAITING, RUNNING };

struct model_entry {
    enum place place;
    bool aged, stale; /* stale: charged before the counters began anew */
    int64_t charged;
    uint64_t others_before; /* served, of other tenants, when it was put */
    size_t position;
};

/* counter = base + charged / weight, rounded down */
struct model_tenant {
    int64_t base, charged, weight;
    size_t max_length;
    uint64_t served;
};

struct world {
    struct queue q;
    struct queue_entry entries[ENTRIES];
    struct model_entry model[ENTRIES];
    struct model_tenant tenants[TENANTS];
    int last; /* tenant whose last entry left last; -1: none */
    uint64_t served;
    nsec now;
    uint64_t seed, random;
    int step;
};

#define HOLDS(condition) PROPERTY(condition, w->seed, w->step)

/* ---- the naive rules ---- */

static int64_t counter(const struct model_tenant *t)
{
    int64_t down = t->charged % t->weight < 0;
    return t->base + t->charged / t->weight - down;
}

static void restart(struct model_tenant *t, int64_t base)
{
    t->base = base;
    t->charged = 0;
}

static struct model_tenant *tenant_of(struct world *w, size_t i)
{
    return &w->tenants[w->entries[i].tenant];
}

static size_t waiting_of(const struct world *w, size_t tenant)
{
    size_t count = 0;
    for (size_t i = 0; i < ENTRIES; i++)
        count += w->model[i].place == WAITING && w->entries[i].tenant == tenant;
    return count;
}

static void model_lift(struct world *w, size_t tenant)
{
    int64_t level = w->last < 0 ? 0 : counter(&w->tenants[w->last]);
    bool any = false;
    for (size_t i = 0; i < ENTRIES; i++) {
        if (w->model[i].place != WAITING)
            continue;
        int64_t c = counter(tenant_of(w, i));
        level = any ? MIN(level, c) : c;
        any = true;
    }
    if (w->q.limits.fairness != QUEUE_FIFO && level > counter(&w->tenants[tenant]))
        restart(&w->tenants[tenant], level);
}

static bool model_before(struct world *w, size_t a, size_t b)
{
    int64_t x = counter(tenant_of(w, a)), y = counter(tenant_of(w, b));
    bool fifo = w->q.limits.fairness == QUEUE_FIFO;
    return fifo || x == y ? w->entries[a].order < w->entries[b].order : x < y;
}

/* ENTRIES: nobody waits. */
static size_t model_next(struct world *w)
{
    unsigned top = QUEUE_BANDS;
    size_t next = ENTRIES;
    for (size_t i = 0; i < ENTRIES; i++)
        if (w->model[i].place == WAITING)
            top = MIN(top, (unsigned)w->entries[i].band);
    for (size_t i = 0; i < ENTRIES; i++) {
        struct model_entry *m = &w->model[i];
        m->aged |= w->now - w->entries[i].arrived > w->q.limits.promote_after;
        if (m->place != WAITING || !(m->aged || w->entries[i].band == top))
            continue;
        if (next == ENTRIES || model_before(w, i, next))
            next = i;
    }
    return next;
}

static void model_left(struct world *w, size_t i, enum place place)
{
    w->model[i].place = place;
    if (waiting_of(w, w->entries[i].tenant) == 0)
        w->last = (int)w->entries[i].tenant;
}

static void model_charge(struct world *w, size_t i, int64_t cost)
{
    if (w->model[i].stale)
        return;
    tenant_of(w, i)->charged += cost - w->model[i].charged;
    w->model[i].charged = cost;
}

static int64_t cost(const struct world *w, uint64_t input, uint64_t output)
{
    return (int64_t)(input * w->q.limits.input_cost + output * w->q.limits.output_cost);
}

/* ---- checks ---- */

static void check_sums(struct world *w)
{
    size_t length = 0, waiting_tenants = 0;
    uint64_t tokens = 0;
    nsec deadline = NSEC_NEVER;
    for (size_t i = 0; i < ENTRIES; i++) {
        const struct queue_entry *e = &w->entries[i];
        HOLDS(queue_has(e) == (w->model[i].place == WAITING));
        if (w->model[i].place != WAITING)
            continue;
        length++;
        tokens += e->input_tokens + e->output_tokens;
        deadline = MIN(deadline, e->deadline);
    }
    for (size_t t = 0; t < TENANTS; t++)
        waiting_tenants += waiting_of(w, t) > 0;
    HOLDS(length == w->q.length && tokens == w->q.queued_tokens);
    HOLDS(waiting_tenants == w->q.tenants_waiting);
    HOLDS(deadline == queue_next_deadline(&w->q));
}

/* May one more of the tenant wait, as to what is kept for others? */
static void check_kept(struct world *w)
{
    for (size_t t = 0; t < TENANTS; t++) {
        size_t parts = 2; /* its own, and that of one that may come */
        for (size_t other = 0; other < TENANTS; other++)
            parts += other != t && waiting_of(w, other) > 0;
        size_t part = w->q.limits.kept / parts > 0 ? w->q.limits.kept / parts : 1;
        bool little = waiting_of(w, t) < part;
        bool room = w->q.length + w->q.limits.kept < w->q.limits.max_length;
        HOLDS(queue_crowded(&w->q, (uint32_t)t) == (w->q.limits.kept && !room && !little));
    }
}

static void check_counters(struct world *w)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        HOLDS((w->entries[i].account != NULL) == (w->model[i].place != OUT));
        if (w->entries[i].account)
            HOLDS(w->entries[i].account->counter == counter(tenant_of(w, i)));
    }
}

static void check_next(struct world *w)
{
    size_t next = model_next(w);
    HOLDS(queue_peek(&w->q, w->now) == (next < ENTRIES ? &w->entries[next] : NULL));
    if (next == ENTRIES)
        return;
    HOLDS(queue_position(&w->q, &w->entries[next]) < w->q.length);
    for (size_t i = 0; i < ENTRIES; i++) /* nothing promoted waits for something lower */
        if (w->model[i].place == WAITING && w->model[i].aged && !w->model[next].aged)
            HOLDS(w->entries[next].band <= w->entries[i].band);
}

/* ---- what happens ---- */

static size_t pick(struct world *w, enum place place)
{
    size_t start = test_below(&w->random, ENTRIES);
    for (size_t i = 0; i < ENTRIES; i++)
        if (w->model[(start + i) % ENTRIES].place == place)
            return (start + i) % ENTRIES;
    return ENTRIES;
}

static void put(struct world *w, size_t i)
{
    size_t tenant = w->entries[i].tenant;
    struct model_tenant *t = &w->tenants[tenant];
    int64_t before = counter(t);
    if (waiting_of(w, tenant) == 0)
        model_lift(w, tenant);
    HOLDS(counter(t) >= before); /* nobody gains by a pause */
    w->model[i] = (struct model_entry){.place = WAITING, .others_before = w->served - t->served};
    queue_put(&w->q, &w->entries[i]);
    w->model[i].position = queue_position(&w->q, &w->entries[i]);
}

static void arrive(struct world *w)
{
    size_t i = pick(w, OUT);
    if (i == ENTRIES)
        return;
    struct queue_entry *e = &w->entries[i];
    e->tenant = (uint32_t)test_below(&w->random, TENANTS);
    e->band = (enum queue_band)test_below(&w->random, QUEUE_BANDS);
    e->input_tokens = test_below(&w->random, 50);
    e->output_tokens = test_below(&w->random, 50);
    e->arrived = w->now;
    e->deadline =
        test_below(&w->random, 3) ? NSEC_NEVER : w->now + (nsec)test_below(&w->random, SEC(20));
    put(w, i);
}

static void serve(struct world *w)
{
    size_t i = model_next(w);
    if (i == ENTRIES)
        return;
    struct queue_reason reason;
    struct model_tenant *t = tenant_of(w, i);
    int64_t before = counter(t);
    size_t waiting = w->q.tenants_waiting;
    queue_serve(&w->q, &w->entries[i], &reason);
    HOLDS(reason.counter == before && reason.tenants_waiting == waiting);
    HOLDS(reason.others_served == w->served - t->served - w->model[i].others_before);
    HOLDS(reason.position == w->model[i].position);
    model_left(w, i, RUNNING);
    w->served++;
    t->served++;
    w->model[i].charged = 0;
    if (w->q.limits.fairness == QUEUE_FAIR_TOKENS)
        model_charge(w, i, cost(w, w->entries[i].input_tokens, 0));
    else if (w->q.limits.fairness == QUEUE_FAIR_REQUESTS)
        model_charge(w, i, 1000);
}

static void leave(struct world *w)
{
    struct queue_entry *expired = queue_expired(&w->q, w->now);
    size_t i = expired ? (size_t)(expired - w->entries) : pick(w, WAITING);
    if (i == ENTRIES)
        return;
    HOLDS(!expired || expired->deadline <= w->now);
    queue_remove(&w->q, &w->entries[i]);
    model_left(w, i, OUT);
}

static void generate(struct world *w)
{
    size_t i = pick(w, RUNNING);
    uint64_t tokens = test_below(&w->random, 20);
    if (i == ENTRIES)
        return;
    queue_charge(&w->q, &w->entries[i], tokens);
    if (w->q.limits.fairness == QUEUE_FAIR_TOKENS)
        model_charge(w, i, w->model[i].charged + cost(w, 0, tokens));
}

static void end(struct world *w)
{
    size_t i = pick(w, RUNNING);
    uint64_t input = test_below(&w->random, 60), output = test_below(&w->random, 60);
    if (i == ENTRIES)
        return;
    switch (test_below(&w->random, 4)) {
    case 0: /* its replica failed */
        model_charge(w, i, 0);
        put(w, i);
        return;
    case 1:
        break;
    default:
        queue_settle(&w->q, &w->entries[i], input, output);
        if (w->q.limits.fairness == QUEUE_FAIR_TOKENS)
            model_charge(w, i, cost(w, input, output));
    }
    queue_end(&w->q, &w->entries[i]);
    w->model[i].place = OUT;
}

static void change_limits(struct world *w)
{
    struct queue_limits limits = w->q.limits;
    if (test_below(&w->random, 2))
        limits.fairness = (enum queue_fairness)test_below(&w->random, 3);
    limits.max_length = test_below(&w->random, ENTRIES);
    limits.kept = test_below(&w->random, limits.max_length / 2 + 1);
    limits.promote_after = SEC(1 + test_below(&w->random, 20));
    limits.output_cost = 1000 * (1 + (uint32_t)test_below(&w->random, 2));
    if (limits.fairness != w->q.limits.fairness) {
        for (size_t t = 0; t < TENANTS; t++)
            restart(&w->tenants[t], 0);
        for (size_t i = 0; i < ENTRIES; i++)
            w->model[i].stale = w->model[i].place == RUNNING;
    }
    queue_set_limits(&w->q, &limits);
}

static void change_tenant(struct world *w)
{
    size_t tenant = test_below(&w->random, TENANTS);
    struct model_tenant *t = &w->tenants[tenant];
    uint32_t weight = 1 + (uint32_t)test_below(&w->random, 5);
    t->max_length = test_below(&w->random, 3);
    if (weight != t->weight)
        restart(t, counter(t));
    t->weight = weight;
    int error = queue_set_tenant(&w->q, (uint32_t)tenant, weight, t->max_length);
    HOLDS(error == 0);
    HOLDS(queue_tenant_full(&w->q, (uint32_t)tenant) ==
          (t->max_length && waiting_of(w, tenant) >= t->max_length));
}

static void one_step(struct world *w)
{
    static void (*const often[])(struct world *) = {arrive, arrive, arrive, serve,
                                                    serve,  leave,  end,    generate};
    w->now += (nsec)test_below(&w->random, SEC(1));
    uint64_t dice = test_below(&w->random, 50);
    if (dice == 0)
        change_limits(w);
    else if (dice == 1)
        change_tenant(w);
    else
        often[dice % ARRAY_LEN(often)](w);
    check_next(w);
    check_sums(w);
    check_kept(w);
    check_counters(w);
}

static void clear(struct world *w)
{
    for (size_t i = 0; i < ENTRIES; i++) {
        if (w->model[i].place == WAITING)
            queue_remove(&w->q, &w->entries[i]);
        else if (w->model[i].place == RUNNING)
            queue_end(&w->q, &w->entries[i]);
    }
    queue_fini(&w->q);
}

static void begin(struct world *w, uint64_t seed)
{
    struct queue_limits limits = queue_limits_default();
    *w = (struct world){.seed = seed, .random = seed, .last = -1};
    limits.promote_after = SEC(10);
    for (size_t t = 0; t < TENANTS; t++)
        w->tenants[t].weight = 1;
    queue_init(&w->q, &limits);
}

static void test_random_histories(void **state)
{
    static struct world w;
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < (getenv("FAIRWAY_SEED") ? 1 : HISTORIES); i++) {
        begin(&w, first + i);
        for (w.step = 0; w.step < STEPS; w.step++)
            one_step(&w);
        clear(&w);
    }
}

/* ---- positions ---- */

/* Nobody leaves from the middle, and a tenant's entries cost the same: then only ties are open. */
static void run_line(struct world *w)
{
    size_t positions[ENTRIES], place = 0;
    for (uint32_t t = 0; t < TENANTS; t++) {
        int error = queue_set_tenant(&w->q, t, 1U << test_below(&w->random, 3), 0);
        HOLDS(error == 0);
    }
    for (size_t i = 0; i < ENTRIES; i++) {
        struct queue_entry *e = &w->entries[i];
        e->tenant = (uint32_t)test_below(&w->random, TENANTS);
        e->input_tokens = 10 + 7 * (uint64_t)e->tenant;
        e->band = (enum queue_band)test_below(&w->random, 2);
        e->deadline = NSEC_NEVER;
        queue_put(&w->q, e);
    }
    for (size_t i = 0; i < ENTRIES; i++)
        positions[i] = queue_position(&w->q, &w->entries[i]);
    for (struct queue_entry *e; (e = queue_peek(&w->q, 0)); place++) {
        struct queue_reason reason;
        size_t i = (size_t)(e - w->entries);
        HOLDS(positions[i] < place + TENANTS && place < positions[i] + TENANTS);
        queue_serve(&w->q, e, &reason);
        w->model[i].place = RUNNING;
    }
}

static void test_positions(void **state)
{
    static struct world w;
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < (getenv("FAIRWAY_SEED") ? 1 : LINES); i++) {
        begin(&w, first + i);
        run_line(&w);
        clear(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_histories),
                                       cmocka_unit_test(test_positions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
