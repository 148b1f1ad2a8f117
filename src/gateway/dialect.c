/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/dialect.h"

#include "api/anthropic_reply.h"
#include "api/anthropic_request.h"
#include "api/anthropic_stream.h"
#include "api/responses_request.h"
#include "api/responses_stream.h"

enum { ERROR_ARENA_MAX = 64 * 1024 };

/* ---- OpenAI's ---- */

/* In one line: JSON needs no line breaks. */
static void openai_late(void *state, int status, struct str answer, struct buf *out)
{
    buf_put(out, STR("data: "));
    size_t begin = out->len;
    buf_put(out, answer);
    for (size_t i = begin; i < out->len; i++)
        if (out->ptr[i] == '\n' || out->ptr[i] == '\r')
            out->ptr[i] = ' ';
    buf_put(out, STR("\n\n"));
}

static void openai_error_event(void *state, const struct api_error *e, struct buf *out)
{
    openai_write_error_event(e, out);
}

static const struct dialect openai = {
    .late = openai_late,
    .error = api_error_write,
    .error_event = openai_error_event,
};

/* ---- Anthropic's ---- */

static int messages_request(struct str body, struct arena *arena, struct buf *out,
                            struct api_error *ret_error)
{
    return anthropic_to_openai(ANTHROPIC_MESSAGES, body, arena, out, ret_error);
}

static int count_request(struct str body, struct arena *arena, struct buf *out,
                         struct api_error *ret_error)
{
    return anthropic_to_openai(ANTHROPIC_COUNT, body, arena, out, ret_error);
}

static const struct api_error no_form = {
    .status = 502,
    .message = STR("The engine's answer has no form in this API: it is not of the kind that was "
                   "asked for, or the model wrote a tool call that is no JSON object."),
};

/* An answer that is an error, or that `write` cannot carry over. */
static int write_whole(int (*write)(struct str answer, struct buf *out), int status,
                       struct str answer, struct buf *out)
{
    struct arena arena;
    if (status < 400) {
        if (write(answer, out) == 0)
            return status;
        anthropic_write_error(&no_form, out);
        return no_form.status;
    }
    arena_init(&arena, ERROR_ARENA_MAX);
    const struct api_error e = chat_error_of(status, answer, &arena);
    anthropic_write_error(&e, out);
    arena_fini(&arena);
    return status;
}

static int messages_whole(struct str request, int status, struct str answer, struct buf *out)
{
    return write_whole(anthropic_write_message, status, answer, out);
}

static int count_whole(struct str request, int status, struct str answer, struct buf *out)
{
    return write_whole(anthropic_write_count, status, answer, out);
}

static void anthropic_late(void *state, int status, struct str answer, struct buf *out)
{
    struct arena arena;
    arena_init(&arena, ERROR_ARENA_MAX);
    const struct api_error e = status < 400 ? no_form : chat_error_of(status, answer, &arena);
    anthropic_write_error_event(&e, out);
    arena_fini(&arena);
}

static void anthropic_error_event(void *state, const struct api_error *e, struct buf *out)
{
    anthropic_write_error_event(e, out);
}

static void messages_pass(void *state, struct str events, struct buf *out)
{
    anthropic_stream_pass(state, events, out);
}

static void messages_end(void *state, const struct openai_usage *usage, struct buf *out)
{
    anthropic_stream_end(state, usage, out);
}

static const struct dialect anthropic_messages = {
    .upstream_path = STR("/v1/chat/completions"),
    .id_header = STR("request-id"),
    .request = messages_request,
    .whole = messages_whole,
    .late = anthropic_late,
    .pass = messages_pass,
    .end = messages_end,
    .state_size = sizeof(struct anthropic_stream),
    .error = anthropic_write_error,
    .error_event = anthropic_error_event,
};

static const struct dialect anthropic_count = {
    .upstream_path = STR("/tokenize"),
    .id_header = STR("request-id"),
    .request = count_request,
    .whole = count_whole,
    .late = anthropic_late,
    .error = anthropic_write_error,
    .error_event = anthropic_error_event,
};

/* ---- OpenAI's Responses ---- */

static int responses_whole(struct str request, int status, struct str answer, struct buf *out)
{
    if (status >= 400) {
        buf_put(out, answer);
        return status;
    }
    if (responses_write(request, answer, out) == 0)
        return status;
    buf_clear(out);
    api_error_write(&no_form, out);
    return no_form.status;
}

static void responses_late(void *state, int status, struct str answer, struct buf *out)
{
    struct arena arena;
    arena_init(&arena, ERROR_ARENA_MAX);
    const struct api_error e = status < 400 ? no_form : chat_error_of(status, answer, &arena);
    responses_stream_fail(state, &e, out);
    arena_fini(&arena);
}

static void responses_begin(void *state, struct str request)
{
    responses_stream_init(state, request);
}

static void responses_fini(void *state)
{
    responses_stream_fini(state);
}

static void responses_pass(void *state, struct str events, struct buf *out)
{
    responses_stream_pass(state, events, out);
}

static void responses_end(void *state, const struct openai_usage *usage, struct buf *out)
{
    responses_stream_end(state, usage, out);
}

static void responses_error_event(void *state, const struct api_error *e, struct buf *out)
{
    responses_stream_fail(state, e, out);
}

static const struct dialect responses = {
    .upstream_path = STR("/v1/chat/completions"),
    .request = responses_to_chat,
    .whole = responses_whole,
    .late = responses_late,
    .state_size = sizeof(struct responses_stream),
    .begin = responses_begin,
    .fini = responses_fini,
    .pass = responses_pass,
    .end = responses_end,
    .error = api_error_write,
    .error_event = responses_error_event,
};

const struct dialect *dialect_of(struct str path)
{
    if (str_eq(path, STR("/v1/responses")))
        return &responses;
    if (!str_starts(path, STR("/v1/messages")))
        return &openai;
    return str_eq(path, STR("/v1/messages/count_tokens")) ? &anthropic_count : &anthropic_messages;
}
