/* SPDX-License-Identifier: Apache-2.0 */
/* Who has to give back borrowed quota. */
#include "core/quota/quota_internal.h"

static int64_t over(const struct quota *q, int r, int node)
{
    return MAX(q->usage[r][node] - q->subtree[r][node], 0);
}

/* Less than 0: `a` is more over its quota for its weight than `b`, or as much and a lower node. */
static int compare(const struct quota *q, int r, int a, int b)
{
    __int128 x = (__int128)over(q, r, a) * q->nodes[b].spec.weight;
    __int128 y = (__int128)over(q, r, b) * q->nodes[a].spec.weight;
    return x != y ? (x > y ? -1 : 1) : (a > b) - (a < b);
}

/* The child that is over its quota and next after `previous`, and is not on the claimant's path. */
static int next_over(const struct quota *q, int r, int parent, int except, int previous)
{
    int best = QUOTA_NONE;
    quota_each_child(q, c, parent)
    {
        if (c == except || over(q, r, c) == 0)
            continue;
        if (previous != QUOTA_NONE && compare(q, r, c, previous) <= 0)
            continue;
        if (best == QUOTA_NONE || compare(q, r, c, best) < 0)
            best = c;
    }
    return best;
}

/* As a node is over its quota by no more than the sum of what its children are over theirs, what is
 * wanted of it is found below it. */
static int collect(const struct quota *q, int r, int node, int except, int64_t want,
                   struct quota_part *parts, int count)
{
    if (q->nodes[node].children == 0) {
        parts[count] = (struct quota_part){node, want};
        return count + 1;
    }
    int child = next_over(q, r, node, except, QUOTA_NONE);
    while (child != QUOTA_NONE && want > 0) {
        int64_t part = MIN(want, over(q, r, child));
        count = collect(q, r, child, QUOTA_NONE, part, parts, count);
        want -= part;
        child = next_over(q, r, node, except, child);
    }
    return count;
}

int quota_reclaim(const struct quota *q, int queue, const struct quota_amount *amount,
                  const struct quota_obstacle *obstacle,
                  struct quota_part ret_parts[QUOTA_NODES_MAX])
{
    int r = obstacle->resource, claimant = queue;
    if (!quota_is_queue(q, queue) || !quota_amount_valid(amount) || obstacle->node == queue)
        return 0;
    int64_t rises = amount->of[r];
    while (q->nodes[claimant].parent != obstacle->node) {
        int64_t usage = q->usage[r][claimant];
        rises = quota_above_local(q, r, claimant, usage + rises) -
                quota_above_local(q, r, claimant, usage);
        claimant = q->nodes[claimant].parent;
        CHECK(claimant != QUOTA_NONE);
    }
    if (q->usage[r][claimant] + rises > q->subtree[r][claimant])
        return 0;
    return collect(q, r, obstacle->node, claimant, obstacle->missing, ret_parts, 0);
}
