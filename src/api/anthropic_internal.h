/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the request codec: anthropic_request.c has the plain fields, anthropic_content.c messages, anthropic_tools.c tools
 * and their calls.
 Thread rule: none. */
#ifndef FAIRWAY_API_ANTHROPIC_INTERNAL_H
#define FAIRWAY_API_ANTHROPIC_INTERNAL_H

#include "api/anthropic_request.h"
#include "base/json.h"

enum { ANTHROPIC_PLACE_MAX = 64 };

struct anthropic_reader {
    enum anthropic_kind kind;
    struct arena *arena;
    const struct json *root;
    struct json_writer w; /* of the body that comes out */
    struct api_error *error;
    size_t message;                  /* the one being read */
    char place[ANTHROPIC_PLACE_MAX]; /* what is being read, "messages[2].content[0]" */
};

/* Says what is wrong at r->place; returns ERR_INVALID. */
int anthropic_refuse(struct anthropic_reader *r, const char *format, ...) PRINTF_LIKE(2, 3);

void anthropic_at(struct anthropic_reader *r, const char *format, ...) PRINTF_LIKE(2, 3);

/* The member, or NULL when it is absent or null. */
const struct json *anthropic_given(const struct json *object, const char *name);

/* A member that must be a text; refused if it is not. */
int anthropic_text(struct anthropic_reader *r, const struct json *object, const char *name,
                   const struct json **ret_text);

/* Refuses members of other names that ask for something (null, false, 0, "", [] and {} do not). */
int anthropic_only(struct anthropic_reader *r, const struct json *object,
                   const char *const names[]);

/* Each writes its members of the OpenAI body. */
int anthropic_write_messages(struct anthropic_reader *r, const struct json *messages);
int anthropic_write_tools(struct anthropic_reader *r, const struct json *tools);
int anthropic_write_tool_choice(struct anthropic_reader *r, const struct json *choice);
/* Of an assistant's message with these blocks. */
int anthropic_write_tool_calls(struct anthropic_reader *r, const struct json *content);

#endif
