/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log-linear histogram of unsigned values (nanoseconds, tokens, bytes): every power of two is split
 * into 32 equal buckets. Fixed memory (15 KiB), any value, no tuning.
 *
 * Relative error: a quantile is the middle of its bucket, so it is off by at most 1/64 (1.6 %) from
 * a value that was added; values under 32, the least and the greatest are exact.
 *
 * Ownership: the struct is the caller's and needs no fini. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_BASE_HIST_H
#define FAIRWAY_BASE_HIST_H

#include <stddef.h>
#include <stdint.h>

enum {
    HIST_SPLIT_BITS = 5,
    HIST_BUCKETS = (64 - HIST_SPLIT_BITS + 1) << HIST_SPLIT_BITS,
};

struct hist {
    uint64_t count;
    uint64_t least, greatest; /* of no meaning while count is 0 */
    double sum;
    uint64_t buckets[HIST_BUCKETS];
};

void hist_init(struct hist *h);
void hist_add(struct hist *h, uint64_t value);
void hist_merge(struct hist *into, const struct hist *from);

/* The value that a share q (0 to 1, clamped) of all values does not exceed: of n values the one of
 * rank ceil(q n), at least the first. 0 when empty. */
uint64_t hist_quantile(const struct hist *h, double q);
double hist_mean(const struct hist *h); /* 0 when empty */

#endif
