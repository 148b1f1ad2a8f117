/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openai_usage.h"

#include "test.h"

static void test_of_a_whole_answer(void **state)
{
    struct openai_usage u;
    assert_true(openai_read_usage(
        STR("{\"choices\": [], \"usage\": {\"prompt_tokens\": 12, \"completion_tokens\": 5, "
            "\"prompt_tokens_details\": {\"cached_tokens\": 8}}}"),
        &u));
    assert_true(u.prompt_tokens == 12 && u.completion_tokens == 5 && u.cached_tokens == 8);
    assert_true(openai_read_usage(
        STR("{\"usage\":{\"prompt_tokens\":3,\"total_tokens\":3,\"prompt_tokens_details\":null}}"),
        &u));
    assert_true(u.prompt_tokens == 3 && u.completion_tokens == 0 && u.cached_tokens == 0);
    assert_false(openai_read_usage(STR("{\"usage\": null}"), &u));
    assert_false(openai_read_usage(STR("{\"usage\": {\"seconds\": 4}}"), &u));
    assert_false(openai_read_usage(STR("{\"text\": \"hello\"}"), &u));
    assert_false(openai_read_usage(STR("no JSON \"usage\": {"), &u));
}

#define CHUNK(text) \
    "data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}],\"usage\":null}\n\n"
#define LAST "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":2,\"completion_tokens\":7}}\n\n"
#define DONE "data: [DONE]\n\n"

static void test_of_a_stream(void **state)
{
    struct openai_usage u;
    struct str alone;
    assert_false(openai_find_usage(STR(CHUNK("a") CHUNK("b")), &u, &alone));
    struct str events = STR(CHUNK("a") LAST DONE);
    assert_true(openai_find_usage(events, &u, &alone));
    assert_true(u.prompt_tokens == 2 && u.completion_tokens == 7);
    assert_true(str_eq(alone, STR(LAST)));
    assert_ptr_equal(alone.ptr, events.ptr + sizeof(CHUNK("a")) - 1);
    assert_true(openai_find_usage(STR("data: {\"choices\":[{\"x\":{\"usage\": {}}}]}\n\n" LAST), &u,
                                  &alone));
    assert_true(str_eq(alone, STR(LAST)));
    /* In the last chunk itself, as some engines do: nothing may be taken out. */
    events = STR("data: {\"choices\": [{\"finish_reason\": \"stop\"}], "
                 "\"usage\": {\"prompt_tokens\": 1, \"completion_tokens\": 1}}\r\n\r\n");
    assert_true(openai_find_usage(events, &u, &alone));
    assert_true(u.prompt_tokens == 1 && alone.len == 0);
}

/* A text that speaks of usage is no usage. */
static void test_text_is_not_taken_for_it(void **state)
{
    struct openai_usage u;
    struct str alone;
    assert_false(openai_find_usage(
        STR(CHUNK("\\\"usage\\\": {\\\"prompt_tokens\\\": 9}") "data: \"usage\": {\n\n"), &u,
        &alone));
    assert_false(openai_find_usage(STR("\"usage\""), &u, &alone));
    assert_false(openai_find_usage(STR("data: {\"usage\":{"), &u, &alone));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_of_a_whole_answer),
        cmocka_unit_test(test_of_a_stream),
        cmocka_unit_test(test_text_is_not_taken_for_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
