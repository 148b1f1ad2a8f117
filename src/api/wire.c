/* SPDX-License-Identifier: Apache-2.0 */
#include "api/wire.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

#define DOUBLE_EXACT_MAX (UINT64_C(1) << 53)

static uint64_t max_of(const struct wire_field *f)
{
    return f->max ? f->max : UINT64_MAX >> (64 - 8 * f->size);
}

/* ---- writing ---- */

static uint64_t load(const void *value, size_t size)
{
    switch (size) {
    case 2:
        return *(const uint16_t *)value;
    case 4:
        return *(const uint32_t *)value;
    default:
        CHECK(size == 8);
        return *(const uint64_t *)value;
    }
}

static void put_integer(struct json_writer *w, bool is_negative, uint64_t magnitude)
{
    char text[24];
    snprintf(text, sizeof(text), "%s%" PRIu64, is_negative ? "-" : "", magnitude);
    if (magnitude > DOUBLE_EXACT_MAX)
        json_str(w, str_from(text));
    else
        json_raw(w, str_from(text));
}

static void put_signed(struct json_writer *w, int64_t value)
{
    put_integer(w, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

static void put_hex(struct json_writer *w, const unsigned char *bytes, size_t size)
{
    struct buf text;
    buf_init(&text, 2 * size + 1); /* a zero behind it */
    for (size_t i = 0; i < size; i++)
        buf_printf(&text, "%02x", bytes[i]);
    json_str(w, buf_str(&text));
    buf_fini(&text);
}

static void put_value(const struct wire_field *f, const void *value, struct json_writer *w)
{
    switch (f->type) {
    case WIRE_TEXT:
    case WIRE_BORROWED:
        json_str(w, *(const struct str *)value);
        break;
    case WIRE_UNSIGNED:
        put_integer(w, false, load(value, f->size));
        break;
    case WIRE_SIGNED:
        put_signed(w, *(const int64_t *)value);
        break;
    case WIRE_RATIO:
        json_double(w, *(const double *)value);
        break;
    case WIRE_BOOL:
        json_bool(w, *(const bool *)value);
        break;
    case WIRE_WORD:
        json_str(w, str_from(f->words[load(value, f->size)]));
        break;
    case WIRE_HEX:
        put_hex(w, value, f->size);
        break;
    }
}

void wire_write(const struct wire_field *fields, const void *object, struct json_writer *w)
{
    for (const struct wire_field *f = fields; f->name; f++) {
        json_key(w, str_from(f->name));
        put_value(f, (const char *)object + f->offset, w);
    }
}

/* ---- problems ---- */

void wire_reader_init(struct wire_reader *r, struct arena *a, struct err *err)
{
    *r = (struct wire_reader){.arena = a, .err = err};
}

void wire_fail(struct wire_reader *r, const char *name, const char *format, ...)
{
    char message[ERR_MESSAGE_MAX];
    va_list args;
    if (r->error)
        return;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    bool has_path = r->path_len || name;
    r->error = err_set(r->err, ERR_INVALID, "%s%s%s%s%s", r->path, r->path_len && name ? "." : "",
                       name ? name : "", has_path ? ": " : "", message);
}

static void fail_word(struct wire_reader *r, const struct wire_field *f)
{
    struct buf known;
    buf_init(&known, ERR_MESSAGE_MAX);
    for (size_t i = 0; f->words[i]; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", f->words[i]);
    wire_fail(r, f->name, "must be one of %.*s", STR_ARG(buf_str(&known)));
    buf_fini(&known);
}

/* ---- reading: one function for each type ---- */

typedef void read_fn(struct wire_reader *r, const struct wire_field *f, const struct json *node,
                     void *value);

static void store(void *value, size_t size, uint64_t number)
{
    switch (size) {
    case 2:
        *(uint16_t *)value = (uint16_t)number;
        break;
    case 4:
        *(uint32_t *)value = (uint32_t)number;
        break;
    default:
        CHECK(size == 8);
        *(uint64_t *)value = number;
    }
}

/* Of a text, or of a number as it was written. */
static struct str text_of(const struct json *node)
{
    return node->type == JSON_NUMBER   ? node->raw
           : node->type == JSON_STRING ? node->text
                                       : STR_NONE;
}

static void read_text(struct wire_reader *r, const struct wire_field *f, const struct json *node,
                      void *value)
{
    if (node->type != JSON_STRING) {
        wire_fail(r, f->name, "must be text");
        return;
    }
    struct str text = f->type == WIRE_TEXT ? arena_dup(r->arena, node->text) : node->text;
    if (text.ptr)
        *(struct str *)value = text;
    else
        r->error = err_set(r->err, ERR_NO_MEMORY, "%s: too much memory is needed", r->path);
}

static void read_unsigned(struct wire_reader *r, const struct wire_field *f,
                          const struct json *node, void *value)
{
    uint64_t number;
    if (str_to_u64(text_of(node), &number) || number < f->min || number > max_of(f))
        wire_fail(r, f->name, "must be a whole number from %" PRIu64 " to %" PRIu64, f->min,
                  max_of(f));
    else
        store(value, f->size, number);
}

static void read_signed(struct wire_reader *r, const struct wire_field *f, const struct json *node,
                        void *value)
{
    if (str_to_i64(text_of(node), value))
        wire_fail(r, f->name, "must be a whole number of 64 bits");
}

static void read_ratio(struct wire_reader *r, const struct wire_field *f, const struct json *node,
                       void *value)
{
    if (node->type == JSON_NUMBER && isfinite(node->number) && node->number >= 0)
        *(double *)value = node->number;
    else
        wire_fail(r, f->name, "must be a number, 0 or more");
}

static void read_bool(struct wire_reader *r, const struct wire_field *f, const struct json *node,
                      void *value)
{
    if (node->type == JSON_BOOL)
        *(bool *)value = node->boolean;
    else
        wire_fail(r, f->name, "must be true or false");
}

static void read_word(struct wire_reader *r, const struct wire_field *f, const struct json *node,
                      void *value)
{
    size_t i = 0;
    while (f->words[i] && !(node->type == JSON_STRING && str_eq(node->text, str_from(f->words[i]))))
        i++;
    if (f->words[i])
        store(value, f->size, i);
    else
        fail_word(r, f);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static void read_hex(struct wire_reader *r, const struct wire_field *f, const struct json *node,
                     void *value)
{
    struct str text = node->type == JSON_STRING ? node->text : STR_NONE;
    bool is_right = text.len == 2 * f->size;
    for (size_t i = 0; is_right && i < f->size; i++) {
        int high = hex_digit(text.ptr[2 * i]), low = hex_digit(text.ptr[2 * i + 1]);
        is_right = high >= 0 && low >= 0;
        ((unsigned char *)value)[i] = (unsigned char)((unsigned)high << 4 | (unsigned)low);
    }
    if (!is_right)
        wire_fail(r, f->name, "must be %zu bytes in hexadecimal", f->size);
}

static read_fn *const readers[] = {
    [WIRE_TEXT] = read_text,     [WIRE_BORROWED] = read_text, [WIRE_UNSIGNED] = read_unsigned,
    [WIRE_SIGNED] = read_signed, [WIRE_RATIO] = read_ratio,   [WIRE_BOOL] = read_bool,
    [WIRE_WORD] = read_word,     [WIRE_HEX] = read_hex,
};

void wire_read(struct wire_reader *r, const struct wire_field *fields, const struct json *node,
               void *object)
{
    if (node->type != JSON_OBJECT)
        wire_fail(r, NULL, "must be an object");
    for (const struct wire_field *f = fields; f->name && !r->error; f++) {
        const struct json *value = json_get(node, str_from(f->name));
        if (value)
            readers[f->type](r, f, value, (char *)object + f->offset);
        else if (f->required)
            wire_fail(r, f->name, "is missing");
    }
}

struct str wire_text(struct wire_reader *r, const struct json *node)
{
    if (node->type == JSON_STRING)
        return node->text;
    wire_fail(r, NULL, "must be text");
    return STR_NONE;
}

/* ---- what is inside ---- */

/* With `part` of the path. */
static void read_part(struct wire_reader *r, const char *part, wire_item *read,
                      const struct json *node, void *owner)
{
    size_t outer = r->path_len;
    size_t room = sizeof(r->path) - outer;
    int added = snprintf(r->path + outer, room, "%s%s", outer ? "." : "", part);
    r->path_len += MIN((size_t)added, room - 1);
    read(r, node, owner);
    r->path_len = outer;
    r->path[outer] = 0;
}

void wire_inside(struct wire_reader *r, const struct json *object, const char *name,
                 wire_item *read, void *owner)
{
    const struct json *node = json_get(object, str_from(name));
    if (node && !r->error)
        read_part(r, name, read, node, owner);
}

void wire_each(struct wire_reader *r, const struct json *object, const char *name,
               enum wire_order order, wire_item *read, void *owner)
{
    const struct json *list = json_get(object, str_from(name));
    if (!list)
        return;
    if (list->type != JSON_ARRAY) {
        wire_fail(r, name, "must be a list");
        return;
    }
    const struct json **items = mem_array(list->count, sizeof(struct json *));
    size_t count = 0;
    json_each(item, list) items[count++] = item;
    for (size_t n = 0; n < count && !r->error; n++) {
        size_t i = order == WIRE_FORWARD ? n : count - 1 - n;
        char part[WIRE_PATH_MAX];
        snprintf(part, sizeof(part), "%s[%zu]", name, i);
        read_part(r, part, read, items[i], owner);
    }
    mem_free(items);
}
