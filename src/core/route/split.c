/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/split.h"

#include <math.h>

#include "base/hash.h"

/* Exponentially distributed with rate `weight` over random keys: the least of several is each one's in proportion. */
static double arrival(const struct split_part *part, uint64_t key)
{
    double u = ((double)(hash_combine(part->id, key) >> 11) + 0.5) * 0x1p-53; /* in (0, 1) */
    return -log(u) / part->weight;
}

size_t split_choose(const struct split_part *parts, size_t count, uint64_t key)
{
    size_t first = count;
    double earliest = INFINITY;
    for (size_t i = 0; i < count; i++) {
        double time = parts[i].weight ? arrival(&parts[i], key) : INFINITY;
        if (time < earliest) {
            earliest = time;
            first = i;
        }
    }
    return first;
}
