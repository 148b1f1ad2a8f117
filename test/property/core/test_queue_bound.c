/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bound of token fairness, on services counted here, not on the queue's counters.
 *
 * Sheng et al. (OSDI'24), Theorem 4.4: for two clients that are backlogged in the whole of any
 * interval, the services that they receive in it differ by at most 2 max(wp Linput, wq M), where M
 * is the most tokens that the running batch holds. It follows from Lemma 4.3: at any time the
 * counters of those that wait differ by at most max(wp Linput, wq M).
 *
 * Here: `SLOTS` requests run at a time, an input is at most INPUT tokens (as estimated, and in
 * truth), an output at most OUTPUT, so that M = SLOTS (INPUT + OUTPUT); services are divided by the
 * tenants' weights, the least of which is 1. When g was served last it had the least counter; since
 * then g's counter rose by no more than what its running requests are charged, and f's fell by no
 * more than the corrections of the inputs of f's running requests. Both together are at most
 * SLOTS (wp INPUT + wq OUTPUT), which is at most max(wp, wq) M. So the bound U of the lemma is this
 * sum, and that of the theorem 2 U. All entries are of one band (between bands there is no bound);
 * promotion goes on meanwhile and must not loosen it.
 */
#include "core/queue/queue.h"
#include "test.h"

enum {
    HISTORIES = 10000,
    STEPS = 300,
    TENANTS = 5,
    SLOTS = 4,
    DEPTH = 40,
    PER_TENANT = DEPTH + SLOTS,
    INPUT = 80,
    OUTPUT = 60,
    WEIGHTS = 12 /* services are counted in twelfths: each weight divides it */
};

struct request {
    struct queue_entry entry;
    bool running;
    uint64_t output;
};

struct tenant {
    uint32_t weight;
    size_t depth;     /* so many wait all the time; 0: none, it pauses */
    int64_t service;  /* weighted, in twelfths of a thousandth */
    int64_t at_start; /* of the interval */
    bool backlogged;  /* in the whole of it */
};

struct world {
    struct queue q;
    struct request requests[TENANTS][PER_TENANT];
    struct tenant tenants[TENANTS];
    size_t running;
    int64_t bound; /* U */
    nsec now;
    uint64_t seed, random;
    int step;
};

#define HOLDS(condition) PROPERTY(condition, w->seed, w->step)

static void count(struct world *w, uint32_t tenant, int64_t input, int64_t output)
{
    int64_t cost = input * w->q.limits.input_cost + output * w->q.limits.output_cost;
    w->tenants[tenant].service += cost * (WEIGHTS / w->tenants[tenant].weight);
}

static struct request *pick(struct world *w, uint32_t tenant, bool running)
{
    for (size_t i = 0; i < PER_TENANT; i++) {
        struct request *r = &w->requests[tenant][i];
        if (running ? r->running : !r->running && !queue_has(&r->entry))
            return r;
    }
    return NULL;
}

static void arrive(struct world *w, uint32_t tenant)
{
    struct request *r = pick(w, tenant, false);
    if (!r)
        return;
    r->entry = (struct queue_entry){.tenant = tenant,
                                    .band = QUEUE_BAND_NORMAL,
                                    .input_tokens = test_below(&w->random, INPUT + 1),
                                    .arrived = w->now,
                                    .deadline = NSEC_NEVER};
    r->output = 0;
    queue_put(&w->q, &r->entry);
}

static size_t waiting(const struct world *w, uint32_t tenant)
{
    size_t waiting = 0;
    for (size_t i = 0; i < PER_TENANT; i++)
        waiting += queue_has(&w->requests[tenant][i].entry);
    return waiting;
}

static void fill(struct world *w)
{
    for (uint32_t t = 0; t < TENANTS; t++)
        for (size_t i = waiting(w, t); i < w->tenants[t].depth; i++)
            arrive(w, t);
}

static void begin_interval(struct world *w)
{
    for (uint32_t t = 0; t < TENANTS; t++) {
        w->tenants[t].at_start = w->tenants[t].service;
        w->tenants[t].backlogged = true;
    }
}

static void check_bound(struct world *w)
{
    for (uint32_t t = 0; t < TENANTS; t++)
        w->tenants[t].backlogged &= waiting(w, t) > 0;
    for (uint32_t a = 0; a < TENANTS; a++) {
        for (uint32_t b = 0; b < a; b++) {
            const struct tenant *f = &w->tenants[a], *g = &w->tenants[b];
            int64_t difference = (f->service - f->at_start) - (g->service - g->at_start);
            if (f->backlogged && g->backlogged)
                /* a thousandth for each counter's rounding */
                HOLDS(llabs(difference) <= (2 * w->bound + 2) * WEIGHTS);
        }
    }
}

static void dispatch(struct world *w)
{
    struct queue_entry *e;
    struct queue_reason reason;
    while (w->running < SLOTS && (e = queue_peek(&w->q, w->now))) {
        queue_serve(&w->q, e, &reason);
        count(w, e->tenant, (int64_t)e->input_tokens, 0);
        container_of(e, struct request, entry)->running = true;
        w->running++;
        fill(w);
        check_bound(w);
    }
}

static void generate(struct world *w, uint32_t tenant)
{
    struct request *r = pick(w, tenant, true);
    if (!r)
        return;
    uint64_t tokens = test_below(&w->random, OUTPUT - r->output + 1);
    queue_charge(&w->q, &r->entry, tokens);
    r->output += tokens;
    count(w, tenant, 0, (int64_t)tokens);
}

static void end(struct world *w, uint32_t tenant)
{
    struct request *r = pick(w, tenant, true);
    if (!r)
        return;
    uint64_t input = test_below(&w->random, INPUT + 1);
    queue_settle(&w->q, &r->entry, input, r->output);
    count(w, tenant, (int64_t)input - (int64_t)r->entry.input_tokens, 0);
    queue_end(&w->q, &r->entry);
    r->running = false;
    w->running--;
}

static void one_step(struct world *w)
{
    uint32_t tenant = (uint32_t)test_below(&w->random, TENANTS);
    w->now += (nsec)test_below(&w->random, SEC(1));
    if (test_below(&w->random, 3))
        generate(w, tenant);
    else
        end(w, tenant);
    if (test_below(&w->random, 200) == 0)
        w->tenants[tenant].depth = test_below(&w->random, 2) ? test_below(&w->random, DEPTH) : 0;
    fill(w);
    dispatch(w);
    if (test_below(&w->random, 300) == 0)
        begin_interval(w);
}

static void begin(struct world *w, uint64_t seed)
{
    static const uint32_t weights[] = {1, 2, 3, 4};
    struct queue_limits limits = queue_limits_default();
    *w = (struct world){.seed = seed, .random = seed};
    limits.promote_after = SEC(1 + test_below(&w->random, 100));
    limits.output_cost = test_below(&w->random, 2) ? 1000 : 2000;
    w->bound = (int64_t)SLOTS * (INPUT * limits.input_cost + OUTPUT * limits.output_cost);
    queue_init(&w->q, &limits);
    for (uint32_t t = 0; t < TENANTS; t++) {
        w->tenants[t].weight = weights[test_below(&w->random, ARRAY_LEN(weights))];
        w->tenants[t].depth = test_below(&w->random, DEPTH);
        int error = queue_set_tenant(&w->q, t, w->tenants[t].weight, 0);
        HOLDS(error == 0);
    }
}

static void clear(struct world *w)
{
    for (uint32_t t = 0; t < TENANTS; t++) {
        for (size_t i = 0; i < PER_TENANT; i++) {
            struct request *r = &w->requests[t][i];
            if (r->running)
                queue_end(&w->q, &r->entry);
            else if (queue_has(&r->entry))
                queue_remove(&w->q, &r->entry);
        }
    }
    queue_fini(&w->q);
}

static void test_backlogged_tenants_get_the_same(void **state)
{
    static struct world w;
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < (getenv("FAIRWAY_SEED") ? 1 : HISTORIES); i++) {
        begin(&w, first + i);
        fill(&w);
        begin_interval(&w);
        for (w.step = 0; w.step < STEPS; w.step++)
            one_step(&w);
        clear(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_backlogged_tenants_get_the_same)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
