/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the OpenAI format, byte for byte. */
#include "api/openai_reply.h"

#include "test.h"

static struct buf out;

static int setup(void **state)
{
    buf_init(&out, 1 << 16);
    return 0;
}

static int teardown(void **state)
{
    buf_fini(&out);
    return 0;
}

static struct openai_reply reply_of(enum openai_kind kind)
{
    return (struct openai_reply){
        .kind = kind, .id = STR("i"), .model = STR("m"), .fingerprint = STR("f"), .created = 7};
}

static void test_chat(void **state)
{
    struct openai_reply reply = reply_of(OPENAI_CHAT);
    struct openai_choice choice = {.text = STR("Hi\n"), .finish = "stop"};
    struct openai_usage usage = {3, 2, 1};
    openai_write_reply(&reply, &choice, 1, &usage, &out);
    assert_string_equal(
        buf_cstr(&out),
        "{\"id\":\"i\",\"object\":\"chat.completion\",\"created\":7,\"model\":\"m\","
        "\"system_fingerprint\":\"f\",\"choices\":[{\"index\":0,\"message\":{\"role\":"
        "\"assistant\",\"content\":\"Hi\\n\",\"refusal\":null},\"logprobs\":null,"
        "\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,"
        "\"total_tokens\":5,\"prompt_tokens_details\":{\"cached_tokens\":1}}}");
}

static void test_stream(void **state)
{
    struct openai_reply reply = reply_of(OPENAI_CHAT);
    struct openai_choice choice = {.index = 1, .text = STR("a")};
    struct openai_usage usage = {3, 2, 0};
    openai_write_chunk(&reply, &choice, true, true, &out);
    choice.text = STR("");
    choice.finish = "length";
    openai_write_chunk(&reply, &choice, false, false, &out);
    openai_write_usage_chunk(&reply, &usage, &out);
    openai_write_done(&out);
    const char *head = "data: {\"id\":\"i\",\"object\":\"chat.completion.chunk\",\"created\":7,"
                       "\"model\":\"m\",\"system_fingerprint\":\"f\",\"choices\":[";
    char expected[2048];
    snprintf(expected, sizeof(expected),
             "%s{\"index\":1,\"delta\":{\"role\":\"assistant\",\"content\":\"a\"},"
             "\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n"
             "%s{\"index\":1,\"delta\":{},\"logprobs\":null,\"finish_reason\":\"length\"}]}\n\n"
             "%s],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5,"
             "\"prompt_tokens_details\":{\"cached_tokens\":0}}}\n\ndata: [DONE]\n\n",
             head, head, head);
    assert_string_equal(buf_cstr(&out), expected);
}

static void test_logprobs(void **state)
{
    const struct openai_likely top[] = {{STR("a"), -0.5f}, {STR("\xC3"), -1}};
    const struct openai_logprob logprobs[] = {{{STR("\xC3"), -1}, top, 2, 4}};
    struct openai_choice choice = {.text = STR(""), .logprobs = logprobs, .logprob_count = 1};
    struct openai_usage usage = {0};
    struct openai_reply reply = reply_of(OPENAI_CHAT);
    openai_write_reply(&reply, &choice, 1, &usage, &out);
    /* A cut character is mended in the text and exact in the bytes. */
    assert_non_null(strstr(buf_cstr(&out),
                           "\"logprobs\":{\"content\":[{\"token\":\"\xEF\xBF\xBD\",\"logprob\":-1,"
                           "\"bytes\":[195],\"top_logprobs\":[{\"token\":\"a\",\"logprob\":-0.5,"
                           "\"bytes\":[97]},{\"token\":\"\xEF\xBF\xBD\",\"logprob\":-1,\"bytes\":"
                           "[195]}]}],\"refusal\":null}"));
    reply = reply_of(OPENAI_COMPLETION);
    buf_clear(&out);
    openai_write_reply(&reply, &choice, 1, &usage, &out);
    assert_non_null(strstr(buf_cstr(&out),
                           "\"logprobs\":{\"tokens\":[\"\xEF\xBF\xBD\"],\"token_logprobs\":[-1],"
                           "\"top_logprobs\":[{\"a\":-0.5}],\"text_offset\":[4]}"));
}

static void test_generate(void **state)
{
    struct openai_reply reply = reply_of(OPENAI_GENERATE);
    struct openai_choice choice = {.text = STR("one\ntwo\r\n\rend"), .finish = "stop"};
    openai_write_chunk(&reply, &choice, true, false, &out);
    assert_string_equal(buf_cstr(&out), "data: one\ndata: two\ndata: \ndata: end\n\n");
    buf_clear(&out);
    choice.text = STR("");
    openai_write_chunk(&reply, &choice, false, false, &out);
    assert_int_equal(out.len, 0);
}

static void test_embeddings(void **state)
{
    const float vector[] = {1, -0.5f};
    const float *vectors[] = {vector};
    openai_write_embeddings(STR("m"), vectors, 1, 2, false, 4, &out);
    assert_string_equal(buf_cstr(&out),
                        "{\"object\":\"list\",\"data\":[{\"object\":\"embedding\",\"index\":0,"
                        "\"embedding\":[1,-0.5]}],\"model\":\"m\",\"usage\":{\"prompt_tokens\":4,"
                        "\"total_tokens\":4}}");
    buf_clear(&out);
    openai_write_embeddings(STR("m"), vectors, 1, 2, true, 4, &out);
    assert_non_null(strstr(buf_cstr(&out), "\"embedding\":\"AACAPwAAAL8=\""));
}

static void test_models(void **state)
{
    struct openai_model model = {STR("m"), 7, STR("o"), 512};
    openai_write_models(&model, 1, &out);
    assert_string_equal(buf_cstr(&out),
                        "{\"object\":\"list\",\"data\":[{\"id\":\"m\",\"object\":\"model\","
                        "\"created\":7,\"owned_by\":\"o\",\"max_model_len\":512}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_chat, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream, setup, teardown),
        cmocka_unit_test_setup_teardown(test_logprobs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_generate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_embeddings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_models, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
