/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "observe/otlp.h"

static void put_text(struct json_writer *w, const char *key, struct str value)
{
    json_key(w, str_from(key));
    json_str(w, value);
}

/* 64-bit numbers travel as text: JSON readers keep only 53 bits. */
static void put_int(struct json_writer *w, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRId64, value);
    put_text(w, key, str_from(text));
}

static void put_id(struct json_writer *w, const char *key, uint64_t id)
{
    char text[17];
    snprintf(text, sizeof(text), "%016" PRIx64, id);
    put_text(w, key, str_from(text));
}

static void begin_attribute(struct json_writer *w, const char *key)
{
    json_object(w);
    put_text(w, "key", str_from(key));
    json_key(w, STR("value"));
    json_object(w);
}

static void end_attribute(struct json_writer *w)
{
    json_end(w);
    json_end(w);
}

static void put_attribute(struct json_writer *w, const struct span *span,
                          const struct span_attribute *attribute)
{
    begin_attribute(w, attribute->key);
    switch (attribute->kind) {
    case SPAN_VALUE_TEXT:
        put_text(w, "stringValue",
                 (struct str){span->text + attribute->text.offset, attribute->text.len});
        break;
    case SPAN_VALUE_INT:
        put_int(w, "intValue", attribute->integer);
        break;
    case SPAN_VALUE_DOUBLE:
        json_key(w, STR("doubleValue"));
        json_double(w, attribute->number);
        break;
    case SPAN_VALUE_BOOL:
        json_key(w, STR("boolValue"));
        json_bool(w, attribute->boolean);
        break;
    }
    end_attribute(w);
}

static void put_status(struct json_writer *w, const struct span *span)
{
    enum { STATUS_ERROR = 2 };
    json_key(w, STR("status"));
    json_object(w);
    json_key(w, STR("code"));
    json_u64(w, STATUS_ERROR);
    put_text(w, "message", (struct str){span->text + span->message_offset, span->message_len});
    json_end(w);
}

static void put_span(struct json_writer *w, const struct span *span)
{
    char trace[TRACE_ID_TEXT_MAX];
    json_object(w);
    put_text(w, "traceId", str_from(trace_id_format(span->context.trace, trace)));
    put_id(w, "spanId", span->context.span);
    if (span->parent)
        put_id(w, "parentSpanId", span->parent);
    put_text(w, "name", str_from(span->name));
    json_key(w, STR("kind"));
    json_u64(w, span->kind);
    put_int(w, "startTimeUnixNano", span->start);
    put_int(w, "endTimeUnixNano", span->end);
    json_key(w, STR("attributes"));
    json_array(w);
    for (size_t i = 0; i < span->attribute_count; i++)
        put_attribute(w, span, &span->attributes[i]);
    json_end(w);
    if (span->left_out) {
        json_key(w, STR("droppedAttributesCount"));
        json_u64(w, span->left_out);
    }
    if (span->failed)
        put_status(w, span);
    json_end(w);
}

void otlp_encode(const char *service_name, const struct span *spans, size_t count, struct buf *out)
{
    struct json_writer w;
    json_writer_init(&w, out, 0);
    json_object(&w);
    json_key(&w, STR("resourceSpans"));
    json_array(&w);
    json_object(&w);
    json_key(&w, STR("resource"));
    json_object(&w);
    json_key(&w, STR("attributes"));
    json_array(&w);
    begin_attribute(&w, "service.name");
    put_text(&w, "stringValue", str_from(service_name));
    end_attribute(&w);
    json_end(&w);
    json_end(&w);
    json_key(&w, STR("scopeSpans"));
    json_array(&w);
    json_object(&w);
    json_key(&w, STR("scope"));
    json_object(&w);
    put_text(&w, "name", STR("fairway"));
    json_end(&w);
    json_key(&w, STR("spans"));
    json_array(&w);
    for (size_t i = 0; i < count; i++)
        put_span(&w, &spans[i]);
    while (w.depth > 0)
        json_end(&w);
}
