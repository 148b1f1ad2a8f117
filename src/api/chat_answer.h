/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine's chat answers and their streams, read in place for those who say the same in another wire format.
 * Ownership: everything is borrowed for the call. Thread rule: none.
 */
#ifndef FAIRWAY_API_CHAT_ANSWER_H
#define FAIRWAY_API_CHAT_ANSWER_H

#include "api/api_error.h"
#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"

bool chat_is_text(struct str raw);           /* a JSON string with something in it */
bool chat_has_text(const struct json *node); /* likewise; NULL has none */

/* What a choice says of its end: finish_reason, and the stop string where an engine names it (stop_reason). Raw; ptr NULL: absent. */
struct chat_end {
    struct str finish, stop;
};

/* The first choice of the array `choices`: `member` is "message" or "delta". ERR_PARSE when there is none. */
[[nodiscard]] int chat_read_choice(struct str choices, struct str member, struct str *ret_said,
                                   struct chat_end *ret_end);

/* The engine's error, whose status is `status`. */
struct api_error chat_error_of(int status, struct str answer, struct arena *arena);
/* Of an error in a stream: the status that it would have had, by its type. */
int chat_error_status(struct str answer);

/* Takes the next event's data off whole events. (Engines write it in one line.) */
bool chat_next_data(struct str *events, struct str *ret_data);

#endif
