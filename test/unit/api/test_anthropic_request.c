/* SPDX-License-Identifier: Apache-2.0 */
#include "api/anthropic_request.h"

#include "translating.h"

static int translate_messages(struct str body, struct arena *arena, struct buf *out,
                              struct api_error *ret_error)
{
    return anthropic_to_openai(ANTHROPIC_MESSAGES, body, arena, out, ret_error);
}

static int translate_count(struct str body, struct arena *arena, struct buf *out,
                           struct api_error *ret_error)
{
    return anthropic_to_openai(ANTHROPIC_COUNT, body, arena, out, ret_error);
}

static translating *codec(enum anthropic_kind kind)
{
    return kind == ANTHROPIC_COUNT ? translate_count : translate_messages;
}

static void expect(enum anthropic_kind kind, const char *body, const char *wanted)
{
    expect_body(codec(kind), body, wanted);
}

static void expect_refusal(enum anthropic_kind kind, const char *body, const char *begin)
{
    expect_no_body(codec(kind), body, begin);
}

#define HEAD     "{\"model\":\"m\",\"max_tokens\":9,"
#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]}"

static void test_plain_fields(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"\"temperature\":0.50,\"top_p\":1,\"top_k\":4,",
         "\"temperature\":0.50,\"top_p\":1,\"top_k\":4,"},
        {"\"stream\":false,", "\"stream\":false,"},
        {"\"stream\":true,", "\"stream\":true,\"stream_options\":{\"include_usage\":true},"},
        {"\"stop_sequences\":[\"a\\n\",\"b\"],", "\"stop\":[\"a\\n\",\"b\"],"},
        {"\"stop_sequences\":[],\"system\":null,\"container\":null,\"mcp_servers\":[],", ""},
        {"\"metadata\":{\"user_id\":\"u\\\"1\"},", "\"user\":\"u\\\"1\","},
        {"\"thinking\":{\"type\":\"disabled\"},\"service_tier\":\"auto\",", ""},
        {"\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\"}}]"
         ",",
         "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\","
         "\"parameters\":{"
         "\"type\":\"object\"}}}],"},
        {"\"tool_choice\":{\"type\":\"auto\"},", "\"tool_choice\":\"auto\","},
        {"\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true},",
         "\"tool_choice\":\"required\",\"parallel_tool_calls\":false,"},
        {"\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\"},",
         "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char in[1024], out[1024];
        snprintf(in, sizeof(in), HEAD "%s" MESSAGES, cases[i].in);
        snprintf(out, sizeof(out), HEAD "%s" MESSAGES, cases[i].out);
        expect(ANTHROPIC_MESSAGES, in, out);
    }
}

/* Each case: the members `system` and `messages`, and the messages that come out. */
static void test_messages(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"\"system\":\"s\",\"messages\":[{\"role\":\"user\",\"content\":\"a\\u00e4\"}]",
         "{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"a\\u00e4\"}"},
        {"\"system\":[{\"type\":\"text\",\"text\":\"s\",\"cache_control\":{\"type\":\"ephemeral\"}}"
         "],"
         "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}]}]",
         "{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"a\"}"},
        {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
         "{\"type\":\"text\",\"text\":\"b\"}]}]",
         "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\","
         "\"text\":"
         "\"b\"}]}"},
        {"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":"
         "\"base64\","
         "\"media_type\":\"image/"
         "png\",\"data\":\"QUJD\"}},{\"type\":\"image\",\"source\":{\"type\":\"url\","
         "\"url\":\"https://x/y\"}}]}]",
         "{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:"
         "image/"
         "png;base64,QUJD\"}},{\"type\":\"image_url\",\"image_url\":{\"url\":\"https://x/y\"}}]}"},
        {"\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"t\"},{"
         "\"type\":"
         "\"tool_use\",\"id\":\"i\",\"name\":\"f\",\"input\":{\"x\":\"\\\"\"}}]},{\"role\":"
         "\"user\",\"content\":["
         "{\"type\":\"tool_result\",\"tool_use_id\":\"i\",\"content\":\"r\"},{\"type\":\"text\","
         "\"text\":\"n\"}"
         "]}]",
         "{\"role\":\"assistant\",\"content\":\"t\",\"tool_calls\":[{\"id\":\"i\",\"type\":"
         "\"function\","
         "\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":\\\"\\\\\\\"\\\"}\"}}]},{"
         "\"role\":\"tool\","
         "\"tool_call_id\":\"i\",\"content\":\"r\"},{\"role\":\"user\",\"content\":\"n\"}"},
        {"\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"i\","
         "\"name\":\"f\","
         "\"input\":{}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_"
         "id\":\"i\","
         "\"is_error\":true,\"content\":[{\"type\":\"text\",\"text\":\"r\"}]},{\"type\":\"tool_"
         "result\","
         "\"tool_use_id\":\"j\"}]}]",
         "{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"i\",\"type\":"
         "\"function\","
         "\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_"
         "id\":\"i\","
         "\"content\":\"Error: r\"},{\"role\":\"tool\",\"tool_call_id\":\"j\",\"content\":\"\"}"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char in[2048], out[2048];
        snprintf(in, sizeof(in), HEAD "%s}", cases[i].in);
        snprintf(out, sizeof(out), HEAD "\"messages\":[%s]}", cases[i].out);
        expect(ANTHROPIC_MESSAGES, in, out);
    }
}

static void test_counts(void **state)
{
    expect(ANTHROPIC_COUNT, "{\"model\":\"m\",\"tool_choice\":{\"type\":\"auto\"}," MESSAGES,
           "{\"model\":\"m\"," MESSAGES);
    expect(ANTHROPIC_COUNT,
           "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"}]}",
           "{\"model\":\"m\",\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"}]}");
    expect_refusal(ANTHROPIC_COUNT, HEAD MESSAGES, "request: 'max_tokens' is not supported here");
}

#define CONTENT(text) HEAD "\"messages\":[{\"role\":\"user\",\"content\":" text "}]}"
#define WITH(text)    HEAD text "," MESSAGES

static void test_refusals(void **state)
{
    static const struct {
        const char *body, *begin;
    } cases[] = {
        {"{\"model\"", "request: the body is not a JSON object"},
        {"[1]", "request: the body is not a JSON object"},
        {"{\"model\":\"m\"," MESSAGES, "max_tokens: the field is required"},
        {"{\"max_tokens\":1," MESSAGES, "model: the field is required"},
        {"{\"max_tokens\":1,\"model\":7," MESSAGES, "model: "},
        {"{\"model\":\"m\",\"max_tokens\":0," MESSAGES, "max_tokens: expected"},
        {HEAD "\"messages\":[]}", "messages: expected"},
        {HEAD "\"messages\":[7]}", "messages[0]: 'role'"},
        {HEAD "\"messages\":[{\"role\":\"user\"}]}", "messages[0].content: expected"},
        {HEAD "\"messages\":[{\"role\":\"robot\",\"content\":\"a\"}]}",
         "messages[0].content: the role"},
        {HEAD "\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"}]}",
         "messages[0].content: the last message"},
        {CONTENT("[]"), "messages[0].content: expected"},
        {CONTENT("[7]"), "messages[0].content[0]: a content block"},
        {CONTENT("[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"document\"}]"),
         "messages[0].content[1]: a block of type 'document'"},
        {CONTENT("[{\"type\":\"tool_use\"}]"), "messages[0].content[0]: a block"},
        {CONTENT("[{\"type\":\"text\"}]"), "messages[0].content[0]: 'text'"},
        {CONTENT("[{\"type\":\"text\",\"text\":\"a\",\"citations\":[1]}]"),
         "messages[0].content[0]: 'citations'"},
        {CONTENT("[{\"type\":\"image\",\"source\":{\"type\":\"file\"}}]"),
         "messages[0].content[0]: the source"},
        {CONTENT("[{\"type\":\"tool_result\",\"tool_use_id\":\"i\",\"content\":[{\"type\":\"tool_"
                 "use\"}]}]"),
         "messages[0].content[0].content[0]: a block"},
        {WITH("\"system\":[{\"type\":\"tool_use\"}]"), "system[0]: a block"},
        {WITH("\"stop_sequences\":\"a\""), "stop_sequences: "},
        {WITH("\"temperature\":\"1\""), "temperature: "},
        {WITH("\"stream\":1"), "stream: "},
        {WITH("\"metadata\":{\"other\":1}"), "metadata: 'other'"},
        {WITH("\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024}"), "thinking: "},
        {WITH("\"output_config\":{\"effort\":\"low\"}"), "request: 'output_config'"},
        {WITH("\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"w\"}]"), "tools[0]: only"},
        {WITH("\"tools\":[{\"name\":\"w\"}]"), "tools[0]: 'input_schema'"},
        {WITH("\"tool_choice\":{\"type\":\"some\"}"), "tool_choice: "},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        expect_refusal(ANTHROPIC_MESSAGES, cases[i].body, cases[i].begin);
}

/* A schema lies deeper in the other format: nothing that could be read may be too deep to be written. */
static void test_deep_schema(void **state)
{
    struct buf body;
    buf_init(&body, BUDGET);
    buf_put(&body, STR(HEAD "\"tools\":[{\"name\":\"f\",\"input_schema\":"));
    for (int i = 0; i < 120; i++)
        buf_put(&body, STR("{\"a\":"));
    buf_put(&body, STR("1"));
    for (int i = 0; i < 120; i++)
        buf_put_char(&body, '}');
    buf_put(&body, STR("}]," MESSAGES));
    expect_refusal(ANTHROPIC_MESSAGES, buf_cstr(&body), "tools[0]: 'input_schema' is nested");
    buf_fini(&body);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_fields), cmocka_unit_test(test_messages),
        cmocka_unit_test(test_counts),       cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_deep_schema),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
