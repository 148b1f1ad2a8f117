/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes valid UTF-8 out of pieces that tokens cut anywhere: the start of a character is held back
 * until its last byte arrives; bytes that can never become a character come out as U+FFFD.
 *
 * The output does not depend on how the input was cut. Ownership: all state is in the struct.
 * Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_ENGINE_UTF8_HOLD_H
#define FAIRWAY_ENGINE_UTF8_HOLD_H

#include "base/buf.h"

struct utf8_hold {
    char bytes[4]; /* the start of a character, always shorter than the whole */
    size_t len;
};

/* Appends to `out` what is complete. */
void utf8_hold_put(struct utf8_hold *hold, struct str piece, struct buf *out);

/* The text ends here: what is held is no character. */
void utf8_hold_end(struct utf8_hold *hold, struct buf *out);

#endif
