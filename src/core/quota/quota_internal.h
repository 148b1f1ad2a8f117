/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of core/quota share. Inner functions take one resource's usage as an array by node,
 * so that a question about another world (quota_fits_without) is asked of a copy. */
#ifndef FAIRWAY_CORE_QUOTA_INTERNAL_H
#define FAIRWAY_CORE_QUOTA_INTERNAL_H

#include "core/quota/quota.h"

bool quota_has(const struct quota *q, int node);
bool quota_is_queue(const struct quota *q, int node); /* in use, and not removed or a cohort */
bool quota_amount_valid(const struct quota_amount *a);
int64_t quota_local(const struct quota *q, int resource, int node);
/* Its usage as its parent sees it. */
int64_t quota_above_local(const struct quota *q, int resource, int node, int64_t usage);
/* The queue holds `delta` more; usage of its path follows. */
void quota_usage_add(const struct quota *q, int resource, int queue, int64_t delta, int64_t *usage);
/* The average goes on to `now`. */
void quota_history_advance(struct quota *q, int node, nsec now);

#define quota_each_child(q, child, parent)                                \
    for (int child = (q)->nodes[parent].first_child; child != QUOTA_NONE; \
         child = (q)->nodes[child].next_sibling)

#endif
