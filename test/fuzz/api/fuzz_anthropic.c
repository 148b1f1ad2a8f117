/* SPDX-License-Identifier: Apache-2.0 */
/* Any body is either JSON for the engine that names its model, or an error that says why. The first byte chooses the route. */
#include "api/anthropic_request.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_body(enum anthropic_kind kind, struct str body)
{
    enum { MODEL, MESSAGES, MAX_TOKENS, MEMBERS };
    struct json_span members[MEMBERS] = {
        {.key = STR("model")}, {.key = STR("messages")}, {.key = STR("max_tokens")}};
    uint64_t most;
    size_t offset;
    CHECK(json_scan(body, members, MEMBERS, &offset) == 0);
    CHECK(members[MODEL].value.len > 2 && members[MESSAGES].value.len > 2);
    CHECK(kind == ANTHROPIC_COUNT ||
          (json_raw_u64(members[MAX_TOKENS].value, &most) == 0 && most > 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum anthropic_kind kind = data[0] % 2 ? ANTHROPIC_COUNT : ANTHROPIC_MESSAGES;
    struct str body = {(const char *)data + 1, size - 1};
    struct api_error error = {0};
    struct arena arena;
    struct buf out;
    arena_init(&arena, 1 << 20);
    buf_init(&out, 1 << 20);
    if (anthropic_to_openai(kind, body, &arena, &out, &error))
        CHECK(error.status >= 400 && error.message.len > 0);
    else
        check_body(kind, buf_str(&out));
    buf_fini(&out);
    arena_fini(&arena);
    return 0;
}
