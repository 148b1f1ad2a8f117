/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shares of random keys:
 * - each part gets its weight's share, within five standard deviations
 * - the same key, the same part, in whatever order the parts are
 * - a weight that changes moves keys only to its part or away from it
 */
#include <math.h>

#include "base/check.h"
#include "base/rng.h"
#include "core/route/split.h"
#include "test.h"

enum { CASES = 200, KEYS = 4000, PARTS_MAX = 6 };

struct world {
    uint64_t seed, random;
    struct split_part parts[PARTS_MAX];
    size_t count;
    unsigned sum;
};

static void make(struct world *w, uint64_t seed)
{
    *w = (struct world){.seed = seed, .random = seed};
    w->count = 1 + test_below(&w->random, PARTS_MAX);
    for (size_t i = 0; i < w->count; i++) {
        w->parts[i] =
            (struct split_part){test_random(&w->random), 50 * (unsigned)test_below(&w->random, 4)};
        w->sum += w->parts[i].weight;
    }
}

static void check_shares(struct world *w)
{
    unsigned got[PARTS_MAX + 1] = {0};
    for (int k = 0; k < KEYS; k++)
        got[split_choose(w->parts, w->count, test_random(&w->random))]++;
    PROPERTY((got[w->count] == 0) == (w->sum > 0), w->seed, 0);
    for (size_t i = 0; i < w->count && w->sum; i++) {
        double p = (double)w->parts[i].weight / w->sum;
        double bound = 5 * sqrt(KEYS * p * (1 - p)) + 1e-9;
        PROPERTY(fabs(got[i] - KEYS * p) <= bound, w->seed, (int)i);
    }
}

static void check_moves(struct world *w)
{
    struct split_part changed[PARTS_MAX], turned[PARTS_MAX];
    size_t which = test_below(&w->random, w->count);
    for (size_t i = 0; i < w->count; i++) {
        changed[i] = w->parts[i];
        turned[w->count - 1 - i] = w->parts[i];
    }
    changed[which].weight = (unsigned)test_below(&w->random, 300);
    for (int k = 0; k < KEYS / 10; k++) {
        uint64_t key = test_random(&w->random);
        size_t before = split_choose(w->parts, w->count, key);
        size_t after = split_choose(changed, w->count, key);
        PROPERTY(before == after || before == which || after == which || w->sum == 0 ||
                     before == w->count || after == w->count,
                 w->seed, k);
        PROPERTY(before == w->count || split_choose(turned, w->count, key) == w->count - 1 - before,
                 w->seed, k);
    }
}

static void test_random_parts(void **state)
{
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < (getenv("FAIRWAY_SEED") ? 1 : CASES); i++) {
        struct world w;
        make(&w, first + i);
        check_shares(&w);
        check_moves(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_parts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
