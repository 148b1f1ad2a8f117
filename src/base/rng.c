/* SPDX-License-Identifier: Apache-2.0 */
#include "base/rng.h"

#include <math.h>

#include "base/check.h"

/* The finaliser of MurmurHash3 with the constants of Stafford, "Better bit mixing", mix 13. */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

/* SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): its
 * state after k steps is the seed plus k times the golden gamma, so any k can be had at once. The
 * seed is mixed first, so that neighbouring seeds do not give shifted sequences. */
uint64_t rng_at(uint64_t seed, uint64_t k)
{
    return mix(mix(seed) + (k + 1) * UINT64_C(0x9E3779B97F4A7C15));
}

uint64_t rng_u64(struct rng *r)
{
    return rng_at(r->seed, r->counter++);
}

/* Lemire, "Fast random integer generation in an interval", 2019: the high half of a product is
 * uniform once the few low halves that would make some results likelier are thrown away. */
uint64_t rng_below(struct rng *r, uint64_t n)
{
    CHECK(n > 0);
    uint64_t uneven = (0 - n) % n;
    unsigned __int128 product;
    do {
        product = (unsigned __int128)rng_u64(r) * n;
    } while ((uint64_t)product < uneven);
    return (uint64_t)(product >> 64);
}

double rng_double(struct rng *r)
{
    return (double)(rng_u64(r) >> 11) * 0x1p-53;
}

double rng_exponential(struct rng *r, double mean)
{
    return -mean * log1p(-rng_double(r));
}
