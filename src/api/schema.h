/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One table per kind of resource. From it come: decoding a tree into a C struct with defaults and
 * checks, encoding it back, the text of `fairway explain`, and the check of what may not change.
 *
 * Rules: a field that is not in the table is an error, or is ignored if the table is `open`. A value
 * of zero (or no items, no text) is the same as a field left out, and is not written unless it differs
 * from the default. Of a number for which zero means something, `left_out` says which value stands for
 * a field left out.
 *
 * Ownership: decoded strings and lists live in the report's arena. Thread rule: none; state is in
 * the arguments, tables are constant.
 */
#ifndef FAIRWAY_API_SCHEMA_H
#define FAIRWAY_API_SCHEMA_H

#include "base/json.h"

/* X(name, C type of the member, what explain calls it) */
#define SCHEMA_TYPES(X)                                                   \
    X(SCHEMA_STRING, struct str, "string")                                \
    X(SCHEMA_INT, int64_t, "integer")                                     \
    X(SCHEMA_BOOL, bool, "boolean")                                       \
    X(SCHEMA_DURATION, nsec, "duration, like 10s or 2m30s")               \
    X(SCHEMA_BYTES, int64_t, "amount of bytes, like 20Gi")                \
    X(SCHEMA_MILLI, int64_t, "amount, like 2 or 500m; in thousandths")    \
    X(SCHEMA_MONEY, int64_t, "amount of money, like 0.15; in millionths") \
    X(SCHEMA_ENUM, int, "one of a set; the index into `values`")          \
    X(SCHEMA_MAP, struct schema_map, "map of strings")                    \
    X(SCHEMA_STRINGS, struct schema_strings, "list of strings")           \
    X(SCHEMA_OBJECT, the struct itself, "object")                         \
    X(SCHEMA_OBJECTS, struct schema_objects, "list of objects")

enum schema_type {
#define X(name, type, text) name,
    SCHEMA_TYPES(X)
#undef X
};

struct schema_pair {
    struct str key, value;
};

struct schema_map {
    struct schema_pair *items;
    size_t count;
};

struct schema_strings {
    struct str *items;
    size_t count;
};

struct schema_objects {
    void *items; /* structs of the schema's size, one behind the other */
    size_t count;
};

struct schema;

/* NULL when the text will do, else what is wrong with it ("must be ..."). */
typedef const char *schema_text_check(struct str text);

struct schema_field {
    const char *name;
    enum schema_type type;
    size_t offset;
    const char *description;
    const char *fallback; /* the default, as one writes it; NULL: none */
    int64_t left_out;     /* of a number without a default: see above */
    int64_t min, max;     /* of a number, or the length of a text or list; max 0: no limit */
    bool required;
    bool immutable;
    const char *const *values;   /* SCHEMA_ENUM: the names, NULL-terminated */
    const struct schema *object; /* SCHEMA_OBJECT, SCHEMA_OBJECTS */
    schema_text_check *check;    /* text, each item of a list, each key of a map */
};

struct schema_report;

struct schema {
    const char *name, *description;
    size_t size; /* of the struct */
    const struct schema_field *fields;
    size_t field_count;
    /* What concerns several fields at once; run when each of them is right by itself. May be NULL. */
    void (*check)(const void *object, struct schema_report *report);
    bool open; /* what the system wrote, of whatever version: see above */
};

/* ---- problems ---- */

enum { SCHEMA_PROBLEMS_MAX = 20, SCHEMA_PATH_MAX = 256 };

struct schema_problem {
    struct str path; /* "spec.engine.args[2]" */
    uint32_t line;   /* 0: unknown */
    struct str message;
    struct schema_problem *next;
};

struct schema_report {
    struct arena *arena; /* borrow */
    struct schema_problem *first, **tail;
    size_t count; /* all; only the first SCHEMA_PROBLEMS_MAX are kept */
    bool no_memory;
    const struct json *node; /* the object being decoded */
    char path[SCHEMA_PATH_MAX];
    size_t path_len;
};

void schema_report_init(struct schema_report *r, struct arena *a);

/* A problem with a field of the object at hand ("engine.type"; NULL: with the object itself). */
void schema_problem(struct schema_report *r, const char *field, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* 0, ERR_INVALID with as many problems as there is room for in err, or ERR_NO_MEMORY. */
[[nodiscard]] int schema_report_result(const struct schema_report *r, struct err *err);

/* ---- the table at work ---- */

/* `node` is an object, `object` schema->size bytes; what the tree does not give is set to the
 * default. Ask schema_report_result whether it can be used. */
void schema_decode(const struct schema *schema, const struct json *node, void *object,
                   struct schema_report *r);

/* Canonical: fields in the table's order, defaults written out. Equal objects give equal text. */
void schema_encode(const struct schema *schema, const void *object, struct json_writer *w);

/* Reports each immutable field that has a value in `before` and another one in `after`. */
void schema_check_change(const struct schema *schema, const void *before, const void *after,
                         struct schema_report *r);

/* The name of the first field that differs; NULL: they are equal. */
const char *schema_difference(const struct schema *schema, const void *a, const void *b);

/* Text for people about the field at `path` ("spec.engine"; "" is the whole). ERR_NOT_FOUND with the
 * nearest known name in err. */
[[nodiscard]] int schema_explain(const struct schema *schema, struct str path, struct buf *out,
                                 struct err *err);

/* A Markdown table of all fields, inner ones too, with `prefix` before each path. */
void schema_reference(const struct schema *schema, const char *prefix, struct buf *out);

/* ---- shared by the parts ---- */

const struct schema_field *schema_find(const struct schema *schema, struct str name);
const char *schema_type_text(enum schema_type type);
/* Of an amount: how many parts one whole is counted in (quantity.h). 0: the type is no amount. */
int64_t schema_amount_unit(enum schema_type type);

/* Puts `; did you mean "type"?` or `; known are: a, b`. */
void schema_put_hint(const struct schema *schema, struct str name, struct buf *out);

#endif
