/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Histogram of durations that forgets: what was added loses half its weight in every half-life, so
 * that a quantile follows the present. Pure.
 *
 * Four buckets per power of two from 1 ms to about 70 minutes: a quantile is the upper edge of its
 * bucket, so it is at most a quarter too long. Fixed memory (under 1 KiB).
 *
 * Ownership: the struct is the caller's and needs no fini. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_CORE_LATENCY_H
#define FAIRWAY_CORE_LATENCY_H

#include "base/time.h"

enum { LATENCY_BUCKETS = 88 };

struct latency {
    nsec half_life;
    nsec epoch; /* what is added at this time weighs 1; later additions weigh more */
    double total;
    double buckets[LATENCY_BUCKETS];
};

void latency_init(struct latency *l, nsec half_life);
void latency_add(struct latency *l, nsec took, nsec now);
double latency_samples(const struct latency *l, nsec now); /* how many are remembered */
nsec latency_quantile(const struct latency *l, double q);  /* 0 when empty */

#endif
