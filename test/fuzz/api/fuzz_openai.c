/* SPDX-License-Identifier: Apache-2.0 */
/* Any body is either a request whose values keep their limits or an error that says why. The first
 * byte chooses the route. */
#include "api/openai_request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_request(enum openai_kind kind, const struct openai_request *q)
{
    CHECK(q->temperature >= 0 && q->temperature <= 2 && q->top_p >= 0 && q->top_p <= 1);
    CHECK(q->n >= 1 && q->n <= OPENAI_N_MAX && q->top_logprobs <= OPENAI_TOP_LOGPROBS_MAX);
    CHECK(q->stop_count <= OPENAI_STOPS_MAX && q->bias_count <= OPENAI_BIASES_MAX);
    CHECK(q->prompt_count <= OPENAI_PROMPTS_MAX);
    CHECK(kind == OPENAI_CHAT ? q->message_count > 0 : q->message_count + q->prompt_count > 0);
    for (size_t i = 0; i < q->stop_count; i++)
        CHECK(q->stops[i].len >= 1 && q->stops[i].len <= OPENAI_STOP_LENGTH_MAX);
    for (size_t i = 0; i < q->message_count; i++)
        CHECK(q->messages[i].role.len > 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum openai_kind kind = 1 << (data[0] % 6);
    struct str body = {(const char *)data + 1, size - 1};
    struct openai_request request;
    struct api_error error = {0};
    struct arena arena;
    arena_init(&arena, 1 << 20);
    if (openai_parse(kind, body, &arena, &request, &error))
        CHECK(error.status >= 400 && error.message.len > 0);
    else
        check_request(kind, &request);
    arena_fini(&arena);
    return 0;
}
