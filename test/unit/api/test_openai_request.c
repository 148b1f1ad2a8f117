/* SPDX-License-Identifier: Apache-2.0 */
/* Requests of the OpenAI format: what is read, and what is refused with which words. */
#include "api/openai_request.h"

#include <math.h>

#include "test.h"

static struct arena arena;
static struct openai_request q;
static struct api_error error;

static int setup(void **state)
{
    arena_init(&arena, 1 << 20);
    memset(&error, 0, sizeof(error));
    return 0;
}

static int teardown(void **state)
{
    arena_fini(&arena);
    return 0;
}

static int parse(enum openai_kind kind, const char *body)
{
    return openai_parse(kind, str_from(body), &arena, &q, &error);
}

static bool is(struct str text, const char *expected)
{
    return str_eq(text, str_from(expected));
}

/* Puts a member into an otherwise good chat request. */
static int parse_chat_with(const char *member)
{
    struct str body =
        arena_printf(&arena, "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],%s}", member);
    return openai_parse(OPENAI_CHAT, body, &arena, &q, &error);
}

static void refused(const char *member, const char *param, const char *message)
{
    assert_int_equal(parse_chat_with(member), ERR_INVALID);
    assert_int_equal(error.status, 400);
    if (!is(error.param, param) || !is(error.message, message))
        fail_msg("%s: param '%.*s', message '%.*s'", member, STR_ARG(error.param),
                 STR_ARG(error.message));
}

static void test_chat(void **state)
{
    assert_int_equal(
        parse(OPENAI_CHAT,
              "{\"model\":\"m\",\"messages\":[{\"role\":\"developer\",\"content\":\"be short\"},"
              "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},"
              "{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\",\"content\":null}],"
              "\"temperature\":0.5,\"top_p\":0.25,\"top_k\":7,\"min_p\":0.125,\"n\":3,"
              "\"max_completion_tokens\":9,\"stop\":[\"x\",\"yz\"],\"seed\":-5,\"stream\":true,"
              "\"stream_options\":{\"include_usage\":true},\"logprobs\":true,\"top_logprobs\":4,"
              "\"frequency_penalty\":1,\"presence_penalty\":-1,\"logit_bias\":{\"12\":-100,"
              "\"7\":2.5},\"user\":\"u\",\"nobody_knows\":{\"a\":[1]},\"ignore_eos\":true}"),
        0);
    assert_true(is(q.model, "m"));
    assert_int_equal(q.message_count, 3);
    assert_true(is(q.messages[0].role, "system")); /* what templates know */
    assert_true(is(q.messages[1].content, "ab"));
    assert_true(is(q.messages[2].content, ""));
    assert_true(q.temperature == 0.5 && q.top_p == 0.25 && q.min_p == 0.125);
    assert_true(q.frequency_penalty == 1 && q.presence_penalty == -1);
    assert_int_equal(q.top_k, 7);
    assert_int_equal(q.n, 3);
    assert_int_equal(q.max_tokens, 9);
    assert_int_equal(q.stop_count, 2);
    assert_true(is(q.stops[1], "yz"));
    assert_true(q.has_seed && q.seed == -5);
    assert_true(q.stream && q.include_usage && q.ignore_eos && q.logprobs);
    assert_int_equal(q.top_logprobs, 4);
    assert_int_equal(q.bias_count, 2);
    assert_true(q.biases[0].token == 12 && isinf(q.biases[0].bias));
    assert_true(q.biases[1].token == 7 && q.biases[1].bias == 2.5f);
}

static void test_defaults(void **state)
{
    assert_int_equal(parse_chat_with("\"temperature\":null"), 0);
    assert_true(q.temperature == 1 && q.top_p == 1 && q.n == 1 && q.max_tokens == 0);
    assert_true(!q.stream && !q.has_seed && q.stop_count == 0 && !q.model.ptr);
    assert_int_equal(parse(OPENAI_GENERATE, "{\"prompt\":\"p\"}"), 0);
    assert_true(q.temperature == 0.7 && q.top_p == 0.95 && q.max_tokens == 256);
    assert_int_equal(parse(OPENAI_COMPLETION, "{\"prompt\":\"p\",\"logprobs\":0}"), 0);
    assert_int_equal(q.max_tokens, 16);
    assert_true(q.logprobs && q.top_logprobs == 0);
}

static void test_prompts(void **state)
{
    assert_int_equal(parse(OPENAI_COMPLETION, "{\"prompt\":[\"a\",[1,2],\"\"]}"), 0);
    assert_int_equal(q.prompt_count, 3);
    assert_true(is(q.prompts[0].text, "a") && !q.prompts[0].tokens);
    assert_true(q.prompts[1].count == 2 && q.prompts[1].tokens[1] == 2);
    assert_int_equal(parse(OPENAI_EMBEDDING, "{\"input\":[3,4,5],\"encoding_format\":\"base64\"}"),
                     0);
    assert_true(q.prompt_count == 1 && q.prompts[0].count == 3 && q.base64);
    assert_int_equal(parse(OPENAI_TOKENIZE, "{\"prompt\":\"x\",\"add_special_tokens\":false}"), 0);
    assert_true(q.no_special_tokens);
    assert_int_equal(parse(OPENAI_COMPLETION, "{\"prompt\":[1,-2]}"), ERR_INVALID);
    assert_true(is(error.param, "prompt"));
    assert_int_equal(parse(OPENAI_COMPLETION, "{\"prompt\":[1,2.5]}"), ERR_INVALID);
    assert_int_equal(parse(OPENAI_COMPLETION, "{\"prompt\":{}}"), ERR_INVALID);
    assert_int_equal(parse(OPENAI_COMPLETION, "{\"prompt\":[[]]}"), ERR_INVALID);
    assert_int_equal(parse(OPENAI_COMPLETION, "{}"), ERR_INVALID);
    assert_true(is(error.code, "missing_required_parameter"));
}

static void test_ranges_and_types(void **state)
{
    refused("\"temperature\":2.5", "temperature",
            "Invalid value for 'temperature': 2.5 is not between 0 and 2.");
    refused("\"temperature\":\"hot\"", "temperature",
            "Invalid type for 'temperature': expected a number, but got a string instead.");
    refused("\"n\":0", "n", "Invalid value for 'n': 0 is not between 1 and 128.");
    refused("\"n\":1.5", "n",
            "Invalid type for 'n': expected an integer, but got a number instead.");
    refused("\"max_tokens\":-3", "max_tokens",
            "Invalid value for 'max_tokens': -3 is not between 1 and 2147483647.");
    refused("\"stream\":\"yes\"", "stream",
            "Invalid type for 'stream': expected a boolean, but got a string instead.");
    refused("\"stop\":[\"a\",5]", "stop",
            "Invalid type for 'stop': expected an array of strings, but got a number instead.");
    refused("\"stop\":\"\"", "stop",
            "Invalid value for 'stop': a stop string has 1 to 1024 bytes.");
    refused("\"top_logprobs\":3", "top_logprobs",
            "'top_logprobs' is only allowed when 'logprobs' is true.");
    refused("\"logprobs\":true,\"top_logprobs\":21", "top_logprobs",
            "Invalid value for 'top_logprobs': 21 is not between 0 and 20.");
    refused("\"seed\":1e99", "seed",
            "Invalid type for 'seed': expected a 64-bit integer, but got a number instead.");
    refused("\"stream_options\":{}", "stream_options",
            "'stream_options' is only allowed when 'stream' is true.");
    refused(
        "\"logit_bias\":{\"x\":1}", "logit_bias",
        "Invalid value for 'logit_bias': expected token ids with numbers between -100 and 100.");
}

static void test_what_is_not_supported_is_refused(void **state)
{
    static const char *const fields[] = {
        "tools\":[{\"type\":\"function\"}]",
        "tool_choice\":\"required\"",
        "functions\":[{}]",
        "guided_json\":{\"type\":\"object\"}",
        "grammar\":\"root ::= x\"",
        "best_of\":2",
        "repetition_penalty\":1.1",
        "min_tokens\":3",
        "audio\":{\"voice\":\"x\"}",
        "echo\":true",
    };
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        char member[128], param[64];
        snprintf(member, sizeof(member), "\"%s", fields[i]);
        snprintf(param, sizeof(param), "%.*s", (int)strcspn(fields[i], "\""), fields[i]);
        assert_int_equal(parse_chat_with(member), ERR_INVALID);
        assert_true(is(error.param, param));
        assert_true(is(error.code, "unsupported_parameter"));
    }
    refused("\"response_format\":{\"type\":\"json_schema\"}", "response_format",
            "Unsupported parameter: 'response_format' other than {\"type\": \"text\"} is not "
            "supported by this server.");
    /* The same fields when they ask for nothing. */
    assert_int_equal(parse_chat_with("\"tools\":[],\"tool_choice\":\"auto\",\"best_of\":1,"
                                     "\"echo\":false,\"repetition_penalty\":1.0,\"min_tokens\":0,"
                                     "\"response_format\":{\"type\":\"text\"},\"grammar\":null"),
                     0);
}

static void test_messages(void **state)
{
    assert_int_equal(parse(OPENAI_CHAT, "{\"messages\":[]}"), ERR_INVALID);
    assert_int_equal(parse(OPENAI_CHAT, "{\"messages\":[{\"content\":\"x\"}]}"), ERR_INVALID);
    assert_true(is(error.param, "messages[0].role"));
    assert_int_equal(parse(OPENAI_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":5}]}"),
                     ERR_INVALID);
    assert_true(is(error.param, "messages[0].content"));
    assert_int_equal(parse(OPENAI_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":"
                                        "[{\"type\":\"image_url\",\"image_url\":{}}]}]}"),
                     ERR_INVALID);
    assert_true(is(error.message, "'messages[0].content' has a part of type 'image_url'; this "
                                  "model reads text only."));
    assert_int_equal(parse(OPENAI_CHAT, "{\"messages\":[{\"role\":\"tool\",\"content\":\"x\"}]}"),
                     ERR_INVALID);
    assert_int_equal(
        parse(OPENAI_CHAT, "{\"messages\":[{\"role\":\"user\",\"content\":\"a\\u0000b\"}]}"),
        ERR_INVALID);
    assert_true(is(error.message, "Invalid value for 'messages[0].content': the character U+0000 "
                                  "is not allowed."));
}

static void test_bodies(void **state)
{
    assert_int_equal(parse(OPENAI_CHAT, "{\"messages\":"), ERR_PARSE);
    assert_int_equal(error.status, 400);
    assert_true(is(error.code, "invalid_json"));
    assert_int_equal(parse(OPENAI_CHAT, "[1]"), ERR_INVALID);
    assert_true(
        is(error.message, "The body of the request must be a JSON object, but it is an array."));
    struct arena small;
    arena_init(&small, 200);
    assert_int_equal(
        openai_parse(OPENAI_COMPLETION, STR("{\"prompt\":[1,2,3,4,5,6,7,8]}"), &small, &q, &error),
        ERR_NO_MEMORY);
    assert_int_equal(error.status, 413);
    arena_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_chat, setup, teardown),
        cmocka_unit_test_setup_teardown(test_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(test_prompts, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ranges_and_types, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_not_supported_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_messages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bodies, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
