/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers of the OpenAI wire format: whole ones, and the chunks of a stream as server-sent events.
 *
 * Ownership: everything is borrowed for the call; the output is appended to a buf, whose sticky
 * error says if it did not fit. Thread rule: none; all functions work on their arguments only.
 */
#ifndef FAIRWAY_API_OPENAI_REPLY_H
#define FAIRWAY_API_OPENAI_REPLY_H

#include "api/api_error.h"
#include "api/openai_request.h"

/* What all parts of one answer have in common. */
struct openai_reply {
    enum openai_kind kind; /* OPENAI_CHAT, OPENAI_COMPLETION or OPENAI_GENERATE */
    struct str id, model, fingerprint;
    int64_t created; /* Unix seconds */
    int64_t seed;    /* for openai_progress */
};

/* What another replica would need to go on from here; a field `fairway` of each chunk. */
struct openai_progress {
    const int32_t *tokens; /* since the last chunk */
    size_t count;
    uint64_t shown; /* bytes of text, this chunk's included */
};

struct openai_likely {
    struct str text; /* the token's bytes, which need not be valid UTF-8 */
    float logprob;
};

struct openai_logprob {
    struct openai_likely drawn;
    const struct openai_likely *top;
    size_t top_count;
    size_t offset; /* of the text where the token begins, in the answer, in bytes */
};

struct openai_choice {
    uint32_t index;
    struct str text;
    const struct openai_logprob *logprobs; /* NULL: not asked for */
    size_t logprob_count;
    const char *finish;                     /* "stop", "length"; NULL: goes on */
    const struct openai_progress *progress; /* NULL: nobody asked */
};

struct openai_usage {
    uint64_t prompt_tokens, completion_tokens, cached_tokens;
};

/* A whole answer. `/generate`: {"text", "finish_reason", "usage"}. */
void openai_write_reply(const struct openai_reply *reply, const struct openai_choice *choices,
                        size_t count, const struct openai_usage *usage, struct buf *out);

/*
 * One event of a stream. The first chunk of a chat's choice opens the message (`opens`). `usage`:
 * the client asked for it, so every chunk has the field, null here. `/generate`: the text alone, a
 * "data:" line for each of its lines.
 */
void openai_write_chunk(const struct openai_reply *reply, const struct openai_choice *choice,
                        bool opens, bool usage, struct buf *out);
/* The event before the last, without choices. */
void openai_write_usage_chunk(const struct openai_reply *reply, const struct openai_usage *usage,
                              struct buf *out);
void openai_write_done(struct buf *out);
/* An error in the middle of a stream, as an event. */
void openai_write_error_event(const struct api_error *error, struct buf *out);

struct openai_model {
    struct str id;
    int64_t created;
    struct str owner;
    uint32_t length_max; /* 0: not known */
};

void openai_write_model(const struct openai_model *model, struct buf *out);
void openai_write_models(const struct openai_model *models, size_t count, struct buf *out);

/* Vectors, each of `width` numbers. */
void openai_write_embeddings(struct str model, const float *const *vectors, size_t count,
                             size_t width, bool base64, uint64_t prompt_tokens, struct buf *out);

#endif
