/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the request codec: anthropic_request.c has the plain fields, anthropic_content.c messages, anthropic_tools.c tools and
 * their calls. Each function writes its members of the OpenAI body.
 * Thread rule: none.
 */
#ifndef FAIRWAY_API_ANTHROPIC_INTERNAL_H
#define FAIRWAY_API_ANTHROPIC_INTERNAL_H

#include "api/anthropic_request.h"
#include "api/translate.h"

int anthropic_write_messages(struct translator *r, const struct json *messages);
int anthropic_write_tools(struct translator *r, const struct json *tools);
int anthropic_write_tool_choice(struct translator *r, const struct json *choice);
/* Of an assistant's message with these blocks. */
int anthropic_write_tool_calls(struct translator *r, const struct json *content);

#endif
