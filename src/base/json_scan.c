/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/json_lex.h"

static struct json_span *wanted(struct json_span *spans, size_t count, struct str raw_key)
{
    for (size_t i = 0; i < count; i++)
        if (json_string_is(raw_key, spans[i].key))
            return &spans[i];
    return NULL;
}

/* Reads one member's value to its end; the caller has read its key. */
static int scan_value(struct json_lexer *l, struct str *ret_raw)
{
    struct json_token token;
    int error = json_lex_next(l, &token);
    const char *start = token.raw.ptr;
    while (!error && l->depth > 1)
        error = json_lex_next(l, &token);
    if (!error)
        *ret_raw = (struct str){start, (size_t)(l->at - start)};
    return error;
}

static int scan_object(struct json_lexer *l, struct json_span *spans, size_t count)
{
    struct json_token token;
    int error = json_lex_next(l, &token);
    if (error)
        return error;
    if (token.type != JSON_TOKEN_OPEN_OBJECT) {
        l->at = token.raw.ptr;
        return ERR_PARSE;
    }
    while (!(error = json_lex_next(l, &token)) && token.type == JSON_TOKEN_KEY) {
        struct json_span *span = wanted(spans, count, token.raw);
        struct str raw;
        error = scan_value(l, &raw);
        if (error)
            return error;
        if (span)
            span->value = raw;
    }
    return error ? error : json_lex_next(l, &token);
}

int json_scan(struct str body, struct json_span *spans, size_t count, size_t *ret_offset)
{
    for (size_t i = 0; i < count; i++)
        spans[i].value = STR_NONE;
    struct json_lexer l;
    json_lex_init(&l, body);
    int error = scan_object(&l, spans, count);
    if (error)
        *ret_offset = (size_t)(l.at - l.start);
    return error;
}

int json_raw_str(struct arena *a, struct str raw, struct str *ret_text)
{
    struct json_token token;
    if (json_lex_single(raw, &token) || token.type != JSON_TOKEN_STRING)
        return ERR_INVALID;
    char *text = arena_alloc(a, raw.len);
    if (!text)
        return ERR_NO_MEMORY;
    *ret_text = (struct str){text, json_unescape(raw, text)};
    return 0;
}

int json_raw_bool(struct str raw, bool *ret_value)
{
    bool value = str_eq(raw, STR("true"));
    if (!value && !str_eq(raw, STR("false")))
        return ERR_INVALID;
    *ret_value = value;
    return 0;
}

int json_raw_u64(struct str raw, uint64_t *ret_value)
{
    struct json_token token;
    if (json_lex_single(raw, &token) || token.type != JSON_TOKEN_NUMBER)
        return ERR_INVALID;
    if (str_to_u64(raw, ret_value) == 0)
        return 0;
    double number = json_number_value(raw);
    if (number < 0 || !json_number_is_exact(number))
        return ERR_INVALID;
    *ret_value = (uint64_t)number;
    return 0;
}

int json_raw_double(struct str raw, double *ret_value)
{
    struct json_token token;
    if (json_lex_single(raw, &token) || token.type != JSON_TOKEN_NUMBER)
        return ERR_INVALID;
    double value = json_number_value(raw);
    if (!isfinite(value))
        return ERR_INVALID;
    *ret_value = value;
    return 0;
}
