/* SPDX-License-Identifier: Apache-2.0 */
#include "api/anthropic_reply.h"

#include "api/anthropic_stream.h"
#include "test.h"

enum { BUDGET = 1 << 20 };

#define EXPECT(out, wanted)                                                       \
    do {                                                                          \
        if (!str_eq(buf_str(&(out)), STR(wanted)))                                \
            fail_msg("gives  %.*s\nwanted %s", STR_ARG(buf_str(&(out))), wanted); \
        buf_clear(&(out));                                                        \
    } while (0)

#define ANSWER(message, rest)                                                                      \
    STR("{\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"message\":" message rest "}]," \
        "\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2,\"prompt_tokens_details\":{"       \
        "\"cached_tokens\":3}}}")
#define MESSAGE(content, reason, stop)                                                        \
    "{\"id\":\"c1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"m\",\"content\":" \
    "[" content "],\"stop_reason\":\"" reason "\",\"stop_sequence\":" stop                    \
    ",\"usage\":{\"input_tokens\":4,"                                                         \
    "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":3,\"output_tokens\":2}}"
#define TEXT_BLOCK "{\"type\":\"text\",\"text\":\"a\\n\"}"

static void test_whole(void **state)
{
    struct buf out;
    buf_init(&out, BUDGET);
    assert_int_equal(anthropic_write_message(
                         ANSWER("{\"content\":\"a\\n\"}", ",\"finish_reason\":\"stop\""), &out),
                     0);
    EXPECT(out, MESSAGE(TEXT_BLOCK, "end_turn", "null"));
    assert_int_equal(anthropic_write_message(ANSWER("{\"content\":\"a\\n\",\"tool_calls\":[]}",
                                                    ",\"finish_reason\":\"length\""),
                                             &out),
                     0);
    EXPECT(out, MESSAGE(TEXT_BLOCK, "max_tokens", "null"));
    assert_int_equal(
        anthropic_write_message(
            ANSWER("{\"content\":\"a\\n\"}", ",\"finish_reason\":\"stop\",\"stop_reason\":\"x\""),
            &out),
        0);
    EXPECT(out, MESSAGE(TEXT_BLOCK, "stop_sequence", "\"x\""));
    assert_int_equal(
        anthropic_write_message(
            ANSWER("{\"content\":\"a\\n\"}", ",\"finish_reason\":\"stop\",\"stop_reason\":128009"),
            &out),
        0);
    EXPECT(out, MESSAGE(TEXT_BLOCK, "end_turn", "null"));
    assert_int_equal(
        anthropic_write_message(
            ANSWER(
                "{\"content\":null,\"tool_calls\":[{\"id\":\"i\",\"function\":{\"name\":\"f\","
                "\"arguments\":\"{\\\"x\\\":1}\"}},{\"id\":\"j\",\"function\":{\"name\":\"g\"}}]}",
                ",\"finish_reason\":\"tool_calls\""),
            &out),
        0);
    EXPECT(out, MESSAGE("{\"type\":\"tool_use\",\"id\":\"i\",\"name\":\"f\",\"input\":{\"x\":1}},"
                        "{\"type\":\"tool_use\",\"id\":\"j\",\"name\":\"g\",\"input\":{}}",
                        "tool_use", "null"));
    buf_fini(&out);
}

static void test_what_is_no_answer(void **state)
{
    struct buf out;
    buf_init(&out, BUDGET);
    assert_int_not_equal(anthropic_write_message(STR("no JSON"), &out), 0);
    assert_int_not_equal(anthropic_write_message(STR("{\"choices\":[]}"), &out), 0);
    assert_int_not_equal(anthropic_write_message(ANSWER("7", ""), &out), 0);
    assert_int_not_equal(
        anthropic_write_message(ANSWER("{\"tool_calls\":[{\"id\":\"i\",\"function\":{\"name\":"
                                       "\"f\",\"arguments\":\"[\"}}]}",
                                       ""),
                                &out),
        0);
    assert_int_not_equal(anthropic_write_count(STR("{\"tokens\":[1]}"), &out), 0);
    assert_int_equal(out.len, 0);
    assert_int_equal(anthropic_write_count(STR("{\"count\":12,\"tokens\":[1]}"), &out), 0);
    EXPECT(out, "{\"input_tokens\":12}");
    buf_fini(&out);
}

static void test_errors(void **state)
{
    static const struct {
        int status;
        const char *answer, *type, *message;
    } cases[] = {
        {400, "{\"error\":{\"message\":\"a \\\"b\\\"\"}}", "invalid_request_error", "a \\\"b\\\""},
        {401, "{\"error\":\"words\"}", "authentication_error", "words"},
        {403, "{\"message\":\"x\"}", "permission_error", "x"},
        {404, "<html>", "not_found_error", "The engine refused the request."},
        {413, "", "request_too_large", "The engine refused the request."},
        {429, "{}", "rate_limit_error", "The engine refused the request."},
        {500, "{}", "api_error", "The engine refused the request."},
        {503, "{}", "overloaded_error", "The engine refused the request."},
    };
    struct arena arena;
    struct buf out;
    arena_init(&arena, BUDGET);
    buf_init(&out, BUDGET);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char wanted[256];
        const struct api_error e =
            chat_error_of(cases[i].status, str_from(cases[i].answer), &arena);
        snprintf(wanted, sizeof(wanted),
                 "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":\"%s\"}}",
                 cases[i].type, cases[i].message);
        buf_clear(&out);
        anthropic_write_error(&e, &out);
        assert_true(str_eq(buf_str(&out), str_from(wanted)));
    }
    buf_fini(&out);
    arena_fini(&arena);
}

/* ---- streams ---- */

#define CHUNK(delta, rest)                                                                      \
    "data: {\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{" delta "}" rest \
    "}]}\n\n"
#define USAGE_CHUNK \
    "data: "        \
    "{\"id\":\"c1\",\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":2}}\n\n"
#define EVENT(name, rest) "event: " name "\ndata: {\"type\":\"" name "\"" rest "}\n\n"
#define START                                                                                  \
    EVENT("message_start",                                                                     \
          ",\"message\":{\"id\":\"c1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":" \
          "\"m\",\"content\":[],"                                                              \
          "\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":0,\"cache_" \
          "creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":0}}")
#define OPEN_TEXT(i)             \
    EVENT("content_block_start", \
          ",\"index\":" i ",\"content_block\":{\"type\":\"text\",\"text\":\"\"}")
#define OPEN_TOOL(i, id, name)                                                     \
    EVENT("content_block_start",                                                   \
          ",\"index\":" i ",\"content_block\":{\"type\":\"tool_use\",\"id\":\"" id \
          "\",\"name\":\"" name "\",\"input\":{}}")
#define TEXT(i, t)               \
    EVENT("content_block_delta", \
          ",\"index\":" i ",\"delta\":{\"type\":\"text_delta\",\"text\":\"" t "\"}")
#define INPUT(i, t)              \
    EVENT("content_block_delta", \
          ",\"index\":" i ",\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"" t "\"}")
#define CLOSE(i) EVENT("content_block_stop", ",\"index\":" i)
#define END(reason, stop)                                                                         \
    EVENT("message_delta",                                                                        \
          ",\"delta\":{\"stop_reason\":\"" reason "\",\"stop_sequence\":" stop                    \
          "},\"usage\":{\"input_tokens\":7,"                                                      \
          "\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":2}") \
    EVENT("message_stop", "")

static void expect_stream(const char *events, const char *wanted)
{
    const struct openai_usage usage = {.prompt_tokens = 7, .completion_tokens = 2};
    struct anthropic_stream s = {0};
    struct buf out;
    buf_init(&out, BUDGET);
    anthropic_stream_pass(&s, str_from(events), &out);
    anthropic_stream_end(&s, &usage, &out);
    if (!str_eq(buf_str(&out), str_from(wanted)))
        fail_msg("gives  %.*s\nwanted %s", STR_ARG(buf_str(&out)), wanted);
    buf_fini(&out);
}

static void test_stream(void **state)
{
    expect_stream(
        CHUNK("\"role\":\"assistant\",\"content\":\"\"", ",\"finish_reason\":null")
            CHUNK("\"content\":\"a\\n\"", "") ": a comment\n\n" CHUNK("\"content\":\"b\"", "")
                CHUNK("", ",\"finish_reason\":\"stop\"") USAGE_CHUNK "data: [DONE]\n\n",
        START OPEN_TEXT("0") TEXT("0", "a\\n") TEXT("0", "b") CLOSE("0") END("end_turn", "null"));
    expect_stream("data: "
                  "{\"id\":\"c1\",\"model\":\"m\",\"choices\":[{\"delta\":{\"content\":\"a\"},"
                  "\"finish_reason\":\"stop\",\"stop_reason\":\"x\"}]}\r\n\r\n",
                  START OPEN_TEXT("0") TEXT("0", "a") CLOSE("0") END("stop_sequence", "\"x\""));
    expect_stream(CHUNK("\"content\":null", "") CHUNK("", ",\"finish_reason\":\"length\""),
                  START END("max_tokens", "null"));
}

static void test_stream_of_tool_calls(void **state)
{
    expect_stream(
        CHUNK("\"content\":\"a\"", "") CHUNK(
            "\"tool_calls\":[{\"index\":0,\"id\":\"i\",\"function\":{\"name\":\"f\",\"arguments\":"
            "\"\"}}]",
            "") CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"x\"}}]", "")
            CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"\\\":1}\"}},{"
                  "\"index\":1,\"id\":\"j\",\"function\":{\"name\":\"g\",\"arguments\":\"{}\"}}]",
                  "") CHUNK("", ",\"finish_reason\":\"tool_calls\""),
        START OPEN_TEXT("0") TEXT("0", "a") CLOSE("0") OPEN_TOOL("1", "i", "f") INPUT("1", "{\\\"x")
            INPUT("1", "\\\":1}") CLOSE("1") OPEN_TOOL("2", "j", "g") INPUT("2", "{}") CLOSE("2")
                END("tool_use", "null"));
    expect_stream(CHUNK("\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"x\"}}]", "")
                      CHUNK("\"content\":\"a\"", ""),
                  START EVENT("error",
                              ",\"error\":{\"type\":\"api_error\",\"message\":\"The engine's tool "
                              "calls have no order that can be passed on.\"}"));
}

static void test_error_in_the_stream(void **state)
{
    expect_stream(
        CHUNK("\"content\":\"a\"", "") "data: "
                                       "{\"error\":{\"message\":\"full\",\"type\":\"service_"
                                       "unavailable_error\"}}\n\n" CHUNK("\"content\":\"b\"", ""),
        START OPEN_TEXT("0") TEXT("0", "a")
            EVENT("error", ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"full\"}"));
    expect_stream("data: {\"error\":{\"message\":\"no\"}}\n\n",
                  EVENT("error", ",\"error\":{\"type\":\"api_error\",\"message\":\"no\"}"));
}

static void test_too_many_blocks(void **state)
{
    struct anthropic_stream s = {0};
    struct buf out;
    buf_init(&out, BUDGET);
    for (int i = 0; i < 2 * ANTHROPIC_BLOCKS_MAX; i++) {
        char event[256];
        snprintf(
            event, sizeof(event),
            CHUNK("\"tool_calls\":[{\"index\":%d,\"id\":\"i\",\"function\":{\"name\":\"f\"}}]", ""),
            i);
        anthropic_stream_pass(&s, str_from(event), &out);
    }
    assert_true(s.chat.failed && s.index == ANTHROPIC_BLOCKS_MAX && !out.error);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_what_is_no_answer),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_stream),
        cmocka_unit_test(test_stream_of_tool_calls),
        cmocka_unit_test(test_error_in_the_stream),
        cmocka_unit_test(test_too_many_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
