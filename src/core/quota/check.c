/* SPDX-License-Identifier: Apache-2.0 */
/* Adds everything up anew. For tests. */
#include "core/quota/quota_internal.h"

static const char *check_links(const struct quota *q, int node)
{
    const struct quota_node *n = &q->nodes[node];
    int children = 0, linked = 0;
    for (int c = 0; c < q->count; c++)
        children += q->nodes[c].used && q->nodes[c].parent == node;
    quota_each_child(q, c, node)
    {
        if (++linked > children || !quota_has(q, c) || q->nodes[c].parent != node)
            return "a child that is none";
    }
    if (children != linked || children != n->children)
        return "children are not those that name this parent";
    if (n->parent != QUOTA_NONE && !quota_has(q, n->parent))
        return "a parent that is none";
    if (n->depth != (n->parent == QUOTA_NONE ? 0 : q->nodes[n->parent].depth + 1) ||
        n->depth >= QUOTA_DEPTH_MAX)
        return "a wrong depth";
    return n->draining && n->children ? "a removed cohort with children" : NULL;
}

static const char *check_sums(const struct quota *q, int r, int node)
{
    const struct quota_node *n = &q->nodes[node];
    int64_t held = n->children ? 0 : n->held.of[r], usage = held;
    int64_t subtree = n->draining ? 0 : n->spec.nominal.of[r];
    for (int c = 0; c < q->count; c++) {
        if (!q->nodes[c].used || q->nodes[c].parent != node)
            continue;
        int64_t lending = q->nodes[c].spec.lending.of[r], quota = q->subtree[r][c];
        int64_t lent = lending == QUOTA_NO_LIMIT ? quota : MIN(quota, lending);
        subtree += lent;
        held += q->nodes[c].held.of[r];
        usage += MAX(q->usage[r][c] - (quota - lent), 0);
    }
    if (held < 0 || usage < 0 || n->held.of[r] < 0)
        return "less than nothing is held";
    if (held != n->held.of[r] || usage != q->usage[r][node])
        return "usage is not the sum of what is held";
    if (subtree != q->subtree[r][node])
        return "subtree quota is not the sum of what is there";
    if (n->history[r] < 0 || n->history[r] > 2.0 * QUOTA_NODES_MAX * (double)QUOTA_AMOUNT_MAX)
        return "a history that cannot be";
    return NULL;
}

const char *quota_check(const struct quota *q)
{
    for (int n = 0; n < q->count; n++) {
        const char *broken = q->nodes[n].used ? check_links(q, n) : NULL;
        for (int r = 0; !broken && q->nodes[n].used && r < QUOTA_RESOURCES; r++)
            broken = check_sums(q, r, n);
        if (broken)
            return broken;
    }
    return NULL;
}
