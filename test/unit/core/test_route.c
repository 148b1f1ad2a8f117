/* SPDX-License-Identifier: Apache-2.0 */
/* Places, barriers, accounting, slow start, and what a choice says about itself. */
#include "route_fixture.h"

static const struct route_request plain = {.prompt_tokens = 60, .output_tokens = 40};

static void test_slots_are_a_barrier(void **state)
{
    struct route r = fixture(&route_least_load, 3, 4);
    for (int i = 0; i < 12; i++)
        assert_int_not_equal(take(&r, &plain, 0).place, ROUTE_NONE);
    struct route_choice choice = route_choose(&r, &plain, &none, 0);
    assert_int_equal(choice.place, ROUTE_NONE);
    assert_int_equal(choice.full, 3);
    assert_int_equal(choice.retry_at, NSEC_NEVER);
}

static void test_tokens_in_flight_are_a_barrier(void **state)
{
    struct route r = fixture(&route_least_load, 0, 0);
    const struct route_spec spec = {.id = 1, .slots = 8, .kv_tokens = 250};
    assert_int_equal(route_put(&r, &spec, 0), 0);
    take(&r, &plain, 0);
    struct route_hold b = take(&r, &plain, 0);
    assert_int_equal(take(&r, &plain, 0).place, ROUTE_NONE);
    route_end(&r, &b, &plain, ROUTE_OK, 0);
    assert_int_equal(take(&r, &plain, 0).place, 0);
}

/* Otherwise it would wait for ever. */
static void test_a_request_larger_than_the_replica_runs_alone(void **state)
{
    struct route r = fixture(&route_least_load, 0, 0);
    const struct route_spec spec = {.id = 1, .slots = 8, .kv_tokens = 50};
    assert_int_equal(route_put(&r, &spec, 0), 0);
    assert_int_equal(take(&r, &plain, 0).place, 0);
    assert_int_equal(take(&r, &plain, 0).place, ROUTE_NONE);
}

static void test_accounts_balance(void **state)
{
    struct route r = fixture(&route_least_load, 1, 4);
    struct route_hold a = take(&r, &plain, 0), b = take(&r, &plain, 0);
    assert_int_equal(r.replicas[0].prefill, 120);
    assert_int_equal(r.replicas[0].decode, 80);
    route_first_byte(&r, &a, 1);
    assert_int_equal(r.replicas[0].prefill, 60);
    assert_int_equal(r.replicas[0].tokens, 200);
    route_end(&r, &a, &plain, ROUTE_OK, 2);
    route_end(&r, &b, &plain, ROUTE_NEUTRAL, 2);
    assert_int_equal(r.replicas[0].prefill + r.replicas[0].decode + r.replicas[0].tokens, 0);
    assert_int_equal(route_running(&r), 0);
    assert_int_equal(a.place, ROUTE_NONE);
}

static void test_draining_and_removed_take_nothing(void **state)
{
    struct route r = fixture(&route_least_load, 2, 2);
    const struct route_spec drains = {.id = 1, .slots = 2, .draining = true};
    assert_int_equal(route_put(&r, &drains, 0), 0);
    struct route_hold hold = take(&r, &plain, 0);
    assert_int_equal(hold.place, 1);
    route_remove(&r, 2);
    assert_int_equal(take(&r, &plain, 0).place, ROUTE_NONE);
    assert_int_equal(route_find(&r, 2), ROUTE_NONE);
    assert_int_equal(r.count, 2); /* its place stays while a request runs */
    route_end(&r, &hold, &plain, ROUTE_FAILED, 0);
    assert_int_equal(r.count, 1);
}

static void test_tried_are_avoided(void **state)
{
    struct route r = fixture(&route_least_load, 2, 2);
    struct route_set tried = {0};
    route_set_add(&tried, 0);
    assert_int_equal(route_choose(&r, &plain, &tried, 0).place, 1);
    route_set_add(&tried, 1);
    assert_int_equal(route_choose(&r, &plain, &tried, 0).place, ROUTE_NONE);
}

static void test_a_revision_is_kept_to(void **state)
{
    struct route r = fixture(&route_least_load, 0, 0);
    for (uint64_t i = 1; i <= 4; i++) {
        const struct route_spec spec = {.id = i, .slots = 2, .revision = i % 2 + 1};
        assert_int_equal(route_put(&r, &spec, 0), 0);
    }
    const struct route_request old = {.revision = 1};
    for (int i = 0; i < 4; i++)
        assert_int_equal(take(&r, &old, 0).place % 2, 1);
    assert_int_equal(take(&r, &old, 0).place, ROUTE_NONE);
    assert_int_equal(take(&r, &plain, 0).place % 2, 0);
    assert_true(route_has_revision(&r, 2) && !route_has_revision(&r, 3));
}

static void test_a_choice_says_why(void **state)
{
    struct route r = fixture(&route_least_load, 7, 2);
    const struct route_spec drains = {.id = 1, .slots = 2, .draining = true},
                            other = {.id = 5, .slots = 2, .revision = 9};
    assert_int_equal(route_put(&r, &drains, 0), 0);
    assert_int_equal(route_put(&r, &other, 0), 0);
    serve(&r, 1, ROUTE_FAILED, 0, 0);
    route_begin(&r, 2, &plain, 0);
    route_begin(&r, 2, &plain, 0);
    route_begin(&r, 5, &plain, 0);
    struct route_set tried = {0};
    route_set_add(&tried, 3);
    struct route_choice c = route_choose(&r, &(struct route_request){.revision = 9}, &tried, 0);
    assert_int_equal(c.place, 4);
    assert_int_equal(c.other_revision, 5);
    c = route_choose(&r, &plain, &tried, 0);
    assert_int_equal(c.draining, 1);
    assert_int_equal(c.ejected, 1);
    assert_int_equal(c.full, 1);
    assert_int_equal(c.tried, 1);
    assert_int_equal(c.candidates, 3);
    assert_int_equal(c.best_count, 3);
    assert_int_equal(c.best[0].place, c.place);
    assert_int_equal(c.best[2].place, 5); /* it runs something */
    assert_int_equal(c.best[2].ahead, 100);
    assert_int_equal(c.best[2].uncached, 60);
}

static void test_only_the_best_few_are_shown(void **state)
{
    struct route r = fixture(&route_least_load, 8, 8);
    for (int place = 0; place < 8; place++)
        for (int i = 0; i < (place * 3) % 8; i++)
            route_begin(&r, place, &plain, 0);
    struct route_choice c = route_choose(&r, &plain, &none, 0);
    assert_int_equal(c.best_count, ROUTE_BEST_MAX);
    for (int i = 0; i < ROUTE_BEST_MAX; i++)
        assert_int_equal(c.best[i].place * 3 % 8, i);
}

/* ---- slow start ---- */

/* A cold replica flooded: its load reads 0, so everything would go there at once. */
static void test_a_new_replica_is_not_flooded(void **state)
{
    struct route r = fixture(&route_least_load, 2, 16);
    serve(&r, 0, ROUTE_OK, 0, 0);
    fixture_put(&r, 3, 16, 0);
    int sent = 0;
    for (int i = 0; i < 12; i++)
        sent += take(&r, &plain, 0).place == 2;
    assert_int_equal(sent, 1);
    for (int i = 0; i < 12; i++)
        sent += take(&r, &plain, SEC(5)).place == 2;
    assert_true(sent > 4 && sent <= 8);
    assert_int_equal(r.replicas[2].running, sent);
    for (int i = 0; i < 24; i++)
        take(&r, &plain, SEC(10));
    assert_int_equal(r.replicas[2].running, 16);
}

static void test_slow_start_says_when_it_has_room_again(void **state)
{
    struct route r = fixture(&route_least_load, 1, 1);
    serve(&r, 0, ROUTE_OK, 0, 0);
    fixture_put(&r, 2, 5, 0);
    take(&r, &plain, 0);
    take(&r, &plain, 0);
    struct route_choice c = route_choose(&r, &plain, &none, 0);
    assert_int_equal(c.place, ROUTE_NONE);
    assert_int_equal(c.retry_at, MSEC(2500)); /* the second of five slots, in ten seconds */
    assert_int_equal(choose(&r, &plain, c.retry_at - 1), ROUTE_NONE);
    assert_int_equal(choose(&r, &plain, c.retry_at), 1);
}

static void test_the_first_replicas_of_a_pool_start_at_once(void **state)
{
    struct route r = fixture(&route_least_load, 2, 8);
    for (int i = 0; i < 16; i++)
        assert_int_not_equal(take(&r, &plain, 0).place, ROUTE_NONE);
}

/* A rolling update of one replica: the old one drains, the new one must carry everything. */
static void test_slow_start_ends_when_nobody_else_is_there(void **state)
{
    struct route r = fixture(&route_least_load, 1, 8);
    serve(&r, 0, ROUTE_OK, 0, 0);
    fixture_put(&r, 2, 8, SEC(1));
    const struct route_spec drains = {.id = 1, .slots = 8, .draining = true};
    assert_int_equal(route_put(&r, &drains, SEC(1)), 0);
    for (int i = 0; i < 8; i++)
        assert_int_equal(take(&r, &plain, SEC(1)).place, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_slots_are_a_barrier),
        cmocka_unit_test(test_tokens_in_flight_are_a_barrier),
        cmocka_unit_test(test_a_request_larger_than_the_replica_runs_alone),
        cmocka_unit_test(test_accounts_balance),
        cmocka_unit_test(test_draining_and_removed_take_nothing),
        cmocka_unit_test(test_tried_are_avoided),
        cmocka_unit_test(test_a_revision_is_kept_to),
        cmocka_unit_test(test_a_choice_says_why),
        cmocka_unit_test(test_only_the_best_few_are_shown),
        cmocka_unit_test(test_a_new_replica_is_not_flooded),
        cmocka_unit_test(test_slow_start_says_when_it_has_room_again),
        cmocka_unit_test(test_the_first_replicas_of_a_pool_start_at_once),
        cmocka_unit_test(test_slow_start_ends_when_nobody_else_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
