/* SPDX-License-Identifier: Apache-2.0 */
/* Messages: OpenAI's tool calls are a field of the assistant's message, and each result is a message of its own. */
#include <stdio.h>

#include "api/anthropic_internal.h"

/* The blocks of a content from `first` up to `end`; `index` is that of the first. */
struct run {
    const struct json *first, *end;
    size_t index;
    bool calls_elsewhere; /* blocks of type tool_use are written by others; else refused */
};

static struct str block_type(const struct json *block)
{
    const struct json *type = json_get(block, STR("type"));
    return type && type->type == JSON_STRING ? type->text : STR_NONE;
}

static bool is_of(const struct json *block, const char *type)
{
    return str_eq(block_type(block), str_from(type));
}

static bool is_elsewhere(const struct run *run, const struct json *block)
{
    return run->calls_elsewhere && is_of(block, "tool_use");
}

/* A raw JSON text without its quotes. */
static struct str inner(const struct json *text)
{
    return str_sub(text->raw, 1, text->raw.len - 1);
}

static int refuse_block(struct translator *r, const struct json *block)
{
    struct str type = block_type(block);
    if (!type.ptr)
        return translate_refuse(r, "a content block must be an object with a 'type'");
    return translate_refuse(r, "a block of type '%.*s' is not supported here",
                            (int)MIN(type.len, (size_t)64), type.ptr);
}

/* ---- texts and images ---- */

static int write_text_part(struct translator *r, const struct json *block)
{
    static const char *const known[] = {"type", "text", "cache_control", NULL};
    const struct json *text;
    int error = translate_text(r, block, "text", &text);
    if (error)
        return error;
    translate_put_text(r, text->raw);
    return translate_only(r, block, known);
}

static int write_data_url(struct translator *r, const struct json *source)
{
    const struct json *media, *data;
    struct buf *out = r->w.out;
    int error = translate_text(r, source, "media_type", &media);
    if (!error)
        error = translate_text(r, source, "data", &data);
    if (error)
        return error;
    struct buf url; /* once more in memory, so that the writer keeps its commas */
    buf_init(&url, out->max);
    buf_put(&url, STR("\"data:"));
    buf_put(&url, inner(media));
    buf_put(&url, STR(";base64,"));
    buf_put(&url, inner(data));
    buf_put_char(&url, '"');
    json_raw(&r->w, url.error ? STR("\"\"") : buf_str(&url));
    if (url.error)
        out->error = url.error;
    buf_fini(&url);
    return 0;
}

static int write_image_part(struct translator *r, const struct json *block)
{
    static const char *const known[] = {"type", "source", "cache_control", NULL};
    const struct json *source = translate_given(block, "source"), *url;
    int error = 0;
    if (!is_of(source, "base64") && !is_of(source, "url"))
        return translate_refuse(r, "the source of an image must be of type 'base64' or 'url'");
    json_object(&r->w);
    json_member_str(&r->w, STR("type"), STR("image_url"));
    json_key(&r->w, STR("image_url"));
    json_object(&r->w);
    json_key(&r->w, STR("url"));
    if (is_of(source, "base64"))
        error = write_data_url(r, source);
    else if (!(error = translate_text(r, source, "url", &url)))
        json_raw(&r->w, url->raw);
    if (error)
        return error;
    json_end(&r->w);
    json_end(&r->w);
    return translate_only(r, block, known);
}

/* `name`: place of its blocks, "messages[1].content". */
static int write_parts(struct translator *r, const char *name, const struct run *run)
{
    size_t index = run->index;
    int error = 0;
    json_array(&r->w);
    for (const struct json *block = run->first; block != run->end && !error; block = block->next) {
        translate_at(r, "%s[%zu]", name, index++);
        if (is_of(block, "text"))
            error = write_text_part(r, block);
        else if (is_of(block, "image"))
            error = write_image_part(r, block);
        else if (!is_elsewhere(run, block))
            error = refuse_block(r, block);
    }
    if (!error)
        json_end(&r->w);
    return error;
}

/* One text alone is a string: every chat template takes that. */
static int write_run(struct translator *r, const char *name, const struct run *run)
{
    static const char *const known[] = {"type", "text", "cache_control", NULL};
    const struct json *only = NULL, *text;
    size_t count = 0;
    for (const struct json *block = run->first; block != run->end; block = block->next)
        if (!is_elsewhere(run, block)) {
            only = block;
            count++;
        }
    json_key(&r->w, STR("content"));
    if (count != 1 || !is_of(only, "text"))
        return write_parts(r, name, run);
    int error = translate_text(r, only, "text", &text);
    if (error)
        return error;
    json_raw(&r->w, text->raw);
    return translate_only(r, only, known);
}

/* A string, or an array of blocks. */
static int write_content(struct translator *r, const char *name, const struct json *content)
{
    if (content && content->type == JSON_ARRAY)
        return write_run(r, name, &(struct run){.first = content->first});
    if (!content || content->type != JSON_STRING)
        return translate_refuse(r, "expected a string or an array of blocks");
    json_key(&r->w, STR("content"));
    json_raw(&r->w, content->raw);
    return 0;
}

/* ---- the user's messages ---- */

/* OpenAI has no place for is_error: a word before the text says it. */
static int write_failed_result(struct translator *r, const struct json *content)
{
    struct str text = STR("\"\"");
    if (content && content->type == JSON_STRING)
        text = content->raw;
    else if (content && content->type == JSON_ARRAY && content->count == 1 &&
             is_of(content->first, "text") && translate_given(content->first, "text"))
        text = translate_given(content->first, "text")->raw;
    else if (content && content->type == JSON_ARRAY && content->count)
        return translate_refuse(r, "a result with 'is_error' must be one text");
    if (text.len < 2 || text.ptr[0] != '"')
        return translate_refuse(r, "expected a string or an array of blocks");
    struct buf marked;
    buf_init(&marked, text.len + 16);
    buf_put(&marked, STR("\"Error: "));
    buf_put(&marked, str_sub(text, 1, text.len));
    json_key(&r->w, STR("content"));
    json_raw(&r->w, buf_str(&marked));
    buf_fini(&marked);
    return 0;
}

static int write_tool_result(struct translator *r, const struct json *block)
{
    static const char *const known[] = {"type",     "tool_use_id",   "content",
                                        "is_error", "cache_control", NULL};
    const struct json *id, *content = translate_given(block, "content");
    const struct json *failed = translate_given(block, "is_error");
    char name[TRANSLATE_PLACE_MAX + 16];
    int error = translate_text(r, block, "tool_use_id", &id);
    if (!error)
        error = translate_only(r, block, known);
    if (error)
        return error;
    snprintf(name, sizeof(name), "%s.content", r->place);
    json_object(&r->w);
    json_member_str(&r->w, STR("role"), STR("tool"));
    json_key(&r->w, STR("tool_call_id"));
    json_raw(&r->w, id->raw);
    if (failed && failed->type == JSON_BOOL && failed->boolean)
        error = write_failed_result(r, content);
    else if (content)
        error = write_content(r, name, content);
    else
        json_member_str(&r->w, STR("content"), STR(""));
    if (!error)
        json_end(&r->w);
    return error;
}

static int write_user_run(struct translator *r, const char *name, const struct run *run)
{
    json_object(&r->w);
    json_member_str(&r->w, STR("role"), STR("user"));
    int error = write_run(r, name, run);
    if (!error)
        json_end(&r->w);
    return error;
}

/* In their order: each result is a message, and so is what stands between two of them. */
static int write_user_blocks(struct translator *r, const char *name, const struct json *content)
{
    size_t index = 0;
    int error = 0;
    for (const struct json *block = content->first; block && !error;) {
        struct run run = {.first = block, .end = block, .index = index};
        translate_at(r, "%s[%zu]", name, index);
        if (is_of(block, "tool_result")) {
            error = write_tool_result(r, block);
            block = block->next;
            index++;
            continue;
        }
        while (run.end && !is_of(run.end, "tool_result")) {
            run.end = run.end->next;
            index++;
        }
        error = write_user_run(r, name, &run);
        block = run.end;
    }
    return error;
}

/* ---- the assistant's messages ---- */

static int write_assistant_blocks(struct translator *r, const char *name,
                                  const struct json *content)
{
    uint32_t calls = 0;
    int error = 0;
    json_each(block, content) calls += is_of(block, "tool_use");
    if (calls < content->count) {
        error = write_run(r, name, &(struct run){.first = content->first, .calls_elsewhere = true});
    } else {
        json_key(&r->w, STR("content"));
        json_null(&r->w);
    }
    return error || calls == 0 ? error : anthropic_write_tool_calls(r, content);
}

static int write_assistant(struct translator *r, const char *name, const struct json *content)
{
    int error;
    json_object(&r->w);
    json_member_str(&r->w, STR("role"), STR("assistant"));
    if (content && content->type == JSON_ARRAY)
        error = write_assistant_blocks(r, name, content);
    else
        error = write_content(r, name, content);
    if (!error)
        json_end(&r->w);
    return error;
}

/* ---- all together ---- */

static int write_plain(struct translator *r, const char *role, const char *name,
                       const struct json *content)
{
    json_object(&r->w);
    json_member_str(&r->w, STR("role"), str_from(role));
    int error = write_content(r, name, content);
    if (!error)
        json_end(&r->w);
    return error;
}

static int write_message(struct translator *r, const struct json *message)
{
    static const char *const known[] = {"role", "content", NULL};
    const struct json *role, *content = translate_given(message, "content");
    char name[TRANSLATE_PLACE_MAX];
    translate_at(r, "messages[%zu]", r->item);
    int error = translate_text(r, message, "role", &role);
    if (!error)
        error = translate_only(r, message, known);
    if (error)
        return error;
    snprintf(name, sizeof(name), "messages[%zu].content", r->item);
    translate_at(r, "%s", name);
    if (content && content->type == JSON_ARRAY && content->count == 0)
        return translate_refuse(r, "expected at least one block");
    if (str_eq(role->text, STR("assistant")))
        return write_assistant(r, name, content);
    if (!str_eq(role->text, STR("user")))
        return translate_refuse(r, "the role must be 'user' or 'assistant'; instructions stand in "
                                   "the field 'system'");
    if (content && content->type == JSON_ARRAY)
        return write_user_blocks(r, name, content);
    return write_plain(r, "user", name, content);
}

static bool is_assistants(const struct json *message)
{
    const struct json *role = json_get(message, STR("role"));
    return role && role->type == JSON_STRING && str_eq(role->text, STR("assistant"));
}

int anthropic_write_messages(struct translator *r, const struct json *messages)
{
    const struct json *system = translate_given(r->root, "system");
    int error = 0;
    if (messages->type != JSON_ARRAY || messages->count == 0)
        return translate_refuse(r, "expected an array with at least one message");
    json_key(&r->w, STR("messages"));
    json_array(&r->w);
    translate_at(r, "system");
    if (system && !(system->type == JSON_ARRAY && system->count == 0))
        error = write_plain(r, "system", "system", system);
    r->item = 0;
    json_each(message, messages)
    {
        if (error)
            return error;
        error = write_message(r, message);
        if (!error && !message->next && is_assistants(message) && r->kind == ANTHROPIC_MESSAGES)
            error = translate_refuse(r, "the last message must be the user's: an answer that is "
                                        "begun cannot be gone on with");
        r->item++;
    }
    if (!error)
        json_end(&r->w);
    return error;
}
