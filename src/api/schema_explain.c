/* SPDX-License-Identifier: Apache-2.0 */
#include <inttypes.h>
#include <stdio.h>

#include "api/quantity.h"
#include "api/schema.h"
#include "base/time.h"

const struct schema_field *schema_find(const struct schema *schema, struct str name)
{
    for (size_t i = 0; i < schema->field_count; i++)
        if (str_eq(str_from(schema->fields[i].name), name))
            return &schema->fields[i];
    return NULL;
}

const char *schema_type_text(enum schema_type type)
{
    static const char *const texts[] = {
#define X(name, c_type, text) text,
        SCHEMA_TYPES(X)
#undef X
    };
    return texts[type];
}

int64_t schema_amount_unit(enum schema_type type)
{
    switch (type) {
    case SCHEMA_BYTES:
        return 1;
    case SCHEMA_MILLI:
        return 1000;
    case SCHEMA_MONEY:
        return QUANTITY_MILLIONTHS;
    default:
        return 0;
    }
}

/* The known name that `name` is most likely a slip of; NULL when none is near. */
static const char *nearest(const struct schema *schema, struct str name)
{
    const char *best = NULL;
    size_t allowed =
        name.len < 4 ? 1 : MAX(name.len / 3, (size_t)2); /* two swapped letters are 2 */
    size_t best_distance = allowed + 1;
    for (size_t i = 0; i < schema->field_count; i++) {
        struct str known = str_from(schema->fields[i].name);
        size_t distance = str_eq_nocase(known, name) ? 0 : str_distance(known, name);
        if (distance < best_distance) {
            best_distance = distance;
            best = schema->fields[i].name;
        }
    }
    return best;
}

void schema_put_hint(const struct schema *schema, struct str name, struct buf *out)
{
    const char *near = nearest(schema, name);
    if (near) {
        buf_printf(out, "; did you mean \"%s\"?", near);
        return;
    }
    buf_put(out, STR("; known are: "));
    for (size_t i = 0; i < schema->field_count; i++)
        buf_printf(out, "%s%s", i ? ", " : "", schema->fields[i].name);
}

static void put_bound(struct buf *out, const struct schema_field *field, int64_t value)
{
    char text[MAX((int)QUANTITY_TEXT_MAX, (int)NSEC_TEXT_MAX)];
    if (field->type == SCHEMA_DURATION)
        buf_put(out, str_from(nsec_format(value, text)));
    else if (schema_amount_unit(field->type))
        buf_put(out, str_from(quantity_format(value, schema_amount_unit(field->type), text)));
    else
        buf_printf(out, "%" PRId64 "%s", value,
                   field->type == SCHEMA_INT      ? ""
                   : field->type == SCHEMA_STRING ? " characters"
                                                  : " items");
}

static void put_facts(struct buf *out, const struct schema_field *field)
{
    if (field->values) {
        buf_put(out, STR("one of "));
        for (size_t i = 0; field->values[i]; i++)
            buf_printf(out, "%s%s", i ? ", " : "", field->values[i]);
    } else {
        buf_put(out, str_from(schema_type_text(field->type)));
    }
    if (field->required)
        buf_put(out, STR("; required"));
    if (field->immutable)
        buf_put(out, STR("; cannot be changed"));
    if (field->fallback)
        buf_printf(out, "; default %s", field->fallback);
    if (field->min) {
        buf_put(out, STR("; at least "));
        put_bound(out, field, field->min);
    }
    if (field->max) {
        buf_put(out, STR("; at most "));
        put_bound(out, field, field->max);
    }
}

static void put_fields(struct buf *out, const struct schema *schema)
{
    buf_put(out, STR("\nFIELDS\n"));
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct schema_field *field = &schema->fields[i];
        buf_printf(out, "  %s  (", field->name);
        put_facts(out, field);
        buf_printf(out, ")\n      %s\n", field->description);
    }
}

int schema_explain(const struct schema *schema, struct str path, struct buf *out, struct err *err)
{
    CHECK(schema);
    const struct schema_field *field = NULL;
    struct str rest = path, part;
    const struct schema *inside = schema;
    while (path.len > 0 && str_split(&rest, '.', &part)) {
        field = inside ? schema_find(inside, part) : NULL;
        if (!field) {
            struct buf hint;
            buf_init(&hint, 400);
            if (inside)
                schema_put_hint(inside, part, &hint);
            int code = err_set(err, ERR_NOT_FOUND, "%s has no field \"%.*s\"%.*s", schema->name,
                               STR_ARG(path), STR_ARG(buf_str(&hint)));
            buf_fini(&hint);
            return code;
        }
        inside = field->object;
    }
    buf_put(out, str_from(schema->name));
    if (field) {
        buf_printf(out, ".%.*s  (", STR_ARG(path));
        put_facts(out, field);
        buf_put(out, STR(")"));
    }
    buf_printf(out, "\n\n%s\n", field ? field->description : schema->description);
    if (inside)
        put_fields(out, inside);
    return 0;
}

/* ---- the reference page ---- */

static void put_rows(const struct schema *schema, struct str prefix, struct buf *out)
{
    for (size_t i = 0; i < schema->field_count; i++) {
        const struct schema_field *field = &schema->fields[i];
        buf_printf(out, "| `%.*s%s` | ", STR_ARG(prefix), field->name);
        put_facts(out, field);
        buf_printf(out, " | %s |\n", field->description);
        if (field->object) {
            char inner[SCHEMA_PATH_MAX];
            const char *item = field->type == SCHEMA_OBJECTS ? "[]" : "";
            int len =
                snprintf(inner, sizeof(inner), "%.*s%s%s.", STR_ARG(prefix), field->name, item);
            put_rows(field->object, (struct str){inner, (size_t)len}, out);
        }
    }
}

void schema_reference(const struct schema *schema, const char *prefix, struct buf *out)
{
    buf_put(out, STR("| Field | Type and limits | Meaning |\n|---|---|---|\n"));
    put_rows(schema, str_from(prefix), out);
}
