/* SPDX-License-Identifier: Apache-2.0 */
/* Would it fit, by borrowing from whom, and if not what is in the way. */
#include <string.h>

#include "core/quota/quota_internal.h"

/* What it has of quota that its parent may give to others, and is unused. */
static int64_t unused_lendable(const struct quota *q, int r, int node)
{
    return MAX(q->subtree[r][node] - MAX(q->usage[r][node], quota_local(q, r, node)), 0);
}

int64_t quota_available(const struct quota *q, int node, int resource)
{
    CHECK(quota_has(q, node));
    const struct quota_node *n = &q->nodes[node];
    int64_t usage = q->usage[resource][node], subtree = q->subtree[resource][node];
    if (n->parent == QUOTA_NONE)
        return MAX(subtree - usage, 0);
    int64_t local = quota_local(q, resource, node), limit = n->spec.borrowing.of[resource];
    int64_t above = quota_available(q, n->parent, resource);
    if (limit != QUOTA_NO_LIMIT)
        above = MIN(above, subtree + limit - MAX(usage, local));
    return MAX(local - usage, 0) + MAX(above, 0);
}

static bool has_ceiling(const struct quota *q, int r, int node)
{
    const struct quota_node *n = &q->nodes[node];
    return n->parent == QUOTA_NONE || n->spec.borrowing.of[r] != QUOTA_NO_LIMIT;
}

static int64_t ceiling(const struct quota *q, int r, int node)
{
    const struct quota_node *n = &q->nodes[node];
    return q->subtree[r][node] + (n->parent == QUOTA_NONE ? 0 : n->spec.borrowing.of[r]);
}

/* Of two nodes of one path, the higher; QUOTA_NONE is above all. */
static int higher(const struct quota *q, int a, int b)
{
    if (a == QUOTA_NONE || b == QUOTA_NONE)
        return QUOTA_NONE;
    return q->nodes[a].depth < q->nodes[b].depth ? a : b;
}

/* Goes up the path of the queue with what rises at each node. amount: more than 0. */
static void fit_resource(const struct quota *q, int r, int queue, int64_t amount,
                         const int64_t *usage, struct quota_verdict *v)
{
    int cohort = QUOTA_NONE;
    int64_t nominal = q->subtree[r][queue], rises = amount;
    v->borrowed.of[r] = MAX(usage[queue] + amount - MAX(nominal, usage[queue]), 0);
    for (int n = queue; n != QUOTA_NONE && rises > 0; n = q->nodes[n].parent) {
        int64_t after = usage[n] + rises;
        if (has_ceiling(q, r, n) && after > ceiling(q, r, n))
            v->obstacles[v->obstacle_count++] =
                (struct quota_obstacle){n, r, after - ceiling(q, r, n)};
        if (cohort == QUOTA_NONE && after <= q->subtree[r][n])
            cohort = n;
        rises = quota_above_local(q, r, n, after) - quota_above_local(q, r, n, usage[n]);
    }
    v->cohort = higher(q, v->cohort, cohort);
}

static bool verdict_begin(const struct quota *q, int queue, const struct quota_amount *amount,
                          struct quota_verdict *v)
{
    memset(v, 0, sizeof(*v));
    bool open = quota_is_queue(q, queue) && quota_amount_valid(amount);
    for (int r = 0; open && r < QUOTA_RESOURCES; r++)
        open = q->nodes[queue].held.of[r] + amount->of[r] <= QUOTA_AMOUNT_MAX;
    v->answer = open ? QUOTA_FITS : QUOTA_CLOSED;
    v->cohort = open ? queue : QUOTA_NONE;
    return open;
}

static void verdict_end(struct quota_verdict *v)
{
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        if (v->borrowed.of[r] > 0)
            v->answer = QUOTA_BORROWS;
    if (v->obstacle_count)
        v->answer = QUOTA_SHORT;
}

void quota_fits(const struct quota *q, int queue, const struct quota_amount *amount,
                struct quota_verdict *ret_verdict)
{
    if (!verdict_begin(q, queue, amount, ret_verdict))
        return;
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        if (amount->of[r] > 0)
            fit_resource(q, r, queue, amount->of[r], q->usage[r], ret_verdict);
    verdict_end(ret_verdict);
}

void quota_fits_without(const struct quota *q, int queue, const struct quota_amount *amount,
                        const struct quota_holding *gone, size_t gone_count,
                        struct quota_verdict *ret_verdict)
{
    int64_t usage[QUOTA_NODES_MAX];
    if (!verdict_begin(q, queue, amount, ret_verdict))
        return;
    for (int r = 0; r < QUOTA_RESOURCES; r++) {
        if (amount->of[r] == 0)
            continue;
        memcpy(usage, q->usage[r], (size_t)q->count * sizeof(*usage));
        for (size_t i = 0; i < gone_count; i++) {
            CHECK(quota_has(q, gone[i].queue) && gone[i].amount.of[r] <= usage[gone[i].queue]);
            quota_usage_add(q, r, gone[i].queue, -gone[i].amount.of[r], usage);
        }
        fit_resource(q, r, queue, amount->of[r], usage, ret_verdict);
    }
    verdict_end(ret_verdict);
}

static void usage_change(struct quota *q, const struct quota_holding *h, int sign)
{
    CHECK(quota_has(q, h->queue));
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        quota_usage_add(q, r, h->queue, sign * h->amount.of[r], q->usage[r]);
}

void quota_set_aside(struct quota *q, const struct quota_holding *holding)
{
    usage_change(q, holding, -1);
}

void quota_put_back(struct quota *q, const struct quota_holding *holding)
{
    usage_change(q, holding, 1);
}

/* ---- lenders ---- */

struct parts {
    struct quota_part *list;
    int count;
    int64_t left;
};

static void part_add(struct parts *p, int node, int64_t amount)
{
    amount = MIN(amount, p->left);
    if (amount <= 0)
        return;
    p->list[p->count++] = (struct quota_part){node, amount};
    p->left -= amount;
}

/* Of a cohort's own nominal: what its children do not use over their own. */
static int64_t own_unused(const struct quota *q, int r, int cohort)
{
    int64_t unused = q->nodes[cohort].spec.nominal.of[r];
    quota_each_child(q, c, cohort) unused -= MAX(q->usage[r][c] - q->subtree[r][c], 0);
    return MAX(unused, 0);
}

int quota_lenders(const struct quota *q, int queue, int resource, int64_t amount,
                  struct quota_part ret_parts[QUOTA_NODES_MAX])
{
    struct parts p = {.list = ret_parts, .left = amount};
    CHECK(quota_has(q, queue));
    for (int n = queue; q->nodes[n].parent != QUOTA_NONE; n = q->nodes[n].parent) {
        int cohort = q->nodes[n].parent;
        part_add(&p, cohort, own_unused(q, resource, cohort));
        for (int c = 0; c < q->count; c++)
            if (q->nodes[c].used && q->nodes[c].parent == cohort && c != n)
                part_add(&p, c, unused_lendable(q, resource, c));
    }
    return p.count;
}
