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
        .entry = {.band = QUEUE_BAND_NORMAL, .deadline = NSEC_NEVER, .tokens = 100}};
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
    pool_set_expecting(&p, true);
    b.entry.deadline = 50;
    pool_arrive(&p, &a, 0);
    pool_arrive(&p, &b, 0);
    expect_nothing(&p, 0);
    expect_reject(&p, 50, &b, ERR_UNAVAILABLE); /* nothing was there to serve it */
    pool_set_expecting(&p, false);              /* scaled to nothing while it waits */
    expect_reject(&p, 60, &a, ERR_UNAVAILABLE);
    pool_fini(&p);
}

static void test_a_new_replica_is_used_at_once(void **state)
{
    struct pool p;
    setup(&p, 10, 0, 0);
    pool_set_expecting(&p, true);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
