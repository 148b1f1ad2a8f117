/* SPDX-License-Identifier: Apache-2.0 */
#include "api/anthropic_request.h"

#include "api/anthropic_internal.h"

/* ---- plain fields ---- */

static int write_stops(struct translator *r, const struct json *node)
{
    if (node->type != JSON_ARRAY)
        return translate_refuse(r, "expected an array of strings");
    if (node->count == 0)
        return 0;
    json_key(&r->w, STR("stop"));
    json_array(&r->w);
    json_each(item, node)
    {
        if (item->type != JSON_STRING)
            return translate_refuse(r, "expected an array of strings");
        json_raw(&r->w, item->raw);
    }
    json_end(&r->w);
    return 0;
}

static int write_metadata(struct translator *r, const struct json *node)
{
    static const char *const known[] = {"user_id", NULL};
    const struct json *user = translate_given(node, "user_id");
    if (node->type != JSON_OBJECT || (user && user->type != JSON_STRING))
        return translate_refuse(r, "expected {\"user_id\": \"...\"}");
    if (user) {
        json_key(&r->w, STR("user"));
        json_raw(&r->w, user->raw);
    }
    return translate_only(r, node, known);
}

/* An engine behind the OpenAI API thinks or does not; nobody can tell it to. */
static int check_thinking(struct translator *r, const struct json *node)
{
    const struct json *type = translate_given(node, "type");
    if (type && type->type == JSON_STRING &&
        (str_eq(type->text, STR("disabled")) || str_eq(type->text, STR("adaptive"))))
        return 0;
    return translate_refuse(r, "thinking cannot be asked for here; leave the field out");
}

/* ---- all together ---- */

enum { BOTH = ANTHROPIC_MESSAGES | ANTHROPIC_COUNT };

static const struct translate_field fields[] = {
    {"model", BOTH, BOTH, translate_model},
    {"max_tokens", ANTHROPIC_MESSAGES, ANTHROPIC_MESSAGES, translate_max_tokens},
    {"stream", ANTHROPIC_MESSAGES, 0, translate_stream},
    {"temperature", ANTHROPIC_MESSAGES, 0, translate_number},
    {"top_p", ANTHROPIC_MESSAGES, 0, translate_number},
    {"top_k", ANTHROPIC_MESSAGES, 0, translate_number},
    {"stop_sequences", ANTHROPIC_MESSAGES, 0, write_stops},
    {"metadata", ANTHROPIC_MESSAGES, 0, write_metadata},
    {"tools", BOTH, 0, anthropic_write_tools},
    {"tool_choice", BOTH, 0, anthropic_write_tool_choice},
    {"thinking", BOTH, 0, check_thinking},
    {"service_tier", ANTHROPIC_MESSAGES, 0, translate_nothing},
    {"cache_control", BOTH, 0, translate_nothing},
    {"system", BOTH, 0, translate_nothing}, /* stands among the messages */
    {"messages", BOTH, BOTH, anthropic_write_messages},
};

int anthropic_to_openai(enum anthropic_kind kind, struct str body, struct arena *arena,
                        struct buf *out, struct api_error *ret_error)
{
    struct translator r = {.kind = kind, .arena = arena, .error = ret_error};
    return translate_body(&r, body, fields, ARRAY_LEN(fields), out);
}
