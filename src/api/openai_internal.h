/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the request reader: openai_request.c reads the plain fields, openai_content.c messages and
 * prompts. Thread rule: none. */
#ifndef FAIRWAY_API_OPENAI_INTERNAL_H
#define FAIRWAY_API_OPENAI_INTERNAL_H

#include "api/openai_request.h"
#include "base/json.h"

struct openai_reader {
    enum openai_kind kind;
    struct arena *arena;
    const struct json *root;
    struct openai_request *request;
    struct api_error *error;
};

/* Says what is wrong with a field; returns ERR_INVALID. */
int openai_refuse(struct openai_reader *r, const char *code, const char *param, const char *format,
                  ...) PRINTF_LIKE(4, 5);

/* The array of `count` items of a type, in the arena; ERR_NO_MEMORY with a message. */
void *openai_array(struct openai_reader *r, size_t count, size_t size);

/* The member, or NULL when it is absent or null: both mean "not given". */
const struct json *openai_given(const struct openai_reader *r, const char *name);

const char *openai_type_name(const struct json *node); /* "a string", "an object" ... */

int openai_read_messages(struct openai_reader *r);
/* A text, tokens, or an array of either. */
int openai_read_prompts(struct openai_reader *r, const char *name);

#endif
