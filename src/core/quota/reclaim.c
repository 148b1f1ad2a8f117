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

struct claim {
    const struct quota *q;
    int resource;
    int path[QUOTA_DEPTH_MAX];      /* from the queue upwards */
    int64_t after[QUOTA_DEPTH_MAX]; /* its usage with the amount */
    struct quota_part *parts;
    int count;
};

/* As a node is over its quota by no more than the sum of what its children are over theirs, what is
 * wanted of it is found below it. */
static void collect(struct claim *c, int node, int except, int64_t want)
{
    const struct quota *q = c->q;
    int r = c->resource;
    if (q->nodes[node].children == 0) {
        c->parts[c->count++] = (struct quota_part){node, want};
        return;
    }
    int child = next_over(q, r, node, except, QUOTA_NONE);
    while (child != QUOTA_NONE && want > 0) {
        int64_t part = MIN(want, over(q, r, child));
        collect(c, child, QUOTA_NONE, part);
        want -= part;
        child = next_over(q, r, node, except, child);
    }
}

/* What the claimant's own branch would be over its quota is wanted of that branch, the rest of its
 * siblings. False: of the claimant itself, so it has no right to it. */
static bool demand(struct claim *c, int level, int64_t want)
{
    if (level == 0)
        return want == 0;
    int branch = c->path[level - 1];
    int64_t own = MAX(c->after[level - 1] - c->q->subtree[c->resource][branch], 0);
    own = MIN(own, want);
    if (own > 0 && !demand(c, level - 1, own))
        return false;
    if (want > own)
        collect(c, c->path[level], branch, want - own);
    return true;
}

int quota_reclaim(const struct quota *q, int queue, const struct quota_amount *amount,
                  const struct quota_obstacle *obstacle,
                  struct quota_part ret_parts[QUOTA_NODES_MAX])
{
    struct claim c = {.q = q, .resource = obstacle->resource, .parts = ret_parts};
    if (!quota_is_queue(q, queue) || !quota_amount_valid(amount))
        return 0;
    int r = obstacle->resource, level = 0, n = queue;
    int64_t rises = amount->of[r];
    for (; n != obstacle->node; n = q->nodes[n].parent, level++) {
        CHECK(n != QUOTA_NONE); /* the obstacle is on the queue's path */
        c.path[level] = n;
        c.after[level] = q->usage[r][n] + rises;
        rises =
            quota_above_local(q, r, n, c.after[level]) - quota_above_local(q, r, n, q->usage[r][n]);
    }
    c.path[level] = obstacle->node;
    return demand(&c, level, obstacle->missing) ? c.count : 0;
}
