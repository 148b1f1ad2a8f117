/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose turn it is.
 *
 * share(n) = max over resources of (held / 10 + average * 9 / 10) / subtree(parent), divided by weight(n);
 * for roots the sum over all roots in place of the parent's, and for a cohort without quota that above
 * it. Dominant share: Ghodsi et al., "Dominant Resource Fairness" (NSDI'11). The average is exponential, with the half-life as given, and exact for
 * what is held between two changes, however many changes there are. What is held now counts as well,
 * so that several turns at one instant go round; but little, as it is seen at turns only: at a half it
 * shifted shares under saturation by 4 %.
 */
#include <math.h>

#include "core/quota/quota_internal.h"

#define NOW_PART 0.1 /* of a share: what is held now */

/* Weight of the past after `passed`. */
static double kept(const struct quota *q, nsec passed)
{
    return passed <= 0 ? 1 : exp2(-(double)passed / (double)q->half_life);
}

static double history_at(const struct quota_node *n, int r, double past)
{
    return past * n->history[r] + (1 - past) * (double)n->held.of[r];
}

void quota_history_advance(struct quota *q, int node, nsec now)
{
    struct quota_node *n = &q->nodes[node];
    double past = kept(q, now - n->seen);
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        n->history[r] = history_at(n, r, past);
    n->seen = MAX(n->seen, now);
}

/* What the node and its siblings divide: of the nearest cohort above that has any. */
static double divided(const struct quota *q, int r, int parent)
{
    int64_t sum = 0;
    for (int n = parent; n != QUOTA_NONE; n = q->nodes[n].parent)
        if (q->subtree[r][n] > 0)
            return (double)q->subtree[r][n];
    for (int n = 0; n < q->count; n++)
        sum += q->nodes[n].used && q->nodes[n].parent == QUOTA_NONE ? q->subtree[r][n] : 0;
    return (double)MAX(sum, 1);
}

double quota_share(const struct quota *q, int node, nsec now)
{
    CHECK(quota_has(q, node));
    const struct quota_node *n = &q->nodes[node];
    double most = 0, past = kept(q, now - n->seen);
    for (int r = 0; r < QUOTA_RESOURCES; r++) {
        double part = NOW_PART * (double)n->held.of[r] + (1 - NOW_PART) * history_at(n, r, past);
        if (part > 0)
            most = MAX(most, part / divided(q, r, n->parent));
    }
    return most / n->spec.weight;
}

/* The child of `above` (QUOTA_NONE: the root) on the node's path; QUOTA_NONE: `above` is not on it, or
 * is the node itself. */
static int child_on_path(const struct quota *q, int above, int node)
{
    while (node != QUOTA_NONE && q->nodes[node].parent != above)
        node = q->nodes[node].parent;
    return node;
}

static bool older(const struct quota_head *heads, int a, int b)
{
    return heads[a].since != heads[b].since ? heads[a].since < heads[b].since : a < b;
}

/* Among the heads of this priority: the child of `above` whose turn it is. */
static int turn_among(const struct quota *q, const struct quota_head *heads, int count,
                      int priority, int above, nsec now)
{
    double least[QUOTA_NODES_MAX];
    int oldest[QUOTA_NODES_MAX], best = QUOTA_NONE;
    for (int n = 0; n < q->count; n++) {
        least[n] = 0;
        oldest[n] = -1;
    }
    for (int i = 0; i < count; i++) {
        int child =
            heads[i].priority == priority ? child_on_path(q, above, heads[i].queue) : QUOTA_NONE;
        if (child == QUOTA_NONE)
            continue;
        if (oldest[child] < 0)
            least[child] = quota_share(q, child, now);
        if (oldest[child] < 0 || older(heads, i, oldest[child]))
            oldest[child] = i;
    }
    for (int n = 0; n < q->count; n++)
        if (oldest[n] >= 0 && (best == QUOTA_NONE || least[n] < least[best] ||
                               (least[n] == least[best] && older(heads, oldest[n], oldest[best]))))
            best = n;
    return best;
}

int quota_next(const struct quota *q, const struct quota_head *heads, int count, nsec now)
{
    int priority = 0, node = QUOTA_NONE, first = -1;
    for (int i = 0; i < count; i++) {
        CHECK(quota_has(q, heads[i].queue));
        priority = i == 0 ? heads[i].priority : MAX(priority, heads[i].priority);
    }
    if (count == 0)
        return -1;
    do
        node = turn_among(q, heads, count, priority, node, now);
    while (q->nodes[node].children);
    for (int i = 0; i < count; i++)
        if (heads[i].queue == node && heads[i].priority == priority &&
            (first < 0 || older(heads, i, first)))
            first = i;
    return first;
}
