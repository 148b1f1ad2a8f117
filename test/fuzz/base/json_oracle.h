/* SPDX-License-Identifier: Apache-2.0 */
/* Is this JSON? RFC 8259's grammar written down as plainly as possible, to check the quick readers
 * against. Recursive and slow on purpose. */
#ifndef FAIRWAY_TEST_JSON_ORACLE_H
#define FAIRWAY_TEST_JSON_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

struct oracle {
    const unsigned char *s;
    size_t at, len;
};

static int oracle_peek(const struct oracle *o)
{
    return o->at < o->len ? o->s[o->at] : -1;
}

static bool oracle_take(struct oracle *o, int c)
{
    bool match = oracle_peek(o) == c;
    o->at += match;
    return match;
}

static void oracle_space(struct oracle *o)
{
    while (oracle_take(o, ' ') || oracle_take(o, '\t') || oracle_take(o, '\n') ||
           oracle_take(o, '\r'))
        ;
}

static bool oracle_range(struct oracle *o, int from, int to)
{
    bool match = oracle_peek(o) >= from && oracle_peek(o) <= to;
    o->at += match;
    return match;
}

static bool oracle_digits(struct oracle *o)
{
    bool any = false;
    while (oracle_range(o, '0', '9'))
        any = true;
    return any;
}

static bool oracle_number(struct oracle *o)
{
    oracle_take(o, '-');
    if (!oracle_take(o, '0') && !oracle_digits(o))
        return false;
    if (oracle_take(o, '.') && !oracle_digits(o))
        return false;
    if (oracle_take(o, 'e') || oracle_take(o, 'E')) {
        if (!oracle_take(o, '+'))
            oracle_take(o, '-');
        return oracle_digits(o);
    }
    return true;
}

static bool oracle_hex4(struct oracle *o, int *ret_unit)
{
    *ret_unit = 0;
    for (int i = 0; i < 4; i++) {
        int c = oracle_peek(o);
        if (oracle_range(o, '0', '9'))
            *ret_unit = *ret_unit * 16 + c - '0';
        else if (oracle_range(o, 'a', 'f') || oracle_range(o, 'A', 'F'))
            *ret_unit = *ret_unit * 16 + (c | 32) - 'a' + 10;
        else
            return false;
    }
    return true;
}

static bool oracle_escape(struct oracle *o)
{
    int c = oracle_peek(o), unit;
    o->at++;
    if (c > 0 && strchr("\"\\/bfnrt", c))
        return true;
    if (c != 'u' || !oracle_hex4(o, &unit) || (unit >= 0xDC00 && unit <= 0xDFFF))
        return false;
    if (unit < 0xD800 || unit > 0xDBFF)
        return true;
    return oracle_take(o, '\\') && oracle_take(o, 'u') && oracle_hex4(o, &unit) && unit >= 0xDC00 &&
           unit <= 0xDFFF;
}

/* The table of well-formed byte sequences of the Unicode standard (3-7), row by row. */
static bool oracle_utf8(struct oracle *o)
{
    static const int rows[][8] = {
        {0xC2, 0xDF, 0x80, 0xBF},
        {0xE0, 0xE0, 0xA0, 0xBF, 0x80, 0xBF},
        {0xE1, 0xEC, 0x80, 0xBF, 0x80, 0xBF},
        {0xED, 0xED, 0x80, 0x9F, 0x80, 0xBF},
        {0xEE, 0xEF, 0x80, 0xBF, 0x80, 0xBF},
        {0xF0, 0xF0, 0x90, 0xBF, 0x80, 0xBF, 0x80, 0xBF},
        {0xF1, 0xF3, 0x80, 0xBF, 0x80, 0xBF, 0x80, 0xBF},
        {0xF4, 0xF4, 0x80, 0x8F, 0x80, 0xBF, 0x80, 0xBF},
    };
    size_t start = o->at;
    for (size_t row = 0; row < sizeof(rows) / sizeof(rows[0]); row++) {
        o->at = start;
        int i = 0;
        while (i < 8 && rows[row][i] && oracle_range(o, rows[row][i], rows[row][i + 1]))
            i += 2;
        if (i == 8 || rows[row][i] == 0)
            return true;
    }
    return false;
}

static bool oracle_string(struct oracle *o)
{
    if (!oracle_take(o, '"'))
        return false;
    while (!oracle_take(o, '"')) {
        if (oracle_take(o, '\\')) {
            if (!oracle_escape(o))
                return false;
        } else if (!oracle_range(o, 0x20, 0x7F) && !oracle_utf8(o)) {
            return false;
        }
    }
    return true;
}

static bool oracle_value(struct oracle *o, int depth_left);

static bool oracle_items(struct oracle *o, bool object, int depth_left)
{
    int close = object ? '}' : ']';
    oracle_space(o);
    if (oracle_take(o, close))
        return true;
    do {
        oracle_space(o);
        if (object) {
            if (!oracle_string(o))
                return false;
            oracle_space(o);
            if (!oracle_take(o, ':'))
                return false;
        }
        if (!oracle_value(o, depth_left))
            return false;
    } while (oracle_take(o, ','));
    return oracle_take(o, close);
}

static bool oracle_word(struct oracle *o, const char *word)
{
    size_t len = strlen(word);
    bool match = o->len - o->at >= len && memcmp(o->s + o->at, word, len) == 0;
    o->at += match ? len : 0;
    return match;
}

static bool oracle_value(struct oracle *o, int depth_left)
{
    bool ok;
    oracle_space(o);
    if (oracle_peek(o) == '{' || oracle_peek(o) == '[') {
        bool object = o->s[o->at++] == '{';
        ok = depth_left > 0 && oracle_items(o, object, depth_left - 1);
    } else if (oracle_peek(o) == '"') {
        ok = oracle_string(o);
    } else {
        ok = oracle_word(o, "true") || oracle_word(o, "false") || oracle_word(o, "null") ||
             oracle_number(o);
    }
    oracle_space(o);
    return ok;
}

static inline bool oracle_is_json(const void *text, size_t len, int depth_max)
{
    struct oracle o = {text, 0, len};
    return oracle_value(&o, depth_max) && o.at == len;
}

static inline bool oracle_is_object(const void *text, size_t len)
{
    struct oracle o = {text, 0, len};
    oracle_space(&o);
    return oracle_peek(&o) == '{';
}

#endif
