/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "api/quantity.h"
#include "api/schema.h"
#include "base/time.h"

/* Where a value comes from: the tree, or the text of a default (node NULL). */
struct source {
    const struct json *node;
    struct str text; /* of a string or number, as written */
};

static void *member(void *object, const struct schema_field *field)
{
    return (char *)object + field->offset;
}

/* ---- messages ---- */

static const char *type_name(const struct json *node)
{
    static const char *const names[] = {"nothing", "a boolean", "a number",
                                        "text",    "a list",    "an object"};
    return names[node->type];
}

static void wrong_type(struct schema_report *r, const struct schema_field *field,
                       const struct json *node, const char *expected)
{
    if (node->type == JSON_NULL)
        schema_problem(r, field->name, "is empty; give it a value or leave it out");
    else if (node->type == JSON_NUMBER && field->type == SCHEMA_STRING)
        schema_problem(r, field->name, "must be text; put it in quotes: \"%.*s\"",
                       STR_ARG(node->raw));
    else if (node->type == JSON_STRING && node->text.len <= 64)
        schema_problem(r, field->name, "must be %s, not \"%.*s\"", expected, STR_ARG(node->text));
    else
        schema_problem(r, field->name, "must be %s, not %s", expected, type_name(node));
}

static void unknown_field(const struct schema *schema, const struct json *child,
                          struct schema_report *r)
{
    struct buf hint;
    char name[80];
    buf_init(&hint, 400);
    schema_put_hint(schema, child->key, &hint);
    snprintf(name, sizeof(name), "%.*s", (int)MIN(child->key.len, (size_t)64), child->key.ptr);
    schema_problem(r, name, "unknown field%.*s", STR_ARG(buf_str(&hint)));
    buf_fini(&hint);
}

static void unknown_value(struct schema_report *r, const struct schema_field *field,
                          struct str given)
{
    struct buf known;
    buf_init(&known, 400);
    for (size_t i = 0; field->values[i]; i++)
        buf_printf(&known, "%s%s", i ? ", " : "", field->values[i]);
    schema_problem(r, field->name, "must be one of %.*s, not \"%.*s\"", STR_ARG(buf_str(&known)),
                   (int)MIN(given.len, (size_t)64), given.ptr);
    buf_fini(&known);
}

/* ---- single values ---- */

static bool in_range(struct schema_report *r, const struct schema_field *field, int64_t value)
{
    if (value >= field->min && (field->max == 0 || value <= field->max))
        return true;
    if (field->max)
        schema_problem(r, field->name, "must be between %" PRId64 " and %" PRId64, field->min,
                       field->max);
    else
        schema_problem(r, field->name, "must be at least %" PRId64, field->min);
    return false;
}

static bool is_length_right(struct schema_report *r, const struct schema_field *field,
                            size_t length, const char *of_what)
{
    if ((int64_t)length < field->min)
        schema_problem(r, field->name, "must have at least %" PRId64 " %s", field->min, of_what);
    else if (field->max && (int64_t)length > field->max)
        schema_problem(r, field->name, "must have at most %" PRId64 " %s", field->max, of_what);
    else
        return true;
    return false;
}

static bool is_text_right(struct schema_report *r, const struct schema_field *field,
                          struct str text)
{
    const char *problem = field->check ? field->check(text) : NULL;
    if (problem)
        schema_problem(r, field->name, "\"%.*s\" %s", (int)MIN(text.len, (size_t)128), text.ptr,
                       problem);
    return !problem;
}

static struct str keep(struct schema_report *r, struct str text)
{
    struct str copy = arena_dup(r->arena, text);
    r->no_memory |= !copy.ptr;
    return copy;
}

static void decode_string(const struct schema_field *field, const struct source *s, void *object,
                          struct schema_report *r)
{
    if (s->node && s->node->type != JSON_STRING)
        wrong_type(r, field, s->node, "text");
    else if (is_length_right(r, field, s->text.len, "characters") &&
             is_text_right(r, field, s->text))
        *(struct str *)member(object, field) = keep(r, s->text);
}

static void decode_int(const struct schema_field *field, const struct source *s, void *object,
                       struct schema_report *r)
{
    int64_t value;
    int error = s->node ? json_i64(s->node, &value) : str_to_i64(s->text, &value);
    if (error)
        wrong_type(r, field, s->node, "a whole number");
    else if (in_range(r, field, value))
        *(int64_t *)member(object, field) = value;
}

static void decode_bool(const struct schema_field *field, const struct source *s, void *object,
                        struct schema_report *r)
{
    if (s->node && s->node->type != JSON_BOOL)
        wrong_type(r, field, s->node, "true or false");
    else
        *(bool *)member(object, field) = s->node ? s->node->boolean : str_eq(s->text, STR("true"));
}

static void decode_duration(const struct schema_field *field, const struct source *s, void *object,
                            struct schema_report *r)
{
    nsec value;
    char bound[NSEC_TEXT_MAX];
    if ((s->node && s->node->type != JSON_STRING) || nsec_parse(s->text, &value))
        wrong_type(r, field, s->node, "a duration like 10s or 2m30s");
    else if (value < field->min)
        schema_problem(r, field->name, "must be at least %s", nsec_format(field->min, bound));
    else if (field->max && value > field->max)
        schema_problem(r, field->name, "must be at most %s", nsec_format(field->max, bound));
    else
        *(nsec *)member(object, field) = value;
}

static void decode_amount(const struct schema_field *field, const struct source *s, void *object,
                          struct schema_report *r)
{
    int64_t value, unit = schema_amount_unit(field->type);
    bool scalar = !s->node || s->node->type == JSON_STRING || s->node->type == JSON_NUMBER;
    if (!scalar || quantity_parse(s->text, unit, &value))
        wrong_type(r, field, s->node,
                   field->type == SCHEMA_BYTES   ? "an amount like 20Gi or 500M"
                   : field->type == SCHEMA_MILLI ? "an amount like 2 or 500m"
                                                 : "an amount of money like 0.15");
    else if (in_range(r, field, value))
        *(int64_t *)member(object, field) = value;
}

static void decode_enum(const struct schema_field *field, const struct source *s, void *object,
                        struct schema_report *r)
{
    if (s->node && s->node->type != JSON_STRING) {
        wrong_type(r, field, s->node, "text");
        return;
    }
    for (int i = 0; field->values[i]; i++) {
        if (str_eq(s->text, str_from(field->values[i]))) {
            *(int *)member(object, field) = i;
            return;
        }
    }
    unknown_value(r, field, s->text);
}

/* ---- lists and maps ---- */

static void decode_map(const struct schema_field *field, const struct json *node, void *object,
                       struct schema_report *r)
{
    struct schema_map map = {arena_array(r->arena, node->count, sizeof(struct schema_pair)), 0};
    r->no_memory |= !map.items;
    if (!map.items || !is_length_right(r, field, node->count, "entries"))
        return;
    json_each(child, node)
    {
        char path[SCHEMA_PATH_MAX];
        snprintf(path, sizeof(path), "%s.%.*s", field->name, (int)MIN(child->key.len, (size_t)64),
                 child->key.ptr);
        struct schema_field item = {.name = path, .type = SCHEMA_STRING};
        if (child->type != JSON_STRING)
            wrong_type(r, &item, child, "text");
        else if (json_get(node, child->key) != child)
            schema_problem(r, path, "is given twice");
        else if (is_text_right(r, field, child->key))
            map.items[map.count++] =
                (struct schema_pair){keep(r, child->key), keep(r, child->text)};
    }
    *(struct schema_map *)member(object, field) = map;
}

static void decode_strings(const struct schema_field *field, const struct json *node, void *object,
                           struct schema_report *r)
{
    struct schema_strings list = {arena_array(r->arena, node->count, sizeof(struct str)), 0};
    r->no_memory |= !list.items;
    if (!list.items || !is_length_right(r, field, node->count, "items"))
        return;
    json_each(child, node)
    {
        char path[SCHEMA_PATH_MAX];
        snprintf(path, sizeof(path), "%s[%zu]", field->name, list.count);
        struct schema_field item = {.name = path, .type = SCHEMA_STRING, .check = field->check};
        if (child->type != JSON_STRING)
            wrong_type(r, &item, child, "text");
        else if (is_text_right(r, &item, child->text))
            list.items[list.count] = keep(r, child->text);
        list.count++;
    }
    *(struct schema_strings *)member(object, field) = list;
}

/* ---- objects ---- */

/* Decodes an object one level further in; the path and node of the report follow. An absent one is
 * as good as an empty one. */
static void decode_inside(const struct schema *schema, const char *name, const struct json *node,
                          void *object, struct schema_report *r)
{
    size_t path_len = r->path_len;
    const struct json *outer = r->node;
    int added =
        snprintf(r->path + path_len, sizeof(r->path) - path_len, "%s%s", path_len ? "." : "", name);
    r->path_len = MIN(path_len + (size_t)added, sizeof(r->path) - 1);
    struct json absent = {.type = JSON_OBJECT, .line = outer->line};
    r->node = node ? node : &absent;
    schema_decode(schema, r->node, object, r);
    r->node = outer;
    r->path_len = path_len;
}

static void decode_objects(const struct schema_field *field, const struct json *node, void *object,
                           struct schema_report *r)
{
    size_t size = field->object->size;
    struct schema_objects list = {arena_array(r->arena, node->count, size), 0};
    r->no_memory |= !list.items;
    if (!list.items || !is_length_right(r, field, node->count, "items"))
        return;
    json_each(child, node)
    {
        char name[SCHEMA_PATH_MAX];
        snprintf(name, sizeof(name), "%s[%zu]", field->name, list.count);
        struct schema_field item = {.name = name, .type = SCHEMA_OBJECT};
        if (child->type != JSON_OBJECT)
            wrong_type(r, &item, child, "an object");
        else
            decode_inside(field->object, name, child, (char *)list.items + list.count * size, r);
        list.count++;
    }
    *(struct schema_objects *)member(object, field) = list;
}

static void decode_scalar(const struct schema_field *field, const struct source *s, void *object,
                          struct schema_report *r)
{
    switch (field->type) {
    case SCHEMA_STRING:
        decode_string(field, s, object, r);
        break;
    case SCHEMA_INT:
        decode_int(field, s, object, r);
        break;
    case SCHEMA_BOOL:
        decode_bool(field, s, object, r);
        break;
    case SCHEMA_DURATION:
        decode_duration(field, s, object, r);
        break;
    case SCHEMA_BYTES:
    case SCHEMA_MILLI:
    case SCHEMA_MONEY:
        decode_amount(field, s, object, r);
        break;
    default:
        CHECK(field->type == SCHEMA_ENUM);
        decode_enum(field, s, object, r);
    }
}

static void decode_given(const struct schema_field *field, const struct json *node, void *object,
                         struct schema_report *r)
{
    bool list = field->type == SCHEMA_STRINGS || field->type == SCHEMA_OBJECTS;
    bool map = field->type == SCHEMA_MAP || field->type == SCHEMA_OBJECT;
    if (list && node->type != JSON_ARRAY) {
        wrong_type(r, field, node, "a list");
    } else if (map && node->type != JSON_OBJECT) {
        wrong_type(r, field, node, "an object");
    } else if (field->type == SCHEMA_STRINGS) {
        decode_strings(field, node, object, r);
    } else if (field->type == SCHEMA_OBJECTS) {
        decode_objects(field, node, object, r);
    } else if (field->type == SCHEMA_MAP) {
        decode_map(field, node, object, r);
    } else if (field->type == SCHEMA_OBJECT) {
        decode_inside(field->object, field->name, node, member(object, field), r);
    } else {
        struct source s = {node, node->type == JSON_STRING ? node->text : node->raw};
        decode_scalar(field, &s, object, r);
    }
}

static void decode_absent(const struct schema_field *field, void *object, struct schema_report *r)
{
    if (field->required)
        schema_problem(r, field->name, "is required");
    else if (field->type == SCHEMA_OBJECT)
        decode_inside(field->object, field->name, NULL, member(object, field), r);
    else if (field->fallback)
        decode_scalar(field, &(struct source){NULL, str_from(field->fallback)}, object, r);
    else if (field->left_out)
        *(int64_t *)member(object, field) = field->left_out;
}

void schema_decode(const struct schema *schema, const struct json *node, void *object,
                   struct schema_report *r)
{
    size_t problems = r->count;
    if (!r->node)
        r->node = node;
    memset(object, 0, schema->size);
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct schema_field *field = &schema->fields[i];
        const struct json *child = json_get(node, str_from(field->name));
        if (child)
            decode_given(field, child, object, r);
        else
            decode_absent(field, object, r);
    }
    json_each(child, node)
    {
        const struct schema_field *field = schema_find(schema, child->key);
        if (!field && !schema->open)
            unknown_field(schema, child, r);
        else if (field && json_get(node, child->key) != child)
            schema_problem(r, field->name, "is given twice");
    }
    if (r->count == problems && !r->no_memory && schema->check)
        schema->check(object, r);
}
