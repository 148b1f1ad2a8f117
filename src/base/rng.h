/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random numbers from a seed and a counter: number k of a seed is a pure function of both, so a run
 * repeats exactly and a state is two words that can be stored, compared and moved. Not for secrets.
 *
 * Thread rule: one thread at a time per struct rng; everything else is pure.
 */
#ifndef FAIRWAY_BASE_RNG_H
#define FAIRWAY_BASE_RNG_H

#include <stdint.h>

struct rng {
    uint64_t seed;
    uint64_t counter; /* how many have been drawn */
};

static inline struct rng rng_from(uint64_t seed)
{
    return (struct rng){.seed = seed};
}

/* The k-th number of a seed. */
uint64_t rng_at(uint64_t seed, uint64_t k);

uint64_t rng_u64(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t n); /* uniform in [0, n), without bias; n > 0 */
double rng_double(struct rng *r);              /* uniform in [0, 1), 53 bits */
double rng_exponential(struct rng *r, double mean);

#endif
