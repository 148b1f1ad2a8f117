/* SPDX-License-Identifier: Apache-2.0 */
#include "api/anthropic_stream.h"

#include "api/anthropic_reply.h"
#include "api/chat_answer.h"

enum { CALLS_ARENA_MAX = 64 * 1024 * 1024 };

/* ---- events ---- */

/* `name` stands in the event's line and in its data. */
static void begin_event(struct json_writer *w, struct buf *out, const char *name)
{
    buf_put(out, STR("event: "));
    buf_put(out, str_from(name));
    buf_put(out, STR("\ndata: "));
    json_writer_init(w, out, 0);
    json_object(w);
    json_member_str(w, STR("type"), str_from(name));
}

static void end_event(struct json_writer *w)
{
    json_end(w);
    buf_put(w->out, STR("\n\n"));
}

static void fail(struct anthropic_stream *s, const struct api_error *e, struct buf *out)
{
    anthropic_write_error_event(e, out);
    s->failed = true;
}

static void fail_form(struct anthropic_stream *s, struct str message, struct buf *out)
{
    fail(s, &(struct api_error){.status = 502, .message = message}, out);
}

static void put_start(struct anthropic_stream *s, struct str id, struct str model, struct buf *out)
{
    static const struct openai_usage none = {0};
    struct json_writer w;
    s->started = true;
    begin_event(&w, out, "message_start");
    json_key(&w, STR("message"));
    json_object(&w);
    json_key(&w, STR("id"));
    json_raw(&w, chat_is_text(id) ? id : STR("\"msg\""));
    json_member_str(&w, STR("type"), STR("message"));
    json_member_str(&w, STR("role"), STR("assistant"));
    json_key(&w, STR("model"));
    json_raw(&w, chat_is_text(model) ? model : STR("\"\""));
    json_key(&w, STR("content"));
    json_array(&w);
    json_end(&w);
    json_key(&w, STR("stop_reason"));
    json_null(&w);
    json_key(&w, STR("stop_sequence"));
    json_null(&w);
    anthropic_put_usage(&w, &none);
    json_end(&w);
    end_event(&w);
}

static void close_block(struct anthropic_stream *s, struct buf *out)
{
    struct json_writer w;
    if (s->open == ANTHROPIC_NO_BLOCK)
        return;
    begin_event(&w, out, "content_block_stop");
    json_member_u64(&w, STR("index"), s->index++);
    end_event(&w);
    s->open = ANTHROPIC_NO_BLOCK;
}

/* The block's own members are to follow. False when there are too many blocks. */
static bool begin_block(struct anthropic_stream *s, enum anthropic_block kind, const char *type,
                        struct json_writer *w, struct buf *out)
{
    close_block(s, out);
    if (s->index == ANTHROPIC_BLOCKS_MAX) {
        fail_form(s, STR("The model's answer has more parts than are passed on."), out);
        return false;
    }
    s->open = kind;
    begin_event(w, out, "content_block_start");
    json_member_u64(w, STR("index"), s->index);
    json_key(w, STR("content_block"));
    json_object(w);
    json_member_str(w, STR("type"), str_from(type));
    return true;
}

static void put_delta(struct anthropic_stream *s, const char *type, const char *member,
                      struct str raw, struct buf *out)
{
    struct json_writer w;
    begin_event(&w, out, "content_block_delta");
    json_member_u64(&w, STR("index"), s->index);
    json_key(&w, STR("delta"));
    json_object(&w);
    json_member_str(&w, STR("type"), str_from(type));
    json_key(&w, str_from(member));
    json_raw(&w, raw);
    json_end(&w);
    end_event(&w);
}

/* ---- what a chunk says ---- */

static void pass_text(struct anthropic_stream *s, struct str raw, struct buf *out)
{
    struct json_writer w;
    if (s->open != ANTHROPIC_TEXT) {
        if (!begin_block(s, ANTHROPIC_TEXT, "text", &w, out))
            return;
        json_member_str(&w, STR("text"), STR(""));
        json_end(&w);
        end_event(&w);
    }
    put_delta(s, "text_delta", "text", raw, out);
}

/* False when it cannot be told to the client. */
static bool begin_call(struct anthropic_stream *s, const struct json *call, uint64_t number,
                       struct buf *out)
{
    const struct json *id = json_get(call, STR("id"));
    const struct json *name = json_get(json_get(call, STR("function")), STR("name"));
    struct json_writer w;
    if (number < s->calls || !chat_has_text(id) || !chat_has_text(name)) {
        fail_form(s, STR("The engine's tool calls have no order that can be passed on."), out);
        return false;
    }
    if (!begin_block(s, ANTHROPIC_TOOL, "tool_use", &w, out))
        return false;
    json_key(&w, STR("id"));
    json_raw(&w, id->raw);
    json_key(&w, STR("name"));
    json_raw(&w, name->raw);
    json_key(&w, STR("input"));
    json_object(&w);
    json_end(&w);
    json_end(&w);
    end_event(&w);
    s->call = number;
    s->calls = number + 1;
    return true;
}

static void pass_call(struct anthropic_stream *s, const struct json *call, struct buf *out)
{
    const struct json *arguments = json_get(json_get(call, STR("function")), STR("arguments"));
    const struct json *index = json_get(call, STR("index"));
    int64_t number = 0;
    if (index && (json_i64(index, &number) || number < 0))
        number = 0;
    if ((s->open != ANTHROPIC_TOOL || s->call != (uint64_t)number) &&
        !begin_call(s, call, (uint64_t)number, out))
        return;
    if (chat_has_text(arguments))
        put_delta(s, "input_json_delta", "partial_json", arguments->raw, out);
}

static void pass_calls(struct anthropic_stream *s, struct str raw, struct buf *out)
{
    struct arena arena;
    struct json *calls;
    if (raw.len == 0 || raw.ptr[0] != '[')
        return;
    arena_init(&arena, CALLS_ARENA_MAX);
    if (json_parse(&arena, raw, &calls, NULL))
        fail_form(s, STR("A tool call of the engine is longer than is passed on."), out);
    else
        for (const struct json *call = calls->first; call && !s->failed; call = call->next)
            pass_call(s, call, out);
    arena_fini(&arena);
}

static void note_end(struct anthropic_stream *s, const struct chat_end *end)
{
    if (end->finish.len && end->finish.len <= sizeof(s->finish)) {
        memcpy(s->finish, end->finish.ptr, end->finish.len);
        s->finish_len = (uint16_t)end->finish.len;
    }
    if (end->stop.len && end->stop.len <= sizeof(s->stop)) {
        memcpy(s->stop, end->stop.ptr, end->stop.len);
        s->stop_len = (uint16_t)end->stop.len;
    }
}

static void pass_choice(struct anthropic_stream *s, struct str choices, struct buf *out)
{
    enum { CONTENT, CALLS, MEMBERS };
    struct json_span members[MEMBERS] = {{.key = STR("content")}, {.key = STR("tool_calls")}};
    struct chat_end end;
    struct str delta;
    size_t offset;
    if (chat_read_choice(choices, STR("delta"), &delta, &end))
        return; /* none: the chunk that reports the usage */
    note_end(s, &end);
    if (!delta.ptr || json_scan(delta, members, MEMBERS, &offset))
        return;
    if (chat_is_text(members[CONTENT].value))
        pass_text(s, members[CONTENT].value, out);
    if (!s->failed)
        pass_calls(s, members[CALLS].value, out);
}

static void pass_error(struct anthropic_stream *s, struct str data, struct buf *out)
{
    struct arena arena;
    arena_init(&arena, CALLS_ARENA_MAX);
    const struct api_error e = chat_error_of(chat_error_status(data), data, &arena);
    fail(s, &e, out);
    arena_fini(&arena);
}

static void pass_data(struct anthropic_stream *s, struct str data, struct buf *out)
{
    enum { ID, MODEL, CHOICES, ERROR, MEMBERS };
    struct json_span members[MEMBERS] = {
        {.key = STR("id")}, {.key = STR("model")}, {.key = STR("choices")}, {.key = STR("error")}};
    size_t offset;
    if (json_scan(data, members, MEMBERS, &offset))
        return; /* [DONE], or no JSON */
    if (members[ERROR].value.ptr && !str_eq(members[ERROR].value, STR("null"))) {
        pass_error(s, data, out);
        return;
    }
    if (!members[CHOICES].value.ptr)
        return;
    if (!s->started)
        put_start(s, members[ID].value, members[MODEL].value, out);
    pass_choice(s, members[CHOICES].value, out);
}

void anthropic_stream_pass(struct anthropic_stream *s, struct str events, struct buf *out)
{
    struct str data;
    while (!s->failed && chat_next_data(&events, &data))
        pass_data(s, data, out);
}

void anthropic_stream_end(struct anthropic_stream *s, const struct openai_usage *usage,
                          struct buf *out)
{
    const struct chat_end end = {
        .finish = {s->finish, s->finish_len},
        .stop = s->stop_len ? (struct str){s->stop, s->stop_len} : STR_NONE,
    };
    struct json_writer w;
    if (s->failed)
        return;
    if (!s->started)
        put_start(s, STR_NONE, STR_NONE, out);
    close_block(s, out);
    begin_event(&w, out, "message_delta");
    json_key(&w, STR("delta"));
    json_object(&w);
    anthropic_put_end(&w, &end);
    json_end(&w);
    anthropic_put_usage(&w, usage);
    end_event(&w);
    begin_event(&w, out, "message_stop");
    end_event(&w);
}
