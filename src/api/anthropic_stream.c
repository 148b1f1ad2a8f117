/* SPDX-License-Identifier: Apache-2.0 */
#include "api/anthropic_stream.h"

#include "api/anthropic_reply.h"

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

static void on_fail(void *ctx, const struct api_error *e, struct buf *out)
{
    struct anthropic_stream *s = ctx;
    anthropic_write_error_event(e, out);
    s->chat.failed = true;
}

static void on_begin(void *ctx, const struct chat_head *head, struct buf *out)
{
    static const struct openai_usage none = {0};
    struct json_writer w;
    begin_event(&w, out, "message_start");
    json_key(&w, STR("message"));
    json_object(&w);
    json_key(&w, STR("id"));
    json_raw(&w, chat_is_text(head->id) ? head->id : STR("\"msg\""));
    json_member_str(&w, STR("type"), STR("message"));
    json_member_str(&w, STR("role"), STR("assistant"));
    json_key(&w, STR("model"));
    json_raw(&w, chat_is_text(head->model) ? head->model : STR("\"\""));
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

static const struct api_error too_many_parts = {
    .status = 502, .message = STR("The model's answer has more parts than are passed on.")};

/* The block's own members are to follow. False when there are too many blocks. */
static bool begin_block(struct anthropic_stream *s, enum anthropic_block kind, const char *type,
                        struct json_writer *w, struct buf *out)
{
    close_block(s, out);
    if (s->index == ANTHROPIC_BLOCKS_MAX) {
        on_fail(s, &too_many_parts, out);
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

/* ---- what the engine says ---- */

static void on_text(void *ctx, struct str text, struct buf *out)
{
    struct anthropic_stream *s = ctx;
    struct json_writer w;
    if (s->open != ANTHROPIC_TEXT) {
        if (!begin_block(s, ANTHROPIC_TEXT, "text", &w, out))
            return;
        json_member_str(&w, STR("text"), STR(""));
        json_end(&w);
        end_event(&w);
    }
    put_delta(s, "text_delta", "text", text, out);
}

static void on_call(void *ctx, struct str id, struct str name, struct buf *out)
{
    struct json_writer w;
    if (!begin_block(ctx, ANTHROPIC_TOOL, "tool_use", &w, out))
        return;
    json_key(&w, STR("id"));
    json_raw(&w, id);
    json_key(&w, STR("name"));
    json_raw(&w, name);
    json_key(&w, STR("input"));
    json_object(&w);
    json_end(&w);
    json_end(&w);
    end_event(&w);
}

static void on_arguments(void *ctx, struct str text, struct buf *out)
{
    put_delta(ctx, "input_json_delta", "partial_json", text, out);
}

void anthropic_stream_pass(struct anthropic_stream *s, struct str events, struct buf *out)
{
    static const struct chat_listener listener = {on_begin, on_text, on_call, on_arguments,
                                                  on_fail};
    chat_stream_pass(&s->chat, &listener, s, events, out);
}

void anthropic_stream_end(struct anthropic_stream *s, const struct openai_usage *usage,
                          struct buf *out)
{
    static const struct chat_head unknown = {0};
    const struct chat_end end = chat_stream_end(&s->chat);
    struct json_writer w;
    if (s->chat.failed)
        return;
    if (!s->chat.begun)
        on_begin(s, &unknown, out);
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
