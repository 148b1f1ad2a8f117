/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "api/quantity.h"
#include "api/schema.h"
#include "base/time.h"

static const void *member(const void *object, const struct schema_field *field)
{
    return (const char *)object + field->offset;
}

static bool is_written(const struct schema_field *field, const void *object);

static bool has_fields(const struct schema *schema, const void *object)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (is_written(&schema->fields[i], object))
            return true;
    return false;
}

static bool is_written(const struct schema_field *field, const void *object)
{
    const void *value = member(object, field);
    if (field->fallback || field->required)
        return true;
    switch (field->type) {
    case SCHEMA_STRING:
        return ((const struct str *)value)->len > 0;
    case SCHEMA_BOOL:
        return *(const bool *)value;
    case SCHEMA_ENUM:
        return *(const int *)value != 0;
    case SCHEMA_MAP:
        return ((const struct schema_map *)value)->count > 0;
    case SCHEMA_STRINGS:
        return ((const struct schema_strings *)value)->count > 0;
    case SCHEMA_OBJECTS:
        return ((const struct schema_objects *)value)->count > 0;
    case SCHEMA_OBJECT:
        return has_fields(field->object, value);
    default:
        return *(const int64_t *)value != field->left_out;
    }
}

/* Exact, unlike nsec_format: "1h30m", "1500ms". */
static void put_duration(struct json_writer *w, nsec duration)
{
    static const struct {
        const char *name;
        nsec size;
    } units[] = {{"h", 3600 * NSEC_PER_SEC}, {"m", 60 * NSEC_PER_SEC}, {"s", NSEC_PER_SEC},
                 {"ms", NSEC_PER_MSEC},      {"us", NSEC_PER_USEC},    {"ns", 1}};
    char text[64] = "";
    for (size_t i = 0; i < ARRAY_LEN(units); i++) {
        size_t len = strlen(text);
        if (duration / units[i].size)
            snprintf(text + len, sizeof(text) - len, "%" PRId64 "%s", duration / units[i].size,
                     units[i].name);
        duration %= units[i].size;
    }
    json_str(w, *text ? str_from(text) : STR("0s"));
}

static void put_amount(struct json_writer *w, int64_t parts, int64_t unit)
{
    char text[QUANTITY_TEXT_MAX];
    int64_t number;
    struct str amount = str_from(quantity_format(parts, unit, text));
    if (str_to_i64(amount, &number) == 0)
        json_int(w, number);
    else
        json_str(w, amount);
}

static void put_map(struct json_writer *w, const struct schema_map *map)
{
    json_object(w);
    for (size_t i = 0; i < map->count; i++) {
        json_key(w, map->items[i].key);
        json_str(w, map->items[i].value);
    }
    json_end(w);
}

static void put_list(struct json_writer *w, const struct schema_field *field, const void *value)
{
    const struct schema_strings *strings = value;
    const struct schema_objects *objects = value;
    json_array(w);
    if (field->type == SCHEMA_STRINGS)
        for (size_t i = 0; i < strings->count; i++)
            json_str(w, strings->items[i]);
    else
        for (size_t i = 0; i < objects->count; i++)
            schema_encode(field->object, (const char *)objects->items + i * field->object->size, w);
    json_end(w);
}

static void put_value(struct json_writer *w, const struct schema_field *field, const void *value)
{
    switch (field->type) {
    case SCHEMA_STRING:
        json_str(w, *(const struct str *)value);
        break;
    case SCHEMA_INT:
        json_int(w, *(const int64_t *)value);
        break;
    case SCHEMA_BOOL:
        json_bool(w, *(const bool *)value);
        break;
    case SCHEMA_DURATION:
        put_duration(w, *(const nsec *)value);
        break;
    case SCHEMA_BYTES:
    case SCHEMA_MILLI:
    case SCHEMA_MONEY:
        put_amount(w, *(const int64_t *)value, schema_amount_unit(field->type));
        break;
    case SCHEMA_ENUM:
        json_str(w, str_from(field->values[*(const int *)value]));
        break;
    case SCHEMA_MAP:
        put_map(w, value);
        break;
    case SCHEMA_STRINGS:
    case SCHEMA_OBJECTS:
        put_list(w, field, value);
        break;
    case SCHEMA_OBJECT:
        schema_encode(field->object, value, w);
        break;
    }
}

void schema_encode(const struct schema *schema, const void *object, struct json_writer *w)
{
    json_object(w);
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct schema_field *field = &schema->fields[i];
        if (!is_written(field, object))
            continue;
        json_key(w, str_from(field->name));
        put_value(w, field, member(object, field));
    }
    json_end(w);
}

/* ---- changes ---- */

static bool same_value(const struct schema_field *field, const void *before, const void *after,
                       struct schema_report *r)
{
    enum { VALUE_MAX = 4 << 20 }; /* as large as a resource may be */
    struct buf texts[2];
    const void *values[] = {before, after};
    for (int i = 0; i < 2; i++) {
        struct json_writer w;
        buf_init(&texts[i], VALUE_MAX);
        json_writer_init(&w, &texts[i], 0);
        put_value(&w, field, values[i]);
        r->no_memory |= texts[i].error != 0;
    }
    bool same = str_eq(buf_str(&texts[0]), buf_str(&texts[1]));
    buf_fini(&texts[0]);
    buf_fini(&texts[1]);
    return same;
}

const char *schema_difference(const struct schema *schema, const void *a, const void *b)
{
    struct schema_report r = {0};
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct schema_field *field = &schema->fields[i];
        if (!same_value(field, member(a, field), member(b, field), &r) || r.no_memory)
            return field->name;
    }
    return NULL;
}

void schema_check_change(const struct schema *schema, const void *before, const void *after,
                         struct schema_report *r)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct schema_field *field = &schema->fields[i];
        const void *old = member(before, field), *new = member(after, field);
        if (field->immutable && is_written(field, before) && !same_value(field, old, new, r)) {
            schema_problem(r, field->name, "cannot be changed");
        } else if (field->type == SCHEMA_OBJECT) {
            size_t path_len = r->path_len;
            int added = snprintf(r->path + path_len, sizeof(r->path) - path_len, "%s%s",
                                 path_len ? "." : "", field->name);
            r->path_len = MIN(path_len + (size_t)added, sizeof(r->path) - 1);
            schema_check_change(field->object, old, new, r);
            r->path_len = path_len;
        }
    }
}
