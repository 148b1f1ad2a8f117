/* SPDX-License-Identifier: Apache-2.0 */
#include "api/responses_stream.h"

#include "base/hash.h"

enum { CALL_NAME_MAX = 64 * 1024 };

void responses_stream_init(struct responses_stream *s, struct str request)
{
    *s = (struct responses_stream){.request = request};
    buf_init(&s->value, RESPONSES_ANSWER_MAX);
    buf_init(&s->items, 2 * RESPONSES_ANSWER_MAX);
    buf_init(&s->call_id, CALL_NAME_MAX);
    buf_init(&s->name, CALL_NAME_MAX);
}

void responses_stream_fini(struct responses_stream *s)
{
    buf_fini(&s->value);
    buf_fini(&s->items);
    buf_fini(&s->call_id);
    buf_fini(&s->name);
}

/* ---- events ---- */

/* `name` stands in the event's line and in its data. */
static void begin_event(struct responses_stream *s, struct json_writer *w, struct buf *out,
                        const char *name)
{
    buf_put(out, STR("event: "));
    buf_put(out, str_from(name));
    buf_put(out, STR("\ndata: "));
    json_writer_init(w, out, 0);
    json_object(w);
    json_member_str(w, STR("type"), str_from(name));
    json_member_u64(w, STR("sequence_number"), s->sequence++);
}

static void end_event(struct json_writer *w)
{
    json_end(w);
    buf_put(w->out, STR("\n\n"));
}

/* Flat as the format has it, and nested as its SDKs know it from other streams. */
void responses_stream_fail(struct responses_stream *s, const struct api_error *e, struct buf *out)
{
    struct json_writer w;
    s->chat.failed = true;
    begin_event(s, &w, out, "error");
    json_key(&w, STR("code"));
    if (e->code.ptr)
        json_str(&w, e->code);
    else
        json_str(&w, str_from(api_error_type(e->status)));
    json_member_str(&w, STR("message"), e->message);
    json_key(&w, STR("param"));
    json_null(&w);
    json_key(&w, STR("error"));
    json_object(&w);
    json_member_str(&w, STR("type"), str_from(api_error_type(e->status)));
    json_member_str(&w, STR("message"), e->message);
    if (e->code.ptr)
        json_member_str(&w, STR("code"), e->code);
    json_end(&w);
    end_event(&w);
}

static struct responses_head head_of(const struct responses_stream *s)
{
    return (struct responses_head){.request = s->request,
                                   .id = s->id,
                                   .model = {s->model, s->model_len},
                                   .created = s->created};
}

static void put_response(struct responses_stream *s, const char *event,
                         enum responses_status status, const struct openai_usage *usage,
                         struct buf *out)
{
    const struct responses_head head = head_of(s);
    struct json_writer w;
    begin_event(s, &w, out, event);
    json_key(&w, STR("response"));
    responses_put(&w, &head, status, chat_stream_end(&s->chat).finish, buf_str(&s->items), usage);
    end_event(&w);
}

static void start(struct responses_stream *s, struct buf *out)
{
    put_response(s, "response.created", RESPONSES_IN_PROGRESS, NULL, out);
    put_response(s, "response.in_progress", RESPONSES_IN_PROGRESS, NULL, out);
}

/* ---- items ---- */

static char *item_id(const struct responses_stream *s, char id[RESPONSES_ID_MAX])
{
    return responses_item_id(id, s->open == RESPONSES_TEXT ? "msg" : "fc", s->id, s->index);
}

/* Of the open item; what belongs to its event alone is to follow. */
static void begin_item_event(struct responses_stream *s, struct json_writer *w, struct buf *out,
                             const char *name)
{
    char id[RESPONSES_ID_MAX];
    begin_event(s, w, out, name);
    json_member_str(w, STR("item_id"), str_from(item_id(s, id)));
    json_member_u64(w, STR("output_index"), s->index);
    if (s->open == RESPONSES_TEXT)
        json_member_u64(w, STR("content_index"), 0);
}

static void put_item(struct responses_stream *s, struct json_writer *w, bool is_done)
{
    char id[RESPONSES_ID_MAX];
    struct str value = is_done ? buf_str(&s->value) : STR("\"\"");
    if (s->open == RESPONSES_TEXT)
        responses_put_message(w, item_id(s, id), is_done, value);
    else
        responses_put_call(w, item_id(s, id), is_done, buf_str(&s->call_id), buf_str(&s->name),
                           value);
}

static void put_item_event(struct responses_stream *s, const char *name, bool is_done,
                           struct buf *out)
{
    struct json_writer w;
    begin_event(s, &w, out, name);
    json_member_u64(&w, STR("output_index"), s->index);
    json_key(&w, STR("item"));
    put_item(s, &w, is_done);
    end_event(&w);
}

static void put_part_event(struct responses_stream *s, const char *name, struct str text,
                           struct buf *out)
{
    struct json_writer w;
    begin_item_event(s, &w, out, name);
    json_key(&w, STR("part"));
    responses_put_part(&w, text);
    end_event(&w);
}

static void put_value_event(struct responses_stream *s, const char *name, const char *member,
                            struct str value, struct buf *out)
{
    struct json_writer w;
    begin_item_event(s, &w, out, name);
    json_key(&w, str_from(member));
    json_raw(&w, value);
    if (s->open == RESPONSES_TEXT) {
        json_key(&w, STR("logprobs"));
        json_array(&w);
        json_end(&w);
    }
    end_event(&w);
}

static void open_item(struct responses_stream *s, enum responses_open kind, struct buf *out)
{
    s->open = kind;
    buf_clear(&s->value);
    buf_put_char(&s->value, '"');
    put_item_event(s, "response.output_item.added", false, out);
    if (kind == RESPONSES_TEXT)
        put_part_event(s, "response.content_part.added", STR("\"\""), out);
}

static const struct api_error too_long = {
    .status = 502, .message = STR("The model's answer is longer than is passed on (4 MiB).")};

/* False: the answer is too long. */
static bool keep_item(struct responses_stream *s, struct buf *out)
{
    struct json_writer w;
    if (s->items.len)
        buf_put_char(&s->items, ',');
    json_writer_init(&w, &s->items, 0);
    put_item(s, &w, true);
    if (s->items.len <= RESPONSES_ANSWER_MAX && !s->items.error)
        return true;
    responses_stream_fail(s, &too_long, out);
    return false;
}

static void close_item(struct responses_stream *s, struct buf *out)
{
    if (s->open == RESPONSES_NO_ITEM)
        return;
    buf_put_char(&s->value, '"');
    if (!keep_item(s, out))
        return;
    struct str value = buf_str(&s->value);
    if (s->open == RESPONSES_TEXT) {
        put_value_event(s, "response.output_text.done", "text", value, out);
        put_part_event(s, "response.content_part.done", value, out);
    } else {
        put_value_event(s, "response.function_call_arguments.done", "arguments", value, out);
    }
    put_item_event(s, "response.output_item.done", true, out);
    s->open = RESPONSES_NO_ITEM;
    s->index++;
}

/* `raw` is a JSON string: between its quotes it is a part of the whole one. */
static void add_delta(struct responses_stream *s, const char *name, struct str raw, struct buf *out)
{
    buf_put(&s->value, str_sub(raw, 1, raw.len - 1));
    if (s->value.error || s->value.len == RESPONSES_ANSWER_MAX) {
        responses_stream_fail(s, &too_long, out);
        return;
    }
    put_value_event(s, name, "delta", raw, out);
}

/* ---- what the engine says ---- */

static void on_begin(void *ctx, const struct chat_head *head, struct buf *out)
{
    struct responses_stream *s = ctx;
    s->id = hash_bytes(head->id);
    if (chat_is_text(head->model) && head->model.len <= sizeof(s->model)) {
        memcpy(s->model, head->model.ptr, head->model.len);
        s->model_len = (uint16_t)head->model.len;
    }
    if (head->created.ptr)
        (void)!json_raw_u64(head->created, &s->created);
    start(s, out);
}

static void on_text(void *ctx, struct str text, struct buf *out)
{
    struct responses_stream *s = ctx;
    if (s->open != RESPONSES_TEXT) {
        close_item(s, out);
        if (s->chat.failed)
            return;
        open_item(s, RESPONSES_TEXT, out);
    }
    add_delta(s, "response.output_text.delta", text, out);
}

static void on_call(void *ctx, struct str id, struct str name, struct buf *out)
{
    static const struct api_error long_name = {
        .status = 502,
        .message = STR("The engine's tool calls have no order that can be passed on.")};
    struct responses_stream *s = ctx;
    if (MAX(id.len, name.len) > CALL_NAME_MAX) {
        responses_stream_fail(s, &long_name, out);
        return;
    }
    close_item(s, out);
    if (s->chat.failed)
        return;
    buf_clear(&s->call_id);
    buf_put(&s->call_id, id);
    buf_clear(&s->name);
    buf_put(&s->name, name);
    open_item(s, RESPONSES_CALL, out);
}

static void on_arguments(void *ctx, struct str text, struct buf *out)
{
    add_delta(ctx, "response.function_call_arguments.delta", text, out);
}

static void on_fail(void *ctx, const struct api_error *e, struct buf *out)
{
    responses_stream_fail(ctx, e, out);
}

void responses_stream_pass(struct responses_stream *s, struct str events, struct buf *out)
{
    static const struct chat_listener listener = {on_begin, on_text, on_call, on_arguments,
                                                  on_fail};
    chat_stream_pass(&s->chat, &listener, s, events, out);
}

void responses_stream_end(struct responses_stream *s, const struct openai_usage *usage,
                          struct buf *out)
{
    if (!s->chat.failed && !s->chat.begun)
        start(s, out);
    if (!s->chat.failed)
        close_item(s, out);
    if (s->chat.failed)
        return;
    enum responses_status status = responses_status_of(chat_stream_end(&s->chat).finish);
    put_response(s, status == RESPONSES_COMPLETED ? "response.completed" : "response.incomplete",
                 status, usage, out);
}
