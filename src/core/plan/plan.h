/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Desired against observed: which replicas of a model to add and which to drain. Pure.
 *
 * Rules:
 * - As many replicas of the wanted revision as desired; missing ones are added at once, unless
 *   there are old ones and that makes more than desired + `surge` replicas in all.
 * - Replicas of another revision are replaced without a gap: an old one drains only when the
 *   ready replicas of the new revision and the old ones that stay make up the desired number.
 *   An old one that is not ready goes first.
 * - Too many of the wanted revision: those that are not ready go first, then the youngest.
 */
#ifndef FAIRWAY_CORE_PLAN_H
#define FAIRWAY_CORE_PLAN_H

#include <stddef.h>

#include "core/plan/replica.h"

struct plan_replica {
    uint64_t revision;       /* hash of what it runs */
    uint64_t number;         /* grows with age: the youngest has the largest */
    struct replica *replica; /* borrow */
};

struct plan_wish {
    uint64_t revision;
    unsigned desired;
    unsigned surge; /* at least 1, or a change of revision makes no headway */
    bool deleted;
};

/* Drains what is to go, by replica_drain. Returns how many replicas of the wanted revision to add. */
unsigned plan_model(const struct plan_wish *wish, const struct plan_replica *replicas, size_t count,
                    nsec now);

#endif
