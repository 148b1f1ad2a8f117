/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which replica is far worse than the others: a share of failures, or a time to first byte, of many
 * times the pool's median opens its breaker. Pure.
 *
 * Only replicas that are up, well and have enough late requests are compared, at least three of
 * them. Invariant: this never makes more than half of the replicas that are up be out.
 */
#ifndef FAIRWAY_CORE_OUTLIER_H
#define FAIRWAY_CORE_OUTLIER_H

#include "core/route/route.h"

/* Something about the replica at `place` has changed. */
void outlier_check(struct route *r, int place, nsec now);

#endif
