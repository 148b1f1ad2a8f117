/* SPDX-License-Identifier: Apache-2.0 */
/* What every cmocka test includes, in the order that cmocka wants. */
#ifndef FAIRWAY_TEST_H
#define FAIRWAY_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The seed of a property test: FAIRWAY_SEED to repeat a failure, else `fallback`. It is printed
 * when a check fails. */
static inline uint64_t test_seed(uint64_t fallback)
{
    const char *text = getenv("FAIRWAY_SEED");
    return text ? strtoull(text, NULL, 0) : fallback;
}

/* A small generator of its own (splitmix64, Steele et al. 2014), so that tests of the generator in
 * base/ do not test themselves. */
static inline uint64_t test_random(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t test_below(uint64_t *state, uint64_t n)
{
    return test_random(state) % n;
}

#define PROPERTY(condition, seed, step)                                                    \
    do {                                                                                   \
        if (!(condition))                                                                  \
            fail_msg("%s: seed %llu, step %d (repeat with FAIRWAY_SEED=%llu)", #condition, \
                     (unsigned long long)(seed), (int)(step), (unsigned long long)(seed)); \
    } while (0)

#endif
