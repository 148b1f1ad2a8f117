/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One run of route_choose: what the policies are shown. Shared by choose.c and policy.c.
 *
 * Invariant: `places` are candidates, in order from the rotation. Ownership: on route_choose's
 * stack. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_CORE_SCAN_H
#define FAIRWAY_CORE_SCAN_H

#include "core/route/route.h"

struct route_scan {
    const struct route *route;
    const struct route_request *request;
    int count;
    unsigned running, slots; /* of all replicas that are up and well, candidates or not */
    int16_t places[ROUTE_REPLICAS_MAX];
    uint16_t matched[ROUTE_REPLICAS_MAX]; /* by place; only if the policy asked for it */
};

/* Virtual time that a turn under `weighted` takes. */
static inline uint64_t route_stride(const struct route_replica *replica)
{
    return ROUTE_WEIGHT_MAX / MAX(replica->spec.weight, 1u);
}

#endif
