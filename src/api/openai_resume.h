/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a gateway keeps of a stream so that another replica can go on with it: read from the chunks' field `fairway` as they
 * pass, written as the body's field `fairway_resume`.
 *
 * Invariant: `tokens` is what the client's text came from, in order. Bounded: a stream whose tokens do not fit can no longer be
 * resumed. Ownership: the struct is the caller's memory, its bufs its own. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_API_OPENAI_RESUME_H
#define FAIRWAY_API_OPENAI_RESUME_H

#include "base/buf.h"

struct openai_resume_state {
    struct buf
        head; /* own: "id":...,"created":...,"seed":... ; empty: nothing can be resumed yet */
    struct buf tokens; /* own: 12,7,9 */
    uint64_t shown;
    bool finished; /* the last chunk with text has passed: nothing is left to resume */
    bool lost;     /* a chunk could not be read, or there were too many */
};

void openai_resume_init(struct openai_resume_state *r);
void openai_resume_fini(struct openai_resume_state *r);
bool openai_resume_possible(const struct openai_resume_state *r);

/* Notes what whole events say and appends them to `out` without their field `fairway`. */
void openai_resume_pass(struct openai_resume_state *r, struct str events, struct buf *out);

/* `"fairway_resume":{...},` to be put behind a body's first brace. */
void openai_resume_write(const struct openai_resume_state *r, struct buf *out);

#endif
