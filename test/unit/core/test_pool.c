/* SPDX-License-Identifier: Apache-2.0 */
#include "core/pool/pool.h"
#include "test.h"

static void put(struct pool *p, uint64_t id, unsigned slots, nsec now)
{
    const struct route_spec spec = {.id = id, .slots = slots};
    assert_int_equal(pool_replica_put(p, &spec, now), 0);
}

static void setup(struct pool *p, size_t max_length, unsigned replicas, unsigned slots)
{
    struct pool_options options = pool_options_default();
    options.queue.max_length = max_length;
    pool_init(p, &options);
    for (unsigned i = 1; i <= replicas; i++)
        put(p, i, slots, 0);
}

static struct pool_request request(void)
{
    return (struct pool_request){
        .entry = {.band = QUEUE_BAND_NORMAL, .deadline = NSEC_NEVER, .output_tokens = 100}};
}

static void expect_dispatch(struct pool *p, nsec now, struct pool_request *r)
{
    struct pool_decision d;
    assert_true(pool_next(p, now, &d));
    assert_int_equal(d.kind, POOL_DISPATCH);
    assert_ptr_equal(d.request, r);
    assert_int_equal(r->state, POOL_RUNNING);
}

static void expect_reject(struct pool *p, nsec now, struct pool_request *r, int code)
{
    struct pool_decision d;
    assert_true(pool_next(p, now, &d));
    assert_int_equal(d.kind, POOL_REJECT);
    assert_ptr_equal(d.request, r);
    assert_int_equal(d.code, code);
    assert_int_equal(r->state, POOL_OUT);
}

static void expect_nothing(struct pool *p, nsec now)
{
    struct pool_decision d;
    assert_false(pool_next(p, now, &d));
}

static void test_a_freed_slot_dispatches_the_next(void **state)
{
    struct pool p;
    setup(&p, 10, 1, 1);
    struct pool_request a = request(), b = request();
    pool_arrive(&p, &a, 0);
    pool_arrive(&p, &b, 1);
    expect_dispatch(&p, 1, &a);
    expect_nothing(&p, 1);
    pool_finish(&p, &a, ROUTE_OK, 2);
    expect_dispatch(&p, 2, &b);
    pool_finish(&p, &b, ROUTE_OK, 3);
    pool_fini(&p);
}

static void test_a_full_queue_refuses_the_surplus_only(void **state)
{
    struct pool p;
    setup(&p, 1, 1, 1);
    struct pool_request a = request(), b = request(), c = request();
    pool_arrive(&p, &a, 0);
    expect_dispatch(&p, 0, &a);
    pool_arrive(&p, &b, 0);
    expect_nothing(&p, 0);
    pool_arrive(&p, &c, 0);
    expect_reject(&p, 0, &c, ERR_FULL);
    expect_nothing(&p, 0);
    pool_finish(&p, &a, ROUTE_OK, 1);
    expect_dispatch(&p, 1, &b);
    pool_finish(&p, &b, ROUTE_OK, 1);
    pool_fini(&p);
}

static void test_a_queue_of_zero_still_serves_a_free_slot(void **state)
{
    struct pool p;
    setup(&p, 0, 1, 1);
    struct pool_request a = request(), b = request();
    pool_arrive(&p, &a, 0);
    expect_dispatch(&p, 0, &a);
    pool_arrive(&p, &b, 0);
    expect_reject(&p, 0, &b, ERR_FULL);
    pool_finish(&p, &a, ROUTE_OK, 1);
    pool_fini(&p);
}

static void test_deadline_while_waiting(void **state)
{
    struct pool p;
    setup(&p, 10, 1, 1);
    struct pool_request a = request(), b = request();
    b.entry.deadline = 50;
    pool_arrive(&p, &a, 0);
    expect_dispatch(&p, 0, &a);
    pool_arrive(&p, &b, 0);
    expect_nothing(&p, 49);
    assert_int_equal(pool_wake_at(&p), 50);
    expect_reject(&p, 50, &b, ERR_TIMEOUT);
    pool_finish(&p, &a, ROUTE_OK, 60);
    pool_fini(&p);
}

static void test_no_replica(void **state)
{
    struct pool p;
    setup(&p, 10, 0, 0);
    struct pool_request a = request(), b = request();
    pool_arrive(&p, &a, 0);
    expect_reject(&p, 0, &a, ERR_UNAVAILABLE);
    pool_set_expecting(&p, true, 0);
    b.entry.deadline = 50;
    pool_arrive(&p, &a, 0);
    pool_arrive(&p, &b, 0);
    expect_nothing(&p, 0);
    expect_reject(&p, 50, &b, ERR_UNAVAILABLE); /* nothing was there to serve it */
    pool_set_expecting(&p, false, 0);           /* scaled to nothing while it waits */
    expect_reject(&p, 60, &a, ERR_UNAVAILABLE);
    pool_fini(&p);
}

static void test_a_new_replica_is_used_at_once(void **state)
{
    struct pool p;
    setup(&p, 10, 0, 0);
    pool_set_expecting(&p, true, 0);
    struct pool_request a = request();
    pool_arrive(&p, &a, 0);
    expect_nothing(&p, 0);
    put(&p, 7, 1, 5);
    expect_dispatch(&p, 5, &a);
    pool_finish(&p, &a, ROUTE_OK, 6);
    pool_fini(&p);
}

static void test_retry_goes_elsewhere_and_ends(void **state)
{
    struct pool p;
    setup(&p, 10, 3, 4);
    struct pool_request a = request();
    struct pool_decision d;
    uint64_t seen = 0;
    pool_arrive(&p, &a, 0);
    for (int i = 0; i < 3; i++) {
        assert_true(pool_next(&p, 0, &d));
        assert_int_equal(d.kind, POOL_DISPATCH);
        assert_false(seen >> d.replica & 1);
        seen |= UINT64_C(1) << d.replica;
        pool_retry(&p, &a, 0);
    }
    expect_reject(&p, 0, &a, ERR_UNAVAILABLE);
    pool_fini(&p);
}

static void test_a_lone_replica_is_tried_again_after_its_ejection(void **state)
{
    struct pool p;
    setup(&p, 10, 1, 4);
    struct pool_request a = request();
    pool_arrive(&p, &a, 0);
    expect_dispatch(&p, 0, &a);
    pool_retry(&p, &a, 0);
    expect_nothing(&p, 0);
    assert_int_equal(pool_wake_at(&p), MSEC(500));
    expect_dispatch(&p, MSEC(500), &a);
    pool_finish(&p, &a, ROUTE_OK, SEC(1));
    pool_fini(&p);
}

static void test_cancel_in_every_state(void **state)
{
    struct pool p;
    setup(&p, 1, 1, 1);
    struct pool_request a = request(), b = request(), c = request();
    pool_arrive(&p, &a, 0);
    expect_dispatch(&p, 0, &a);
    pool_arrive(&p, &b, 0);
    pool_arrive(&p, &c, 0); /* will be refused: cancelled before the decision is taken */
    pool_cancel(&p, &c, 0);
    pool_cancel(&p, &b, 0);
    pool_cancel(&p, &a, 0);
    pool_cancel(&p, &a, 0);
    expect_nothing(&p, 0);
    assert_int_equal(route_running(&p.route), 0);
    pool_fini(&p);
}

static void test_retry_after_follows_the_drain_rate(void **state)
{
    struct pool p;
    setup(&p, 1000, 1, 1);
    assert_int_equal(pool_retry_after(&p, 0), SEC(60)); /* nothing known */
    struct pool_request r = request();
    nsec now = 0;
    for (int i = 0; i < 600; i++) { /* 10 a second for a minute */
        now += MSEC(100);
        pool_arrive(&p, &r, now);
        expect_dispatch(&p, now, &r);
        pool_finish(&p, &r, ROUTE_OK, now);
    }
    assert_true(p.drain_rate > 9 && p.drain_rate < 11);
    assert_int_equal(pool_retry_after(&p, now), SEC(1));
    assert_true(pool_retry_after(&p, now + SEC(70)) > SEC(5));
    pool_fini(&p);
}

static void test_a_refusal_says_whose_limit(void **state)
{
    struct pool p;
    struct pool_decision d;
    setup(&p, 2, 1, 1);
    assert_int_equal(pool_set_tenant(&p, 7, 1, 1), 0);
    struct pool_request r[5] = {request(), request(), request(), request(), request()};
    r[1].entry.tenant = r[2].entry.tenant = 7;
    pool_arrive(&p, &r[0], 0);
    expect_dispatch(&p, 0, &r[0]);
    pool_arrive(&p, &r[1], 0); /* 7 has one that waits: as many as may */
    pool_arrive(&p, &r[2], 0);
    assert_true(pool_next(&p, 0, &d));
    assert_true(d.request == &r[2] && d.code == ERR_FULL && d.why == POOL_WHY_TENANT_FULL);
    pool_arrive(&p, &r[3], 0);
    pool_arrive(&p, &r[4], 0);
    assert_true(pool_next(&p, 0, &d));
    assert_true(d.request == &r[4] && d.code == ERR_FULL && d.why == POOL_WHY_QUEUE_FULL);
    for (int i = 0; i < 5; i++)
        pool_cancel(&p, &r[i], 0);
    pool_fini(&p);
}

/* Two replicas, one slot each, both busy; what waits has read its beginning at one or the other. */
static void test_a_freed_slot_goes_to_whose_prompt_is_cached_there(void **state)
{
    enum { BLOCKS = 4, TOKENS = 100 };
    struct pool p;
    struct prefix index;
    uint64_t memory[1024], blocks[3][BLOCKS];
    struct pool_request first[2] = {request(), request()},
                        later[3] = {request(), request(), request()};
    struct pool_decision d;
    setup(&p, 10, 2, 1);
    prefix_init(&index, memory, sizeof(memory));
    p.route.options.policy = &route_prefix;
    p.route.options.prefix = &index;
    for (int i = 0; i < 3; i++)
        for (int b = 0; b < BLOCKS; b++)
            blocks[i][b] = (uint64_t)(100 * i + b + 1) << 32;
    for (int i = 0; i < 2; i++) {
        first[i].route = (struct route_request){.prompt_tokens = BLOCKS * TOKENS,
                                                .blocks = blocks[i],
                                                .block_count = BLOCKS,
                                                .block_tokens = TOKENS};
        pool_arrive(&p, &first[i], 0);
        expect_dispatch(&p, 0, &first[i]);
    }
    for (int i = 0; i < 3; i++) { /* one that nobody knows, one of replica 0, one of replica 1 */
        later[i].route = first[0].route;
        later[i].route.blocks = blocks[(i + 2) % 3];
        pool_arrive(&p, &later[i], 1);
        assert_false(pool_next(&p, 1, &d));
    }
    pool_finish(&p, &first[1], ROUTE_OK, 2);
    expect_dispatch(&p, 2, &later[2]);
    assert_int_equal(later[0].overtaken, 1);
    pool_finish(&p, &first[0], ROUTE_OK, 3);
    expect_dispatch(&p, 3, &later[1]);
    pool_finish(&p, &later[1], ROUTE_OK, 4);
    expect_dispatch(&p, 4, &later[0]);
    for (int i = 0; i < 3; i++)
        pool_cancel(&p, &later[i], 5);
    pool_fini(&p);
}

static void test_a_flood_leaves_room_for_others(void **state)
{
    struct pool p;
    struct pool_decision d;
    enum { ROOM = 16, KEPT = 4, FLOOD = 30 };
    setup(&p, ROOM, 1, 1);
    struct queue_limits limits = p.queue.limits;
    limits.kept = KEPT;
    pool_set_queue_limits(&p, &limits);
    struct pool_request flood[FLOOD], other[3] = {request(), request(), request()},
                                      third = request();
    size_t waiting = 0;
    for (int i = 0; i < FLOOD; i++) {
        flood[i] = request();
        flood[i].entry.tenant = 1;
        pool_arrive(&p, &flood[i], 0);
        while (pool_next(&p, 0, &d))
            assert_true(d.kind == POOL_DISPATCH ||
                        (d.code == ERR_FULL && d.why == POOL_WHY_CROWDED));
        waiting += flood[i].state == POOL_QUEUED;
    }
    assert_int_equal(waiting, ROOM - KEPT);
    for (int i = 0; i < 3; i++) { /* of four kept, a part each for two that wait and one more */
        other[i].entry.tenant = 2;
        pool_arrive(&p, &other[i], 0);
        assert_int_equal(pool_next(&p, 0, &d), i > 0);
    }
    third.entry.tenant = 3;
    pool_arrive(&p, &third, 0);
    assert_false(pool_next(&p, 0, &d));
    for (int i = 0; i < FLOOD; i++)
        pool_cancel(&p, &flood[i], 0);
    pool_cancel(&p, &other[0], 0);
    pool_cancel(&p, &third, 0);
    pool_fini(&p);
}

static void test_progress_and_settlement_move_the_turn(void **state)
{
    struct pool p;
    struct pool_decision d;
    setup(&p, 10, 1, 1);
    struct pool_request a = request(), b = request(), c = request();
    a.entry.tenant = b.entry.tenant = 1;
    c.entry.tenant = 2;
    pool_arrive(&p, &a, 0);
    expect_dispatch(&p, 0, &a);
    pool_arrive(&p, &b, 0);
    pool_arrive(&p, &c, 1);
    pool_progress(&p, &a, 3);
    pool_settle(&p, &a, 5, 4);
    pool_finish(&p, &a, ROUTE_OK, 2);
    assert_int_equal(pool_position(&p, &b), 1); /* its tenant had 9 tokens since c came */
    assert_int_equal(pool_position(&p, &c), 0);
    assert_true(pool_next(&p, 2, &d));
    assert_ptr_equal(d.request, &c);
    assert_int_equal(d.queue.tenants_waiting, 2);
    assert_int_equal(d.queue.position, 1); /* as it seemed on arrival */
    pool_finish(&p, &c, ROUTE_OK, 3);
    assert_true(pool_next(&p, 3, &d));
    assert_ptr_equal(d.request, &b);
    assert_int_equal(d.queue.counter, 9000);
    assert_int_equal(d.queue.others_served, 1);
    pool_finish(&p, &b, ROUTE_OK, 4);
    pool_fini(&p);
}

static void test_expected_wait_follows_the_place_in_line(void **state)
{
    struct pool p;
    setup(&p, 1000, 1, 1);
    struct pool_request r[20], first = request();
    for (int i = 0; i < 20; i++)
        r[i] = request();
    pool_arrive(&p, &first, 0);
    expect_dispatch(&p, 0, &first);
    pool_arrive(&p, &r[0], 0);
    assert_int_equal(pool_expected_wait(&p, &r[0], 0), NSEC_NEVER); /* nothing known */
    pool_finish(&p, &first, ROUTE_OK, 0);
    assert_int_equal(pool_expected_wait(&p, &first, 0), 0); /* waits no more */
    nsec now = 0;
    for (int i = 0; i < 600; i++) { /* 10 a second for a minute */
        now += MSEC(100);
        expect_dispatch(&p, now, &r[0]);
        pool_finish(&p, &r[0], ROUTE_OK, now);
        pool_arrive(&p, &r[0], now);
    }
    for (int i = 1; i < 20; i++)
        pool_arrive(&p, &r[i], now);
    assert_int_equal(pool_position(&p, &r[19]), 19);
    nsec wait = pool_expected_wait(&p, &r[19], now);
    assert_true(wait > MSEC(1800) && wait < MSEC(2300));
    for (int i = 0; i < 20; i++)
        pool_cancel(&p, &r[i], now);
    pool_fini(&p);
}

/* ---- retries under a budget, continuations, hedges ---- */

/* Serves `count` requests in `took` each, so that the pool knows what is usual. */
static void warm_up(struct pool *p, int count, nsec took, nsec now)
{
    struct pool_request r = request();
    for (int i = 0; i < count; i++) {
        pool_arrive(p, &r, now);
        expect_dispatch(p, now, &r);
        pool_first_byte(p, &r, 0, now + took);
        pool_finish(p, &r, ROUTE_OK, now + took);
        now += took;
    }
}

static void test_one_replicas_death_can_be_made_good(void **state)
{
    struct pool p;
    setup(&p, 100, 4, 32);
    struct pool_request r[64];
    for (int i = 0; i < 64; i++) {
        r[i] = request();
        pool_arrive(&p, &r[i], 0);
        expect_dispatch(&p, 0, &r[i]);
    }
    int dead = r[0].legs[0].place, again = 0;
    for (int i = 0; i < 64; i++) {
        if (r[i].legs[0].place != dead)
            continue;
        pool_retry(&p, &r[i], 1);
        expect_dispatch(&p, 1, &r[i]);
        again++;
    }
    assert_int_equal(again, 16);
    for (int i = 0; i < 64; i++)
        pool_finish(&p, &r[i], ROUTE_OK, 2);
    pool_fini(&p);
}

static void test_without_a_budget_a_failure_is_final(void **state)
{
    struct pool p;
    setup(&p, 100, 2, 1);
    p.options.retries =
        (struct budget_rules){.half_life = SEC(10), .reserve = 0, .refill = SEC(10)};
    struct pool_request a = request();
    pool_arrive(&p, &a, 0);
    expect_dispatch(&p, 0, &a);
    pool_retry(&p, &a, 0); /* the one that the largest replica's slots allow */
    expect_dispatch(&p, 0, &a);
    pool_retry(&p, &a, 0);
    expect_reject(&p, 0, &a, ERR_UNAVAILABLE);
    assert_int_equal(p.retries.refused, 1);
    pool_fini(&p);
}

/* Retries counted twice: a retried request earns its share and is an attempt once each. */
static void test_retries_are_not_counted_twice(void **state)
{
    struct pool p;
    setup(&p, 10, 3, 4);
    struct pool_request a = request();
    pool_arrive(&p, &a, 0);
    expect_dispatch(&p, 0, &a);
    double earned = p.retries.earned;
    pool_retry(&p, &a, 0);
    expect_dispatch(&p, 0, &a);
    assert_true(p.retries.earned <= earned);
    assert_int_equal(a.attempts, 2);
    assert_int_equal(p.retries.spent, 1);
    assert_int_equal(route_running(&p.route), 1);
    pool_finish(&p, &a, ROUTE_OK, 0);
    assert_int_equal(route_running(&p.route), 0);
    pool_fini(&p);
}

static void put_revision(struct pool *p, uint64_t id, uint64_t revision, bool draining)
{
    const struct route_spec spec = {
        .id = id, .slots = 4, .revision = revision, .draining = draining};
    assert_int_equal(pool_replica_put(p, &spec, 0), 0);
}

static void test_a_broken_stream_continues_on_its_revision(void **state)
{
    struct pool p;
    setup(&p, 10, 0, 0);
    put_revision(&p, 1, 1, false);
    put_revision(&p, 2, 2, false);
    put_revision(&p, 3, 1, false);
    struct pool_request a = request(), waits = request();
    a.route.revision = 1;
    pool_arrive(&p, &a, 0);
    expect_dispatch(&p, 0, &a);
    int first = a.legs[0].place;
    pool_first_byte(&p, &a, 0, 1);
    pool_arrive(&p, &waits, 1);
    a.entry.deadline = SEC(60);
    pool_continue(&p, &a, 2);
    expect_dispatch(&p, 2, &a); /* in front of who came later */
    assert_int_equal(a.legs[0].place, first == 0 ? 2 : 0);
    assert_false(a.answered);
    expect_dispatch(&p, 2, &waits);
    assert_int_equal(a.continued, 1);
    assert_int_equal(p.retries.spent, 1);
    pool_finish(&p, &a, ROUTE_OK, 3);
    pool_finish(&p, &waits, ROUTE_OK, 3);
    pool_fini(&p);
}

/* It would wait for what does not come back, and hold up everybody behind it. */
static void test_a_revision_that_is_gone_ends_the_continuation(void **state)
{
    struct pool p;
    setup(&p, 10, 0, 0);
    pool_set_expecting(&p, true, 0);
    put_revision(&p, 1, 1, false);
    struct pool_request a = request();
    pool_arrive(&p, &a, 0);
    expect_dispatch(&p, 0, &a);
    pool_first_byte(&p, &a, 0, 1);
    put_revision(&p, 2, 2, false);
    put_revision(&p, 1, 1, true);
    pool_continue(&p, &a, 2);
    expect_reject(&p, 2, &a, ERR_UNAVAILABLE);
    pool_fini(&p);
}

/* Its only replica died and is started anew: the stream waits for it. */
static void test_a_revision_that_is_expected_is_waited_for(void **state)
{
    struct pool p;
    struct pool_decision d;
    setup(&p, 10, 0, 0);
    pool_set_expecting(&p, true, 1);
    put_revision(&p, 1, 1, false);
    struct pool_request a = request();
    pool_arrive(&p, &a, 0);
    expect_dispatch(&p, 0, &a);
    pool_first_byte(&p, &a, 0, 1);
    pool_replica_remove(&p, 1);
    pool_continue(&p, &a, 2);
    assert_false(pool_next(&p, 2, &d));
    put_revision(&p, 2, 1, false);
    expect_dispatch(&p, 3, &a);
    pool_finish(&p, &a, ROUTE_OK, 4);
    pool_fini(&p);
}

static struct pool_request late_request(struct pool *p, nsec *ret_now)
{
    warm_up(p, 100, MSEC(100), 0);
    *ret_now = SEC(10);
    return request();
}

static void test_a_late_request_is_hedged_and_the_first_answer_stays(void **state)
{
    for (int winner = 0; winner < POOL_LEGS; winner++) {
        struct pool p;
        setup(&p, 10, 3, 4);
        nsec now;
        struct pool_request a = late_request(&p, &now);
        struct pool_decision d;
        pool_arrive(&p, &a, now);
        expect_dispatch(&p, now, &a);
        nsec at = pool_hedge_at(&p, &a, now);
        assert_in_range(at - now, MSEC(100), MSEC(125));
        assert_false(pool_hedge(&p, &a, at - 1, &d));
        assert_true(pool_hedge(&p, &a, at, &d));
        assert_int_equal(d.kind, POOL_HEDGE);
        assert_int_equal(d.leg, 1);
        assert_int_not_equal(a.legs[0].place, a.legs[1].place);
        assert_int_equal(route_running(&p.route), 2);
        assert_int_equal(pool_hedge_at(&p, &a, at), NSEC_NEVER);
        pool_first_byte(&p, &a, winner, at + 5);
        assert_int_equal(route_running(&p.route), 1);
        assert_int_equal(a.legs[!winner].place, ROUTE_NONE);
        assert_int_equal(p.hedges_won, winner);
        pool_finish(&p, &a, ROUTE_OK, at + 9);
        assert_int_equal(route_running(&p.route), 0);
        pool_fini(&p);
    }
}

static void test_no_hedge_while_somebody_waits_or_without_budget(void **state)
{
    struct pool p;
    setup(&p, 10, 2, 1);
    nsec now;
    struct pool_request a = late_request(&p, &now), b = request(), c = request();
    struct pool_decision d;
    pool_arrive(&p, &a, now);
    expect_dispatch(&p, now, &a);
    pool_arrive(&p, &b, now);
    expect_dispatch(&p, now, &b);
    pool_arrive(&p, &c, now);
    assert_false(pool_hedge(&p, &a, now + SEC(1), &d)); /* c waits */
    pool_cancel(&p, &c, now);
    assert_false(pool_hedge(&p, &a, now + SEC(1), &d)); /* no free slot */
    pool_finish(&p, &b, ROUTE_OK, now + SEC(1));
    p.hedges = (struct budget){.seen = now + SEC(1)};
    assert_false(pool_hedge(&p, &a, now + SEC(1), &d));
    assert_true(pool_hedge(&p, &a, now + SEC(12), &d));
    pool_cancel(&p, &a, now + SEC(12)); /* both legs */
    assert_int_equal(route_running(&p.route), 0);
    pool_fini(&p);
}

static void test_one_of_two_legs_fails(void **state)
{
    struct pool p;
    setup(&p, 10, 3, 4);
    nsec now;
    struct pool_request a = late_request(&p, &now);
    struct pool_decision d;
    pool_arrive(&p, &a, now);
    expect_dispatch(&p, now, &a);
    assert_true(pool_hedge(&p, &a, now + SEC(1), &d));
    pool_lose_leg(&p, &a, 0, now + SEC(1));
    assert_int_equal(a.state, POOL_RUNNING);
    pool_retry(&p, &a, now + SEC(1)); /* now the other one too */
    expect_dispatch(&p, now + SEC(1), &a);
    assert_int_equal(a.attempts, 2);
    pool_first_byte(&p, &a, 0, now + SEC(2));
    pool_finish(&p, &a, ROUTE_OK, now + SEC(2));
    pool_fini(&p);
}

static void test_nothing_is_usual_in_a_young_pool(void **state)
{
    struct pool p;
    setup(&p, 10, 2, 4);
    warm_up(&p, 5, MSEC(100), 0);
    struct pool_request a = request();
    pool_arrive(&p, &a, SEC(1));
    expect_dispatch(&p, SEC(1), &a);
    assert_int_equal(pool_hedge_at(&p, &a, SEC(1)), NSEC_NEVER);
    pool_cancel(&p, &a, SEC(1));
    pool_fini(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_freed_slot_dispatches_the_next),
        cmocka_unit_test(test_a_full_queue_refuses_the_surplus_only),
        cmocka_unit_test(test_a_queue_of_zero_still_serves_a_free_slot),
        cmocka_unit_test(test_deadline_while_waiting),
        cmocka_unit_test(test_no_replica),
        cmocka_unit_test(test_a_new_replica_is_used_at_once),
        cmocka_unit_test(test_retry_goes_elsewhere_and_ends),
        cmocka_unit_test(test_a_lone_replica_is_tried_again_after_its_ejection),
        cmocka_unit_test(test_cancel_in_every_state),
        cmocka_unit_test(test_retry_after_follows_the_drain_rate),
        cmocka_unit_test(test_a_refusal_says_whose_limit),
        cmocka_unit_test(test_a_flood_leaves_room_for_others),
        cmocka_unit_test(test_a_freed_slot_goes_to_whose_prompt_is_cached_there),
        cmocka_unit_test(test_progress_and_settlement_move_the_turn),
        cmocka_unit_test(test_expected_wait_follows_the_place_in_line),
        cmocka_unit_test(test_one_replicas_death_can_be_made_good),
        cmocka_unit_test(test_without_a_budget_a_failure_is_final),
        cmocka_unit_test(test_retries_are_not_counted_twice),
        cmocka_unit_test(test_a_broken_stream_continues_on_its_revision),
        cmocka_unit_test(test_a_revision_that_is_gone_ends_the_continuation),
        cmocka_unit_test(test_a_revision_that_is_expected_is_waited_for),
        cmocka_unit_test(test_a_late_request_is_hedged_and_the_first_answer_stays),
        cmocka_unit_test(test_no_hedge_while_somebody_waits_or_without_budget),
        cmocka_unit_test(test_one_of_two_legs_fails),
        cmocka_unit_test(test_nothing_is_usual_in_a_young_pool),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
