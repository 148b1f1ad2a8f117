/* SPDX-License-Identifier: Apache-2.0 */
/* The breaker of one replica, and outliers among several. */
#include "route_fixture.h"

#include "core/route/outlier.h"

static const struct route_request plain = {.prompt_tokens = 60, .output_tokens = 40};

static void test_failures_open_with_doubling(void **state)
{
    struct route r = fixture(&route_least_load, 1, 4);
    const nsec expected[] = {SEC(1), SEC(2), SEC(4), SEC(4)};
    nsec now = 0;
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        serve(&r, 0, ROUTE_FAILED, 0, now);
        assert_int_equal(choose(&r, &plain, now), ROUTE_NONE);
        assert_int_equal(route_choose(&r, &plain, &none, now).retry_at, now + expected[i]);
        now += expected[i];
        assert_int_equal(choose(&r, &plain, now), 0);
    }
}

/* Also when the last of them notice only after the breaker was half open again. */
static void test_failures_together_count_once(void **state)
{
    struct route r = fixture(&route_least_load, 1, 4);
    struct route_hold holds[4];
    for (int i = 0; i < 4; i++)
        holds[i] = take(&r, &plain, 0);
    for (int i = 0; i < 3; i++)
        route_end(&r, &holds[i], &plain, ROUTE_FAILED, 5);
    route_end(&r, &holds[3], &plain, ROUTE_FAILED, SEC(3));
    assert_int_equal(r.replicas[0].health.failures, 1);
    assert_int_equal(r.replicas[0].health.opened, 1);
}

static void test_one_probe_after_failure(void **state)
{
    struct route r = fixture(&route_least_load, 1, 4);
    struct route_hold old = take(&r, &plain, 0);
    serve(&r, 0, ROUTE_FAILED, 0, 0);
    struct route_hold probe = take(&r, &plain, SEC(10));
    assert_true(probe.probe);
    assert_int_equal(choose(&r, &plain, SEC(10)), ROUTE_NONE);
    route_end(&r, &old, &plain, ROUTE_OK, SEC(10)); /* began before: proves nothing */
    assert_int_equal(choose(&r, &plain, SEC(10)), ROUTE_NONE);
    route_end(&r, &probe, &plain, ROUTE_OK, SEC(10));
    take(&r, &plain, SEC(10));
    assert_int_equal(choose(&r, &plain, SEC(10)), 0);
}

static void test_a_probe_that_says_nothing_makes_room_for_the_next(void **state)
{
    struct route r = fixture(&route_least_load, 1, 4);
    serve(&r, 0, ROUTE_FAILED, 0, 0);
    struct route_hold probe = take(&r, &plain, SEC(10));
    route_end(&r, &probe, &plain, ROUTE_NEUTRAL, SEC(10));
    assert_true(take(&r, &plain, SEC(10)).probe);
}

static void test_breaker_is_not_tripped_by_clients_own_4xx(void **state)
{
    struct route r = fixture(&route_least_load, 1, 4);
    r.options.health.open_after = 3;
    for (int i = 0; i < 100; i++)
        serve(&r, 0, ROUTE_NEUTRAL, 0, MSEC(i));
    assert_int_equal(r.replicas[0].health.failures, 0);
    assert_int_equal(choose(&r, &plain, SEC(1)), 0);
}

static void test_several_failures_in_a_row_if_the_rules_say_so(void **state)
{
    struct route r = fixture(&route_least_load, 1, 4);
    r.options.health.open_after = 3;
    serve(&r, 0, ROUTE_FAILED, 0, 1);
    serve(&r, 0, ROUTE_FAILED, 0, 2);
    serve(&r, 0, ROUTE_OK, 0, 3);
    serve(&r, 0, ROUTE_FAILED, 0, 4);
    serve(&r, 0, ROUTE_FAILED, 0, 5);
    assert_int_equal(choose(&r, &plain, 5), 0);
    serve(&r, 0, ROUTE_FAILED, 0, 6);
    assert_int_equal(choose(&r, &plain, 6), ROUTE_NONE);
}

static void test_a_share_of_failures_opens_too(void **state)
{
    struct route r = fixture(&route_least_load, 1, 4);
    r.options.health.open_after = 100;
    for (int i = 0; i < 8; i++)
        serve(&r, 0, i % 3 ? ROUTE_FAILED : ROUTE_OK, 0, i + 1);
    assert_int_equal(r.replicas[0].health.opened, 0); /* too few to tell */
    for (int i = 8; i < 12; i++)
        serve(&r, 0, i % 3 ? ROUTE_FAILED : ROUTE_OK, 0, i + 1);
    assert_int_equal(r.replicas[0].health.opened, 1);
}

static void test_old_failures_are_forgotten(void **state)
{
    struct route r = fixture(&route_least_load, 1, 4);
    r.options.health.open_after = 100;
    for (int i = 0; i < 9; i++)
        serve(&r, 0, ROUTE_FAILED, 0, i + 1);
    for (int i = 0; i < 60; i++)
        serve(&r, 0, i % 4 ? ROUTE_OK : ROUTE_FAILED, 0, SEC(100) + MSEC(10 * i));
    assert_int_equal(r.replicas[0].health.opened, 0);
}

/* ---- outliers ---- */

static void run_pool(struct route *r, nsec slow, int slow_replicas)
{
    for (int i = 0; i < 64; i++)
        for (int place = 0; place < r->count; place++) {
            nsec now = SEC(20) + MSEC(10 * i);
            nsec took = place < slow_replicas ? slow : MSEC(100);
            if (choose(r, &plain, now) != ROUTE_NONE && !r->replicas[place].health.opened)
                serve(r, place, ROUTE_OK, took, now);
        }
}

static void test_a_much_slower_replica_is_ejected(void **state)
{
    struct route r = fixture(&route_least_load, 4, 8);
    run_pool(&r, SEC(2), 1);
    assert_int_equal(r.replicas[0].health.opened, 1);
    assert_int_equal(r.ejected, 1);
    assert_int_equal(route_choose(&r, &plain, &none, SEC(20) + MSEC(640)).candidates, 3);
}

static void test_a_slightly_slower_replica_is_not(void **state)
{
    struct route r = fixture(&route_least_load, 4, 8);
    run_pool(&r, MSEC(400), 1);
    assert_int_equal(r.ejected, 0);
}

static void test_two_replicas_are_no_pool_to_compare(void **state)
{
    struct route r = fixture(&route_least_load, 2, 8);
    run_pool(&r, SEC(2), 1);
    assert_int_equal(r.ejected, 0);
}

static void test_never_more_than_half_is_ejected(void **state)
{
    struct route r = fixture(&route_least_load, 5, 8);
    fixture_put(&r, 6, 8, 0);
    fixture_put(&r, 7, 8, 0);
    for (int round = 0; round < 20; round++)
        for (int place = 0; place < 7; place++)
            for (int i = 0; i < 16; i++)
                if (!r.replicas[place].health.opened)
                    serve(&r, place, ROUTE_OK, SEC(1) << (3 * place), SEC(100000000));
    int out = 0;
    for (int place = 0; place < 7; place++)
        out += r.replicas[place].health.opened != 0;
    assert_in_range(out, 1, 3);
}

static void test_a_replica_with_many_failures_is_ejected(void **state)
{
    struct route r = fixture(&route_least_load, 4, 8);
    r.options.health.open_after = 1000;
    r.options.health.error_rate = 2;
    for (int i = 0; i < 64; i++)
        for (int place = 0; place < 4; place++)
            if (!r.replicas[place].health.opened)
                serve(&r, place, place == 1 && i % 2 ? ROUTE_FAILED : ROUTE_OK, 0, MSEC(i + 1));
    assert_int_equal(r.replicas[1].health.opened, 1);
    assert_int_equal(r.ejected, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_failures_open_with_doubling),
        cmocka_unit_test(test_failures_together_count_once),
        cmocka_unit_test(test_one_probe_after_failure),
        cmocka_unit_test(test_a_probe_that_says_nothing_makes_room_for_the_next),
        cmocka_unit_test(test_breaker_is_not_tripped_by_clients_own_4xx),
        cmocka_unit_test(test_several_failures_in_a_row_if_the_rules_say_so),
        cmocka_unit_test(test_a_share_of_failures_opens_too),
        cmocka_unit_test(test_old_failures_are_forgotten),
        cmocka_unit_test(test_a_much_slower_replica_is_ejected),
        cmocka_unit_test(test_a_slightly_slower_replica_is_not),
        cmocka_unit_test(test_two_replicas_are_no_pool_to_compare),
        cmocka_unit_test(test_never_more_than_half_is_ejected),
        cmocka_unit_test(test_a_replica_with_many_failures_is_ejected),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
