/* SPDX-License-Identifier: Apache-2.0 */
/* Any body is either JSON for the engine that names its model, or an error that says why; any stream leads to whole events. */
#include "api/responses_request.h"
#include "api/responses_stream.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BUDGET = 1 << 20 };

static void check_body(struct str body)
{
    struct json_span members[] = {{.key = STR("model")}, {.key = STR("messages")}};
    size_t offset;
    CHECK(json_scan(body, members, ARRAY_LEN(members), &offset) == 0);
    CHECK(members[0].value.len > 2 && members[1].value.len > 2);
}

static void read_request(struct str body)
{
    struct api_error error = {0};
    struct arena arena;
    struct buf out;
    arena_init(&arena, BUDGET);
    buf_init(&out, BUDGET);
    if (responses_to_chat(body, &arena, &out, &error))
        CHECK(error.status >= 400 && error.message.len > 0);
    else
        check_body(buf_str(&out));
    buf_fini(&out);
    arena_fini(&arena);
}

static void check_events(struct str events)
{
    struct str data;
    size_t offset;
    while (chat_next_data(&events, &data))
        CHECK(json_scan(data, NULL, 0, &offset) == 0);
}

static void pass_stream(struct str events)
{
    static const struct openai_usage usage = {.prompt_tokens = 1};
    struct responses_stream s;
    struct buf out;
    buf_init(&out, SIZE_MAX);
    responses_stream_init(&s, STR("{}"));
    responses_stream_pass(&s, events, &out);
    responses_stream_end(&s, &usage, &out);
    check_events(buf_str(&out));
    responses_stream_fini(&s);
    buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct str rest = {(const char *)data + 1, size - 1};
    if (data[0] % 2)
        pass_stream(rest);
    else
        read_request(rest);
    return 0;
}
