/* SPDX-License-Identifier: Apache-2.0 */
/* One turn of a conversation with a chat endpoint, streamed to the terminal. For `chat` and `run`. */
#ifndef FAIRWAY_CLI_CONVERSE_H
#define FAIRWAY_CLI_CONVERSE_H

#include "base/buf.h"
#include "base/err.h"

struct conversation {
    const char *base_url; /* "http://127.0.0.1:8080" */
    const char *api_key;  /* or NULL */
    const char *model;
    struct buf messages; /* own: "{...},{...}", the JSON messages so far */
};

enum { CONVERSATION_MAX = 4 * 1024 * 1024 };

/* Adds what the user says, prints the answer as it comes, adds it too. */
[[nodiscard]] int converse(struct conversation *c, struct str said, struct err *err);

#endif
