/* SPDX-License-Identifier: Apache-2.0 */
#include "api/chat_stream.h"

enum { CALLS_ARENA_MAX = 64 * 1024 * 1024 };

/* One passing: the stream, and whom to tell. */
struct passing {
    struct chat_stream *c;
    const struct chat_listener *listener;
    void *ctx;
    struct buf *out;
};

static void fail(const struct passing *p, const struct api_error *e)
{
    p->c->failed = true;
    p->listener->fail(p->ctx, e, p->out);
}

static void fail_form(const struct passing *p, struct str message)
{
    fail(p, &(struct api_error){.status = 502, .message = message});
}

/* ---- calls ---- */

/* False when it cannot be told. */
static bool begin_call(const struct passing *p, const struct json *call, uint64_t number)
{
    const struct json *id = json_get(call, STR("id"));
    const struct json *name = json_get(json_get(call, STR("function")), STR("name"));
    if (number < p->c->calls || !chat_has_text(id) || !chat_has_text(name)) {
        fail_form(p, STR("The engine's tool calls have no order that can be passed on."));
        return false;
    }
    p->listener->call(p->ctx, id->raw, name->raw, p->out);
    p->c->in_call = true;
    p->c->call = number;
    p->c->calls = number + 1;
    return !p->c->failed;
}

static void pass_call(const struct passing *p, const struct json *call)
{
    const struct json *arguments = json_get(json_get(call, STR("function")), STR("arguments"));
    const struct json *index = json_get(call, STR("index"));
    int64_t number = 0;
    if (index && (json_i64(index, &number) || number < 0))
        number = 0;
    bool goes_on = p->c->in_call && p->c->call == (uint64_t)number;
    if (!goes_on && !begin_call(p, call, (uint64_t)number))
        return;
    if (chat_has_text(arguments))
        p->listener->arguments(p->ctx, arguments->raw, p->out);
}

static void pass_calls(const struct passing *p, struct str raw)
{
    struct arena arena;
    struct json *calls;
    if (raw.len == 0 || raw.ptr[0] != '[')
        return;
    arena_init(&arena, CALLS_ARENA_MAX);
    if (json_parse(&arena, raw, &calls, NULL))
        fail_form(p, STR("A tool call of the engine is longer than is passed on."));
    else
        for (const struct json *call = calls->first; call && !p->c->failed; call = call->next)
            pass_call(p, call);
    arena_fini(&arena);
}

/* ---- chunks ---- */

static void note_end(struct chat_stream *c, const struct chat_end *end)
{
    if (end->finish.len && end->finish.len <= sizeof(c->finish)) {
        memcpy(c->finish, end->finish.ptr, end->finish.len);
        c->finish_len = (uint16_t)end->finish.len;
    }
    if (end->stop.len && end->stop.len <= sizeof(c->stop)) {
        memcpy(c->stop, end->stop.ptr, end->stop.len);
        c->stop_len = (uint16_t)end->stop.len;
    }
}

struct chat_end chat_stream_end(const struct chat_stream *c)
{
    return (struct chat_end){
        .finish = c->finish_len ? (struct str){c->finish, c->finish_len} : STR_NONE,
        .stop = c->stop_len ? (struct str){c->stop, c->stop_len} : STR_NONE,
    };
}

static void pass_choice(const struct passing *p, struct str choices)
{
    enum { CONTENT, CALLS, MEMBERS };
    struct json_span members[MEMBERS] = {{.key = STR("content")}, {.key = STR("tool_calls")}};
    struct chat_end end;
    struct str delta;
    size_t offset;
    if (chat_read_choice(choices, STR("delta"), &delta, &end))
        return; /* none: the chunk that reports the usage */
    note_end(p->c, &end);
    if (!delta.ptr || json_scan(delta, members, MEMBERS, &offset))
        return;
    if (chat_is_text(members[CONTENT].value)) {
        p->c->in_call = false;
        p->listener->text(p->ctx, members[CONTENT].value, p->out);
    }
    if (!p->c->failed)
        pass_calls(p, members[CALLS].value);
}

static void pass_error(const struct passing *p, struct str data)
{
    struct arena arena;
    arena_init(&arena, CALLS_ARENA_MAX);
    const struct api_error e = chat_error_of(chat_error_status(data), data, &arena);
    fail(p, &e);
    arena_fini(&arena);
}

static void pass_data(const struct passing *p, struct str data)
{
    enum { ID, MODEL, CREATED, CHOICES, ERROR, MEMBERS };
    struct json_span members[MEMBERS] = {{.key = STR("id")},
                                         {.key = STR("model")},
                                         {.key = STR("created")},
                                         {.key = STR("choices")},
                                         {.key = STR("error")}};
    size_t offset;
    if (json_scan(data, members, MEMBERS, &offset))
        return; /* [DONE], or no JSON */
    if (members[ERROR].value.ptr && !str_eq(members[ERROR].value, STR("null"))) {
        pass_error(p, data);
        return;
    }
    if (!members[CHOICES].value.ptr)
        return;
    if (!p->c->begun) {
        const struct chat_head head = {members[ID].value, members[MODEL].value,
                                       members[CREATED].value};
        p->c->begun = true;
        p->listener->begin(p->ctx, &head, p->out);
    }
    pass_choice(p, members[CHOICES].value);
}

void chat_stream_pass(struct chat_stream *c, const struct chat_listener *listener, void *ctx,
                      struct str events, struct buf *out)
{
    const struct passing p = {c, listener, ctx, out};
    struct str data;
    while (!c->failed && chat_next_data(&events, &data))
        pass_data(&p, data);
}
