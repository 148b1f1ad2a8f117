/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openai_resume.h"

#include "test.h"

#define FIRST                                                                    \
    "data: {\"choices\":[{\"text\":\"a\",\"finish_reason\":null}],\"fairway\":{" \
    "\"id\":\"cmpl-1\",\"created\":5,\"seed\":-7,\"shown\":1,\"token_ids\":[11]}}\n\n"
#define NEXT(shown, ids)                                            \
    "data: {\"choices\":[{\"text\":\"b\",\"finish_reason\":null}]," \
    "\"fairway\":{\"shown\":" shown ",\"token_ids\":[" ids "]}}\n\n"
#define CLEAN(text) "data: {\"choices\":[{\"text\":\"" text "\",\"finish_reason\":null}]}\n\n"

static struct openai_resume_state r;
static struct buf out;

static int set_up(void **state)
{
    openai_resume_init(&r);
    buf_init(&out, 1 << 16);
    return 0;
}

static int tear_down(void **state)
{
    openai_resume_fini(&r);
    buf_fini(&out);
    return 0;
}

static void pass(const char *events, const char *expected)
{
    buf_clear(&out);
    openai_resume_pass(&r, str_from(events), &out);
    assert_string_equal(buf_cstr(&out), expected);
}

static void test_the_field_is_kept_and_taken_out(void **state)
{
    assert_false(openai_resume_possible(&r));
    pass(FIRST NEXT("2", "12,13"), CLEAN("a") CLEAN("b"));
    pass(NEXT("3", "") NEXT("4", "14"), CLEAN("b") CLEAN("b"));
    assert_true(openai_resume_possible(&r) && !r.finished);
    buf_clear(&out);
    openai_resume_write(&r, &out);
    assert_string_equal(buf_cstr(&out),
                        "\"fairway_resume\":{\"id\":\"cmpl-1\",\"created\":5,\"seed\":-7,"
                        "\"shown\":4,\"token_ids\":[11,12,13,14]},");
}

static void test_events_of_others_pass_as_they_are(void **state)
{
    const char *text =
        "data: {\"choices\":[{\"text\":\",\\\"fairway\\\":{\"}]}\n\ndata: [DONE]\n\n";
    pass(text, text);
    assert_false(openai_resume_possible(&r));
}

static void test_the_last_chunk(void **state)
{
    pass(FIRST, CLEAN("a"));
    pass("data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n",
         "data: {\"choices\":[{\"text\":\"\",\"finish_reason\":\"stop\"}]}\n\n");
    assert_true(r.finished);
}

static void test_what_cannot_be_read_cannot_be_resumed(void **state)
{
    pass(FIRST, CLEAN("a"));
    pass("data: {\"x\":1,\"fairway\":{\"shown\":2}}\n\n", "data: {\"x\":1");
    assert_false(openai_resume_possible(&r));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_field_is_kept_and_taken_out),
        TEST(test_events_of_others_pass_as_they_are),
        TEST(test_the_last_chunk),
        TEST(test_what_cannot_be_read_cannot_be_resumed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
