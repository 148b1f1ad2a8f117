/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of a pool, against rules that are checked after every step:
 * - no replica runs more than its slots; the counts agree with the requests' states
 * - every accepted request ends exactly once
 * - work is conserved: nothing waits while a replica could take it
 * - dispatch order: nobody of the same band who arrived earlier still waits (naive search over all)
 */
#include "core/pool/pool.h"
#include "test.h"

enum { REQUESTS = 64, STEPS = 3000, HISTORIES = 40, REPLICAS = 5 };

struct world {
    struct pool pool;
    struct pool_request requests[REQUESTS];
    uint64_t order[REQUESTS]; /* of arrival; 0: out */
    uint64_t arrivals;
    nsec now;
    uint64_t seed, random;
    int step;
};

static size_t index_of(const struct world *w, const struct pool_request *r)
{
    return (size_t)(r - w->requests);
}

static void check_dispatch_order(struct world *w, const struct pool_decision *d)
{
    size_t chosen = index_of(w, d->request);
    nsec promote = w->pool.options.queue.promote_after;
    bool promoted = w->now - d->request->entry.arrived > promote;
    for (size_t i = 0; i < REQUESTS; i++) {
        const struct pool_request *other = &w->requests[i];
        if (i == chosen || other->state != POOL_QUEUED || !queue_has(&other->entry))
            continue;
        bool other_promoted = w->now - other->entry.arrived > promote;
        if (other_promoted || promoted)
            PROPERTY(promoted && (!other_promoted || w->order[i] > w->order[chosen]), w->seed,
                     w->step);
        else if (other->entry.band == d->request->entry.band)
            PROPERTY(w->order[i] > w->order[chosen], w->seed, w->step);
        else
            PROPERTY(other->entry.band > d->request->entry.band, w->seed, w->step);
    }
}

static void take_decisions(struct world *w)
{
    struct pool_decision d;
    while (pool_next(&w->pool, w->now, &d)) {
        size_t i = index_of(w, d.request);
        PROPERTY(w->order[i] != 0, w->seed, w->step);
        if (d.kind == POOL_DISPATCH)
            check_dispatch_order(w, &d);
        else
            w->order[i] = 0;
    }
}

static void check_counts(struct world *w)
{
    unsigned running[ROUTE_REPLICAS_MAX] = {0};
    size_t queued = 0;
    for (size_t i = 0; i < REQUESTS; i++) {
        const struct pool_request *r = &w->requests[i];
        PROPERTY((r->state != POOL_OUT) == (w->order[i] != 0), w->seed, w->step);
        queued += r->state == POOL_QUEUED;
        if (r->state == POOL_RUNNING)
            running[r->legs[0].place]++;
    }
    PROPERTY(queued == w->pool.queue.length, w->seed, w->step);
    for (int place = 0; place < w->pool.route.count; place++) {
        const struct route_replica *replica = &w->pool.route.replicas[place];
        PROPERTY(replica->running == running[place], w->seed, w->step);
    }
}

/* What could be served is being served. */
static void check_work_conserved(struct world *w)
{
    const struct queue_entry *next = queue_peek(&w->pool.queue, w->now);
    const struct route_set none = {0};
    if (next)
        PROPERTY(route_choose(&w->pool.route, &(struct route_request){0}, &none, w->now).place ==
                     ROUTE_NONE,
                 w->seed, w->step);
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
    r->entry.tokens = 1 + test_below(&w->random, 1000);
    r->entry.deadline = test_below(&w->random, 4)
                            ? NSEC_NEVER
                            : w->now + (nsec)test_below(&w->random, (uint64_t)SEC(20));
    w->order[index_of(w, r)] = ++w->arrivals;
    pool_arrive(&w->pool, r, w->now);
}

static void end(struct world *w, struct pool_request *r, uint64_t how)
{
    if (how < 6) {
        pool_finish(&w->pool, r, how ? ROUTE_OK : ROUTE_FAILED, w->now);
        w->order[index_of(w, r)] = 0;
    } else if (how == 6) {
        pool_retry(&w->pool, r, w->now);
    } else {
        pool_cancel(&w->pool, r, w->now);
        w->order[index_of(w, r)] = 0;
    }
}

static void change_replicas(struct world *w)
{
    uint64_t id = 1 + test_below(&w->random, REPLICAS);
    if (test_below(&w->random, 3)) {
        const struct route_spec spec = {
            .id = id, .slots = 4, .draining = test_below(&w->random, 4) == 0};
        assert_int_equal(pool_replica_put(&w->pool, &spec, w->now), 0);
    } else {
        pool_replica_remove(&w->pool, id);
    }
    pool_set_expecting(&w->pool, test_below(&w->random, 8) != 0);
}

static void one_step(struct world *w)
{
    struct pool_request *r;
    w->now += (nsec)test_below(&w->random, (uint64_t)SEC(1));
    switch (test_below(&w->random, 8)) {
    case 0:
    case 1:
    case 2:
        arrive(w);
        break;
    case 3:
        if ((r = pick(w, POOL_QUEUED)))
            end(w, r, 7);
        break;
    case 4:
        if (test_below(&w->random, 4) == 0)
            change_replicas(w);
        break;
    default:
        if ((r = pick(w, POOL_RUNNING)))
            end(w, r, test_below(&w->random, 8));
    }
    take_decisions(w);
    check_counts(w);
    check_work_conserved(w);
}

static void run_history(uint64_t seed)
{
    static struct world w;
    w = (struct world){.seed = seed, .random = seed};
    struct pool_options options = pool_options_default();
    options.queue.max_length = 20;
    pool_init(&w.pool, &options);
    for (w.step = 0; w.step < STEPS; w.step++)
        one_step(&w);
    for (size_t i = 0; i < REQUESTS; i++)
        pool_cancel(&w.pool, &w.requests[i], w.now);
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
