/* SPDX-License-Identifier: Apache-2.0 */
#include "api/translate.h"

#include <stdio.h>

enum { TRANSLATE_FIELDS_MAX = 48 };

/* ---- refusals ---- */

static int fail(struct translator *r, int error, int status, struct str message)
{
    *r->error = (struct api_error){.status = status, .message = arena_dup(r->arena, message)};
    if (!r->error->message.ptr)
        r->error->message = STR("The request is invalid.");
    return error;
}

int translate_refuse(struct translator *r, const char *format, ...)
{
    char message[ERR_MESSAGE_MAX];
    va_list args;
    size_t len = (size_t)snprintf(message, sizeof(message), "%s: ", r->place);
    va_start(args, format);
    vsnprintf(message + len, sizeof(message) - len, format, args);
    va_end(args);
    return fail(r, ERR_INVALID, 400, str_from(message));
}

void translate_at(struct translator *r, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(r->place, sizeof(r->place), format, args);
    va_end(args);
}

const struct json *translate_given(const struct json *object, const char *name)
{
    const struct json *node = json_get(object, str_from(name));
    return node && node->type != JSON_NULL ? node : NULL;
}

int translate_text(struct translator *r, const struct json *object, const char *name,
                   const struct json **ret_text)
{
    const struct json *node = translate_given(object, name);
    if (!node || node->type != JSON_STRING)
        return translate_refuse(r, "'%s' must be a string", name);
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

int translate_only(struct translator *r, const struct json *object, const char *const names[])
{
    json_each(member, object)
    {
        size_t i = 0;
        while (names[i] && !str_eq(member->key, str_from(names[i])))
            i++;
        if (!names[i] && !asks_nothing(member))
            return translate_refuse(r, "'%.*s' is not supported here",
                                    (int)MIN(member->key.len, (size_t)64), member->key.ptr);
    }
    return 0;
}

/* ---- common values ---- */

void translate_put_text(struct translator *r, struct str text)
{
    json_object(&r->w);
    json_member_str(&r->w, STR("type"), STR("text"));
    json_key(&r->w, STR("text"));
    json_raw(&r->w, text);
    json_end(&r->w);
}

/* {"type":"function","function":{"name":... */
static void begin_function(struct translator *r, struct str name)
{
    json_member_str(&r->w, STR("type"), STR("function"));
    json_key(&r->w, STR("function"));
    json_object(&r->w);
    json_key(&r->w, STR("name"));
    json_raw(&r->w, name);
}

static void end_function(struct translator *r)
{
    json_end(&r->w);
    json_end(&r->w);
}

void translate_put_function(struct translator *r, struct str name)
{
    json_object(&r->w);
    begin_function(r, name);
    end_function(r);
}

void translate_begin_call(struct translator *r, struct str id, struct str name)
{
    json_object(&r->w);
    json_key(&r->w, STR("id"));
    json_raw(&r->w, id);
    begin_function(r, name);
    json_key(&r->w, STR("arguments"));
}

void translate_end_call(struct translator *r)
{
    end_function(r);
}

/* ---- common fields ---- */

int translate_model(struct translator *r, const struct json *node)
{
    if (node->type != JSON_STRING || node->text.len == 0)
        return translate_refuse(r, "expected the name of a model");
    json_key(&r->w, STR("model"));
    json_raw(&r->w, node->raw);
    return 0;
}

int translate_max_tokens(struct translator *r, const struct json *node)
{
    int64_t count;
    if (json_i64(node, &count) || count < 1 || count > INT32_MAX)
        return translate_refuse(r, "expected a whole number from 1");
    json_member_int(&r->w, STR("max_tokens"), count);
    return 0;
}

int translate_number(struct translator *r, const struct json *node)
{
    if (node->type != JSON_NUMBER)
        return translate_refuse(r, "expected a number");
    json_key(&r->w, node->key);
    json_raw(&r->w, node->raw);
    return 0;
}

int translate_stream(struct translator *r, const struct json *node)
{
    if (node->type != JSON_BOOL)
        return translate_refuse(r, "expected true or false");
    json_member_bool(&r->w, STR("stream"), node->boolean);
    if (!node->boolean)
        return 0;
    json_key(&r->w, STR("stream_options"));
    json_object(&r->w);
    json_member_bool(&r->w, STR("include_usage"), true);
    json_end(&r->w);
    return 0;
}

int translate_nothing(struct translator *r, const struct json *node)
{
    return 0;
}

/* ---- all together ---- */

static int check_names(struct translator *r, const struct translate_field *fields, size_t count)
{
    const char *names[TRANSLATE_FIELDS_MAX + 1] = {NULL};
    size_t known = 0;
    CHECK(count <= TRANSLATE_FIELDS_MAX);
    for (size_t i = 0; i < count; i++)
        if (fields[i].kinds & r->kind)
            names[known++] = fields[i].name;
    translate_at(r, "request");
    return translate_only(r, r->root, names);
}

static int write_fields(struct translator *r, const struct translate_field *fields, size_t count)
{
    int error = check_names(r, fields, count);
    json_object(&r->w);
    for (size_t i = 0; i < count && !error; i++) {
        const struct json *node = translate_given(r->root, fields[i].name);
        translate_at(r, "%s", fields[i].name);
        if (node && (fields[i].kinds & r->kind))
            error = fields[i].write(r, node);
        else if (fields[i].required & r->kind)
            error = translate_refuse(r, "the field is required");
    }
    if (!error)
        json_end(&r->w);
    return error;
}

int translate_body(struct translator *r, struct str body, const struct translate_field *fields,
                   size_t count, struct buf *out)
{
    struct err err = {0};
    struct json *root;
    int error = json_parse(r->arena, body, &root, &err);
    if (error == ERR_NO_MEMORY)
        return fail(r, error, 413, STR("The request has too many parts."));
    translate_at(r, "request");
    if (error || root->type != JSON_OBJECT) {
        translate_refuse(r, "the body is not a JSON object%s%s", error ? ": " : "", err.message);
        return error ? error : ERR_INVALID;
    }
    r->root = root;
    json_writer_init(&r->w, out, 0);
    error = write_fields(r, fields, count);
    if (!error && out->error)
        return fail(r, out->error, 413, STR("The request is too long for the engine's format."));
    return error;
}
