/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hashes of bytes that are the same on every machine and in every run. Not for secrets, and not for
 * tables that clients could fill with collisions: those want a random seed (base/map.h).
 *
 * Thread rule: pure.
 */
#ifndef FAIRWAY_BASE_HASH_H
#define FAIRWAY_BASE_HASH_H

#include "base/str.h"

uint64_t hash_bytes(struct str bytes); /* XXH3, 64 bits */

/* A hash of two numbers in their order: for chains, and for keys of several parts. (The finaliser of
 * MurmurHash3, as in rng.c.) */
static inline uint64_t hash_combine(uint64_t a, uint64_t b)
{
    uint64_t x = (a + UINT64_C(0x9E3779B97F4A7C15)) * UINT64_C(0xD6E8FEB86659FD93) ^ b;
    x = (x ^ (x >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94D049BB133111EB);
    return x ^ (x >> 31);
}

#endif
