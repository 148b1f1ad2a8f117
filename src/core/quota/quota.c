/* SPDX-License-Identifier: Apache-2.0 */
/* The tree and what is held. */
#include "core/quota/quota.h"

#include <string.h>

#include "core/quota/quota_internal.h"

bool quota_has(const struct quota *q, int node)
{
    return node >= 0 && node < q->count && q->nodes[node].used;
}

bool quota_is_queue(const struct quota *q, int node)
{
    return quota_has(q, node) && !q->nodes[node].draining && q->nodes[node].children == 0;
}

bool quota_amount_valid(const struct quota_amount *a)
{
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        if (a->of[r] < 0 || a->of[r] > QUOTA_AMOUNT_MAX)
            return false;
    return true;
}

static bool limit_valid(const struct quota_amount *a)
{
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        if (a->of[r] < QUOTA_NO_LIMIT || a->of[r] > QUOTA_AMOUNT_MAX)
            return false;
    return true;
}

static bool spec_valid(const struct quota_spec *s)
{
    return s->weight >= 1 && s->weight <= QUOTA_WEIGHT_MAX && quota_amount_valid(&s->nominal) &&
           limit_valid(&s->borrowing) && limit_valid(&s->lending);
}

int64_t quota_local(const struct quota *q, int resource, int node)
{
    int64_t lending = q->nodes[node].spec.lending.of[resource];
    return lending == QUOTA_NO_LIMIT ? 0 : MAX(q->subtree[resource][node] - lending, 0);
}

int64_t quota_above_local(const struct quota *q, int resource, int node, int64_t usage)
{
    return MAX(usage - quota_local(q, resource, node), 0);
}

void quota_usage_add(const struct quota *q, int resource, int queue, int64_t delta, int64_t *usage)
{
    for (int n = queue; n != QUOTA_NONE && delta != 0; n = q->nodes[n].parent) {
        int64_t before = quota_above_local(q, resource, n, usage[n]);
        usage[n] += delta;
        delta = quota_above_local(q, resource, n, usage[n]) - before;
    }
}

/* ---- the tree ---- */

void quota_init(struct quota *q, nsec half_life)
{
    CHECK(half_life > 0);
    memset(q, 0, sizeof(*q));
    q->half_life = half_life;
}

static void compute_node(struct quota *q, int r, int node)
{
    const struct quota_node *n = &q->nodes[node];
    int64_t subtree = n->draining ? 0 : n->spec.nominal.of[r];
    int64_t usage = n->children ? 0 : n->held.of[r];
    quota_each_child(q, c, node)
    {
        subtree += q->subtree[r][c] - quota_local(q, r, c);
        usage += quota_above_local(q, r, c, q->usage[r][c]);
    }
    q->subtree[r][node] = subtree;
    q->usage[r][node] = usage;
}

/* Quota has changed somewhere: children before parents. */
static void compute(struct quota *q)
{
    for (int depth = QUOTA_DEPTH_MAX - 1; depth >= 0; depth--)
        for (int n = 0; n < q->count; n++)
            for (int r = 0; q->nodes[n].used && q->nodes[n].depth == depth && r < QUOTA_RESOURCES;
                 r++)
                compute_node(q, r, n);
}

static int free_slot(const struct quota *q)
{
    int slot = 0;
    while (slot < q->count && q->nodes[slot].used)
        slot++;
    return slot;
}

static bool holds_something(const struct quota_node *n)
{
    int64_t any = 0;
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        any |= n->held.of[r];
    return any != 0;
}

static int parent_error(const struct quota *q, int parent)
{
    if (parent == QUOTA_NONE)
        return 0;
    if (!quota_has(q, parent))
        return ERR_INVALID;
    const struct quota_node *p = &q->nodes[parent];
    if (p->draining || (p->children == 0 && holds_something(p)))
        return ERR_CONFLICT;
    return p->depth + 1 < QUOTA_DEPTH_MAX ? 0 : ERR_FULL;
}

int quota_add(struct quota *q, int parent, const struct quota_spec *spec, nsec now, int *ret_node)
{
    if (!spec_valid(spec))
        return ERR_INVALID;
    int error = parent_error(q, parent), slot = free_slot(q);
    if (error)
        return error;
    if (slot == QUOTA_NODES_MAX)
        return ERR_FULL;
    struct quota_node *n = &q->nodes[slot];
    memset(n, 0, sizeof(*n));
    n->spec = *spec;
    n->used = true;
    n->parent = parent;
    n->first_child = n->next_sibling = QUOTA_NONE;
    n->seen = now;
    if (parent != QUOTA_NONE) {
        struct quota_node *p = &q->nodes[parent];
        n->depth = p->depth + 1;
        n->next_sibling = p->first_child;
        p->first_child = slot;
        p->children++;
    }
    q->count = MAX(q->count, slot + 1);
    compute(q);
    *ret_node = slot;
    return 0;
}

int quota_change(struct quota *q, int node, const struct quota_spec *spec)
{
    if (!quota_has(q, node) || q->nodes[node].draining)
        return ERR_NOT_FOUND;
    if (!spec_valid(spec))
        return ERR_INVALID;
    q->nodes[node].spec = *spec;
    compute(q);
    return 0;
}

static void unlink_child(struct quota *q, int node)
{
    struct quota_node *p = &q->nodes[q->nodes[node].parent];
    int *link = &p->first_child;
    while (*link != node)
        link = &q->nodes[*link].next_sibling;
    *link = q->nodes[node].next_sibling;
    p->children--;
}

static void free_node(struct quota *q, int node)
{
    if (q->nodes[node].parent != QUOTA_NONE)
        unlink_child(q, node);
    memset(&q->nodes[node], 0, sizeof(q->nodes[node]));
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        q->subtree[r][node] = q->usage[r][node] = 0;
}

int quota_remove(struct quota *q, int node)
{
    if (!quota_has(q, node) || q->nodes[node].draining)
        return ERR_NOT_FOUND;
    if (q->nodes[node].children)
        return ERR_CONFLICT;
    q->nodes[node].draining = true;
    if (!holds_something(&q->nodes[node]))
        free_node(q, node);
    compute(q);
    return 0;
}

/* ---- take and give back ---- */

static void hold(struct quota *q, int queue, const struct quota_amount *amount, int sign, nsec now)
{
    for (int n = queue; n != QUOTA_NONE; n = q->nodes[n].parent) {
        quota_history_advance(q, n, now);
        for (int r = 0; r < QUOTA_RESOURCES; r++)
            q->nodes[n].held.of[r] += sign * amount->of[r];
    }
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        quota_usage_add(q, r, queue, sign * amount->of[r], q->usage[r]);
}

int quota_restore(struct quota *q, int queue, const struct quota_amount *amount, nsec now)
{
    if (!quota_is_queue(q, queue) || !quota_amount_valid(amount))
        return ERR_INVALID;
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        if (q->nodes[queue].held.of[r] + amount->of[r] > QUOTA_AMOUNT_MAX)
            return ERR_INVALID;
    hold(q, queue, amount, 1, now);
    return 0;
}

int quota_take(struct quota *q, int queue, const struct quota_amount *amount, nsec now,
               struct quota_verdict *ret_verdict)
{
    quota_fits(q, queue, amount, ret_verdict);
    if (ret_verdict->answer != QUOTA_FITS && ret_verdict->answer != QUOTA_BORROWS)
        return ERR_UNAVAILABLE;
    return quota_restore(q, queue, amount, now);
}

int quota_give_back(struct quota *q, int queue, const struct quota_amount *amount, nsec now)
{
    if (!quota_has(q, queue) || q->nodes[queue].children || !quota_amount_valid(amount))
        return ERR_INVALID;
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        if (amount->of[r] > q->nodes[queue].held.of[r])
            return ERR_INVALID;
    hold(q, queue, amount, -1, now);
    if (q->nodes[queue].draining && !holds_something(&q->nodes[queue])) {
        free_node(q, queue);
        compute(q);
    }
    return 0;
}
