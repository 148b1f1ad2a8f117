/* SPDX-License-Identifier: Apache-2.0 */
#include "api/anthropic_request.h"

#include <stdio.h>

#include "api/anthropic_internal.h"

/* ---- refusals ---- */

static int fail(struct anthropic_reader *r, int error, int status, struct str message)
{
    *r->error = (struct api_error){.status = status, .message = arena_dup(r->arena, message)};
    if (!r->error->message.ptr)
        r->error->message = STR("The request is invalid.");
    return error;
}

int anthropic_refuse(struct anthropic_reader *r, const char *format, ...)
{
    char message[ERR_MESSAGE_MAX];
    va_list args;
    size_t len = (size_t)snprintf(message, sizeof(message), "%s: ", r->place);
    va_start(args, format);
    vsnprintf(message + len, sizeof(message) - len, format, args);
    va_end(args);
    return fail(r, ERR_INVALID, 400, str_from(message));
}

void anthropic_at(struct anthropic_reader *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->place, sizeof(r->place), format, args);
    va_end(args);
}

const struct json *anthropic_given(const struct json *object, const char *name)
{
    const struct json *node = json_get(object, str_from(name));
    return node && node->type != JSON_NULL ? node : NULL;
}

int anthropic_text(struct anthropic_reader *r, const struct json *object, const char *name,
                   const struct json **ret_text)
{
    const struct json *node = anthropic_given(object, name);
    if (!node || node->type != JSON_STRING)
        return anthropic_refuse(r, "'%s' must be a string", name);
    *ret_text = node;
    return 0;
}

static bool asks_nothing(const struct json *node)
{
    switch (node->type) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return !node->boolean;
    case JSON_NUMBER:
        return node->number == 0;
    case JSON_STRING:
        return node->text.len == 0;
    default:
        return node->count == 0;
    }
}

int anthropic_only(struct anthropic_reader *r, const struct json *object, const char *const names[])
{
    json_each(member, object)
    {
        size_t i = 0;
        while (names[i] && !str_eq(member->key, str_from(names[i])))
            i++;
        if (!names[i] && !asks_nothing(member))
            return anthropic_refuse(r, "'%.*s' is not supported here",
                                    (int)MIN(member->key.len, (size_t)64), member->key.ptr);
    }
    return 0;
}

/* ---- plain fields ---- */

static int write_model(struct anthropic_reader *r, const struct json *node)
{
    if (node->type != JSON_STRING || node->text.len == 0)
        return anthropic_refuse(r, "expected the name of a model");
    json_key(&r->w, STR("model"));
    json_raw(&r->w, node->raw);
    return 0;
}

static int write_max_tokens(struct anthropic_reader *r, const struct json *node)
{
    int64_t count;
    if (json_i64(node, &count) || count < 1 || count > INT32_MAX)
        return anthropic_refuse(r, "expected a whole number from 1");
    json_member_int(&r->w, STR("max_tokens"), count);
    return 0;
}

/* temperature, top_p, top_k: of the same name and meaning; their ranges are the engine's business. */
static int write_number(struct anthropic_reader *r, const struct json *node)
{
    if (node->type != JSON_NUMBER)
        return anthropic_refuse(r, "expected a number");
    json_key(&r->w, node->key);
    json_raw(&r->w, node->raw);
    return 0;
}

static int write_stops(struct anthropic_reader *r, const struct json *node)
{
    if (node->type != JSON_ARRAY)
        return anthropic_refuse(r, "expected an array of strings");
    if (node->count == 0)
        return 0;
    json_key(&r->w, STR("stop"));
    json_array(&r->w);
    json_each(item, node)
    {
        if (item->type != JSON_STRING)
            return anthropic_refuse(r, "expected an array of strings");
        json_raw(&r->w, item->raw);
    }
    json_end(&r->w);
    return 0;
}

static int write_stream(struct anthropic_reader *r, const struct json *node)
{
    if (node->type != JSON_BOOL)
        return anthropic_refuse(r, "expected true or false");
    json_member_bool(&r->w, STR("stream"), node->boolean);
    if (!node->boolean)
        return 0;
    json_key(&r->w, STR("stream_options"));
    json_object(&r->w);
    json_member_bool(&r->w, STR("include_usage"), true);
    json_end(&r->w);
    return 0;
}

static int write_metadata(struct anthropic_reader *r, const struct json *node)
{
    static const char *const known[] = {"user_id", NULL};
    const struct json *user = anthropic_given(node, "user_id");
    if (node->type != JSON_OBJECT || (user && user->type != JSON_STRING))
        return anthropic_refuse(r, "expected {\"user_id\": \"...\"}");
    if (user) {
        json_key(&r->w, STR("user"));
        json_raw(&r->w, user->raw);
    }
    return anthropic_only(r, node, known);
}

/* An engine behind the OpenAI API thinks or does not; nobody can tell it to. */
static int check_thinking(struct anthropic_reader *r, const struct json *node)
{
    const struct json *type = anthropic_given(node, "type");
    if (type && type->type == JSON_STRING &&
        (str_eq(type->text, STR("disabled")) || str_eq(type->text, STR("adaptive"))))
        return 0;
    return anthropic_refuse(r, "thinking cannot be asked for here; leave the field out");
}

static int leave_out(struct anthropic_reader *r, const struct json *node)
{
    return 0;
}

/* ---- all together ---- */

enum { BOTH = ANTHROPIC_MESSAGES | ANTHROPIC_COUNT };

static const struct field {
    const char *name;
    unsigned kinds, required;
    int (*write)(struct anthropic_reader *r, const struct json *node);
} fields[] = {
    {"model", BOTH, BOTH, write_model},
    {"max_tokens", ANTHROPIC_MESSAGES, ANTHROPIC_MESSAGES, write_max_tokens},
    {"stream", ANTHROPIC_MESSAGES, 0, write_stream},
    {"temperature", ANTHROPIC_MESSAGES, 0, write_number},
    {"top_p", ANTHROPIC_MESSAGES, 0, write_number},
    {"top_k", ANTHROPIC_MESSAGES, 0, write_number},
    {"stop_sequences", ANTHROPIC_MESSAGES, 0, write_stops},
    {"metadata", ANTHROPIC_MESSAGES, 0, write_metadata},
    {"tools", BOTH, 0, anthropic_write_tools},
    {"tool_choice", BOTH, 0, anthropic_write_tool_choice},
    {"thinking", BOTH, 0, check_thinking},
    {"service_tier", ANTHROPIC_MESSAGES, 0, leave_out},
    {"cache_control", BOTH, 0, leave_out},
    {"system", BOTH, 0, leave_out}, /* stands among the messages */
    {"messages", BOTH, BOTH, anthropic_write_messages},
};

static int check_names(struct anthropic_reader *r)
{
    const char *names[ARRAY_LEN(fields) + 1] = {NULL};
    size_t count = 0;
    for (size_t i = 0; i < ARRAY_LEN(fields); i++)
        if (fields[i].kinds & r->kind)
            names[count++] = fields[i].name;
    anthropic_at(r, "request");
    return anthropic_only(r, r->root, names);
}

static int write_fields(struct anthropic_reader *r)
{
    int error = check_names(r);
    json_object(&r->w);
    for (size_t i = 0; i < ARRAY_LEN(fields) && !error; i++) {
        const struct json *node = anthropic_given(r->root, fields[i].name);
        anthropic_at(r, "%s", fields[i].name);
        if (node && (fields[i].kinds & r->kind))
            error = fields[i].write(r, node);
        else if (fields[i].required & r->kind)
            error = anthropic_refuse(r, "the field is required");
    }
    if (!error)
        json_end(&r->w);
    return error;
}

int anthropic_to_openai(enum anthropic_kind kind, struct str body, struct arena *arena,
                        struct buf *out, struct api_error *ret_error)
{
    struct err err = {0};
    struct json *root;
    struct anthropic_reader r = {.kind = kind, .arena = arena, .error = ret_error};
    int error = json_parse(arena, body, &root, &err);
    if (error == ERR_NO_MEMORY)
        return fail(&r, error, 413, STR("The request has too many parts."));
    anthropic_at(&r, "request");
    if (error || root->type != JSON_OBJECT) {
        anthropic_refuse(&r, "the body is not a JSON object%s%s", error ? ": " : "", err.message);
        return error ? error : ERR_INVALID;
    }
    r.root = root;
    json_writer_init(&r.w, out, 0);
    error = write_fields(&r);
    if (!error && out->error)
        return fail(&r, out->error, 413, STR("The request is too long for the engine's format."));
    return error;
}
