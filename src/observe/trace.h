/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a request stands in a distributed trace: W3C Trace Context (traceparent), and the spans
 * that record what was done.
 *
 * Everything is a value: a struct span holds its own text, so it can be copied. It is bounded:
 * attributes beyond SPAN_ATTRIBUTES_MAX or SPAN_TEXT_MAX are cut or left out, and counted. Times
 * are wall-clock instants. Thread rule: none; state is in the arguments.
 */
#ifndef FAIRWAY_OBSERVE_TRACE_H
#define FAIRWAY_OBSERVE_TRACE_H

#include "base/rng.h"
#include "base/str.h"
#include "base/time.h"

struct trace_id {
    uint64_t high, low; /* both 0: none */
};

struct trace_context {
    struct trace_id trace;
    uint64_t span; /* the caller's span when received, the own one when sent */
    bool sampled;
};

enum { TRACEPARENT_MAX = 56, TRACE_ID_TEXT_MAX = 33 };

/* A received traceparent header. ERR_PARSE for anything that the standard calls invalid: then a new
 * trace begins. */
[[nodiscard]] int trace_parse(struct str traceparent, struct trace_context *ret_context);
char *trace_format(const struct trace_context *context, char text[TRACEPARENT_MAX]);
char *trace_id_format(struct trace_id id, char text[TRACE_ID_TEXT_MAX]); /* for log lines */

/* ---- spans ---- */

enum { SPAN_ATTRIBUTES_MAX = 16, SPAN_TEXT_MAX = 512 };

enum span_kind { SPAN_INTERNAL = 1, SPAN_SERVER = 2, SPAN_CLIENT = 3 }; /* OTLP's numbers */

enum span_value { SPAN_VALUE_TEXT, SPAN_VALUE_INT, SPAN_VALUE_DOUBLE, SPAN_VALUE_BOOL };

struct span_attribute {
    const char *key; /* static text */
    enum span_value kind;
    union {
        struct {
            uint16_t offset, len; /* in the span's text */
        } text;
        int64_t integer;
        double number;
        bool boolean;
    };
};

struct span {
    struct trace_context context;
    uint64_t parent;  /* span id; 0: root */
    const char *name; /* static text */
    enum span_kind kind;
    nsec start, end;
    bool failed;
    uint16_t message_offset, message_len; /* why it failed */
    uint16_t attribute_count, left_out, text_len;
    struct span_attribute attributes[SPAN_ATTRIBUTES_MAX];
    char text[SPAN_TEXT_MAX];
};

/* A new trace, not sampled yet. */
struct trace_context trace_new(struct rng *random);

/* A span under `parent` (parent->span 0: the root of its trace), with an id of its own in
 * span->context. */
void span_begin(struct span *span, const char *name, enum span_kind kind,
                const struct trace_context *parent, struct rng *random, nsec now);
void span_text(struct span *span, const char *key, struct str value);
void span_int(struct span *span, const char *key, int64_t value);
void span_double(struct span *span, const char *key, double value);
void span_bool(struct span *span, const char *key, bool value);
void span_fail(struct span *span, struct str message);
void span_end(struct span *span, nsec now);

#endif
