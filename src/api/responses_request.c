/* SPDX-License-Identifier: Apache-2.0 */
#include "api/responses_request.h"

#include "api/responses_internal.h"

bool responses_is_of(const struct json *object, const char *type)
{
    const struct json *node = json_get(object, STR("type"));
    return node && node->type == JSON_STRING && str_eq(node->text, str_from(type));
}

static int write_bool(struct translator *r, const struct json *node)
{
    if (node->type != JSON_BOOL)
        return translate_refuse(r, "expected true or false");
    json_member_bool(&r->w, node->key, node->boolean);
    return 0;
}

static int write_user(struct translator *r, const struct json *node)
{
    if (node->type != JSON_STRING)
        return translate_refuse(r, "expected a string");
    json_key(&r->w, STR("user"));
    json_raw(&r->w, node->raw);
    return 0;
}

static int check_truncation(struct translator *r, const struct json *node)
{
    return node->type == JSON_STRING && str_eq(node->text, STR("disabled"))
               ? 0
               : translate_refuse(r, "only 'disabled' is supported here: shorten the input");
}

/* What can be included is there already, or there is none of it. */
static int check_include(struct translator *r, const struct json *node)
{
    if (node->type != JSON_ARRAY)
        return translate_refuse(r, "expected an array");
    json_each(item, node)
    {
        if (item->type != JSON_STRING || !str_eq(item->text, STR("reasoning.encrypted_content")))
            return translate_refuse(r, "only 'reasoning.encrypted_content' is supported here");
    }
    return 0;
}

static int write_reasoning(struct translator *r, const struct json *node)
{
    static const char *const known[] = {"effort", "summary", "generate_summary", NULL};
    const struct json *effort = translate_given(node, "effort");
    if (node->type != JSON_OBJECT || (effort && effort->type != JSON_STRING))
        return translate_refuse(r, "expected {\"effort\": \"...\"}");
    if (effort) {
        json_key(&r->w, STR("reasoning_effort"));
        json_raw(&r->w, effort->raw);
    }
    return translate_only(r, node, known);
}

/* ---- the form of the text ---- */

static void copy_members(struct translator *r, const struct json *from, const char *const names[])
{
    for (size_t i = 0; names[i]; i++) {
        const struct json *member = translate_given(from, names[i]);
        if (member) {
            json_key(&r->w, member->key);
            json_tree(&r->w, member);
        }
    }
}

static int write_format(struct translator *r, const struct json *format)
{
    static const char *const known[] = {"type", "name", "description", "schema", "strict", NULL};
    if (responses_is_of(format, "text"))
        return 0;
    bool has_schema = responses_is_of(format, "json_schema");
    if (!has_schema && !responses_is_of(format, "json_object"))
        return translate_refuse(r, "the type must be 'text', 'json_object' or 'json_schema'");
    json_key(&r->w, STR("response_format"));
    json_object(&r->w);
    json_member_str(&r->w, STR("type"), has_schema ? STR("json_schema") : STR("json_object"));
    if (has_schema) {
        json_key(&r->w, STR("json_schema"));
        json_object(&r->w);
        copy_members(r, format, known + 1);
        json_end(&r->w);
    }
    json_end(&r->w);
    return translate_only(r, format, known);
}

static int write_text(struct translator *r, const struct json *node)
{
    static const char *const known[] = {"format", "verbosity", NULL};
    const struct json *format = translate_given(node, "format");
    int error = translate_only(r, node, known);
    translate_at(r, "text.format");
    return error || !format ? error : write_format(r, format);
}

/* ---- tools ---- */

static int write_tool(struct translator *r, const struct json *tool)
{
    static const char *const known[] = {"type",       "name",   "description",
                                        "parameters", "strict", NULL};
    const struct json *name;
    if (!responses_is_of(tool, "function"))
        return translate_refuse(r, "only tools of type 'function' are supported here");
    int error = translate_text(r, tool, "name", &name);
    if (error)
        return error;
    json_object(&r->w);
    json_member_str(&r->w, STR("type"), STR("function"));
    json_key(&r->w, STR("function"));
    json_object(&r->w);
    copy_members(r, tool, known + 1);
    json_end(&r->w);
    json_end(&r->w);
    return translate_only(r, tool, known);
}

static int write_tools(struct translator *r, const struct json *tools)
{
    size_t index = 0;
    int error = 0;
    if (tools->type != JSON_ARRAY)
        return translate_refuse(r, "expected an array of tools");
    if (tools->count == 0)
        return 0;
    json_key(&r->w, STR("tools"));
    json_array(&r->w);
    for (const struct json *tool = tools->first; tool && !error; tool = tool->next) {
        translate_at(r, "tools[%zu]", index++);
        error = write_tool(r, tool);
    }
    if (!error)
        json_end(&r->w);
    return error;
}

/* "auto", "none", "required", or {"type": "function", "name": "..."}; without tools there is nothing to choose. */
static int write_tool_choice(struct translator *r, const struct json *choice)
{
    static const char *const known[] = {"type", "name", NULL};
    const struct json *tools = translate_given(r->root, "tools"), *name;
    if (!tools || tools->type != JSON_ARRAY || tools->count == 0)
        return 0;
    if (choice->type == JSON_STRING) {
        json_key(&r->w, STR("tool_choice"));
        json_raw(&r->w, choice->raw);
        return 0;
    }
    if (!responses_is_of(choice, "function"))
        return translate_refuse(r, "expected a string, or an object of type 'function'");
    int error = translate_text(r, choice, "name", &name);
    if (error)
        return error;
    json_key(&r->w, STR("tool_choice"));
    translate_put_function(r, name->raw);
    return translate_only(r, choice, known);
}

static int write_parallel(struct translator *r, const struct json *node)
{
    const struct json *tools = translate_given(r->root, "tools");
    return tools && tools->type == JSON_ARRAY && tools->count ? write_bool(r, node) : 0;
}

/* ---- all together ---- */

enum { REQUEST = 1 };

static const struct translate_field fields[] = {
    {"model", REQUEST, REQUEST, translate_model},
    {"input", REQUEST, REQUEST, responses_write_input},
    {"max_output_tokens", REQUEST, 0, translate_max_tokens},
    {"stream", REQUEST, 0, translate_stream},
    {"temperature", REQUEST, 0, translate_number},
    {"top_p", REQUEST, 0, translate_number},
    {"text", REQUEST, 0, write_text},
    {"tools", REQUEST, 0, write_tools},
    {"tool_choice", REQUEST, 0, write_tool_choice},
    {"parallel_tool_calls", REQUEST, 0, write_parallel},
    {"reasoning", REQUEST, 0, write_reasoning},
    {"user", REQUEST, 0, write_user},
    {"truncation", REQUEST, 0, check_truncation},
    {"include", REQUEST, 0, check_include},
    {"instructions", REQUEST, 0, translate_nothing}, /* stand among the messages */
    {"store", REQUEST, 0, translate_nothing},        /* the answer says that it is not */
    {"metadata", REQUEST, 0, translate_nothing},     /* the answer repeats them */
    {"stream_options", REQUEST, 0, translate_nothing},
    {"service_tier", REQUEST, 0, translate_nothing},
    {"prompt_cache_key", REQUEST, 0, translate_nothing},
    {"prompt_cache_retention", REQUEST, 0, translate_nothing},
    {"safety_identifier", REQUEST, 0, translate_nothing},
};

int responses_to_chat(struct str body, struct arena *arena, struct buf *out,
                      struct api_error *ret_error)
{
    struct translator r = {.kind = REQUEST, .arena = arena, .error = ret_error};
    return translate_body(&r, body, fields, ARRAY_LEN(fields), out);
}
