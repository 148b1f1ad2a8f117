/* SPDX-License-Identifier: Apache-2.0 */
/*
 * C structs as JSON objects between the programs of Fairway, by one table for both directions.
 *
 * For programs, not for people (that is schema.h): a member that is not in the table is ignored, because who wrote it may be newer;
 * one that is missing leaves what the struct has. Everything else that is not as it must be is an error that names the member's
 * path. Integers are exact: those beyond 2^53, where many readers of JSON lose digits, are written as text; both are read.
 *
 * Ownership: a reader copies texts into its arena. Thread rule: none; state is in the arguments, tables are constant.
 */
#ifndef FAIRWAY_API_WIRE_H
#define FAIRWAY_API_WIRE_H

#include "base/json.h"

enum wire_type {
    WIRE_TEXT,     /* struct str */
    WIRE_BORROWED, /* struct str, of the tree: a secret has no further copy */
    WIRE_UNSIGNED, /* of 2, 4 or 8 bytes */
    WIRE_SIGNED,   /* int64_t */
    WIRE_RATIO,    /* double, 0 or more */
    WIRE_BOOL,
    WIRE_WORD, /* an enumeration: the index into `words` */
    WIRE_HEX,  /* an array of bytes, in hexadecimal */
};

struct wire_field {
    const char *name; /* NULL: the table's end */
    enum wire_type type;
    size_t offset, size;
    bool required;
    uint64_t min, max;        /* WIRE_UNSIGNED; max 0: what its size holds */
    const char *const *words; /* WIRE_WORD: NULL-terminated */
};

/* A field's offset and size. */
#define WIRE_AT(type, member) \
    .offset = offsetof(type, member), .size = sizeof(((type *)NULL)->member)

/* Members of the object at hand. */
void wire_write(const struct wire_field *fields, const void *object, struct json_writer *w);

enum { WIRE_PATH_MAX = 160 };

struct wire_reader {
    struct arena *arena; /* borrow */
    struct err *err;     /* borrow; NULL is fine */
    int error;           /* of the first problem: from then on nothing is read */
    char path[WIRE_PATH_MAX];
    size_t path_len;
};

void wire_reader_init(struct wire_reader *r, struct arena *a, struct err *err);

/* A problem with a member of the value at hand; name NULL: with the value itself. */
void wire_fail(struct wire_reader *r, const char *name, const char *format, ...) PRINTF_LIKE(3, 4);

void wire_read(struct wire_reader *r, const struct wire_field *fields, const struct json *node,
               void *object);
/* The value at hand as a text, borrowed from the tree; empty after a problem. */
struct str wire_text(struct wire_reader *r, const struct json *node);

/* Hands a member, or every item of a list, to `read`, and the path with it. A missing one is none; no list is an empty one. */
enum wire_order { WIRE_FORWARD, WIRE_BACKWARD };
typedef void wire_item(struct wire_reader *r, const struct json *node, void *owner);
void wire_inside(struct wire_reader *r, const struct json *object, const char *name,
                 wire_item *read, void *owner);
void wire_each(struct wire_reader *r, const struct json *object, const char *name,
               enum wire_order order, wire_item *read, void *owner);

#endif
