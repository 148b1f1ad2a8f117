/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seam between the engine and what computes: libllama (llama.h's model) or the simulated one.
 * Everything above it (batching, slots, sampling, stop strings, HTTP, metrics) is shared.
 *
 * A model turns a batch of tokens of several sequences into one row of logits for each token that
 * asks for one. It keeps the KV cells of each sequence until told to forget them.
 *
 * Ownership: info and its strings live as long as the model. Thread rule: `load`, `decode`,
 * `logits`, `forget`, `embed` and `free` on the decode thread; after `load` the others on any
 * thread.
 */
#ifndef FAIRWAY_ENGINE_MODEL_H
#define FAIRWAY_ENGINE_MODEL_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"

struct model;

enum {
    MODEL_PIECE_MAX = 1024
}; /* bytes of one token's text; load refuses a model with longer ones */

struct model_info {
    uint32_t vocabulary;      /* width of a row of logits */
    uint32_t length_max;      /* tokens of prompt and answer together */
    uint32_t kv_total;        /* cells that all sequences share */
    uint32_t sequences;       /* most at a time: ids 0 ... sequences - 1 */
    uint32_t quantum;         /* tokens that one pass of the kernels takes */
    uint32_t embedding_width; /* 0: gives none */
    size_t piece_max;         /* longest text of one token, in bytes: at most MODEL_PIECE_MAX */
    const int32_t *ends;      /* tokens that end an answer */
    size_t end_count;
    struct str description; /* for the log: "llama 135M Q4_1", where its chat template is from */
};

struct model_message {
    struct str role, content;
};

struct model_token {
    int32_t token;
    uint32_t position;
    uint32_t sequence;
    bool output; /* asks for a row of logits */
};

struct model_ops {
    int (*load)(struct model *m, struct err *err);
    void (*free)(struct model *m);

    /*
     * Text to tokens. `special`: with the tokens that begin a text, unless it has them already.
     * *ret_count is the number of tokens even if it is more than `cap`: then ERR_TOO_BIG.
     */
    int (*tokenize)(struct model *m, struct str text, bool special, int32_t *ret_tokens, size_t cap,
                    size_t *ret_count);
    bool (*is_token)(struct model *m, int32_t token);
    /* The bytes of a token (at most piece_max), which may end inside a character. Tokens without a
     * text (control tokens) give none. */
    size_t (*piece)(struct model *m, int32_t token, char *ret_bytes);
    /* Writes the conversation, ready for an answer, as the model wants it. ERR_INVALID when its
     * template refuses it, ERR_TOO_BIG when `out` is full. */
    int (*chat)(struct model *m, const struct model_message *messages, size_t count,
                struct buf *out);

    /* Computes the batch. On failure nothing of it is kept. ERR_FULL: no cells left. */
    int (*decode)(struct model *m, const struct model_token *batch, size_t count);
    /* The row that the index-th token of the last batch asked for. Valid until the next decode. */
    const float *(*logits)(struct model *m, size_t index);
    /* Drops the cells of a sequence from a position on. False: they could not be dropped in part,
     * so all are gone. */
    bool (*forget)(struct model *m, uint32_t sequence, uint32_t from);
    /* A sequence begins with these tokens; its slot has the cells of the first `known`. Returns how
     * many need not be computed, fewer than count. NULL: the model keeps no more. */
    uint32_t (*recall)(struct model *m, uint32_t sequence, const int32_t *tokens, uint32_t count,
                       uint32_t known);
    /* Adds the final states of tokens[from, from + count) to the sums (embedding_width); from 0
     * begins another text. Independent of decode. NULL when embedding_width is 0. */
    int (*embed)(struct model *m, const int32_t *tokens, size_t from, size_t count, float *sums);
};

struct model {
    const struct model_ops *ops;
    struct model_info info; /* filled in by load */
};

#endif
