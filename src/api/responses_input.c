/* SPDX-License-Identifier: Apache-2.0 */
/* Items to messages: a chat's assistant message holds its text and its calls together, here they are items in a row. */
#include <stdio.h>

#include "api/responses_internal.h"

static const char *const message_members[] = {"type", "id", "role", "content", "status", NULL};

static bool is_message(const struct json *item)
{
    const struct json *type = translate_given(item, "type");
    return responses_is_of(item, "message") || (!type && translate_given(item, "role"));
}

static bool has_role(const struct json *item, const char *role)
{
    const struct json *node = json_get(item, STR("role"));
    return node && node->type == JSON_STRING && str_eq(node->text, str_from(role));
}

static void begin_message(struct translator *r, const char *role)
{
    json_object(&r->w);
    json_member_str(&r->w, STR("role"), str_from(role));
}

/* ---- contents ---- */

static const char *const text_members[] = {"type",     "text",        "refusal", "detail",
                                           "logprobs", "annotations", NULL};

static bool is_text(const struct json *part)
{
    return responses_is_of(part, "input_text") || responses_is_of(part, "output_text") ||
           responses_is_of(part, "refusal");
}

/* What is cited (annotations) is of no use to an engine. */
static int text_of(struct translator *r, const struct json *part, const struct json **ret_text)
{
    return translate_text(r, part, responses_is_of(part, "refusal") ? "refusal" : "text", ret_text);
}

static int write_image(struct translator *r, const struct json *part)
{
    static const char *const known[] = {"type", "image_url", "detail", NULL};
    const struct json *url, *detail = translate_given(part, "detail");
    int error = translate_text(r, part, "image_url", &url);
    if (error)
        return error;
    json_object(&r->w);
    json_member_str(&r->w, STR("type"), STR("image_url"));
    json_key(&r->w, STR("image_url"));
    json_object(&r->w);
    json_key(&r->w, STR("url"));
    json_raw(&r->w, url->raw);
    if (detail && detail->type == JSON_STRING) {
        json_key(&r->w, STR("detail"));
        json_raw(&r->w, detail->raw);
    }
    json_end(&r->w);
    json_end(&r->w);
    return translate_only(r, part, known);
}

static int write_part(struct translator *r, const struct json *part)
{
    const struct json *text;
    if (responses_is_of(part, "input_image"))
        return write_image(r, part);
    if (!is_text(part))
        return translate_refuse(r, "a part must be of type 'input_text', 'output_text', 'refusal' "
                                   "or 'input_image'");
    int error = text_of(r, part, &text);
    if (error)
        return error;
    translate_put_text(r, text->raw);
    return 0;
}

static int write_parts(struct translator *r, const char *name, const struct json *parts)
{
    size_t index = 0;
    int error = 0;
    json_array(&r->w);
    for (const struct json *part = parts->first; part && !error; part = part->next) {
        translate_at(r, "%s[%zu]", name, index++);
        error = write_part(r, part);
    }
    if (!error)
        json_end(&r->w);
    return error;
}

/* One text alone is a string: every chat template takes that. */
static int write_content(struct translator *r, const char *name, const struct json *content)
{
    const struct json *text = content;
    translate_at(r, "%s", name);
    if (!content || (content->type != JSON_STRING && content->type != JSON_ARRAY))
        return translate_refuse(r, "expected a string or an array of parts");
    json_key(&r->w, STR("content"));
    if (content->type == JSON_ARRAY) {
        if (content->count != 1 || !is_text(content->first))
            return write_parts(r, name, content);
        translate_at(r, "%s[0]", name);
        int error = text_of(r, content->first, &text);
        if (error)
            return error;
        error = translate_only(r, content->first, text_members);
        if (error)
            return error;
    }
    json_raw(&r->w, text->raw);
    return 0;
}

/* ---- the assistant's items ---- */

static int write_call(struct translator *r, const struct json *item)
{
    static const char *const known[] = {"type",      "id",     "call_id", "name",
                                        "arguments", "status", NULL};
    const struct json *id, *name, *arguments;
    int error = translate_text(r, item, "call_id", &id);
    if (!error)
        error = translate_text(r, item, "name", &name);
    if (!error)
        error = translate_text(r, item, "arguments", &arguments);
    if (error)
        return error;
    translate_begin_call(r, id->raw, name->raw);
    json_raw(&r->w, arguments->raw);
    translate_end_call(r);
    return translate_only(r, item, known);
}

static bool is_passed_over(const struct json *item)
{
    return responses_is_of(item, "reasoning");
}

static const struct json *next_item(struct translator *r, const struct json *item)
{
    do {
        item = item->next;
        r->item++;
    } while (item && is_passed_over(item));
    return item;
}

/* `item` is the first call or what comes behind the text. */
static int write_calls(struct translator *r, const struct json **item)
{
    int error = 0;
    json_key(&r->w, STR("tool_calls"));
    json_array(&r->w);
    while (*item && !error && responses_is_of(*item, "function_call")) {
        translate_at(r, "input[%zu]", r->item);
        error = write_call(r, *item);
        *item = next_item(r, *item);
    }
    if (!error)
        json_end(&r->w);
    return error;
}

static int write_assistant(struct translator *r, const char *name, const struct json **item)
{
    int error = 0;
    begin_message(r, "assistant");
    if (is_message(*item)) {
        error = translate_only(r, *item, message_members);
        if (!error)
            error = write_content(r, name, translate_given(*item, "content"));
        *item = next_item(r, *item);
    } else {
        json_key(&r->w, STR("content"));
        json_null(&r->w);
    }
    if (!error && *item && responses_is_of(*item, "function_call"))
        error = write_calls(r, item);
    if (!error)
        json_end(&r->w);
    return error;
}

/* ---- the others' ---- */

static int write_output(struct translator *r, const char *name, const struct json *item)
{
    static const char *const known[] = {"type", "id", "call_id", "output", "status", NULL};
    const struct json *id;
    int error = translate_text(r, item, "call_id", &id);
    if (!error)
        error = translate_only(r, item, known);
    if (error)
        return error;
    begin_message(r, "tool");
    json_key(&r->w, STR("tool_call_id"));
    json_raw(&r->w, id->raw);
    error = write_content(r, name, translate_given(item, "output"));
    if (!error)
        json_end(&r->w);
    return error;
}

/* A developer's word is what chat templates know as the system's. */
static int write_message(struct translator *r, const char *name, const struct json *item)
{
    bool is_system = has_role(item, "system") || has_role(item, "developer");
    if (!is_system && !has_role(item, "user"))
        return translate_refuse(r, "the role must be 'user', 'assistant', 'system' or 'developer'");
    int error = translate_only(r, item, message_members);
    if (error)
        return error;
    begin_message(r, is_system ? "system" : "user");
    error = write_content(r, name, translate_given(item, "content"));
    if (!error)
        json_end(&r->w);
    return error;
}

static int write_item(struct translator *r, const struct json **item)
{
    char name[TRANSLATE_PLACE_MAX];
    bool is_output = responses_is_of(*item, "function_call_output");
    int error;
    translate_at(r, "input[%zu]", r->item);
    snprintf(name, sizeof(name), "input[%zu].%s", r->item, is_output ? "output" : "content");
    if (responses_is_of(*item, "function_call") ||
        (is_message(*item) && has_role(*item, "assistant")))
        return write_assistant(r, name, item);
    if (is_output)
        error = write_output(r, name, *item);
    else if (is_message(*item))
        error = write_message(r, name, *item);
    else
        error = translate_refuse(r, "an item must be of type 'message', 'function_call' or "
                                    "'function_call_output'; nothing is stored here");
    *item = next_item(r, *item);
    return error;
}

static int write_items(struct translator *r, const struct json *input)
{
    const struct json *item = input->first;
    int error = 0;
    r->item = 0;
    if (item && is_passed_over(item))
        item = next_item(r, item);
    while (item && !error)
        error = write_item(r, &item);
    return error;
}

static int write_plain(struct translator *r, const char *role, const char *name,
                       const struct json *text)
{
    translate_at(r, "%s", name);
    if (text->type != JSON_STRING)
        return translate_refuse(r, "expected a string");
    begin_message(r, role);
    json_key(&r->w, STR("content"));
    json_raw(&r->w, text->raw);
    json_end(&r->w);
    return 0;
}

int responses_write_input(struct translator *r, const struct json *input)
{
    const struct json *instructions = translate_given(r->root, "instructions");
    int error = 0;
    if (input->type != JSON_STRING && (input->type != JSON_ARRAY || input->count == 0))
        return translate_refuse(r, "expected a string, or an array with at least one item");
    json_key(&r->w, STR("messages"));
    json_array(&r->w);
    if (instructions)
        error = write_plain(r, "system", "instructions", instructions);
    if (!error)
        error = input->type == JSON_STRING ? write_plain(r, "user", "input", input)
                                           : write_items(r, input);
    if (!error)
        json_end(&r->w);
    return error;
}
