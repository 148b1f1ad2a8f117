/* SPDX-License-Identifier: Apache-2.0 */
#include "base/hist.h"

#include <math.h>

#include "base/check.h"

enum { SPLIT = 1 << HIST_SPLIT_BITS };

static size_t bucket_of(uint64_t value)
{
    if (value < SPLIT)
        return (size_t)value;
    unsigned shift = 63 - HIST_SPLIT_BITS - (unsigned)__builtin_clzll(value);
    return ((size_t)shift << HIST_SPLIT_BITS) + (size_t)(value >> shift);
}

static uint64_t middle_of(size_t bucket)
{
    if (bucket < 2 * SPLIT)
        return bucket;
    unsigned shift = (unsigned)(bucket >> HIST_SPLIT_BITS) - 1;
    uint64_t low = (uint64_t)(bucket % SPLIT + SPLIT) << shift;
    return low + ((UINT64_C(1) << shift) - 1) / 2;
}

void hist_init(struct hist *h)
{
    *h = (struct hist){0};
}

static void widen(struct hist *h, uint64_t least, uint64_t greatest)
{
    h->least = h->count ? MIN(h->least, least) : least;
    h->greatest = h->count ? MAX(h->greatest, greatest) : greatest;
}

void hist_add(struct hist *h, uint64_t value)
{
    widen(h, value, value);
    h->buckets[bucket_of(value)]++;
    h->count++;
    h->sum += (double)value;
}

void hist_merge(struct hist *into, const struct hist *from)
{
    if (from->count == 0)
        return;
    widen(into, from->least, from->greatest);
    for (size_t i = 0; i < HIST_BUCKETS; i++)
        into->buckets[i] += from->buckets[i];
    into->count += from->count;
    into->sum += from->sum;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
    if (h->count == 0)
        return 0;
    double wanted = ceil(fmin(fmax(q, 0), 1) * (double)h->count);
    uint64_t rank = MIN(MAX((uint64_t)wanted, 1), h->count), seen = 0;
    if (rank == 1)
        return h->least;
    if (rank == h->count)
        return h->greatest;
    size_t bucket = 0;
    while ((seen += h->buckets[bucket]) < rank)
        bucket++;
    return MIN(MAX(middle_of(bucket), h->least), h->greatest);
}

double hist_mean(const struct hist *h)
{
    return h->count ? h->sum / (double)h->count : 0;
}
