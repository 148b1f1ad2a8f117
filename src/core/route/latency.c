/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/latency.h"

#include "base/check.h"

/* Weights grow with time instead of all buckets shrinking; beyond this many half-lives everything
 * is scaled back, long before a double loses digits. */
#define HALF_LIVES_MAX 64

void latency_init(struct latency *l, nsec half_life)
{
    *l = (struct latency){.half_life = half_life};
}

static double weight_at(const struct latency *l, nsec now)
{
    return __builtin_exp2(nsec_to_seconds(now - l->epoch) / nsec_to_seconds(l->half_life));
}

static void rebase(struct latency *l, nsec now)
{
    double factor = 1 / weight_at(l, now);
    for (int i = 0; i < LATENCY_BUCKETS; i++)
        l->buckets[i] *= factor;
    l->total *= factor;
    l->epoch = now;
}

static int bucket_of(nsec took)
{
    uint64_t ms = (uint64_t)MAX(took, 0) / (uint64_t)NSEC_PER_MSEC;
    if (ms < 4)
        return (int)ms;
    int shift = 61 - __builtin_clzll(ms);
    return MIN(shift * 4 + (int)(ms >> shift), LATENCY_BUCKETS - 1);
}

static nsec upper_edge(int bucket)
{
    if (bucket < 4)
        return MSEC(bucket + 1);
    int shift = (bucket - 4) / 4;
    return MSEC((nsec)((bucket % 4) + 5) << shift);
}

void latency_add(struct latency *l, nsec took, nsec now)
{
    if (now - l->epoch > HALF_LIVES_MAX * l->half_life)
        rebase(l, now);
    double weight = weight_at(l, now);
    l->buckets[bucket_of(took)] += weight;
    l->total += weight;
}

double latency_samples(const struct latency *l, nsec now)
{
    return l->total / weight_at(l, now);
}

nsec latency_quantile(const struct latency *l, double q)
{
    double wanted = l->total * q, seen = 0;
    int last = -1;
    for (int i = 0; i < LATENCY_BUCKETS; i++) {
        if (l->buckets[i] <= 0)
            continue;
        seen += l->buckets[i];
        last = i;
        if (seen >= wanted)
            break;
    }
    return last < 0 ? 0 : upper_edge(last);
}
