/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the request codec: responses_request.c has the plain fields, responses_input.c the items. Thread rule: none. */
#ifndef FAIRWAY_API_RESPONSES_INTERNAL_H
#define FAIRWAY_API_RESPONSES_INTERNAL_H

#include "api/responses_request.h"
#include "api/translate.h"

/* Writes `messages`: the instructions and the input. */
int responses_write_input(struct translator *r, const struct json *input);

/* Is the object's `type` this one? */
bool responses_is_of(const struct json *object, const char *type);

#endif
