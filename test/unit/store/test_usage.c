/* SPDX-License-Identifier: Apache-2.0 */
#include "store/usage.h"

#include "store_test.h"

static struct test_store t;

static int set_up(void **state)
{
    test_store_init(&t);
    return 0;
}

static int tear_down(void **state)
{
    test_store_fini(&t);
    return 0;
}

static void add(int64_t day, const char *tenant, const char *model, int64_t tokens)
{
    const struct usage rows[] = {
        {day, str_from(tenant), str_from(model), 1, 3 * tokens, tokens, tokens, 7},
        {day, str_from(tenant), str_from(model), 2, 0, 0, tokens, 1},
    };
    assert_int_equal(usage_add(t.store, rows, 2, &t.err), 0);
}

static void test_rows_add_up(void **state)
{
    struct usage *rows;
    size_t count;
    add(10, "a", "chat", 5);
    add(10, "a", "chat", 6);
    add(10, "b", "chat", 1);
    add(11, "a", "code", 2);
    store_close(t.store);
    test_store_open(&t);
    assert_int_equal(
        usage_list(t.store, &t.arena, 10, 11, STR_NONE, STR_NONE, &rows, &count, &t.err), 0);
    assert_int_equal(count, 3);
    assert_true(rows[0].day == 10 && str_eq(rows[0].tenant, STR("a")) &&
                str_eq(rows[0].model, STR("chat")));
    assert_true(rows[0].requests == 6 && rows[0].input_tokens == 33 && rows[0].cached_tokens == 11);
    assert_true(rows[0].output_tokens == 22 && rows[0].cost == 16);
    assert_int_equal(
        usage_list(t.store, &t.arena, 0, 10, STR("b"), STR_NONE, &rows, &count, &t.err), 0);
    assert_int_equal(count, 1);
    assert_int_equal(
        usage_list(t.store, &t.arena, 0, 99, STR_NONE, STR("code"), &rows, &count, &t.err), 0);
    assert_true(count == 1 && rows[0].day == 11);
}

static void test_sums_by_tenant(void **state)
{
    struct usage *rows;
    size_t count;
    add(10, "a", "chat", 5);
    add(11, "a", "code", 2);
    add(11, "b", "chat", 1);
    add(12, "a", "chat", 9);
    assert_int_equal(usage_sums(t.store, &t.arena, 10, 11, &rows, &count, &t.err), 0);
    assert_int_equal(count, 2);
    assert_true(str_eq(rows[0].tenant, STR("a")) && rows[0].output_tokens == 14 &&
                rows[0].cost == 16);
    assert_true(rows[0].model.len == 0 && rows[1].requests == 3);
    assert_int_equal(usage_sums(t.store, &t.arena, 13, 14, &rows, &count, &t.err), 0);
    assert_int_equal(count, 0);
}

static bool report(const char *sender, uint64_t sequence, nsec now)
{
    const struct usage row = {10, STR("a"), STR("chat"), 1, 5, 0, 2, 7};
    const struct usage_report report = {str_from(sender), sequence, &row, 1};
    bool added;
    assert_int_equal(usage_add_report(t.store, &report, now, &added, &t.err), 0);
    return added;
}

static void test_a_report_counts_once(void **state)
{
    struct usage *rows;
    size_t count;
    assert_true(report("x", 1, 0));
    assert_false(report("x", 1, 0));
    store_close(t.store);
    test_store_open(&t);
    assert_false(report("x", 1, 0));
    assert_true(report("y", 1, 0));
    assert_true(report("x", 2, 0));
    assert_false(report("x", 1, 0));
    assert_int_equal(
        usage_list(t.store, &t.arena, 10, 10, STR_NONE, STR_NONE, &rows, &count, &t.err), 0);
    assert_true(count == 1 && rows[0].requests == 3 && rows[0].cost == 21);
    assert_true(report("z", 1, SEC(3600) * 24 * 30)); /* x and y are long gone */
    assert_true(report("x", 1, SEC(3600) * 24 * 30));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(test_rows_add_up), TEST(test_sums_by_tenant),
                                       TEST(test_a_report_counts_once)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
