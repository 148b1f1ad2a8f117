/* SPDX-License-Identifier: Apache-2.0 */
#include "api/responses_request.h"

#include "api/responses_reply.h"
#include "translating.h"

static void expect(const char *body, const char *wanted)
{
    expect_body(responses_to_chat, body, wanted);
}

static void expect_refusal(const char *body, const char *begin)
{
    expect_no_body(responses_to_chat, body, begin);
}

#define IN(rest)      "{\"model\":\"m\",\"input\":" rest "}"
#define OUT(messages) "{\"model\":\"m\",\"messages\":[" messages "]}"
#define USER(content) "{\"role\":\"user\",\"content\":" content "}"

static void test_input(void **state)
{
    expect(IN("\"hi\\n\""), OUT(USER("\"hi\\n\"")));
    expect(IN("\"hi\",\"instructions\":\"be kind\""),
           OUT("{\"role\":\"system\",\"content\":\"be kind\"}," USER("\"hi\"")));
    expect(IN("[{\"role\":\"developer\",\"content\":\"d\"},"
              "{\"type\":\"message\",\"role\":\"user\",\"content\":"
              "[{\"type\":\"input_text\",\"text\":\"a\"}]}]"),
           OUT("{\"role\":\"system\",\"content\":\"d\"}," USER("\"a\"")));
    expect(IN("[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"a\"},"
              "{\"type\":\"input_image\",\"image_url\":\"u\",\"detail\":\"low\"}]}]"),
           OUT(USER("[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"image_url\",\"image_url\":"
                    "{\"url\":\"u\",\"detail\":\"low\"}}]")));
}

/* An answer of ours comes back as items: text and calls are one message, reasoning is passed over. */
static void test_items_of_an_earlier_answer(void **state)
{
    expect(IN("[{\"role\":\"user\",\"content\":\"q\"},"
              "{\"type\":\"reasoning\",\"id\":\"r\",\"summary\":[]},"
              "{\"type\":\"message\",\"id\":\"msg_1\",\"status\":\"completed\",\"role\":"
              "\"assistant\",\"content\":[{\"type\":\"output_text\",\"text\":\"t\","
              "\"annotations\":[],\"logprobs\":[]}]},"
              "{\"type\":\"function_call\",\"id\":\"fc\",\"call_id\":\"c1\",\"name\":\"f\","
              "\"arguments\":\"{}\",\"status\":\"completed\"},"
              "{\"type\":\"function_call\",\"call_id\":\"c2\",\"name\":\"g\",\"arguments\":"
              "\"{}\"},"
              "{\"type\":\"function_call_output\",\"call_id\":\"c1\",\"output\":\"1\"},"
              "{\"type\":\"function_call_output\",\"call_id\":\"c2\",\"output\":"
              "[{\"type\":\"input_text\",\"text\":\"2\"}]}]"),
           OUT(USER("\"q\"") ",{\"role\":\"assistant\",\"content\":\"t\",\"tool_calls\":["
                             "{\"id\":\"c1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
                             "\"arguments\":\"{}\"}},"
                             "{\"id\":\"c2\",\"type\":\"function\",\"function\":{\"name\":\"g\","
                             "\"arguments\":\"{}\"}}]},"
                             "{\"role\":\"tool\",\"tool_call_id\":\"c1\",\"content\":\"1\"},"
                             "{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":\"2\"}"));
    expect(IN("[{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"f\",\"arguments\":"
              "\"\"},{\"role\":\"user\",\"content\":\"q\"}]"),
           OUT("{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"c\",\"type\":"
               "\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"\"}}]}," USER("\"q\"")));
}

static void test_plain_fields(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"\"max_output_tokens\":7,\"temperature\":0.50,\"top_p\":1",
         "\"max_tokens\":7,\"temperature\":0.50,\"top_p\":1"},
        {"\"stream\":true", "\"stream\":true,\"stream_options\":{\"include_usage\":true}"},
        {"\"user\":\"u\",\"reasoning\":{\"effort\":\"low\"}",
         "\"reasoning_effort\":\"low\",\"user\":\"u\""},
        {"\"text\":{\"format\":{\"type\":\"json_schema\",\"name\":\"n\",\"schema\":{\"type\":"
         "\"object\"},\"strict\":true}}",
         "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"n\","
         "\"schema\":{\"type\":\"object\"},\"strict\":true}}"},
        {"\"text\":{\"format\":{\"type\":\"json_object\"}}",
         "\"response_format\":{\"type\":\"json_object\"}"},
        {"\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":{\"a\":1},"
         "\"strict\":false}],\"tool_choice\":{\"type\":\"function\",\"name\":\"f\"},"
         "\"parallel_tool_calls\":false",
         "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"a\":"
         "1},\"strict\":false}}],\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":"
         "\"f\"}},\"parallel_tool_calls\":false"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char in[1024], out[1024];
        snprintf(in, sizeof(in), IN("\"x\",%s"), cases[i].in);
        snprintf(out, sizeof(out), "{\"model\":\"m\",\"messages\":[" USER("\"x\"") "],%s}",
                 cases[i].out);
        expect(in, out);
    }
    /* What cannot change an answer, and what asks for nothing. */
    expect(IN("\"x\",\"store\":true,\"metadata\":{\"a\":\"b\"},\"truncation\":\"disabled\","
              "\"previous_response_id\":null,\"background\":false,\"tools\":[],\"tool_choice\":"
              "\"auto\",\"parallel_tool_calls\":true,\"text\":{\"format\":{\"type\":\"text\"}},"
              "\"include\":[\"reasoning.encrypted_content\"],\"prompt_cache_key\":\"k\""),
           OUT(USER("\"x\"")));
}

static void test_refusals(void **state)
{
    expect_refusal("{\"input\":\"x\"}", "model: the field is required");
    expect_refusal("{\"model\":\"m\"}", "input: the field is required");
    expect_refusal(IN("[]"), "input: expected a string");
    expect_refusal(IN("\"x\",\"previous_response_id\":\"r\""), "request: 'previous_response_id'");
    expect_refusal(IN("\"x\",\"background\":true"), "request: 'background'");
    expect_refusal(IN("\"x\",\"tools\":[{\"type\":\"web_search\"}]"), "tools[0]: only tools");
    expect_refusal(IN("[{\"type\":\"item_reference\",\"id\":\"i\"}]"), "input[0]: an item must");
    expect_refusal(IN("[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"king\",\"content\":"
                      "\"b\"}]"),
                   "input[1]: the role must");
    expect_refusal(IN("[{\"role\":\"user\",\"content\":[{\"type\":\"input_file\"}]}]"),
                   "input[0].content[0]: a part must");
    expect_refusal(IN("[{\"role\":\"user\",\"content\":[{\"type\":\"input_image\",\"file_id\":"
                      "\"f\",\"image_url\":\"u\"}]}]"),
                   "input[0].content[0]: 'file_id'");
    expect_refusal(IN("\"x\",\"truncation\":\"auto\""), "truncation: only");
    expect_refusal(IN("\"x\",\"text\":{\"format\":{\"type\":\"poem\"}}"), "text.format: the type");
}

static void test_whole_answer(void **state)
{
    struct str answer =
        STR("{\"id\":\"c1\",\"created\":5,\"model\":\"m\",\"choices\":[{\"message\":{\"content\":"
            "\"a\\n\",\"tool_calls\":[{\"id\":\"i\",\"function\":{\"name\":\"f\",\"arguments\":"
            "\"{}\"}}]},\"finish_reason\":\"length\"}],\"usage\":{\"prompt_tokens\":7,"
            "\"completion_tokens\":2,\"prompt_tokens_details\":{\"cached_tokens\":3}}}");
    struct str request = STR("{\"model\":\"m\",\"input\":\"x\",\"temperature\":0.5}");
    struct arena arena;
    struct json *root;
    struct buf out;
    arena_init(&arena, BUDGET);
    buf_init(&out, BUDGET);
    assert_int_equal(responses_write(request, answer, &out), 0);
    assert_int_equal(json_parse(&arena, buf_str(&out), &root, NULL), 0);
    assert_true(str_eq(json_get(root, STR("status"))->text, STR("incomplete")));
    assert_true(str_eq(json_get(json_get(root, STR("incomplete_details")), STR("reason"))->text,
                       STR("max_output_tokens")));
    assert_true(json_get(root, STR("temperature"))->number == 0.5);
    const struct json *output = json_get(root, STR("output"));
    assert_int_equal(output->count, 2);
    const struct json *text = json_get(json_get(output->first, STR("content"))->first, STR("text"));
    assert_true(str_eq(text->raw, STR("\"a\\n\"")));
    assert_true(str_eq(json_get(output->first->next, STR("call_id"))->text, STR("i")));
    const struct json *usage = json_get(root, STR("usage"));
    assert_true(json_get(usage, STR("total_tokens"))->number == 9);
    buf_clear(&out);
    assert_int_equal(responses_write(request, STR("{\"object\":\"list\"}"), &out), ERR_PARSE);
    buf_fini(&out);
    arena_fini(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_input),        cmocka_unit_test(test_items_of_an_earlier_answer),
        cmocka_unit_test(test_plain_fields), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_whole_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
