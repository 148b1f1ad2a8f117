/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/err.h"
#include "base/str.h"
#include "test.h"

static void test_parts(void **state)
{
    struct str s = STR("abcdef");
    assert_true(str_eq(str_sub(s, 1, 3), STR("bc")));
    assert_true(str_eq(str_sub(s, 4, 99), STR("ef")));
    assert_int_equal(str_sub(s, 5, 2).len, 0);
    assert_int_equal(str_sub(STR_NONE, 0, 5).len, 0);
    assert_true(str_starts(s, STR("abc")) && !str_starts(s, STR("b")) && str_starts(s, STR("")));
    assert_false(str_starts(STR("ab"), STR("abc")));
    assert_true(str_ends(s, STR("def")) && !str_ends(s, STR("e")) && str_ends(STR_NONE, STR_NONE));
    assert_true(str_eq(str_trim(STR(" \t\r\n a b \n")), STR("a b")));
    assert_int_equal(str_trim(STR("  ")).len, 0);
}

static void test_comparison(void **state)
{
    assert_true(str_eq(STR(""), STR_NONE));
    assert_false(str_eq(STR("a"), STR("b")));
    assert_true(str_eq_nocase(STR("Content-TYPE"), STR("content-type")));
    assert_false(str_eq_nocase(STR("[a"), STR("{a"))); /* they differ by the case bit only */
    assert_true(str_cmp(STR("a"), STR("b")) < 0 && str_cmp(STR("b"), STR("a")) > 0);
    assert_true(str_cmp(STR("a"), STR("ab")) < 0 && str_cmp(STR("a"), STR("a")) == 0);
    assert_true(str_cmp(STR("\x7F"), STR("\x80")) < 0);
    assert_true(str_cmp(STR_NONE, STR("")) == 0);
}

static void test_search(void **state)
{
    assert_int_equal(str_find(STR("hello"), STR("ll")), 2);
    assert_int_equal(str_find(STR("hello"), STR("x")), 5);
    assert_int_equal(str_find(STR("hello"), STR("")), 0);
    assert_int_equal(str_find(STR_NONE, STR("x")), 0);
    assert_int_equal(str_find_char(STR("a\0b"), 'b'), 2);
    assert_int_equal(str_find_char(STR_NONE, 'b'), 0);
}

static void test_split(void **state)
{
    struct str rest = STR("a,,b,"), part;
    const char *expected[] = {"a", "", "b", ""};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_true(str_split(&rest, ',', &part));
        assert_true(str_eq(part, str_from(expected[i])));
    }
    assert_false(str_split(&rest, ',', &part));
}

static void test_integers(void **state)
{
    uint64_t u = 7;
    int64_t i = 7;
    assert_int_equal(str_to_u64(STR("18446744073709551615"), &u), 0);
    assert_true(u == UINT64_MAX);
    assert_int_equal(str_to_u64(STR("18446744073709551616"), &u), ERR_INVALID);
    assert_int_equal(str_to_u64(STR("99999999999999999999999"), &u), ERR_INVALID);
    static const struct str bad[] = {STR(""),   STR("-1"), STR("+1"),
                                     STR(" 1"), STR("1 "), STR("1a")};
    for (size_t k = 0; k < ARRAY_LEN(bad); k++)
        assert_int_equal(str_to_u64(bad[k], &u), ERR_PARSE);
    assert_int_equal(str_to_i64(STR("-9223372036854775808"), &i), 0);
    assert_true(i == INT64_MIN);
    assert_int_equal(str_to_i64(STR("9223372036854775807"), &i), 0);
    assert_true(i == INT64_MAX);
    assert_int_equal(str_to_i64(STR("9223372036854775808"), &i), ERR_INVALID);
    assert_int_equal(str_to_i64(STR("-9223372036854775809"), &i), ERR_INVALID);
    assert_int_equal(str_to_i64(STR("--1"), &i), ERR_PARSE);
    assert_int_equal(str_to_i64(STR("-"), &i), ERR_PARSE);
    assert_true(i == INT64_MAX); /* untouched by failures */
}

static void test_doubles(void **state)
{
    double d = 0;
    assert_int_equal(str_to_double(STR("-2.5e-3"), &d), 0);
    assert_true(d == -2.5e-3);
    static const struct str bad[] = {STR(""),    STR("inf"), STR("nan"), STR("0x1"), STR(" 1"),
                                     STR("1,5"), STR("1e"),  STR("."),   STR("1-1")};
    for (size_t k = 0; k < ARRAY_LEN(bad); k++)
        assert_int_equal(str_to_double(bad[k], &d), ERR_PARSE);
    assert_int_equal(str_to_double(STR("1e999"), &d), ERR_INVALID);
}

static void test_distance(void **state)
{
    assert_int_equal(str_distance(STR("kitten"), STR("sitting")), 3);
    assert_int_equal(str_distance(STR(""), STR("abc")), 3);
    assert_int_equal(str_distance(STR("same"), STR("same")), 0);
    char big[65] = {0};
    assert_true(str_distance((struct str){big, 64}, STR("a")) == 64);
    assert_true(str_distance((struct str){big, 65}, STR("a")) == SIZE_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),    cmocka_unit_test(test_comparison),
        cmocka_unit_test(test_search),   cmocka_unit_test(test_split),
        cmocka_unit_test(test_integers), cmocka_unit_test(test_doubles),
        cmocka_unit_test(test_distance),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
