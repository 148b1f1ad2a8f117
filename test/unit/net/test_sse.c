/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "net/sse.h"
#include "test.h"

static void test_line_ends(void **state)
{
    static const struct {
        struct str bytes;
        size_t whole;
    } cases[] = {
        {STR(""), 0},
        {STR("data: a"), 0},
        {STR("data: a\n"), 0},
        {STR("data: a\r\n"), 0},
        {STR("data: a\n\n"), 9},
        {STR("data: a\r\n\r\n"), 11},
        {STR("data: a\r\r"), 9},
        {STR("data: a\n\r\n"), 10},
        {STR("data: a\r\n\n"), 10},
        {STR("data: a\r\n\r"), 10}, /* its LF may come: a blank line more does no harm */
        {STR("data: a\n\r"), 9},
        {STR("data: a\r\n\r\ndata: b"), 11},
        {STR("a\n\nb\n\nc\n"), 6},
        {STR("a\n\nb\r\n\r\nc\r"), 8},
        {STR("\n"), 1},
        {STR("\r\n"), 2},
        {STR("a\n\n\n\n"), 5},
        {STR("data: \\n\\n"), 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        if (sse_whole_events(cases[i].bytes, 0) != cases[i].whole)
            fail_msg("case %zu: %zu", i, sse_whole_events(cases[i].bytes, 0));
}

/* What was seen before is not looked at again, but for the line's end that straddles it. */
static void test_seen(void **state)
{
    assert_int_equal(sse_whole_events(STR("data: a\n\n"), 8), 9);
    assert_int_equal(sse_whole_events(STR("data: a\r\n\r\n"), 9), 11);
    assert_int_equal(sse_whole_events(STR("data: a\n\nb"), 9), 0);
}

static void test_count(void **state)
{
    assert_int_equal(sse_count_events(STR("")), 0);
    assert_int_equal(sse_count_events(STR("data: a\n\ndata: b\ndata: c\n\n")), 2);
    assert_int_equal(sse_count_events(STR("data: a\r\n\r\n: waiting\r\n\r\n\r\n")), 2);
    assert_int_equal(sse_count_events(STR("data: a\r\rdata: b\r\r")), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_line_ends),
        cmocka_unit_test(test_seen),
        cmocka_unit_test(test_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
