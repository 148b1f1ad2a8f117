/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "api/openai_internal.h"

/* Templates and tokenizers below take C strings. */
static bool has_nul(struct str text)
{
    return str_find_char(text, 0) < text.len;
}

static int check_text(struct openai_reader *r, const char *param, struct str text)
{
    if (!has_nul(text))
        return 0;
    return openai_refuse(r, "invalid_value", param,
                         "Invalid value for '%s': the character U+0000 is not allowed.", param);
}

/* The texts of all parts, put together. */
static int join_parts(struct openai_reader *r, const char *param, const struct json *parts,
                      struct str *ret_text)
{
    size_t total = 0;
    json_each(part, parts)
    {
        const struct json *type = json_get(part, STR("type"));
        const struct json *text = json_get(part, STR("text"));
        if (type && type->type == JSON_STRING && !str_eq(type->text, STR("text")))
            return openai_refuse(r, "unsupported_content", param,
                                 "'%s' has a part of type '%.*s'; this model reads text only.",
                                 param, STR_ARG(type->text));
        if (!text || text->type != JSON_STRING)
            return openai_refuse(r, "invalid_type", param,
                                 "Invalid value for '%s': each part must be "
                                 "{\"type\": \"text\", \"text\": \"...\"}.",
                                 param);
        total += text->text.len;
    }
    char *joined = openai_array(r, total, 1);
    if (!joined)
        return ERR_NO_MEMORY;
    *ret_text = (struct str){joined, total};
    json_each(part, parts)
    {
        struct str text = json_get(part, STR("text"))->text;
        if (text.len)
            memcpy(joined, text.ptr, text.len);
        joined += text.len;
    }
    return 0;
}

static int read_content(struct openai_reader *r, const char *param, const struct json *content,
                        struct str *ret_text)
{
    if (!content || content->type == JSON_NULL) {
        *ret_text = STR("");
        return 0;
    }
    if (content->type == JSON_ARRAY)
        return join_parts(r, param, content, ret_text);
    if (content->type != JSON_STRING)
        return openai_refuse(r, "invalid_type", param,
                             "Invalid type for '%s': expected a string or an array of parts, "
                             "but got %s instead.",
                             param, openai_type_name(content));
    *ret_text = content->text;
    return 0;
}

static int read_message(struct openai_reader *r, size_t index, const struct json *item,
                        struct openai_message *ret_message)
{
    char param[48];
    const struct json *role = json_get(item, STR("role"));
    snprintf(param, sizeof(param), "messages[%zu].role", index);
    if (!role || role->type != JSON_STRING || role->text.len == 0 || role->text.len > 64)
        return openai_refuse(r, "invalid_value", param,
                             "Invalid value for '%s': expected one of 'system', 'developer', "
                             "'user', 'assistant'.",
                             param);
    ret_message->role = str_eq(role->text, STR("developer")) ? STR("system") : role->text;
    const struct json *calls = json_get(item, STR("tool_calls"));
    if (str_eq(role->text, STR("tool")) || str_eq(role->text, STR("function")) ||
        (calls && calls->type == JSON_ARRAY && calls->count > 0))
        return openai_refuse(r, "unsupported_parameter", param,
                             "'%s': tool calls are not supported by this model's chat template.",
                             param);
    int error = check_text(r, param, role->text);
    snprintf(param, sizeof(param), "messages[%zu].content", index);
    if (!error)
        error = read_content(r, param, json_get(item, STR("content")), &ret_message->content);
    return error ? error : check_text(r, param, ret_message->content);
}

int openai_read_messages(struct openai_reader *r)
{
    const struct json *list = openai_given(r, "messages");
    if (!list)
        return openai_refuse(r, "missing_required_parameter", "messages",
                             "Missing required parameter: 'messages'.");
    if (list->type != JSON_ARRAY || list->count == 0)
        return openai_refuse(r, "invalid_type", "messages",
                             "Invalid value for 'messages': expected an array with at least one "
                             "message.");
    struct openai_message *messages = openai_array(r, list->count, sizeof(*messages));
    if (!messages)
        return ERR_NO_MEMORY;
    size_t count = 0;
    json_each(item, list)
    {
        int error = read_message(r, count, item, &messages[count]);
        if (error)
            return error;
        count++;
    }
    r->request->messages = messages;
    r->request->message_count = count;
    return 0;
}

static int read_tokens(struct openai_reader *r, const char *name, const struct json *list,
                       struct openai_prompt *ret_prompt)
{
    int32_t *tokens = openai_array(r, list->count, sizeof(*tokens));
    if (!tokens)
        return ERR_NO_MEMORY;
    size_t count = 0;
    json_each(item, list)
    {
        int64_t token;
        if (json_i64(item, &token) || token < 0 || token > INT32_MAX)
            return openai_refuse(
                r, "invalid_type", name,
                "Invalid value for '%s': expected token ids (integers from 0), but "
                "item %zu is none.",
                name, count);
        tokens[count++] = (int32_t)token;
    }
    *ret_prompt = (struct openai_prompt){.tokens = tokens, .count = count};
    return 0;
}

static int read_prompt(struct openai_reader *r, const char *name, const struct json *node,
                       struct openai_prompt *ret_prompt)
{
    if (node->type == JSON_STRING) {
        *ret_prompt = (struct openai_prompt){.text = node->text};
        return check_text(r, name, node->text);
    }
    if (node->type == JSON_ARRAY && node->count > 0)
        return read_tokens(r, name, node, ret_prompt);
    return openai_refuse(r, "invalid_type", name,
                         "Invalid type for '%s': expected a string, an array of token ids, or an "
                         "array of either, but got %s instead.",
                         name, openai_type_name(node));
}

int openai_read_prompts(struct openai_reader *r, const char *name)
{
    const struct json *node = openai_given(r, name);
    if (!node)
        return openai_refuse(r, "missing_required_parameter", name,
                             "Missing required parameter: '%s'.", name);
    /* An array of numbers is one prompt of tokens; of anything else, several prompts. */
    bool several = node->type == JSON_ARRAY && node->count > 0 && node->first->type != JSON_NUMBER;
    size_t count = several ? node->count : 1;
    if (count > OPENAI_PROMPTS_MAX)
        return openai_refuse(r, "invalid_value", name,
                             "Invalid value for '%s': %zu items are more than %d.", name, count,
                             OPENAI_PROMPTS_MAX);
    struct openai_prompt *prompts = openai_array(r, count, sizeof(*prompts));
    if (!prompts)
        return ERR_NO_MEMORY;
    size_t at = 0;
    for (const struct json *item = several ? node->first : node; at < count; item = item->next) {
        int error = read_prompt(r, name, item, &prompts[at++]);
        if (error)
            return error;
    }
    r->request->prompts = prompts;
    r->request->prompt_count = count;
    return 0;
}
