/* SPDX-License-Identifier: Apache-2.0 */
#include "api/responses_reply.h"

#include <stdio.h>

#include "base/hash.h"

enum { CALLS_ARENA_MAX = 128 * 1024 * 1024 };

/* ---- a response ---- */

/* What is repeated, and what stands there if nothing was asked for. */
static void put_echo(struct json_writer *w, struct str request)
{
    static const struct {
        struct str name, otherwise;
    } members[] = {
        {STR("instructions"), STR("null")},
        {STR("max_output_tokens"), STR("null")},
        {STR("metadata"), STR("{}")},
        {STR("parallel_tool_calls"), STR("true")},
        {STR("reasoning"), STR("{\"effort\":null,\"summary\":null}")},
        {STR("temperature"), STR("null")},
        {STR("text"), STR("{\"format\":{\"type\":\"text\"}}")},
        {STR("tool_choice"), STR("\"auto\"")},
        {STR("tools"), STR("[]")},
        {STR("top_p"), STR("null")},
        {STR("user"), STR("null")},
    };
    struct json_span spans[ARRAY_LEN(members)];
    size_t offset;
    for (size_t i = 0; i < ARRAY_LEN(members); i++)
        spans[i] = (struct json_span){.key = members[i].name};
    (void)!json_scan(request, spans, ARRAY_LEN(members), &offset); /* it was read before */
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        struct str value = spans[i].value;
        bool is_given = value.ptr && value.len <= RESPONSES_ECHO_MAX && !str_eq(value, STR("null"));
        json_key(w, members[i].name);
        json_raw(w, is_given ? value : members[i].otherwise);
    }
}

static void put_usage(struct json_writer *w, const struct openai_usage *usage)
{
    json_key(w, STR("usage"));
    if (!usage) {
        json_null(w);
        return;
    }
    json_object(w);
    json_member_u64(w, STR("input_tokens"), usage->prompt_tokens);
    json_key(w, STR("input_tokens_details"));
    json_object(w);
    json_member_u64(w, STR("cached_tokens"), usage->cached_tokens);
    json_end(w);
    json_member_u64(w, STR("output_tokens"), usage->completion_tokens);
    json_key(w, STR("output_tokens_details"));
    json_object(w);
    json_member_u64(w, STR("reasoning_tokens"), 0);
    json_end(w);
    json_member_u64(w, STR("total_tokens"), usage->prompt_tokens + usage->completion_tokens);
    json_end(w);
}

enum responses_status responses_status_of(struct str finish)
{
    return str_eq(finish, STR("\"length\"")) || str_eq(finish, STR("\"content_filter\""))
               ? RESPONSES_INCOMPLETE
               : RESPONSES_COMPLETED;
}

static void put_incomplete(struct json_writer *w, enum responses_status status, struct str finish)
{
    json_key(w, STR("incomplete_details"));
    if (status != RESPONSES_INCOMPLETE) {
        json_null(w);
        return;
    }
    json_object(w);
    json_member_str(w, STR("reason"),
                    str_eq(finish, STR("\"length\"")) ? STR("max_output_tokens")
                                                      : STR("content_filter"));
    json_end(w);
}

static void put_null(struct json_writer *w, struct str key)
{
    json_key(w, key);
    json_null(w);
}

void responses_put(struct json_writer *w, const struct responses_head *head,
                   enum responses_status status, struct str finish, struct str output,
                   const struct openai_usage *usage)
{
    static const char *const words[] = {"in_progress", "completed", "incomplete"};
    char id[RESPONSES_ID_MAX];
    snprintf(id, sizeof(id), "resp_%016llx", (unsigned long long)head->id);
    json_object(w);
    json_member_str(w, STR("id"), str_from(id));
    json_member_str(w, STR("object"), STR("response"));
    json_member_u64(w, STR("created_at"), head->created);
    json_member_str(w, STR("status"), str_from(words[status]));
    json_member_bool(w, STR("background"), false);
    json_member_bool(w, STR("store"), false);
    put_null(w, STR("error"));
    put_null(w, STR("previous_response_id"));
    put_incomplete(w, status, finish);
    json_key(w, STR("model"));
    json_raw(w, chat_is_text(head->model) ? head->model : STR("\"\""));
    json_key(w, STR("output"));
    json_array(w);
    if (output.len)
        json_raw(w, output);
    json_end(w);
    put_echo(w, head->request);
    json_member_str(w, STR("truncation"), STR("disabled"));
    put_usage(w, usage);
    json_end(w);
}

/* ---- items ---- */

char *responses_item_id(char id[RESPONSES_ID_MAX], const char *prefix, uint64_t of, uint64_t index)
{
    snprintf(id, RESPONSES_ID_MAX, "%s_%016llx_%llu", prefix, (unsigned long long)of,
             (unsigned long long)index);
    return id;
}

static void begin_item(struct json_writer *w, const char *type, const char *id, bool is_done)
{
    json_object(w);
    json_member_str(w, STR("type"), str_from(type));
    json_member_str(w, STR("id"), str_from(id));
    json_member_str(w, STR("status"), is_done ? STR("completed") : STR("in_progress"));
}

void responses_put_part(struct json_writer *w, struct str text)
{
    json_object(w);
    json_member_str(w, STR("type"), STR("output_text"));
    json_key(w, STR("text"));
    json_raw(w, text);
    json_key(w, STR("annotations"));
    json_array(w);
    json_end(w);
    json_key(w, STR("logprobs"));
    json_array(w);
    json_end(w);
    json_end(w);
}

void responses_put_message(struct json_writer *w, const char *id, bool is_done, struct str text)
{
    begin_item(w, "message", id, is_done);
    json_member_str(w, STR("role"), STR("assistant"));
    json_key(w, STR("content"));
    json_array(w);
    if (is_done)
        responses_put_part(w, text);
    json_end(w);
    json_end(w);
}

void responses_put_call(struct json_writer *w, const char *id, bool is_done, struct str call_id,
                        struct str name, struct str arguments)
{
    begin_item(w, "function_call", id, is_done);
    json_key(w, STR("call_id"));
    json_raw(w, call_id);
    json_key(w, STR("name"));
    json_raw(w, name);
    json_key(w, STR("arguments"));
    json_raw(w, arguments);
    json_end(w);
}

/* ---- a whole answer ---- */

static int put_call(struct json_writer *w, const struct json *call, uint64_t of, uint64_t index)
{
    const struct json *function = json_get(call, STR("function"));
    const struct json *id = json_get(call, STR("id")), *name = json_get(function, STR("name"));
    const struct json *arguments = json_get(function, STR("arguments"));
    char item[RESPONSES_ID_MAX];
    if (!chat_has_text(id) || !chat_has_text(name) || !arguments || arguments->type != JSON_STRING)
        return ERR_PARSE;
    responses_put_call(w, responses_item_id(item, "fc", of, index), true, id->raw, name->raw,
                       arguments->raw);
    return 0;
}

static int put_calls(struct json_writer *w, struct str raw, uint64_t of, uint64_t index)
{
    struct arena arena;
    struct json *calls;
    if (raw.len == 0 || raw.ptr[0] != '[')
        return 0;
    arena_init(&arena, CALLS_ARENA_MAX);
    int error = json_parse(&arena, raw, &calls, NULL);
    if (!error)
        for (const struct json *call = calls->first; call && !error; call = call->next)
            error = put_call(w, call, of, index++);
    arena_fini(&arena);
    return error ? ERR_PARSE : 0;
}

/* As an array, for its brackets to be left out. */
static int put_output(struct json_writer *w, struct str message, uint64_t of)
{
    enum { CONTENT, CALLS, MEMBERS };
    struct json_span members[MEMBERS] = {{.key = STR("content")}, {.key = STR("tool_calls")}};
    char id[RESPONSES_ID_MAX];
    size_t offset;
    if (!message.ptr || json_scan(message, members, MEMBERS, &offset))
        return ERR_PARSE;
    bool has_text = chat_is_text(members[CONTENT].value);
    json_array(w);
    if (has_text)
        responses_put_message(w, responses_item_id(id, "msg", of, 0), true, members[CONTENT].value);
    int error = put_calls(w, members[CALLS].value, of, has_text);
    if (!error)
        json_end(w);
    return error;
}

int responses_write(struct str request, struct str answer, struct buf *out)
{
    enum { ID, MODEL, CREATED, CHOICES, MEMBERS };
    struct json_span members[MEMBERS] = {{.key = STR("id")},
                                         {.key = STR("model")},
                                         {.key = STR("created")},
                                         {.key = STR("choices")}};
    struct openai_usage usage = {0};
    struct json_writer w;
    struct chat_end end;
    struct str message;
    struct buf output;
    size_t offset;
    if (json_scan(answer, members, MEMBERS, &offset) ||
        chat_read_choice(members[CHOICES].value, STR("message"), &message, &end))
        return ERR_PARSE;
    struct responses_head head = {
        .request = request, .id = hash_bytes(members[ID].value), .model = members[MODEL].value};
    if (members[CREATED].value.ptr)
        (void)!json_raw_u64(members[CREATED].value, &head.created);
    bool is_reported = openai_read_usage(answer, &usage);
    buf_init(&output, out->max);
    json_writer_init(&w, &output, 0);
    int error = put_output(&w, message, head.id);
    if (!error && output.error)
        out->error = output.error;
    if (!error && !output.error) {
        json_writer_init(&w, out, 0);
        responses_put(&w, &head, responses_status_of(end.finish), end.finish,
                      str_sub(buf_str(&output), 1, output.len - 1), is_reported ? &usage : NULL);
    }
    buf_fini(&output);
    return error;
}
