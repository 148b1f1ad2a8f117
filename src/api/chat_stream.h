/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An engine's chat stream, told piece by piece to those who say the same in another wire format.
 *
 *   begin  { text...  call  arguments... }...      (the end is the caller's to know)   or at any time: fail, and nothing more
 *
 * Text and tool calls come one after another: text behind a call ends it, another call ends the one before. An error of the engine,
 * and what has no such order (a call without a name, one that is gone back to), is a failure.
 *
 * Invariant: what is told does not depend on how the engine's events were grouped. Ownership: the struct is the caller's memory, all
 * zero to begin with, and owns nothing; texts are borrowed for the call. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_API_CHAT_STREAM_H
#define FAIRWAY_API_CHAT_STREAM_H

#include "api/chat_answer.h"

enum {
    CHAT_FINISH_MAX = 32,
    CHAT_STOP_MAX = 1024, /* of a stop string as JSON; a longer one is not named */
};

struct chat_stream {
    bool begun;     /* `begin` was told */
    bool failed;    /* nothing more is told; a listener may set it, too */
    bool in_call;   /* the last that was told belongs to a call */
    uint64_t call;  /* the engine's number of it */
    uint64_t calls; /* the engine's next number of a call */
    char finish[CHAT_FINISH_MAX], stop[CHAT_STOP_MAX];
    uint16_t finish_len, stop_len;
};

/* Raw; ptr NULL: not said. */
struct chat_head {
    struct str id, model, created;
};

/* Texts are raw JSON strings with something in them. `out` is passed on from chat_stream_pass. */
struct chat_listener {
    void (*begin)(void *ctx, const struct chat_head *head, struct buf *out);
    void (*text)(void *ctx, struct str text, struct buf *out);
    void (*call)(void *ctx, struct str id, struct str name, struct buf *out);
    void (*arguments)(void *ctx, struct str text, struct buf *out);
    void (*fail)(void *ctx, const struct api_error *e, struct buf *out);
};

/* Whole events of the engine. */
void chat_stream_pass(struct chat_stream *c, const struct chat_listener *listener, void *ctx,
                      struct str events, struct buf *out);

/* What has been said of the end so far. */
struct chat_end chat_stream_end(const struct chat_stream *c);

#endif
