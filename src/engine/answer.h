/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of one answer on its way out: token pieces in, text that may be shown out, with the
 * record of each token once its text is shown. Pure.
 *
 * Text is held back while it may be part of a character or of a stop string. Tokens that lie wholly
 * behind a stop string's first byte are never shown.
 *
 * Ownership: the struct is the caller's memory; the stop strings' tables lie in the arena given to
 * answer_init. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_ENGINE_ANSWER_H
#define FAIRWAY_ENGINE_ANSWER_H

#include "base/time.h"
#include "engine/sampler.h"
#include "engine/stop.h"
#include "engine/utf8_hold.h"

struct answer_token {
    int32_t token;
    float logprob; /* of it, and of the likeliest tokens at its place; only if asked for */
    struct sampler_logprob top[SAMPLER_TOP_MAX];
    nsec at;         /* when it was drawn */
    size_t text_end; /* answer_put's business: the answer's length once this token's text is out */
};

struct answer {
    struct utf8_hold characters;
    struct stop stop;
    struct buf held;             /* own; text that is not shown yet */
    struct answer_token *tokens; /* own; those not shown yet */
    size_t count, cap;
    size_t dropped;  /* bytes of the answer that were shown */
    size_t last_end; /* text_end of the last token that was shown */
};

[[nodiscard]] int answer_init(struct answer *a, struct arena *arena, const struct str *stops,
                              size_t stop_count);
void answer_fini(struct answer *a);

/* A token and its bytes. Afterwards a->stop.matched says whether a stop string ends the answer. */
void answer_put(struct answer *a, const struct answer_token *token, struct str piece);

/* The answer ends here without a stop string: everything held is text after all. */
void answer_end(struct answer *a);

/*
 * What may be shown now: its length in bytes at the front of a->held, and the number of records at
 * the front of a->tokens that go with it. The caller copies them and says answer_drop.
 */
void answer_ready(const struct answer *a, size_t *ret_bytes, size_t *ret_tokens);
void answer_drop(struct answer *a, size_t bytes, size_t tokens);

#endif
