/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/trace.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/err.h"
#include "base/utf8.h"

/* ---- traceparent: version-trace-span-flags, 2-32-16-2 hexadecimal digits ---- */

enum { VERSION_AT = 0, TRACE_AT = 3, SPAN_AT = 36, FLAGS_AT = 53, LENGTH = 55 };

/* Lower-case only, as the standard demands. */
static bool parse_hex(struct str text, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (c >= '0' && c <= '9')
            value = value << 4 | (uint64_t)(c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value << 4 | (uint64_t)(c - 'a' + 10);
        else
            return false;
    }
    *ret_value = value;
    return true;
}

static bool has_shape(struct str text)
{
    if (text.len < LENGTH || text.ptr[TRACE_AT - 1] != '-' || text.ptr[SPAN_AT - 1] != '-' ||
        text.ptr[FLAGS_AT - 1] != '-')
        return false;
    /* A later version may have more parts; version 00 has not. */
    bool first = str_starts(text, STR("00"));
    return text.len == LENGTH || (!first && text.ptr[LENGTH] == '-');
}

int trace_parse(struct str traceparent, struct trace_context *ret_context)
{
    uint64_t version, high, low, span, flags;
    struct str text = str_trim(traceparent);
    if (!has_shape(text) || !parse_hex(str_sub(text, VERSION_AT, TRACE_AT - 1), &version) ||
        !parse_hex(str_sub(text, TRACE_AT, TRACE_AT + 16), &high) ||
        !parse_hex(str_sub(text, TRACE_AT + 16, SPAN_AT - 1), &low) ||
        !parse_hex(str_sub(text, SPAN_AT, FLAGS_AT - 1), &span) ||
        !parse_hex(str_sub(text, FLAGS_AT, LENGTH), &flags))
        return ERR_PARSE;
    if (version == 0xFF || (high | low) == 0 || span == 0)
        return ERR_PARSE;
    *ret_context = (struct trace_context){{high, low}, span, flags & 1};
    return 0;
}

static char *put_hex16(char *out, uint64_t value)
{
    for (int i = 15; i >= 0; i--, value >>= 4)
        out[i] = "0123456789abcdef"[value & 15];
    return out + 16;
}

char *trace_format(const struct trace_context *context, char text[TRACEPARENT_MAX])
{
    char *at = text;
    memcpy(at, "00-", 3);
    at = put_hex16(put_hex16(at + 3, context->trace.high), context->trace.low);
    *at++ = '-';
    at = put_hex16(at, context->span);
    memcpy(at, context->sampled ? "-01" : "-00", 4);
    return text;
}

char *trace_id_format(struct trace_id id, char text[TRACE_ID_TEXT_MAX])
{
    snprintf(text, TRACE_ID_TEXT_MAX, "%016" PRIx64 "%016" PRIx64, id.high, id.low);
    return text;
}

/* ---- spans ---- */

static uint64_t new_id(struct rng *random)
{
    uint64_t id;
    do {
        id = rng_u64(random);
    } while (id == 0);
    return id;
}

struct trace_context trace_new(struct rng *random)
{
    return (struct trace_context){.trace = {new_id(random), new_id(random)}};
}

void span_begin(struct span *span, const char *name, enum span_kind kind,
                const struct trace_context *parent, struct rng *random, nsec now)
{
    *span = (struct span){
        .context = {parent->trace, new_id(random), parent->sampled},
        .parent = parent->span,
        .name = name,
        .kind = kind,
        .start = now,
        .end = now,
    };
}

static struct span_attribute *add(struct span *span, const char *key, enum span_value kind)
{
    if (span->attribute_count == SPAN_ATTRIBUTES_MAX) {
        span->left_out++;
        return NULL;
    }
    struct span_attribute *attribute = &span->attributes[span->attribute_count++];
    attribute->key = key;
    attribute->kind = kind;
    return attribute;
}

/* Copies as much of the text as there is room for. */
static void keep(struct span *span, struct str text, uint16_t *ret_offset, uint16_t *ret_len)
{
    text = utf8_cut(text, (size_t)SPAN_TEXT_MAX - span->text_len);
    *ret_offset = span->text_len;
    *ret_len = (uint16_t)text.len;
    if (text.len > 0)
        memcpy(span->text + span->text_len, text.ptr, text.len);
    span->text_len = (uint16_t)(span->text_len + text.len);
}

void span_text(struct span *span, const char *key, struct str value)
{
    struct span_attribute *attribute = add(span, key, SPAN_VALUE_TEXT);
    if (attribute)
        keep(span, value, &attribute->text.offset, &attribute->text.len);
}

void span_int(struct span *span, const char *key, int64_t value)
{
    struct span_attribute *attribute = add(span, key, SPAN_VALUE_INT);
    if (attribute)
        attribute->integer = value;
}

void span_double(struct span *span, const char *key, double value)
{
    struct span_attribute *attribute = add(span, key, SPAN_VALUE_DOUBLE);
    if (attribute)
        attribute->number = value;
}

void span_bool(struct span *span, const char *key, bool value)
{
    struct span_attribute *attribute = add(span, key, SPAN_VALUE_BOOL);
    if (attribute)
        attribute->boolean = value;
}

void span_fail(struct span *span, struct str message)
{
    if (span->failed)
        return; /* the first reason is the one that matters */
    span->failed = true;
    keep(span, message, &span->message_offset, &span->message_len);
}

void span_end(struct span *span, nsec now)
{
    span->end = MAX(now, span->start); /* the wall clock may have been set back */
}
