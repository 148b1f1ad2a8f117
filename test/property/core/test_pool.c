/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of a pool under every policy, with retries, hedges, continuations, two revisions
 * and a prefix index, against rules that are checked after every step:
 * - no replica runs more than its slots; counts and tokens agree with the requests' legs
 * - every accepted request ends exactly once
 * - work is conserved: nothing waits while a replica could take it
 * - dispatch order of one tenant: nobody of the highest band, or promoted, who arrived earlier still
 *   waits (naive search over all), or, under a policy that asks for caches, nobody does for the
 *   POOL_OVERTAKEN_MAX + 1st time; test_queue.c has the order between tenants
 * - a continuation stays on its revision; two legs never share a replica
 * - retries and hedges stay inside their budgets
 */
#include "base/check.h"
#include "base/hash.h"
#include "core/pool/pool.h"
#include "test.h"

enum {
    REQUESTS = 64,
    STEPS = 3000,
    HISTORIES = 48,
    REPLICAS = 6,
    SLOTS = 4,
    BLOCKS = 6,
    CHATS = 9
};

struct world {
    struct pool pool;
    struct prefix index;
    uint64_t memory[256];
    struct pool_request requests[REQUESTS];
    uint64_t blocks[CHATS][BLOCKS];
    uint64_t order[REQUESTS]; /* of arrival; 0: out */
    unsigned overtaken[REQUESTS];
    uint64_t arrivals, hedges;
    nsec now;
    uint64_t seed, random;
    int step;
};

static size_t index_of(const struct world *w, const struct pool_request *r)
{
    return (size_t)(r - w->requests);
}

static bool waits(const struct pool_request *r)
{
    return r->state == POOL_QUEUED && queue_has(&r->entry);
}

static bool is_hedged(const struct pool_request *r)
{
    return r->legs[0].place != ROUTE_NONE && r->legs[1].place != ROUTE_NONE;
}

static int some_leg(const struct pool_request *r)
{
    return r->legs[0].place != ROUTE_NONE ? 0 : 1;
}

/* Request i arrived earlier and still waits. */
static void check_overtaking(struct world *w, size_t i, const struct pool_decision *d)
{
    PROPERTY(w->pool.route.options.policy->matches, w->seed, w->step);
    w->overtaken[i] += w->requests[i].entry.level == d->request->entry.level;
    PROPERTY(w->overtaken[i] <= POOL_OVERTAKEN_MAX, w->seed, w->step);
}

static void check_dispatch_order(struct world *w, const struct pool_decision *d)
{
    nsec promote = w->pool.options.queue.promote_after;
    unsigned top = d->request->entry.band;
    for (size_t i = 0; i < REQUESTS; i++)
        if (waits(&w->requests[i]))
            top = MIN(top, w->requests[i].entry.band);
    for (size_t i = 0; i < REQUESTS; i++) {
        const struct pool_request *r = &w->requests[i];
        bool served = r == d->request;
        bool competes = r->entry.band == top || w->now - r->entry.arrived > promote;
        if (served)
            PROPERTY(competes, w->seed, w->step);
        else if (waits(r) && competes && w->order[i] < w->order[index_of(w, d->request)])
            check_overtaking(w, i, d);
    }
}

static void check_place(struct world *w, const struct pool_decision *d)
{
    const struct route_replica *replica = &w->pool.route.replicas[d->choice.place];
    uint64_t wanted = d->request->route.revision;
    PROPERTY(d->request->legs[d->leg].place == d->choice.place, w->seed, w->step);
    PROPERTY(replica->spec.id == d->replica, w->seed, w->step);
    PROPERTY(!wanted || wanted == replica->spec.revision, w->seed, w->step);
    PROPERTY(d->request->legs[0].place != d->request->legs[1].place, w->seed, w->step);
    PROPERTY(d->choice.best[0].place == d->choice.place, w->seed, w->step);
}

static void take_decisions(struct world *w)
{
    struct pool_decision d;
    while (pool_next(&w->pool, w->now, &d)) {
        size_t i = index_of(w, d.request);
        PROPERTY(w->order[i] != 0, w->seed, w->step);
        if (d.kind == POOL_DISPATCH) {
            check_dispatch_order(w, &d);
            check_place(w, &d);
        } else {
            w->order[i] = 0;
        }
    }
}

static void sum_up(const struct world *w, struct route_replica sums[ROUTE_REPLICAS_MAX])
{
    for (size_t i = 0; i < REQUESTS; i++) {
        const struct pool_request *r = &w->requests[i];
        for (int leg = 0; r->state == POOL_RUNNING && leg < POOL_LEGS; leg++) {
            const struct route_hold *hold = &r->legs[leg];
            if (hold->place == ROUTE_NONE)
                continue;
            struct route_replica *sum = &sums[hold->place];
            sum->running++;
            sum->probes += hold->probe;
            sum->prefill += hold->prefill;
            sum->decode += r->route.output_tokens;
            sum->tokens += r->route.prompt_tokens + r->route.output_tokens;
        }
    }
}

static void check_counts(struct world *w)
{
    static struct route_replica sums[ROUTE_REPLICAS_MAX];
    memset(sums, 0, sizeof(sums));
    sum_up(w, sums);
    for (int place = 0; place < w->pool.route.count; place++) {
        const struct route_replica *replica = &w->pool.route.replicas[place], *sum = &sums[place];
        PROPERTY(replica->running == sum->running && sum->running <= SLOTS, w->seed, w->step);
        PROPERTY(replica->probes == sum->probes && sum->probes <= 1, w->seed, w->step);
        PROPERTY(replica->prefill == sum->prefill, w->seed, w->step);
        PROPERTY(replica->decode == sum->decode, w->seed, w->step);
        PROPERTY(replica->tokens == sum->tokens, w->seed, w->step);
    }
}

static void check_states(struct world *w)
{
    size_t queued = 0;
    for (size_t i = 0; i < REQUESTS; i++) {
        const struct pool_request *r = &w->requests[i];
        bool placed =
            w->order[i] && (r->legs[0].place != ROUTE_NONE || r->legs[1].place != ROUTE_NONE);
        PROPERTY((r->state != POOL_OUT) == (w->order[i] != 0), w->seed, w->step);
        PROPERTY((r->state == POOL_RUNNING) == placed, w->seed, w->step);
        queued += r->state == POOL_QUEUED;
    }
    PROPERTY(queued == w->pool.queue.length, w->seed, w->step);
}

/* What could be served is being served. */
static void check_work_conserved(struct world *w)
{
    const struct queue_entry *next = queue_peek(&w->pool.queue, w->now);
    const struct route_set none = {0};
    if (!next)
        return;
    const struct pool_request *r = container_of(next, struct pool_request, entry);
    struct route_choice choice = route_choose(&w->pool.route, &r->route, &none, w->now);
    PROPERTY(choice.place == ROUTE_NONE, w->seed, w->step);
    PROPERTY(pool_wake_at(&w->pool) <= choice.retry_at, w->seed, w->step);
    PROPERTY(pool_wake_at(&w->pool) > w->now, w->seed, w->step);
}

static void check_budgets(struct world *w)
{
    double seconds = nsec_to_seconds(w->now);
    double retries = 0.05 * (double)w->arrivals + SLOTS * (1 + seconds / 10);
    double hedges = 0.3 * (double)w->arrivals + 1 + seconds / 10;
    PROPERTY((double)w->pool.retries.spent <= retries, w->seed, w->step);
    PROPERTY((double)w->pool.hedges.spent <= hedges, w->seed, w->step);
    PROPERTY(w->hedges == w->pool.hedges.spent, w->seed, w->step);
}

static struct pool_request *pick(struct world *w, enum pool_state state)
{
    size_t start = test_below(&w->random, REQUESTS);
    for (size_t i = 0; i < REQUESTS; i++) {
        struct pool_request *r = &w->requests[(start + i) % REQUESTS];
        if (r->state == state)
            return r;
    }
    return NULL;
}

static void arrive(struct world *w)
{
    struct pool_request *r = pick(w, POOL_OUT);
    if (!r)
        return;
    r->entry.band = (enum queue_band)test_below(&w->random, QUEUE_BANDS);
    r->entry.input_tokens = 1 + test_below(&w->random, 500);
    r->entry.output_tokens = test_below(&w->random, 500);
    r->entry.deadline = test_below(&w->random, 4)
                            ? NSEC_NEVER
                            : w->now + (nsec)test_below(&w->random, (uint64_t)SEC(20));
    r->route = (struct route_request){
        .prompt_tokens = test_below(&w->random, 800),
        .output_tokens = test_below(&w->random, 200),
        .session = test_below(&w->random, 5),
        .revision = test_below(&w->random, 8) ? 0 : 1 + test_below(&w->random, 2),
        .blocks = w->blocks[test_below(&w->random, CHATS)],
        .block_count = (unsigned)test_below(&w->random, BLOCKS + 1),
        .block_tokens = 128,
    };
    w->order[index_of(w, r)] = ++w->arrivals;
    w->overtaken[index_of(w, r)] = 0;
    pool_arrive(&w->pool, r, w->now);
}

/* The client left, or its stream ended. */
static void end(struct world *w, struct pool_request *r)
{
    enum route_outcome outcome = (enum route_outcome)test_below(&w->random, 3);
    if (r->state == POOL_QUEUED || is_hedged(r) || test_below(&w->random, 6) == 0)
        pool_cancel(&w->pool, r, w->now);
    else
        pool_finish(&w->pool, r, test_below(&w->random, 4) ? ROUTE_OK : outcome, w->now);
    w->order[index_of(w, r)] = 0;
}

static void break_off(struct world *w, struct pool_request *r)
{
    if (is_hedged(r))
        pool_lose_leg(&w->pool, r, (int)test_below(&w->random, POOL_LEGS), w->now);
    else if (r->answered)
        pool_continue(&w->pool, r, w->now);
    else
        pool_retry(&w->pool, r, w->now);
}

static void answer(struct world *w, struct pool_request *r)
{
    int leg = is_hedged(r) ? (int)test_below(&w->random, POOL_LEGS) : some_leg(r);
    pool_first_byte(&w->pool, r, leg, w->now);
    PROPERTY(!is_hedged(r), w->seed, w->step);
    if (test_below(&w->random, 2))
        pool_cached(&w->pool, r, test_below(&w->random, 800));
}

static void hedge(struct world *w, struct pool_request *r)
{
    struct pool_decision d;
    bool early = pool_hedge_at(&w->pool, r, w->now) > w->now;
    bool waits = w->pool.queue.length > 0;
    if (!pool_hedge(&w->pool, r, w->now, &d))
        return;
    w->hedges++;
    PROPERTY(!early && !waits && d.kind == POOL_HEDGE && d.request == r, w->seed, w->step);
    PROPERTY(is_hedged(r) && pool_hedge_at(&w->pool, r, w->now) == NSEC_NEVER, w->seed, w->step);
    check_place(w, &d);
}

static void change_replicas(struct world *w)
{
    uint64_t id = 1 + test_below(&w->random, REPLICAS);
    const struct route_spec spec = {
        .id = id,
        .revision = 1 + id % 2,
        .kv_tokens = id % 3 ? 0 : 1500,
        .slots = SLOTS,
        .weight = (unsigned)id,
        .draining = test_below(&w->random, 4) == 0,
    };
    if (test_below(&w->random, 3))
        assert_int_equal(pool_replica_put(&w->pool, &spec, w->now), 0);
    else
        pool_replica_remove(&w->pool, id);
    pool_set_expecting(&w->pool, test_below(&w->random, 8) != 0, test_below(&w->random, 3));
}

static void one_event(struct world *w)
{
    struct pool_request *running = pick(w, POOL_RUNNING), *queued = pick(w, POOL_QUEUED);
    uint64_t kind = test_below(&w->random, 16);
    if (kind < (w->seed % 3 ? 6 : 3)) /* more than can be served, or less */
        arrive(w);
    else if (kind == 6 && queued)
        end(w, queued);
    else if (kind == 7 && test_below(&w->random, 4) == 0)
        change_replicas(w);
    else if (kind == 8 && running)
        break_off(w, running);
    else if (kind < 12 && running)
        answer(w, running);
    else if (kind < 14 && running)
        hedge(w, running);
    else if (running)
        end(w, running);
}

static void one_step(struct world *w)
{
    w->now += (nsec)test_below(&w->random, w->seed % 2 ? (uint64_t)SEC(1) : (uint64_t)MSEC(100));
    take_decisions(w); /* those that time has brought */
    one_event(w);
    take_decisions(w);
    check_counts(w);
    check_states(w);
    check_work_conserved(w);
    check_budgets(w);
}

static void begin(struct world *w)
{
    static const struct route_policy *const policies[] = {
        &route_round_robin, &route_least_load, &route_power_of_two,
        &route_prefix,      &route_session,    &route_weighted,
    };
    struct pool_options options = pool_options_default();
    options.queue.max_length = 20;
    options.route.policy = policies[w->seed % ARRAY_LEN(policies)];
    options.route.prefix = w->seed % 4 ? &w->index : NULL;
    options.route.health.open_after = 1 + w->seed % 2;
    options.retries.ratio = 0.05;
    options.retries.reserve = 1;
    options.hedges.ratio = 0.3;
    options.hedge_quantile = 0.5;
    options.hedge_samples = 3;
    for (uint64_t i = 0; i < CHATS * BLOCKS; i++)
        w->blocks[i / BLOCKS][i % BLOCKS] = hash_combine(i % BLOCKS < 2 ? i % BLOCKS : i, 3);
    prefix_init(&w->index, w->memory, sizeof(w->memory));
    pool_init(&w->pool, &options);
}

static void run_history(uint64_t seed)
{
    static struct world w;
    memset(&w, 0, sizeof(w));
    w.seed = w.random = seed;
    begin(&w);
    for (w.step = 0; w.step < STEPS; w.step++)
        one_step(&w);
    for (size_t i = 0; i < REQUESTS; i++)
        pool_cancel(&w.pool, &w.requests[i], w.now);
    check_counts(&w);
    pool_fini(&w.pool);
}

static void test_random_histories(void **state)
{
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < (getenv("FAIRWAY_SEED") ? 1 : HISTORIES); i++)
        run_history(first + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
