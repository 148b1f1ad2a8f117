/* SPDX-License-Identifier: Apache-2.0 */
#include "api/anthropic_reply.h"

#include "api/chat_answer.h"
#include "api/openai_usage.h"

enum { CALLS_ARENA_MAX = 128 * 1024 * 1024 };

/* ---- errors ---- */

static const char *error_type(int status)
{
    switch (status) {
    case 401:
        return "authentication_error";
    case 403:
        return "permission_error";
    case 404:
        return "not_found_error";
    case 413:
        return "request_too_large";
    case 429:
        return "rate_limit_error";
    case 503:
    case 504:
    case 529:
        return "overloaded_error";
    default:
        return status < 500 ? "invalid_request_error" : "api_error";
    }
}

void anthropic_write_error(const struct api_error *e, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out, 0);
    json_object(&w);
    json_member_str(&w, STR("type"), STR("error"));
    json_key(&w, STR("error"));
    json_object(&w);
    json_member_str(&w, STR("type"), str_from(error_type(e->status)));
    json_member_str(&w, STR("message"), e->message);
    json_end(&w);
    json_end(&w);
}

void anthropic_write_error_event(const struct api_error *e, struct buf *out)
{
    buf_put(out, STR("event: error\ndata: "));
    anthropic_write_error(e, out);
    buf_put(out, STR("\n\n"));
}

/* ---- what whole answers and streams share ---- */

void anthropic_put_end(struct json_writer *w, const struct chat_end *end)
{
    static const struct {
        struct str finish;
        const char *reason;
    } reasons[] = {
        {STR("\"length\""), "max_tokens"},
        {STR("\"tool_calls\""), "tool_use"},
        {STR("\"function_call\""), "tool_use"},
        {STR("\"content_filter\""), "refusal"},
    };
    const char *reason = end->stop.ptr ? "stop_sequence" : "end_turn";
    for (size_t i = 0; i < ARRAY_LEN(reasons); i++)
        if (str_eq(end->finish, reasons[i].finish))
            reason = reasons[i].reason;
    json_member_str(w, STR("stop_reason"), str_from(reason));
    json_key(w, STR("stop_sequence"));
    if (end->stop.ptr)
        json_raw(w, end->stop);
    else
        json_null(w);
}

void anthropic_put_usage(struct json_writer *w, const struct openai_usage *usage)
{
    uint64_t cached = MIN(usage->cached_tokens, usage->prompt_tokens);
    json_key(w, STR("usage"));
    json_object(w);
    json_member_u64(w, STR("input_tokens"), usage->prompt_tokens - cached);
    json_member_u64(w, STR("cache_creation_input_tokens"), 0);
    json_member_u64(w, STR("cache_read_input_tokens"), cached);
    json_member_u64(w, STR("output_tokens"), usage->completion_tokens);
    json_end(w);
}

/* ---- a whole message ---- */

static int put_input(struct json_writer *w, const struct json *arguments)
{
    size_t offset;
    struct str text = arguments && arguments->type == JSON_STRING ? arguments->text : STR_NONE;
    if (str_trim(text).len == 0)
        text = STR("{}");
    if (json_scan(text, NULL, 0, &offset))
        return ERR_PARSE; /* the model wrote no object */
    json_key(w, STR("input"));
    json_raw(w, text);
    return 0;
}

static int put_tool_use(struct json_writer *w, const struct json *call)
{
    const struct json *function = json_get(call, STR("function"));
    const struct json *id = json_get(call, STR("id")), *name = json_get(function, STR("name"));
    if (!id || id->type != JSON_STRING || !name || name->type != JSON_STRING)
        return ERR_PARSE;
    json_object(w);
    json_member_str(w, STR("type"), STR("tool_use"));
    json_member_str(w, STR("id"), id->text);
    json_member_str(w, STR("name"), name->text);
    int error = put_input(w, json_get(function, STR("arguments")));
    if (!error)
        json_end(w);
    return error;
}

static int put_tool_uses(struct json_writer *w, struct str raw)
{
    struct arena arena;
    struct json *calls;
    int error = 0;
    if (raw.len == 0 || raw.ptr[0] != '[')
        return 0;
    arena_init(&arena, CALLS_ARENA_MAX);
    error = json_parse(&arena, raw, &calls, NULL);
    if (!error)
        for (const struct json *call = calls->first; call && !error; call = call->next)
            error = put_tool_use(w, call);
    arena_fini(&arena);
    return error ? ERR_PARSE : 0;
}

static int put_content(struct json_writer *w, struct str message)
{
    enum { CONTENT, CALLS, MEMBERS };
    struct json_span members[MEMBERS] = {{.key = STR("content")}, {.key = STR("tool_calls")}};
    size_t offset;
    if (!message.ptr || json_scan(message, members, MEMBERS, &offset))
        return ERR_PARSE;
    json_key(w, STR("content"));
    json_array(w);
    if (chat_is_text(members[CONTENT].value)) {
        json_object(w);
        json_member_str(w, STR("type"), STR("text"));
        json_key(w, STR("text"));
        json_raw(w, members[CONTENT].value);
        json_end(w);
    }
    int error = put_tool_uses(w, members[CALLS].value);
    if (!error)
        json_end(w);
    return error;
}

static int write_message(struct str answer, struct buf *out)
{
    enum { ID, MODEL, CHOICES, MEMBERS };
    struct json_span members[MEMBERS] = {
        {.key = STR("id")}, {.key = STR("model")}, {.key = STR("choices")}};
    struct openai_usage usage = {0};
    struct chat_end end;
    struct json_writer w;
    struct str message;
    size_t offset;
    if (json_scan(answer, members, MEMBERS, &offset) ||
        chat_read_choice(members[CHOICES].value, STR("message"), &message, &end))
        return ERR_PARSE;
    (void)openai_read_usage(answer, &usage);
    json_writer_init(&w, out, 0);
    json_object(&w);
    json_key(&w, STR("id"));
    json_raw(&w, chat_is_text(members[ID].value) ? members[ID].value : STR("\"msg\""));
    json_member_str(&w, STR("type"), STR("message"));
    json_member_str(&w, STR("role"), STR("assistant"));
    json_key(&w, STR("model"));
    json_raw(&w, chat_is_text(members[MODEL].value) ? members[MODEL].value : STR("\"\""));
    int error = put_content(&w, message);
    if (error)
        return error;
    anthropic_put_end(&w, &end);
    anthropic_put_usage(&w, &usage);
    json_end(&w);
    return 0;
}

int anthropic_write_message(struct str answer, struct buf *out)
{
    size_t before = out->len;
    int error = write_message(answer, out);
    if (error)
        buf_truncate(out, before);
    return error;
}

int anthropic_write_count(struct str answer, struct buf *out)
{
    struct json_span count = {.key = STR("count")};
    uint64_t tokens;
    size_t offset;
    if (json_scan(answer, &count, 1, &offset) || !count.value.ptr ||
        json_raw_u64(count.value, &tokens))
        return ERR_PARSE;
    buf_put(out, STR("{\"input_tokens\":"));
    buf_put_u64(out, tokens);
    buf_put_char(out, '}');
    return 0;
}
