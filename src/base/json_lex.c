/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_lex.h"

#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

void json_lex_init(struct json_lexer *l, struct str text)
{
    const char *start = text.ptr ? text.ptr : "";
    *l = (struct json_lexer){
        .start = start,
        .at = start,
        .end = start + text.len,
        .line_start = start,
        .line = 1,
        .want = JSON_WANT_VALUE,
    };
}

static int fail(struct json_lexer *l, const char *at, const char *problem)
{
    l->at = at;
    l->problem = at == l->end ? "unexpected end" : problem;
    return ERR_PARSE;
}

static void skip_space(struct json_lexer *l)
{
    for (; l->at < l->end; l->at++) {
        if (*l->at == '\n') {
            l->line++;
            l->line_start = l->at + 1;
        } else if (*l->at != ' ' && *l->at != '\t' && *l->at != '\r') {
            return;
        }
    }
}

/* ---- strings ---- */

#define EACH_BYTE(value) (UINT64_MAX / 255 * (value))

/*
 * The first byte that is not plain inside a string (quote, backslash, control, non-ASCII), or end.
 * Eight bytes at a time: subtracting sets a byte's top bit where it was below the subtrahend.
 * A borrow can mark bytes wrongly only above the first one marked rightly, so the lowest is exact.
 */
static uint64_t special_bytes(const char *at)
{
    uint64_t x;
    memcpy(&x, at, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    x = __builtin_bswap64(x);
#endif
    uint64_t control = x - EACH_BYTE(0x20);
    uint64_t quote = (x ^ EACH_BYTE('"')) - EACH_BYTE(1);
    uint64_t backslash = (x ^ EACH_BYTE('\\')) - EACH_BYTE(1);
    return (x | control | quote | backslash) & EACH_BYTE(0x80);
}

/* Not 0 in each byte that is special: as signed numbers those of UTF-8 sequences are below the space, too. */
typedef int8_t lane16 __attribute__((vector_size(16)));

static lane16 special_lanes(const char *at)
{
    lane16 x;
    memcpy(&x, at, sizeof(x));
    return (x < ' ') | (x == '"') | (x == '\\');
}

static bool any_lane(lane16 x)
{
    uint64_t halves[2];
    memcpy(halves, &x, sizeof(halves));
    return halves[0] | halves[1];
}

static const char *skip_plain(const char *at, const char *end)
{
    /* Most of a body is plain: 64 bytes per branch. */
    while (end - at >= 64 && !any_lane(special_lanes(at) | special_lanes(at + 16) |
                                       special_lanes(at + 32) | special_lanes(at + 48)))
        at += 64;
    while (end - at >= 8) {
        uint64_t special = special_bytes(at);
        if (special)
            return at + __builtin_ctzll(special) / 8;
        at += 8;
    }
    for (; at < end; at++) {
        unsigned char c = (unsigned char)*at;
        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            break;
    }
    return at;
}

/* Four hexadecimal digits, or -1. */
static int32_t hex4(const char *at, const char *end)
{
    if (end - at < 4)
        return -1;
    int32_t value = 0;
    for (int i = 0; i < 4; i++) {
        char c = at[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            return -1;
        value = value * 16 + digit;
    }
    return value;
}

/*
 * The escape at `at` (its backslash): its length and code point; 0 when it is wrong. Half a
 * surrogate pair is wrong: no UTF-8 can say it.
 */
static size_t read_escape(const char *at, const char *end, uint32_t *ret_code_point)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    if (end - at < 2)
        return 0;
    if (at[1] != 'u') {
        const char *name = at[1] ? strchr(names, at[1]) : NULL;
        if (!name)
            return 0;
        *ret_code_point = (unsigned char)meanings[name - names];
        return 2;
    }
    int32_t first = hex4(at + 2, end);
    if (first < 0 || (first >= 0xDC00 && first <= 0xDFFF))
        return 0;
    *ret_code_point = (uint32_t)first;
    if (first < 0xD800 || first > 0xDFFF)
        return 6;
    int32_t second = end - at >= 12 && at[6] == '\\' && at[7] == 'u' ? hex4(at + 8, end) : -1;
    if (second < 0xDC00 || second > 0xDFFF)
        return 0;
    *ret_code_point = 0x10000 + (((uint32_t)first - 0xD800) << 10) + ((uint32_t)second - 0xDC00);
    return 12;
}

/* From the opening quote to behind the closing one. */
static int lex_string(struct json_lexer *l)
{
    const char *at = l->at + 1;
    for (;;) {
        at = skip_plain(at, l->end);
        if (at == l->end)
            return fail(l, at, "");
        uint32_t code_point;
        size_t length;
        if (*at == '"')
            break;
        if (*at == '\\') {
            length = read_escape(at, l->end, &code_point);
            if (length == 0)
                return fail(l, at, "bad escape in a string");
            at += length;
        } else if ((unsigned char)*at < 0x20) {
            return fail(l, at, "control character in a string");
        } else {
            do {
                length = utf8_length(at, l->end);
                if (length == 0)
                    return fail(l, at, "invalid UTF-8 in a string");
                at += length;
            } while (at < l->end && (unsigned char)*at >= 0x80);
        }
    }
    l->at = at + 1;
    return 0;
}

size_t json_unescape(struct str raw, char *out)
{
    const char *at = raw.ptr + 1, *end = raw.ptr + raw.len - 1;
    char *to = out;
    while (at < end) {
        const char *backslash = memchr(at, '\\', (size_t)(end - at));
        size_t plain = (size_t)((backslash ? backslash : end) - at);
        memcpy(to, at, plain);
        to += plain;
        at += plain;
        if (at == end)
            break;
        uint32_t code_point = 0;
        size_t length = read_escape(at, end, &code_point);
        CHECK(length > 0);
        to += utf8_put(code_point, to);
        at += length;
    }
    return (size_t)(to - out);
}

bool json_string_is(struct str raw, struct str text)
{
    struct str inside = str_sub(raw, 1, raw.len - 1);
    if (str_eq(inside, text))
        return str_find_char(inside, '\\') == inside.len;
    size_t matched = 0;
    for (const char *at = inside.ptr, *end = at + inside.len; at < end;) {
        char bytes[4] = {*at};
        uint32_t code_point;
        size_t count = 1, length = 1;
        if (*at == '\\') {
            length = read_escape(at, end, &code_point);
            CHECK(length > 0);
            count = utf8_put(code_point, bytes);
        }
        if (!str_eq((struct str){bytes, count}, str_sub(text, matched, matched + count)))
            return false;
        matched += count;
        at += length;
    }
    return matched == text.len;
}

/* ---- numbers and words ---- */

static const char *skip_digits(const char *at, const char *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

static int lex_number(struct json_lexer *l)
{
    const char *at = l->at + (*l->at == '-'), *digits = at;
    at = skip_digits(at, l->end);
    if (at == digits)
        return fail(l, at, "expected a digit");
    if (*digits == '0' && at - digits > 1)
        return fail(l, digits + 1, "a number must not begin with 0");
    if (at < l->end && *at == '.') {
        digits = ++at;
        at = skip_digits(at, l->end);
        if (at == digits)
            return fail(l, at, "expected a digit");
    }
    if (at < l->end && (*at == 'e' || *at == 'E')) {
        at++;
        at += at < l->end && (*at == '+' || *at == '-');
        digits = at;
        at = skip_digits(at, l->end);
        if (at == digits)
            return fail(l, at, "expected a digit");
    }
    l->at = at;
    return 0;
}

static int lex_word(struct json_lexer *l, struct str word)
{
    const char *at = l->at;
    for (size_t i = 0; i < word.len; i++, at++)
        if (at == l->end || *at != word.ptr[i])
            return fail(l, at, "expected a value");
    l->at = at;
    return 0;
}

double json_number_value(struct str raw)
{
    int64_t integer;
    if (raw.len <= 15 && raw.ptr[0] != '-' && str_to_i64(raw, &integer) == 0)
        return (double)integer;
    char small[64];
    char *text = raw.len < sizeof(small) ? small : mem_alloc(raw.len + 1);
    memcpy(text, raw.ptr, raw.len);
    text[raw.len] = 0;
    double value = strtod(text, NULL);
    if (text != small)
        mem_free(text);
    return value;
}

bool json_number_is_exact(double number)
{
    double limit = (double)(INT64_C(1) << 53);
    return fabs(number) <= limit && number == floor(number);
}

/* ---- the order of tokens ---- */

static bool in_object(const struct json_lexer *l)
{
    unsigned level = (unsigned)l->depth - 1;
    return l->depth > 0 && (l->is_object[level / 64] >> (level % 64) & 1);
}

static int open_container(struct json_lexer *l, bool object)
{
    if (l->depth == JSON_DEPTH_MAX)
        return fail(l, l->at, "nested too deeply");
    uint64_t bit = UINT64_C(1) << (l->depth % 64);
    uint64_t *word = &l->is_object[l->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    l->depth++;
    l->at++;
    l->want = object ? JSON_WANT_KEY_OR_CLOSE : JSON_WANT_VALUE_OR_CLOSE;
    return 0;
}

static int lex_value(struct json_lexer *l, struct json_token *token)
{
    l->want = JSON_WANT_COMMA_OR_CLOSE;
    switch (*l->at) {
    case '{':
        token->type = JSON_TOKEN_OPEN_OBJECT;
        return open_container(l, true);
    case '[':
        token->type = JSON_TOKEN_OPEN_ARRAY;
        return open_container(l, false);
    case '"':
        token->type = JSON_TOKEN_STRING;
        return lex_string(l);
    case 't':
        token->type = JSON_TOKEN_TRUE;
        return lex_word(l, STR("true"));
    case 'f':
        token->type = JSON_TOKEN_FALSE;
        return lex_word(l, STR("false"));
    case 'n':
        token->type = JSON_TOKEN_NULL;
        return lex_word(l, STR("null"));
    default:
        token->type = JSON_TOKEN_NUMBER;
        if (*l->at != '-' && (*l->at < '0' || *l->at > '9'))
            return fail(l, l->at, "expected a value");
        return lex_number(l);
    }
}

static int lex_key(struct json_lexer *l, struct json_token *token)
{
    token->type = JSON_TOKEN_KEY;
    if (*l->at != '"')
        return fail(l, l->at, "expected a key in quotes");
    int error = lex_string(l);
    if (error)
        return error;
    token->raw.len = (size_t)(l->at - token->raw.ptr);
    skip_space(l);
    if (l->at == l->end || *l->at != ':')
        return fail(l, l->at, "expected ':' after a key");
    l->at++;
    l->want = JSON_WANT_VALUE;
    return 0;
}

static bool is_close(const struct json_lexer *l)
{
    return l->at < l->end && *l->at == (in_object(l) ? '}' : ']') && l->depth > 0 &&
           l->want != JSON_WANT_VALUE && l->want != JSON_WANT_KEY;
}

static int close_container(struct json_lexer *l, struct json_token *token)
{
    token->type = JSON_TOKEN_CLOSE;
    token->raw.len = 1;
    l->depth--;
    l->at++;
    l->want = JSON_WANT_COMMA_OR_CLOSE;
    return 0;
}

/* The comma between two values, and the space around it. */
static int pass_comma(struct json_lexer *l)
{
    if (l->at == l->end || *l->at != ',')
        return fail(l, l->at, in_object(l) ? "expected ',' or '}'" : "expected ',' or ']'");
    l->at++;
    l->want = in_object(l) ? JSON_WANT_KEY : JSON_WANT_VALUE;
    skip_space(l);
    return 0;
}

static int lex_end(struct json_lexer *l, struct json_token *token)
{
    token->type = JSON_TOKEN_END;
    return l->at == l->end ? 0 : fail(l, l->at, "text after the value");
}

int json_lex_next(struct json_lexer *l, struct json_token *ret_token)
{
    skip_space(l);
    struct json_token token = {.raw = {l->at, 0}, .line = l->line};
    int error = 0;
    if (is_close(l)) {
        error = close_container(l, &token);
    } else if (l->want == JSON_WANT_COMMA_OR_CLOSE && l->depth == 0) {
        error = lex_end(l, &token);
    } else {
        if (l->want == JSON_WANT_COMMA_OR_CLOSE)
            error = pass_comma(l);
        if (!error && l->at == l->end)
            error = fail(l, l->at, "");
        if (error)
            return error;
        token.raw.ptr = l->at;
        token.line = l->line;
        bool key = l->want == JSON_WANT_KEY || l->want == JSON_WANT_KEY_OR_CLOSE;
        error = key ? lex_key(l, &token) : lex_value(l, &token);
        if (!key && !error)
            token.raw.len = (size_t)(l->at - token.raw.ptr);
    }
    if (!error)
        *ret_token = token;
    return error;
}

int json_lex_single(struct str raw, struct json_token *ret_token)
{
    struct json_lexer l;
    json_lex_init(&l, raw);
    struct json_token token;
    if (raw.len == 0 || json_lex_next(&l, &token) || !str_eq(token.raw, raw))
        return ERR_INVALID;
    *ret_token = token;
    return 0;
}
