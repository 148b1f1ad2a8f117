/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/utf8.h"

/* ---- strings ---- */

static bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

static void put_escape(struct buf *out, unsigned char c)
{
    static const char names[] = "btn?fr"; /* \b (8) to \r (13); 11 has no name */
    char text[7];
    if (c == '"' || c == '\\')
        snprintf(text, sizeof(text), "\\%c", c);
    else if (c >= '\b' && c <= '\r' && c != '\v')
        snprintf(text, sizeof(text), "\\%c", names[c - '\b']);
    else
        snprintf(text, sizeof(text), "\\u%04x", c);
    buf_put(out, str_from(text));
}

/* ---- members ---- */

void json_member_str(struct json_writer *w, struct str key, struct str value)
{
    json_key(w, key);
    json_str(w, value);
}

void json_member_int(struct json_writer *w, struct str key, int64_t value)
{
    json_key(w, key);
    json_int(w, value);
}

void json_member_u64(struct json_writer *w, struct str key, uint64_t value)
{
    json_key(w, key);
    json_u64(w, value);
}

void json_member_double(struct json_writer *w, struct str key, double value)
{
    json_key(w, key);
    json_double(w, value);
}

void json_member_bool(struct json_writer *w, struct str key, bool value)
{
    json_key(w, key);
    json_bool(w, value);
}

void json_put_str(struct buf *out, struct str text)
{
    buf_put_char(out, '"');
    const char *at = text.ptr ? text.ptr : "", *end = at + text.len;
    while (at < end) {
        const char *run = at;
        size_t length = 1;
        while (at < end && (is_plain((unsigned char)*at) ||
                            ((unsigned char)*at >= 0x80 && (length = utf8_length(at, end)) > 0))) {
            at += length;
            length = 1;
        }
        buf_put(out, (struct str){run, (size_t)(at - run)});
        if (at == end)
            break;
        if ((unsigned char)*at >= 0x80)
            buf_put(out, STR("\xEF\xBF\xBD"));
        else
            put_escape(out, (unsigned char)*at);
        at++;
    }
    buf_put_char(out, '"');
}

/* ---- nesting ---- */

void json_writer_init(struct json_writer *w, struct buf *out, int indent)
{
    *w = (struct json_writer){.out = out, .indent = indent};
}

static bool in_object(const struct json_writer *w)
{
    unsigned level = (unsigned)w->depth - 1;
    return w->depth > 0 && (w->is_object[level / 64] >> (level % 64) & 1);
}

static void new_line(struct json_writer *w)
{
    if (w->indent == 0)
        return;
    buf_put_char(w->out, '\n');
    for (int i = 0; i < w->depth * w->indent; i++)
        buf_put_char(w->out, ' ');
}

static void begin_item(struct json_writer *w)
{
    if (w->need_comma)
        buf_put_char(w->out, ',');
    if (w->depth > 0)
        new_line(w);
    w->need_comma = true;
}

static void begin_value(struct json_writer *w)
{
    if (in_object(w)) {
        CHECK(w->after_key);
        w->after_key = false;
        return;
    }
    CHECK(w->depth > 0 || !w->need_comma); /* one value at the top */
    begin_item(w);
}

static void open_container(struct json_writer *w, bool object)
{
    begin_value(w);
    CHECK(w->depth < JSON_DEPTH_MAX);
    uint64_t bit = UINT64_C(1) << (w->depth % 64);
    uint64_t *word = &w->is_object[w->depth / 64];
    *word = object ? *word | bit : *word & ~bit;
    w->depth++;
    w->need_comma = false;
    buf_put_char(w->out, object ? '{' : '[');
}

void json_object(struct json_writer *w)
{
    open_container(w, true);
}

void json_array(struct json_writer *w)
{
    open_container(w, false);
}

void json_end(struct json_writer *w)
{
    CHECK(w->depth > 0 && !w->after_key);
    char close = in_object(w) ? '}' : ']';
    bool empty = !w->need_comma;
    w->depth--;
    if (!empty)
        new_line(w);
    buf_put_char(w->out, close);
    w->need_comma = true;
}

void json_key(struct json_writer *w, struct str key)
{
    CHECK(in_object(w) && !w->after_key);
    begin_item(w);
    json_put_str(w->out, key);
    buf_put(w->out, w->indent ? STR(": ") : STR(":"));
    w->after_key = true;
}

/* ---- values ---- */

void json_raw(struct json_writer *w, struct str raw)
{
    begin_value(w);
    buf_put(w->out, raw);
}

void json_str(struct json_writer *w, struct str text)
{
    begin_value(w);
    json_put_str(w->out, text);
}

void json_u64(struct json_writer *w, uint64_t value)
{
    begin_value(w);
    buf_put_u64(w->out, value);
}

void json_int(struct json_writer *w, int64_t value)
{
    begin_value(w);
    if (value < 0)
        buf_put_char(w->out, '-');
    buf_put_u64(w->out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void json_double(struct json_writer *w, double value)
{
    if (!isfinite(value)) {
        json_null(w);
        return;
    }
    /* Up to 15 digits survive every double, so fewer need not be tried; except below the normal
     * range. */
    char text[32];
    int digits = isnormal(value) || value == 0 ? 15 : 1;
    do {
        snprintf(text, sizeof(text), "%.*g", digits++, value);
    } while (digits <= 17 && strtod(text, NULL) != value);
    json_raw(w, str_from(text));
}

void json_bool(struct json_writer *w, bool value)
{
    json_raw(w, value ? STR("true") : STR("false"));
}

void json_null(struct json_writer *w)
{
    json_raw(w, STR("null"));
}

static void put_children(struct json_writer *w, const struct json *node)
{
    json_each(child, node)
    {
        if (node->type == JSON_OBJECT)
            json_key(w, child->key);
        json_tree(w, child);
    }
    json_end(w);
}

void json_tree(struct json_writer *w, const struct json *node)
{
    switch (node ? node->type : JSON_NULL) {
    case JSON_NULL:
        json_null(w);
        break;
    case JSON_BOOL:
        json_bool(w, node->boolean);
        break;
    case JSON_NUMBER:
        if (node->raw.len)
            json_raw(w, node->raw);
        else
            json_double(w, node->number);
        break;
    case JSON_STRING:
        json_str(w, node->text);
        break;
    case JSON_ARRAY:
        json_array(w);
        put_children(w, node);
        break;
    case JSON_OBJECT:
        json_object(w);
        put_children(w, node);
        break;
    }
}
