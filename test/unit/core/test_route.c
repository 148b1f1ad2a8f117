/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/route.h"
#include "test.h"

static const struct route_set none;

static struct route make(int replicas, unsigned slots)
{
    struct route r;
    const struct route_options options = {
        .policy = &route_least_load, .eject_first = SEC(1), .eject_max = SEC(4)};
    route_init(&r, &options);
    for (int i = 0; i < replicas; i++)
        assert_int_equal(route_put(&r, (uint64_t)i + 1, slots, false), 0);
    return r;
}

static int take(struct route *r, uint64_t tokens)
{
    int place = route_choose(r, &none, 0).place;
    if (place != ROUTE_NONE)
        route_begin(r, place, tokens);
    return place;
}

static void test_least_load_spreads(void **state)
{
    struct route r = make(3, 4);
    int seen[3] = {0};
    for (int i = 0; i < 12; i++)
        seen[take(&r, 10)]++;
    assert_int_equal(seen[0], 4);
    assert_int_equal(seen[1], 4);
    assert_int_equal(seen[2], 4);
    assert_int_equal(take(&r, 10), ROUTE_NONE);
}

static void test_least_load_counts_tokens_and_slots(void **state)
{
    struct route r = make(2, 4);
    route_begin(&r, 0, 1000);
    route_begin(&r, 1, 10);
    assert_int_equal(take(&r, 10), 1);
    assert_int_equal(route_put(&r, 1, 40, false),
                     0); /* replica 1 grows: 1 of 40 is less than 2 of 4 */
    assert_int_equal(take(&r, 10), 0);
}

/* At low concurrency every request finds all replicas idle: the rotation must still spread them. */
static void test_idle_replicas_take_turns(void **state)
{
    struct route r = make(3, 4);
    int seen[3] = {0};
    for (int i = 0; i < 9; i++) {
        int place = take(&r, 10);
        seen[place]++;
        route_end(&r, place, 10, ROUTE_OK, 0);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(seen[i], 3);
}

static void test_failures_eject_with_doubling(void **state)
{
    struct route r = make(1, 4);
    const nsec expected[] = {SEC(1), SEC(2), SEC(4), SEC(4)};
    nsec now = 0;
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        route_begin(&r, 0, 1);
        route_end(&r, 0, 1, ROUTE_FAILED, now);
        assert_int_equal(route_choose(&r, &none, now).place, ROUTE_NONE);
        assert_int_equal(route_choose(&r, &none, now).retry_at, now + expected[i]);
        now += expected[i];
        assert_int_equal(route_choose(&r, &none, now).place, 0);
    }
}

static void test_failures_at_once_count_once(void **state)
{
    struct route r = make(1, 4);
    for (int i = 0; i < 4; i++)
        route_begin(&r, 0, 1);
    for (int i = 0; i < 4; i++)
        route_end(&r, 0, 1, ROUTE_FAILED, 5);
    assert_int_equal(r.replicas[0].failures, 1);
}

static void test_one_trial_after_failure(void **state)
{
    struct route r = make(1, 4);
    route_begin(&r, 0, 1);
    route_end(&r, 0, 1, ROUTE_FAILED, 0);
    route_begin(&r, 0, 1);
    assert_int_equal(route_choose(&r, &none, SEC(10)).place, ROUTE_NONE);
    route_end(&r, 0, 1, ROUTE_OK, SEC(10));
    route_begin(&r, 0, 1);
    assert_int_equal(route_choose(&r, &none, SEC(10)).place, 0);
}

static void test_draining_and_removed_take_nothing(void **state)
{
    struct route r = make(2, 2);
    assert_int_equal(route_put(&r, 1, 2, true), 0);
    assert_int_equal(take(&r, 1), 1);
    route_remove(&r, 2);
    assert_int_equal(take(&r, 1), ROUTE_NONE);
    assert_int_equal(route_find(&r, 2), ROUTE_NONE);
    assert_int_equal(r.count, 2); /* its place stays while a request runs */
    route_end(&r, 1, 1, ROUTE_FAILED, 0);
    assert_int_equal(r.count, 1);
}

static void test_tried_are_avoided(void **state)
{
    struct route r = make(2, 2);
    struct route_set tried = {0};
    route_set_add(&tried, 0);
    assert_int_equal(route_choose(&r, &tried, 0).place, 1);
    route_set_add(&tried, 1);
    assert_int_equal(route_choose(&r, &tried, 0).place, ROUTE_NONE);
}

static void test_policies_by_name(void **state)
{
    assert_ptr_equal(route_policy_find(STR("least_load")), &route_least_load);
    assert_ptr_equal(route_policy_find(STR("round_robin")), &route_round_robin);
    assert_null(route_policy_find(STR("best")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least_load_spreads),
        cmocka_unit_test(test_least_load_counts_tokens_and_slots),
        cmocka_unit_test(test_idle_replicas_take_turns),
        cmocka_unit_test(test_failures_eject_with_doubling),
        cmocka_unit_test(test_failures_at_once_count_once),
        cmocka_unit_test(test_one_trial_after_failure),
        cmocka_unit_test(test_draining_and_removed_take_nothing),
        cmocka_unit_test(test_tried_are_avoided),
        cmocka_unit_test(test_policies_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
