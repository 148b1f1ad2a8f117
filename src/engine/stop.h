/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stop strings. A text that arrives in pieces is let through up to the first byte that might still
 * become a stop string; the stop string itself is never let through.
 *
 * The text is cut where the first stop string to be completed begins; of two that are completed by
 * the same byte, the longer one counts. So the result does not depend on how the text was cut into
 * pieces.
 *
 * One automaton per string (Knuth, Morris, Pratt): constant time per byte and string on average.
 * Ownership: strings and tables lie in the arena given to stop_init. Thread rule: one thread at a
 * time.
 */
#ifndef FAIRWAY_ENGINE_STOP_H
#define FAIRWAY_ENGINE_STOP_H

#include <stdint.h>

#include "base/arena.h"
#include "base/str.h"

struct stop_string;

struct stop {
    struct stop_string *strings; /* in the arena */
    size_t count;
    size_t seen;     /* bytes of text so far */
    size_t released; /* of them, how many may go out */
    bool matched;    /* then `released` is final */
};

/* Copies the strings; empty ones are not allowed. ERR_NO_MEMORY when the arena is full. */
[[nodiscard]] int stop_init(struct stop *stop, struct arena *arena, const struct str *strings,
                            size_t count);

/* Reads the next piece and moves `released` forward. After a match further text is ignored. */
void stop_put(struct stop *stop, struct str piece);

/* The text ends here without a match: all of it may go out. */
void stop_end(struct stop *stop);

#endif
