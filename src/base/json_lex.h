/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The grammar of JSON, once, for the scanner and the tree: a pull reader of tokens that checks
 * everything json.h promises (order of tokens, depth, strings, UTF-8, numbers). Internal to
 * src/base.
 *
 * Ownership: tokens borrow the text. Thread rule: one thread at a time per lexer.
 */
#ifndef FAIRWAY_BASE_JSON_LEX_H
#define FAIRWAY_BASE_JSON_LEX_H

#include "base/json.h"

enum json_token_type {
    JSON_TOKEN_END, /* the text is over, and it was valid */
    JSON_TOKEN_OPEN_OBJECT,
    JSON_TOKEN_OPEN_ARRAY,
    JSON_TOKEN_CLOSE,
    JSON_TOKEN_KEY, /* its colon is consumed too */
    JSON_TOKEN_STRING,
    JSON_TOKEN_NUMBER,
    JSON_TOKEN_TRUE,
    JSON_TOKEN_FALSE,
    JSON_TOKEN_NULL,
};

struct json_token {
    enum json_token_type type;
    struct str raw; /* as written, with the quotes of a string */
    uint32_t line;
};

struct json_lexer {
    const char *at, *end; /* borrow; after an error `at` is the first wrong byte (or end) */
    const char *start, *line_start;
    uint32_t line;
    int depth;
    uint64_t is_object[(JSON_DEPTH_MAX + 63) / 64]; /* bit per level */
    enum {
        JSON_WANT_VALUE,
        JSON_WANT_VALUE_OR_CLOSE,
        JSON_WANT_KEY,
        JSON_WANT_KEY_OR_CLOSE,
        JSON_WANT_COMMA_OR_CLOSE,
    } want;
    const char *problem; /* what is wrong, after an error */
};

void json_lex_init(struct json_lexer *l, struct str text);

/* ERR_PARSE with l->at and l->problem; the lexer is of no further use then. */
[[nodiscard]] int json_lex_next(struct json_lexer *l, struct json_token *ret_token);

/* A JSON string (with its quotes, valid) as bytes; `out` has room for raw.len. Returns the length.
 */
size_t json_unescape(struct str raw, char *out);

/* Does the JSON string `raw` (with its quotes, valid) mean `text`? */
bool json_string_is(struct str raw, struct str text);

/* The token as one of the raw readers of json.h sees it: ERR_INVALID unless `raw` is exactly one.
 */
[[nodiscard]] int json_lex_single(struct str raw, struct json_token *ret_token);

/* A number token as a double; may be infinite. */
double json_number_value(struct str raw);

/* 100.0 and 1e3 are integers too, as far as a double is exact. */
bool json_number_is_exact(double number);

#endif
