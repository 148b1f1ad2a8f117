/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "observe/trace.h"
#include "test.h"

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN  "b7ad6b7169203331"

static void test_traceparent_there_and_back(void **state)
{
    struct trace_context c;
    assert_int_equal(trace_parse(STR("00-" TRACE "-" SPAN "-01"), &c), 0);
    assert_true(c.trace.high == UINT64_C(0x0af7651916cd43dd));
    assert_true(c.trace.low == UINT64_C(0x8448eb211c80319c));
    assert_true(c.span == UINT64_C(0xb7ad6b7169203331) && c.sampled);
    char text[TRACEPARENT_MAX];
    assert_string_equal(trace_format(&c, text), "00-" TRACE "-" SPAN "-01");
    char id[TRACE_ID_TEXT_MAX];
    assert_string_equal(trace_id_format(c.trace, id), TRACE);

    assert_int_equal(trace_parse(STR("00-" TRACE "-" SPAN "-02"), &c), 0);
    assert_false(c.sampled);
    assert_int_equal(trace_parse(STR("cc-" TRACE "-" SPAN "-01-later parts"), &c), 0);
    assert_int_equal(trace_parse(STR("cc-" TRACE "-" SPAN "-01"), &c), 0);
}

static void test_bad_traceparents(void **state)
{
    static const struct str bad[] = {
        STR(""),
        STR("00-" TRACE "-" SPAN),
        STR("00-" TRACE "-" SPAN "-1"),
        STR("00-" TRACE "-" SPAN "-01-x"),
        STR("cc-" TRACE "-" SPAN "-01x"),
        STR("ff-" TRACE "-" SPAN "-01"),
        STR("0x-" TRACE "-" SPAN "-01"),
        STR("00-0AF7651916CD43DD8448EB211C80319C-" SPAN "-01"),
        STR("00-00000000000000000000000000000000-" SPAN "-01"),
        STR("00-" TRACE "-0000000000000000-01"),
        STR("00-" TRACE "-b7ad6b716920333-001"),
        STR("00_" TRACE "-" SPAN "-01"),
        STR("00-" TRACE "-" SPAN "-0g"),
    };
    struct trace_context c = {.span = 7};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(trace_parse(bad[i], &c), ERR_PARSE);
    assert_true(c.span == 7);
}

static void test_span_tree(void **state)
{
    struct rng random = rng_from(1);
    struct trace_context root = trace_new(&random);
    assert_true(root.trace.high && root.trace.low && !root.span);
    root.sampled = true;
    struct span a, b;
    span_begin(&a, "inference", SPAN_SERVER, &root, &random, 100);
    span_begin(&b, "schedule", SPAN_INTERNAL, &a.context, &random, 110);
    assert_true(a.parent == 0 && b.parent == a.context.span && b.context.span != a.context.span);
    assert_true(b.context.trace.low == root.trace.low && b.context.sampled);
    span_end(&b, 90);
    assert_true(b.end == 110);
    span_end(&a, 120);
    assert_true(a.end == 120);
}

static struct str text_of(const struct span *s, size_t i)
{
    return (struct str){s->text + s->attributes[i].text.offset, s->attributes[i].text.len};
}

static void test_attributes_are_bounded(void **state)
{
    struct rng random = rng_from(1);
    struct trace_context root = trace_new(&random);
    struct span first, s;
    span_begin(&first, "x", SPAN_INTERNAL, &root, &random, 0);
    char big[600];
    memset(big, 'x', sizeof(big));
    memcpy(big + 506, "\xE2\x82\xAC", 3); /* the cut would fall inside it */
    span_text(&first, "id", STR("abc"));
    span_text(&first, "big", (struct str){big, sizeof(big)});
    span_text(&first, "none", STR("more"));
    for (int i = 0; i < 20; i++)
        span_int(&first, "n", i);
    s = first; /* a copy stands on its own */
    memset(&first, 0xFF, sizeof(first));
    assert_true(str_eq(text_of(&s, 0), STR("abc")));
    assert_int_equal(text_of(&s, 1).len, 509);
    assert_true(str_eq(text_of(&s, 2), STR("")));
    assert_int_equal(s.attribute_count, SPAN_ATTRIBUTES_MAX);
    assert_int_equal(s.left_out, 7);
    assert_int_equal(s.attributes[15].integer, 12);
}

static void test_first_failure_stays(void **state)
{
    struct rng random = rng_from(1);
    struct trace_context root = trace_new(&random);
    struct span s;
    span_begin(&s, "x", SPAN_INTERNAL, &root, &random, 0);
    span_fail(&s, STR("replica died"));
    span_fail(&s, STR("and then"));
    assert_true(s.failed && str_eq((struct str){s.text + s.message_offset, s.message_len},
                                   STR("replica died")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traceparent_there_and_back),
        cmocka_unit_test(test_bad_traceparents),
        cmocka_unit_test(test_span_tree),
        cmocka_unit_test(test_attributes_are_bounded),
        cmocka_unit_test(test_first_failure_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
