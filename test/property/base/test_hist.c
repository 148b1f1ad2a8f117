/* SPDX-License-Identifier: Apache-2.0 */
/* Quantiles against a sorted array, within the error that hist.h states; merging two histograms is
 * the same as adding to one. */
#include <math.h>

#include "base/check.h"
#include "base/hist.h"
#include "test.h"

enum { ROUNDS = 60, VALUES = 2000 };

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void check_quantiles(const struct hist *h, uint64_t *values, size_t n, uint64_t seed,
                            int round)
{
    static const double qs[] = {-1, 0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1, 2};
    qsort(values, n, sizeof(*values), by_value);
    for (size_t i = 0; i < ARRAY_LEN(qs); i++) {
        size_t rank = (size_t)ceil(fmin(fmax(qs[i], 0), 1) * (double)n);
        uint64_t exact = values[rank ? rank - 1 : 0], found = hist_quantile(h, qs[i]);
        uint64_t off = exact > found ? exact - found : found - exact;
        PROPERTY(off <= exact / 64 + (exact % 64 != 0), seed, round);
        PROPERTY(exact >= 32 || off == 0, seed, round);
    }
    PROPERTY(hist_quantile(h, 0) == values[0], seed, round);
    PROPERTY(hist_quantile(h, 1) == values[n - 1], seed, round);
}

static void test_quantiles(void **state)
{
    uint64_t seed = test_seed(1), chance = seed;
    static struct hist whole, halves[2];
    static uint64_t values[VALUES];
    for (int round = 0; round < ROUNDS; round++) {
        hist_init(&whole);
        hist_init(&halves[0]);
        hist_init(&halves[1]);
        size_t n = 1 + test_below(&chance, VALUES);
        double sum = 0;
        for (size_t i = 0; i < n; i++) {
            values[i] = test_random(&chance) >> test_below(&chance, 64);
            sum += (double)values[i];
            hist_add(&whole, values[i]);
            hist_add(&halves[test_below(&chance, 2)], values[i]);
        }
        PROPERTY(whole.count == n && fabs(hist_mean(&whole) * (double)n / sum - 1) < 1e-9, seed,
                 round);
        hist_merge(&halves[0], &halves[1]);
        PROPERTY(memcmp(halves[0].buckets, whole.buckets, sizeof(whole.buckets)) == 0, seed, round);
        check_quantiles(&halves[0], values, n, seed, round);
        check_quantiles(&whole, values, n, seed, round);
    }
}

static void test_empty(void **state)
{
    static struct hist a, b;
    hist_init(&a);
    hist_init(&b);
    assert_int_equal(hist_quantile(&a, 0.5), 0);
    assert_true(hist_mean(&a) == 0);
    hist_add(&a, 9);
    hist_merge(&a, &b);
    assert_int_equal(a.least, 9);
    hist_merge(&b, &a);
    assert_int_equal(b.least, 9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles),
        cmocka_unit_test(test_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
