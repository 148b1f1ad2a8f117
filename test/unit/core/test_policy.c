/* SPDX-License-Identifier: Apache-2.0 */
#include "route_fixture.h"

#include "base/hash.h"

static const struct route_request plain = {.prompt_tokens = 60, .output_tokens = 40};
static const struct route_policy *const all[] = {
    &route_round_robin, &route_least_load, &route_power_of_two,
    &route_prefix,      &route_session,    &route_weighted,
};

static void test_policies_by_name(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(all); i++)
        assert_ptr_equal(route_policy_find(str_from(all[i]->name)), all[i]);
    assert_null(route_policy_find(STR("best")));
}

/* Many requests at one instant: a router that goes by stale metrics sends them all to one. */
static void test_no_herding_onto_one_replica(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct route r = fixture(all[i], 4, 16);
        for (int k = 0; k < 32; k++)
            take(&r, &plain, 0);
        for (int place = 0; place < 4; place++) {
            assert_true(r.replicas[place].running >= 5);
            assert_true(r.replicas[place].running <= 11);
        }
    }
}

/* At low concurrency every request finds all replicas idle: not always replica 0. */
static void test_low_concurrency_does_not_always_pick_replica_0(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct route r = fixture(all[i], 3, 4);
        int seen[3] = {0};
        for (int k = 0; k < 90; k++) {
            struct route_hold hold = take(&r, &plain, 0);
            seen[hold.place]++;
            route_end(&r, &hold, &plain, ROUTE_OK, 0);
        }
        for (int place = 0; place < 3; place++)
            assert_true(seen[place] >= 15);
    }
}

/* A dead worker fails fast, so its load always reads 0. */
static void test_a_dead_worker_whose_load_reads_0(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        struct route r = fixture(all[i], 4, 64);
        int failed = 0;
        for (int k = 0; k < 100; k++) {
            struct route_hold hold = take(&r, &plain, MSEC(k));
            if (hold.place != 2)
                continue;
            failed++;
            route_end(&r, &hold, &plain, ROUTE_FAILED, MSEC(k));
        }
        assert_true(failed <= 1);
    }
}

static void test_least_load_counts_tokens_and_slots(void **state)
{
    struct route r = fixture(&route_least_load, 2, 4);
    route_begin(&r, 0, &(struct route_request){.prompt_tokens = 1000}, 0);
    route_begin(&r, 1, &(struct route_request){.prompt_tokens = 10}, 0);
    assert_int_equal(take(&r, &plain, 0).place, 1);
    fixture_put(&r, 1, 40, 0); /* it grows: 1 of 40 is less than 2 of 4 */
    assert_int_equal(take(&r, &plain, 0).place, 0);
}

static void test_power_of_two_takes_the_better_of_two(void **state)
{
    struct route r = fixture(&route_power_of_two, 8, 64);
    for (int k = 0; k < 32; k++)
        route_begin(&r, 0, &plain, 0);
    int worst = 0;
    for (int k = 0; k < 200; k++) {
        struct route_choice c = route_choose(&r, &plain, &none, 0);
        assert_int_equal(c.best_count, 2);
        assert_int_equal(c.candidates, 8);
        assert_int_equal(route_choose(&r, &plain, &none, 0).place, c.place); /* asking is free */
        worst += c.place == 0;
        struct route_hold hold = route_begin(&r, c.place, &plain, 0);
        route_end(&r, &hold, &plain, ROUTE_OK, 0);
    }
    assert_int_equal(worst, 0); /* the loaded one always loses against the other that is drawn */
}

/* ---- prefix ---- */

struct prefix_world {
    struct prefix index;
    struct route route;
    uint64_t memory[4096], blocks[16];
};

static struct route_request setup_prefix(struct prefix_world *w, int replicas, unsigned slots)
{
    prefix_init(&w->index, w->memory, sizeof(w->memory));
    w->route = fixture(&route_prefix, replicas, slots);
    w->route.options.prefix = &w->index;
    for (uint64_t i = 0; i < ARRAY_LEN(w->blocks); i++)
        w->blocks[i] = hash_combine(i, 1);
    return (struct route_request){.prompt_tokens = 1700,
                                  .output_tokens = 100,
                                  .blocks = w->blocks,
                                  .block_count = ARRAY_LEN(w->blocks),
                                  .block_tokens = 100};
}

static void test_a_conversation_stays_where_its_prefix_is(void **state)
{
    struct prefix_world w;
    struct route_request request = setup_prefix(&w, 4, 8);
    struct route_hold hold = take(&w.route, &request, 0);
    int home = hold.place;
    assert_int_equal(hold.prefill, 1700);
    route_first_byte(&w.route, &hold, 1);
    route_end(&w.route, &hold, &request, ROUTE_OK, 1);
    for (int turn = 0; turn < 5; turn++) {
        struct route_choice c = route_choose(&w.route, &request, &none, 2);
        assert_int_equal(c.place, home);
        assert_int_equal(c.best[0].matched, 16);
        assert_int_equal(c.best[0].uncached, 100);
        assert_int_equal(c.best[1].uncached, 1700);
        take(&w.route, &request, 2);
    }
}

/* One shared prefix (a system prompt) sends everything to one pod. */
static void test_one_shared_prefix_does_not_send_everything_to_one_pod(void **state)
{
    struct prefix_world w;
    struct route_request request = setup_prefix(&w, 4, 64);
    for (int k = 0; k < 128; k++) {
        struct route_hold hold = take(&w.route, &request, 0);
        route_first_byte(&w.route, &hold, 0);
    }
    for (int place = 0; place < 4; place++)
        assert_in_range(w.route.replicas[place].running, 20, 50);
}

static void test_without_an_index_prefix_goes_by_load(void **state)
{
    struct prefix_world w;
    struct route_request request = setup_prefix(&w, 2, 8);
    w.route.options.prefix = NULL;
    int first = take(&w.route, &request, 0).place;
    assert_int_equal(take(&w.route, &request, 0).place, !first);
}

static void test_what_was_not_prefilled_is_forgotten(void **state)
{
    struct prefix_world w;
    struct route_request request = setup_prefix(&w, 1, 8);
    struct route_hold hold = take(&w.route, &request, 0);
    route_end(&w.route, &hold, &request, ROUTE_NEUTRAL, 0);
    assert_int_equal(take(&w.route, &request, 0).matched, 0);
    hold = take(&w.route, &request, 0);
    assert_int_equal(hold.matched, 16); /* what others hold stays */
    route_end(&w.route, &hold, &request, ROUTE_FAILED, 0);
    w.route.replicas[0].health.opened = 0;
    assert_int_equal(take(&w.route, &request, 0).matched, 16);
}

/* Its place is used again: the next one there must not inherit what it had cached. */
static void test_a_removed_replicas_prefixes_go_with_it(void **state)
{
    struct prefix_world w;
    struct route_request request = setup_prefix(&w, 1, 8);
    struct route_hold hold = take(&w.route, &request, 0);
    route_end(&w.route, &hold, &request, ROUTE_OK, 0);
    assert_int_equal(route_choose(&w.route, &request, &none, 0).best[0].matched, 16);
    route_remove(&w.route, 1);
    fixture_put(&w.route, 2, 8, 0);
    assert_int_equal(route_choose(&w.route, &request, &none, 0).best[0].matched, 0);
}

/* An engine without a prefix cache, or with a small one: what the index says of it is worth less. */
static void test_trust_follows_what_the_engine_reports(void **state)
{
    struct prefix_world w;
    struct route_request request = setup_prefix(&w, 1, 100);
    take(&w.route, &request, 0);
    for (int i = 0; i < 60; i++) {
        struct route_hold hold = take(&w.route, &request, 0);
        route_cached(&w.route, &hold, &request, 0);
    }
    struct route_choice c = route_choose(&w.route, &request, &none, 0);
    assert_int_equal(c.best[0].matched, 16);
    assert_true(c.best[0].uncached > 1600);
    for (int i = 0; i < 38; i++) {
        struct route_hold hold = take(&w.route, &request, 0);
        route_cached(&w.route, &hold, &request, 1700);
    }
    assert_true(route_choose(&w.route, &request, &none, 0).best[0].uncached < 300);
}

/* ---- session ---- */

static void test_a_session_stays_and_few_move(void **state)
{
    struct route r = fixture(&route_session, 8, 64);
    int home[200], moved = 0;
    for (uint64_t s = 0; s < 200; s++)
        home[s] = choose(&r, &(struct route_request){.session = s + 1}, 0);
    route_remove(&r, 4);
    for (uint64_t s = 0; s < 200; s++) {
        int now = choose(&r, &(struct route_request){.session = s + 1}, 0);
        moved += now != home[s];
        assert_true(now == home[s] || home[s] == 3);
    }
    assert_in_range(moved, 10, 40);
}

static void test_a_hot_session_is_bounded(void **state)
{
    struct route r = fixture(&route_session, 4, 64);
    const struct route_request hot = {.session = 99};
    for (int k = 0; k < 80; k++)
        take(&r, &hot, 0);
    for (int place = 0; place < 4; place++)
        assert_true(r.replicas[place].running <= 26); /* a quarter above 20, and one */
}

/* Unhealthy replicas counted in minimums: their idle slots would lower the bound of the others. */
static void test_unhealthy_replicas_are_not_counted_in_the_bound(void **state)
{
    struct route r = fixture(&route_session, 4, 64);
    for (int place = 1; place < 4; place++)
        serve(&r, place, ROUTE_FAILED, 0, 0);
    struct route_choice c = {0};
    for (int k = 0; k < 40; k++) {
        c = route_choose(&r, &(struct route_request){.session = 5}, &none, 0);
        assert_int_equal(c.place, 0);
        assert_int_equal(c.best[0].score >> 63, 0); /* never above its share: it is alone */
        route_begin(&r, 0, &plain, 0);
    }
}

/* ---- weighted ---- */

static void put_weight(struct route *r, uint64_t id, unsigned weight, unsigned slots)
{
    const struct route_spec spec = {.id = id, .slots = slots, .weight = weight};
    assert_int_equal(route_put(r, &spec, 0), 0);
}

static void test_weights_are_kept_smoothly(void **state)
{
    struct route r = fixture(&route_weighted, 0, 0);
    put_weight(&r, 1, 5, 4);
    put_weight(&r, 2, 1, 4);
    put_weight(&r, 3, 1, 4);
    int seen[3] = {0}, row = 0, longest = 0;
    for (int k = 0; k < 70; k++) {
        struct route_hold hold = take(&r, &plain, 0);
        seen[hold.place]++;
        row = hold.place == 0 ? row + 1 : 0;
        longest = MAX(longest, row);
        route_end(&r, &hold, &plain, ROUTE_OK, 0);
    }
    assert_in_range(seen[0], 49, 51);
    assert_in_range(seen[1], 9, 11);
    assert_true(longest <= 5);
}

static void test_who_was_full_does_not_catch_up(void **state)
{
    struct route r = fixture(&route_weighted, 0, 0);
    put_weight(&r, 1, 1, 1);
    put_weight(&r, 2, 1, 64);
    struct route_hold first = route_begin(&r, 0, &plain, 0);
    for (int k = 0; k < 50; k++)
        assert_int_equal(take(&r, &plain, 0).place, 1);
    route_end(&r, &first, &plain, ROUTE_OK, 0);
    put_weight(&r, 1, 1, 64);
    int seen = 0;
    for (int k = 0; k < 10; k++)
        seen += take(&r, &plain, 0).place == 0;
    assert_in_range(seen, 5, 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policies_by_name),
        cmocka_unit_test(test_no_herding_onto_one_replica),
        cmocka_unit_test(test_low_concurrency_does_not_always_pick_replica_0),
        cmocka_unit_test(test_a_dead_worker_whose_load_reads_0),
        cmocka_unit_test(test_least_load_counts_tokens_and_slots),
        cmocka_unit_test(test_power_of_two_takes_the_better_of_two),
        cmocka_unit_test(test_a_conversation_stays_where_its_prefix_is),
        cmocka_unit_test(test_one_shared_prefix_does_not_send_everything_to_one_pod),
        cmocka_unit_test(test_without_an_index_prefix_goes_by_load),
        cmocka_unit_test(test_what_was_not_prefilled_is_forgotten),
        cmocka_unit_test(test_a_removed_replicas_prefixes_go_with_it),
        cmocka_unit_test(test_trust_follows_what_the_engine_reports),
        cmocka_unit_test(test_a_session_stays_and_few_move),
        cmocka_unit_test(test_a_hot_session_is_bounded),
        cmocka_unit_test(test_unhealthy_replicas_are_not_counted_in_the_bound),
        cmocka_unit_test(test_weights_are_kept_smoothly),
        cmocka_unit_test(test_who_was_full_does_not_catch_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
