/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request bodies of other wire formats, read and written anew as an OpenAI chat body: a table says which members there are and who
 * writes each. A member that is not in the table and asks for something is refused, so nothing is lost silently.
 *
 * Ownership: everything is borrowed for the call; the error's texts live in the arena. Thread rule: none.
 */
#ifndef FAIRWAY_API_TRANSLATE_H
#define FAIRWAY_API_TRANSLATE_H

#include "api/api_error.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

enum { TRANSLATE_PLACE_MAX = 64 };

struct translator {
    unsigned kind; /* one bit: which request of the format it is */
    struct arena *arena;
    const struct json *root;
    struct json_writer w; /* of the body that comes out */
    struct api_error *error;
    size_t item;                     /* the message being read */
    char place[TRANSLATE_PLACE_MAX]; /* what is being read, "messages[2].content[0]" */
};

struct translate_field {
    const char *name;
    unsigned kinds, required; /* those of its requests that know it, and that need it */
    int (*write)(struct translator *r, const struct json *node);
};

/*
 * The whole body, its fields in the table's order. ERR_INVALID, ERR_PARSE, ERR_NO_MEMORY or ERR_TOO_BIG: r->error's status and message
 * are filled in, and what `out` holds is of no use.
 */
[[nodiscard]] int translate_body(struct translator *r, struct str body,
                                 const struct translate_field *fields, size_t count,
                                 struct buf *out);

/* ---- for those who write a field: not 0 is passed on ---- */

/* Says what is wrong at r->place; returns ERR_INVALID. */
int translate_refuse(struct translator *r, const char *format, ...) PRINTF_LIKE(2, 3);
void translate_at(struct translator *r, const char *format, ...) PRINTF_LIKE(2, 3);

/* The member, or NULL when it is absent or null. */
const struct json *translate_given(const struct json *object, const char *name);
/* A member that must be a text; refused if it is not. */
int translate_text(struct translator *r, const struct json *object, const char *name,
                   const struct json **ret_text);
/* Refuses members of other names that ask for something (null, false, 0, "", [] and {} do not). */
int translate_only(struct translator *r, const struct json *object, const char *const names[]);

/* Values that every chat body has; the texts are raw. */
void translate_put_text(struct translator *r, struct str text);     /* a part of a content */
void translate_put_function(struct translator *r, struct str name); /* what a tool_choice names */
/* A call of a tool: its arguments, as a string, are to follow. */
void translate_begin_call(struct translator *r, struct str id, struct str name);
void translate_end_call(struct translator *r);

/* Fields that several formats have in common. */
int translate_model(struct translator *r, const struct json *node);
int translate_max_tokens(struct translator *r, const struct json *node);
int translate_number(
    struct translator *r,
    const struct json *node); /* of the same name; its range is the engine's business */
int translate_stream(struct translator *r, const struct json *node);  /* which reports its usage */
int translate_nothing(struct translator *r, const struct json *node); /* a hint: left out */

#endif
