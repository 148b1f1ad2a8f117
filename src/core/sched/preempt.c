/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has to go: candidates are taken out of place one by one, the cheapest first, until the gang fits;
 * then those that turn out not to be needed are put back. Nothing is decided before it is known to be enough.
 */
#include <string.h>

#include "core/sched/explain.h"
#include "core/sched/sched_internal.h"

struct claim {
    struct sched *s;
    const struct sched_workload *of;
    struct quota_amount amount;
    bool borrows; /* as sched_workload.borrows */
    size_t count; /* of s->chosen */
    nsec now;
};

/* ---- who may be evicted ---- */

/* Does it find room in what its queue has of its own, beside what is used of that? Then it is used. */
static bool use_nominal(struct sched *s, int queue, const struct quota_amount *amount)
{
    struct quota_amount *used = &s->used[queue];
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        if (used->of[r] + amount->of[r] > s->quota->subtree[r][queue])
            return false;
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        used->of[r] += amount->of[r];
    return true;
}

/* Of what a queue has of its own, the highest priority has first, then who has started first; the claimant
 * comes after its equals. As nobody has a right against what stands before it in this order,
 * evictions cannot go round in circles. */
static void label(struct claim *c)
{
    struct sched *s = c->s;
    const struct sched_spec *own = &c->of->spec;
    bool done = false;
    memset(s->used, 0, sizeof(s->used));
    list_each(v, &s->running, struct sched_workload, in_running)
    {
        struct quota_amount amount = sched_amount(&v->spec, v->members);
        if (!done && v->spec.priority < own->priority) {
            c->borrows = !use_nominal(s, own->queue, &c->amount);
            done = true;
        }
        v->borrows = !use_nominal(s, v->spec.queue, &amount);
    }
    if (!done)
        c->borrows = !use_nominal(s, own->queue, &c->amount);
}

static enum sched_spared why_spared(const struct claim *c, const struct sched_workload *v)
{
    const struct sched_spec *own = &c->of->spec, *its = &v->spec;
    bool lower = its->priority < own->priority, same = own->queue == its->queue;
    if (!its->preemptible)
        return SCHED_SPARED_NOT_PREEMPTIBLE;
    if (its->inference && !own->inference)
        return SCHED_SPARED_INFERENCE;
    if (!sched_reserve_yields(c->s, c->of) && sched_reserve_meets(c->s, v))
        return SCHED_SPARED_RESERVED;
    if (same && !lower)
        return SCHED_SPARED_PRIORITY;
    bool may = same ? v->borrows || !c->borrows : !c->borrows && (lower || v->borrows);
    return may ? SCHED_MAY_EVICT : SCHED_SPARED_QUOTA;
}

void sched_explain_spared(struct sched *s, const struct sched_workload *w, nsec now,
                          unsigned counts[SCHED_SPARED])
{
    struct claim c = {.s = s, .of = w, .now = now};
    c.amount = sched_amount(&w->spec, w->spec.members_min);
    label(&c);
    list_each(v, &s->running, struct sched_workload, in_running) counts[why_spared(&c, v)]++;
}

static double work_lost(const struct sched_workload *v, nsec now)
{
    double gpus = 0;
    for (int r = 0; r < QUOTA_CLASSES_MAX; r++)
        gpus += (double)v->spec.amount.of[r] * v->members;
    return gpus * nsec_to_seconds(MAX(now - v->checkpoint, 0) + v->spec.start_cost);
}

static bool is_cheaper(const struct heap_node *a, const struct heap_node *b)
{
    const struct sched_workload *x = container_of(a, const struct sched_workload, by_cost);
    const struct sched_workload *y = container_of(b, const struct sched_workload, by_cost);
    if (x->borrows != y->borrows)
        return x->borrows;
    if (x->spec.priority != y->spec.priority)
        return x->spec.priority < y->spec.priority;
    if (x->evictions != y->evictions)
        return x->evictions < y->evictions;
    return x->lost != y->lost ? x->lost < y->lost : x->spec.id > y->spec.id;
}

static void collect(struct claim *c)
{
    struct sched *s = c->s;
    label(c);
    s->candidates.before = is_cheaper;
    list_each(v, &s->running, struct sched_workload, in_running)
    {
        if (why_spared(c, v) != SCHED_MAY_EVICT)
            continue;
        v->lost = work_lost(v, c->now);
        heap_insert(&s->candidates, &v->by_cost);
    }
}

/* ---- what would be without them ---- */

static void take_out(struct claim *c, const struct sched_workload *v)
{
    sched_unplace(c->s, v, v->members);
}

static void put_back(struct claim *c, const struct sched_workload *v)
{
    for (unsigned k = 0; k < v->members; k++)
        CHECK(place_restore(c->s->place, &c->s->saved[v->saved + k]) == 0);
}

static void choose(struct claim *c, struct sched_workload *v)
{
    struct sched *s = c->s;
    v->saved = s->saved_count;
    for (unsigned k = 0; k < v->members; k++)
        s->saved[s->saved_count++] = *place_lease_find(s->place, sched_owner(v->spec.id, k));
    struct quota_amount amount = sched_amount(&v->spec, v->members);
    int queue = sched_is_nothing(&amount) ? c->of->spec.queue : v->spec.queue;
    s->chosen[c->count] = v;
    s->gone[c->count++] = (struct quota_holding){queue, amount};
    take_out(c, v);
}

/* The i-th stays, if it is not needed. */
static void unchoose(struct claim *c, size_t i)
{
    for (c->count--; i < c->count; i++) {
        c->s->chosen[i] = c->s->chosen[i + 1];
        c->s->gone[i] = c->s->gone[i + 1];
    }
}

/* Without the i-th of the chosen. */
static bool has_quota_but(const struct claim *c, size_t i)
{
    struct sched *s = c->s;
    struct quota_verdict v;
    struct quota_holding last = s->gone[c->count - 1], but = s->gone[i];
    s->gone[i] = last;
    quota_fits_without(s->quota, c->of->spec.queue, &c->amount, s->gone, c->count - 1, &v);
    s->gone[i] = but;
    return v.answer == QUOTA_FITS || v.answer == QUOTA_BORROWS;
}

static bool has_quota(const struct claim *c)
{
    struct quota_verdict v;
    quota_fits_without(c->s->quota, c->of->spec.queue, &c->amount, c->s->gone, c->count, &v);
    return v.answer == QUOTA_FITS || v.answer == QUOTA_BORROWS;
}

/* Leaves no trace but `wanted`. */
static bool has_room(const struct claim *c)
{
    struct sched *s = c->s;
    unsigned members;
    if (sched_place(s, c->of, c->of->spec.members_min, c->now, &members))
        return false;
    for (unsigned k = 0; k < members; k++)
        s->wanted[k] = *place_lease_find(s->place, sched_owner(c->of->spec.id, k));
    sched_unplace(s, c->of, members);
    return true;
}

static void put_all_back(struct claim *c)
{
    for (size_t i = c->count; i-- > 0;)
        put_back(c, c->s->chosen[i]);
}

/* The cheapest until it is enough. */
static bool choose_enough(struct claim *c)
{
    struct heap *candidates = &c->s->candidates;
    bool enough = false;
    c->s->saved_count = 0;
    collect(c);
    for (struct heap_node *top; (top = heap_top(candidates));) {
        heap_remove(candidates, top);
        if (enough)
            continue;
        choose(c, container_of(top, struct sched_workload, by_cost));
        enough = has_quota(c) && has_room(c);
    }
    return enough;
}

/* Until with any one more put back it would not fit. */
static void keep_needed(struct claim *c)
{
    bool again = true;
    while (again) {
        again = false;
        for (size_t i = c->count; i-- > 0;) {
            struct sched_workload *v = c->s->chosen[i];
            put_back(c, v);
            if (has_quota_but(c, i) && has_room(c)) {
                unchoose(c, i);
                again = true;
            } else {
                take_out(c, v);
            }
        }
    }
}

/* ---- the decision ---- */

static enum sched_evict_why why_of(const struct sched_workload *w, const struct sched_workload *v)
{
    return v->borrows && v->spec.queue != w->spec.queue ? SCHED_RECLAIMED : SCHED_PREEMPTED;
}

static bool hold(struct claim *c, struct sched_workload *w)
{
    struct sched *s = c->s;
    if (!sched_ghosts_fill(s, &s->ghosts, s->wanted, w->spec.members_min, c->now)) {
        w->why = SCHED_WHY_LEASES;
        return false;
    }
    for (size_t i = 0; i < c->count; i++)
        sched_evict(s, s->chosen[i], why_of(w, s->chosen[i]), w->spec.id, c->now);
    struct quota_verdict v;
    CHECK(quota_take(s->quota, w->spec.queue, &c->amount, c->now, &v) == 0);
    sched_hold_begin(s, w, (unsigned)c->count, c->now);
    return true;
}

static bool claim_room(struct claim *c, struct sched_workload *w)
{
    bool enough = choose_enough(c);
    if (enough) {
        keep_needed(c);
        CHECK(has_room(c)); /* `wanted`, without just these */
    }
    put_all_back(c);
    return enough && hold(c, w);
}

bool sched_preempt(struct sched *s, struct sched_workload *w, nsec now)
{
    struct claim c = {.s = s, .of = w, .now = now};
    if (s->held || (w->why != SCHED_WHY_QUOTA && w->why != SCHED_WHY_ROOM))
        return false;
    bool yields = sched_reserve_yields(s, w);
    c.amount = sched_amount(&w->spec, w->spec.members_min);
    if (yields)
        sched_reserve_suspend(s);
    bool held = claim_room(&c, w);
    if (yields)
        sched_reserve_resume(s, w, now);
    return held;
}
