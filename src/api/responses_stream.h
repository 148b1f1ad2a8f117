/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of OpenAI's Responses format, made of an engine's chat stream:
 *
 *   response.created  response.in_progress  { output_item.added ... deltas ... output_item.done }...  response.completed
 *
 * The item changes when text follows a call, or another call begins. The last event (response.completed or .incomplete) holds the whole
 * response with its usage. An error of the engine, or what has no form here (a call without a name, one that is gone back to, an
 * answer over RESPONSES_ANSWER_MAX), becomes one event `error`; after it comes nothing more.
 *
 * Invariant: the bytes that come out do not depend on how the engine's events were grouped. Bounded: an answer is held once, and
 * comes out four times beside its deltas; a delta of the engine's brings less than 6 bytes for one; see responses_reply.h for what
 * is repeated.
 *
 * Ownership: the struct is the caller's memory; it owns what it holds of the answer. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_API_RESPONSES_STREAM_H
#define FAIRWAY_API_RESPONSES_STREAM_H

#include "api/chat_stream.h"
#include "api/responses_reply.h"

enum {
    RESPONSES_ANSWER_MAX = 4 * 1024 * 1024, /* as JSON */
    RESPONSES_MODEL_MAX = 256,
};

enum responses_open { RESPONSES_NO_ITEM, RESPONSES_TEXT, RESPONSES_CALL };

struct responses_stream {
    struct str request;      /* borrow: the client's body */
    struct chat_stream chat; /* as far as the engine's is read */
    enum responses_open open;
    uint64_t sequence; /* number of the next event */
    uint64_t index;    /* of the open item, or of the next one */
    uint64_t id, created;
    char model[RESPONSES_MODEL_MAX]; /* raw */
    uint16_t model_len;
    struct buf
        value; /* own: the open item's text or arguments, raw with both quotes but the last */
    struct buf call_id, name; /* own: of the open call, raw */
    struct buf items;         /* own: those that are done */
};

void responses_stream_init(struct responses_stream *s, struct str request);
void responses_stream_fini(struct responses_stream *s);

/* Whole events of the engine. */
void responses_stream_pass(struct responses_stream *s, struct str events, struct buf *out);
/* The engine has said all. */
void responses_stream_end(struct responses_stream *s, const struct openai_usage *usage,
                          struct buf *out);
/* Something else went wrong. */
void responses_stream_fail(struct responses_stream *s, const struct api_error *e, struct buf *out);

#endif
