/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON (RFC 8259) in three tools: a scanner that finds top-level members of a request body in
 * place, a tree (DOM) in an arena, and a writer over a buf.
 *
 * All readers are strict: UTF-8 checked, no trailing commas, no comments, no NaN, nesting at most
 * JSON_DEPTH_MAX, nothing but white space after the value. Duplicate keys: the last one wins in
 * both readers. Half a surrogate pair ("\ud800") is refused: it has no UTF-8.
 *
 * Ownership: trees and decoded strings live in the given arena; scanner spans borrow the body.
 * Thread rule: none; state is in the arguments.
 */
#ifndef FAIRWAY_BASE_JSON_H
#define FAIRWAY_BASE_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

enum { JSON_DEPTH_MAX = 128 };

/* ---- scanner ---- */

/* One wanted member of the top-level object. */
struct json_span {
    struct str key; /* in: its name, unescaped */
    struct str
        value; /* out: the raw text of its value ("\"x\"", "12", "{...}"); ptr NULL when absent */
};

/*
 * Validates the whole body as one JSON object and fills the spans. ERR_PARSE with the byte offset
 * of the first wrong byte (the body's length if it ends too early). One pass, no allocation.
 */
[[nodiscard]] int json_scan(struct str body, struct json_span *spans, size_t count,
                            size_t *ret_offset);

/* Raw values to C. ERR_INVALID when the raw text is of another type ("null" too) or out of range.
 * Integers may be written 100.0 or 1e2. */
[[nodiscard]] int json_raw_str(struct arena *a, struct str raw, struct str *ret_text);
[[nodiscard]] int json_raw_bool(struct str raw, bool *ret_value);
[[nodiscard]] int json_raw_u64(struct str raw, uint64_t *ret_value);
[[nodiscard]] int json_raw_double(struct str raw, double *ret_value);

/* ---- tree ---- */

enum json_type { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };

struct json {
    enum json_type type;
    uint32_t line;  /* where it starts in the source, from 1 */
    uint32_t count; /* of children */
    struct str key; /* when it is an object's member */
    union {
        bool boolean;
        double number;      /* infinite when written beyond a double's range */
        struct str text;    /* JSON_STRING: decoded. JSON_NUMBER: see raw */
        struct json *first; /* JSON_ARRAY, JSON_OBJECT: children in order */
    };
    struct str raw; /* JSON_NUMBER and JSON_STRING: as written in the source (for exact integers) */
    struct json *next; /* sibling */
};

/* ERR_PARSE with "line 3, column 7: ..." in err, or ERR_NO_MEMORY. The tree borrows `text`'s bytes
 * (raw). */
[[nodiscard]] int json_parse(struct arena *a, struct str text, struct json **ret_root,
                             struct err *err);

/* Member of an object by name; NULL if absent or if `object` is NULL or no object. */
const struct json *json_get(const struct json *object, struct str key);

/* The number as an exact integer (100.0 and 1e2 too). ERR_INVALID if it is none, has a fraction, or
 * is out of range. */
[[nodiscard]] int json_i64(const struct json *node, int64_t *ret_value);

#define json_each(child, parent) \
    for (const struct json *child = (parent)->first; child; child = child->next)

/* ---- writer ---- */

/*
 * Writes into a buf (which carries the sticky error). Commas and nesting are its business:
 *   json_object(&w); json_key(&w, STR("id")); json_u64(&w, 7); json_end(&w);
 * Misuse (a value where a key must be, an end without a beginning) is a broken invariant.
 */
struct json_writer {
    struct buf *out; /* borrow */
    int depth;
    uint64_t is_object[(JSON_DEPTH_MAX + 63) / 64]; /* bit per level */
    bool need_comma, after_key;
    int indent; /* 0 = compact; else spaces per level */
};

void json_writer_init(struct json_writer *w, struct buf *out, int indent);
void json_object(struct json_writer *w);
void json_array(struct json_writer *w);
void json_end(struct json_writer *w);
void json_key(struct json_writer *w, struct str key);
void json_str(struct json_writer *w, struct str text); /* invalid UTF-8 becomes U+FFFD */
void json_u64(struct json_writer *w, uint64_t value);
void json_int(struct json_writer *w, int64_t value);
void json_double(struct json_writer *w,
                 double value); /* shortest that reads back the same; not finite: null */
void json_bool(struct json_writer *w, bool value);
void json_null(struct json_writer *w);
void json_raw(struct json_writer *w, struct str raw);           /* valid JSON text as it stands */
void json_tree(struct json_writer *w, const struct json *node); /* a whole tree; NULL writes null */

/* A member of an object: key and value. */
void json_member_str(struct json_writer *w, struct str key, struct str value);
void json_member_int(struct json_writer *w, struct str key, int64_t value);
void json_member_u64(struct json_writer *w, struct str key, uint64_t value);
void json_member_double(struct json_writer *w, struct str key, double value);
void json_member_bool(struct json_writer *w, struct str key, bool value);

/* Puts text as a quoted JSON string, without a writer. */
void json_put_str(struct buf *out, struct str text);

#endif
