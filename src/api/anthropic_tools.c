/* SPDX-License-Identifier: Apache-2.0 */
#include "api/anthropic_internal.h"

enum { SCHEMA_DEPTH_MAX = 64 }; /* in OpenAI's format it lies deeper than in Anthropic's */

static int depth_of(const struct json *node)
{
    int deepest = 0;
    if (node->type != JSON_ARRAY && node->type != JSON_OBJECT)
        return 0;
    json_each(child, node)
    {
        int depth = depth_of(child);
        deepest = MAX(deepest, depth);
    }
    return deepest + 1;
}

static int write_tool(struct translator *r, const struct json *tool)
{
    static const char *const known[] = {
        "type",   "name", "description", "input_schema", "cache_control", "eager_input_streaming",
        "strict", NULL};
    const struct json *type = translate_given(tool, "type"), *name;
    const struct json *strict = translate_given(tool, "strict");
    const struct json *description = translate_given(tool, "description");
    const struct json *schema = translate_given(tool, "input_schema");
    if (type && !(type->type == JSON_STRING && str_eq(type->text, STR("custom"))))
        return translate_refuse(r, "only tools of the client's own are supported (type 'custom')");
    int error = translate_text(r, tool, "name", &name);
    if (error)
        return error;
    if (!schema || schema->type != JSON_OBJECT)
        return translate_refuse(r, "'input_schema' must be an object");
    if (depth_of(schema) > SCHEMA_DEPTH_MAX)
        return translate_refuse(r, "'input_schema' is nested more than %d deep", SCHEMA_DEPTH_MAX);
    if (description && description->type != JSON_STRING)
        return translate_refuse(r, "'description' must be a string");
    if (strict && strict->type != JSON_BOOL)
        return translate_refuse(r, "'strict' must be true or false");
    json_object(&r->w);
    json_member_str(&r->w, STR("type"), STR("function"));
    json_key(&r->w, STR("function"));
    json_object(&r->w);
    json_key(&r->w, STR("name"));
    json_raw(&r->w, name->raw);
    if (description) {
        json_key(&r->w, STR("description"));
        json_raw(&r->w, description->raw);
    }
    json_key(&r->w, STR("parameters"));
    json_tree(&r->w, schema);
    if (strict)
        json_member_bool(&r->w, STR("strict"), strict->boolean);
    json_end(&r->w);
    json_end(&r->w);
    return translate_only(r, tool, known);
}

int anthropic_write_tools(struct translator *r, const struct json *tools)
{
    size_t index = 0;
    if (tools->type != JSON_ARRAY)
        return translate_refuse(r, "expected an array of tools");
    if (tools->count == 0)
        return 0;
    json_key(&r->w, STR("tools"));
    json_array(&r->w);
    json_each(tool, tools)
    {
        translate_at(r, "tools[%zu]", index++);
        int error = write_tool(r, tool);
        if (error)
            return error;
    }
    json_end(&r->w);
    return 0;
}

static int write_named_tool(struct translator *r, const struct json *choice)
{
    const struct json *name;
    int error = translate_text(r, choice, "name", &name);
    if (error)
        return error;
    translate_put_function(r, name->raw);
    return 0;
}

/* Of the tokens that a prompt has, a choice says nothing: /tokenize does not know it. */
int anthropic_write_tool_choice(struct translator *r, const struct json *choice)
{
    static const char *const known[] = {"type", "name", "disable_parallel_tool_use", NULL};
    static const struct {
        struct str type, openai;
    } words[] = {{STR("auto"), STR("auto")},
                 {STR("any"), STR("required")},
                 {STR("none"), STR("none")},
                 {STR("tool"), STR_NONE}};
    const struct json *type, *single = translate_given(choice, "disable_parallel_tool_use");
    size_t i = 0;
    int error = translate_text(r, choice, "type", &type);
    while (!error && i < ARRAY_LEN(words) && !str_eq(type->text, words[i].type))
        i++;
    if (error)
        return error;
    if (i == ARRAY_LEN(words))
        return translate_refuse(r, "expected the type 'auto', 'any', 'tool' or 'none'");
    if (single && single->type != JSON_BOOL)
        return translate_refuse(r, "'disable_parallel_tool_use' must be true or false");
    if (r->kind == ANTHROPIC_MESSAGES) {
        json_key(&r->w, STR("tool_choice"));
        if (words[i].openai.ptr)
            json_str(&r->w, words[i].openai);
        else
            error = write_named_tool(r, choice);
    }
    if (!error && single && single->boolean && r->kind == ANTHROPIC_MESSAGES)
        json_member_bool(&r->w, STR("parallel_tool_calls"), false);
    return error ? error : translate_only(r, choice, known);
}

/* ---- calls of them ---- */

static int write_tool_use(struct translator *r, const struct json *block)
{
    static const char *const known[] = {"type", "id", "name", "input", "cache_control", NULL};
    const struct json *id, *name, *input = translate_given(block, "input");
    struct json_writer arguments;
    struct buf text;
    int error = translate_text(r, block, "id", &id);
    if (!error)
        error = translate_text(r, block, "name", &name);
    if (error)
        return error;
    if (!input || input->type != JSON_OBJECT)
        return translate_refuse(r, "'input' must be an object");
    buf_init(&text, r->w.out->max);
    json_writer_init(&arguments, &text, 0);
    json_tree(&arguments, input);
    translate_begin_call(r, id->raw, name->raw);
    json_str(&r->w, buf_str(&text));
    translate_end_call(r);
    if (text.error)
        r->w.out->error = text.error;
    buf_fini(&text);
    return translate_only(r, block, known);
}

/* Of an assistant's message: its blocks of type tool_use. */
int anthropic_write_tool_calls(struct translator *r, const struct json *content)
{
    size_t index = 0;
    json_key(&r->w, STR("tool_calls"));
    json_array(&r->w);
    json_each(block, content)
    {
        const struct json *type = json_get(block, STR("type"));
        translate_at(r, "messages[%zu].content[%zu]", r->item, index++);
        bool is_call = type && type->type == JSON_STRING && str_eq(type->text, STR("tool_use"));
        int error = is_call ? write_tool_use(r, block) : 0;
        if (error)
            return error;
    }
    json_end(&r->w);
    return 0;
}
