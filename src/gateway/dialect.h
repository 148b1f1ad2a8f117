/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a client is spoken to. Inside, everything is OpenAI's format: the body that is queued, routed, retried and resumed, and
 * the engine's answers. A dialect changes the body as it comes in, and the bytes on their last step out; OpenAI's own changes
 * nothing and costs nothing.
 *
 * Ownership: static tables; a stream's state is the flight's. Thread rule: none.
 */
#ifndef FAIRWAY_GATEWAY_DIALECT_H
#define FAIRWAY_GATEWAY_DIALECT_H

#include "api/api_error.h"
#include "api/openai_usage.h"
#include "base/arena.h"

struct dialect {
    struct str upstream_path; /* empty: the client's own */
    struct str id_header;     /* beside x-request-id; empty: none */

    /* The client's body as the engine's. Not 0: the error says why not. NULL: the same. */
    int (*request)(struct str body, struct arena *arena, struct buf *out,
                   struct api_error *ret_error);
    /* The engine's answer that is no stream, and its status; returns the client's. `request`: the client's body. NULL: the same. */
    int (*whole)(struct str request, int status, struct str answer, struct buf *out);
    /* The same for a client that has been promised a stream: the last event. */
    void (*late)(void *state, int status, struct str answer, struct buf *out);

    /* A stream's state, all zero to begin with. begin, fini: NULL: there is nothing to do. */
    size_t state_size;
    void (*begin)(void *state,
                  struct str request); /* the client's body, which outlives the state */
    void (*fini)(void *state);
    /* Whole events of the engine, and the end of a stream that has one. NULL: the same; nothing more. */
    void (*pass)(void *state, struct str events, struct buf *out);
    void (*end)(void *state, const struct openai_usage *usage, struct buf *out);

    /* Errors of the gateway itself: a body; the last event of a stream. */
    void (*error)(const struct api_error *e, struct buf *out);
    void (*error_event)(void *state, const struct api_error *e, struct buf *out);
};

/* That of a URL's path. */
const struct dialect *dialect_of(struct str path);

#endif
