/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has to go: candidates are taken out of place one by one, the cheapest first, until the gang fits;
 * then those that turn out not to be needed are put back. Nothing is decided before it is known to be enough.
 */
#include "core/sched/sched_internal.h"

struct claim {
    struct sched *s;
    const struct sched_workload *of;
    struct quota_amount amount;
    bool nominal; /* it stays within its queue's nominal quota */
    size_t count; /* of s->chosen */
    nsec now;
};

/* ---- who may be evicted ---- */

static bool within_nominal(const struct claim *c)
{
    const struct quota *q = c->s->quota;
    int queue = c->of->spec.queue;
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        if (c->amount.of[r] > 0 && q->usage[r][queue] + c->amount.of[r] > q->subtree[r][queue])
            return false;
    return true;
}

/* Does its queue, without those who were chosen, have more than its own of something that both use? */
static bool is_over(const struct claim *c, const struct sched_workload *v)
{
    const struct quota *q = c->s->quota;
    int queue = v->spec.queue;
    for (int r = 0; r < QUOTA_RESOURCES; r++) {
        int64_t over = q->usage[r][queue] - q->subtree[r][queue];
        for (size_t i = 0; i < c->count; i++)
            over -= c->s->gone[i].queue == queue ? c->s->gone[i].amount.of[r] : 0;
        if (over > 0 && c->amount.of[r] > 0 && v->spec.amount.of[r] > 0)
            return true;
    }
    return false;
}

static bool may_evict(const struct claim *c, struct sched_workload *v)
{
    const struct sched_spec *own = &c->of->spec, *its = &v->spec;
    v->reclaim = own->queue != its->queue && c->nominal && is_over(c, v);
    if (!its->preemptible || (its->inference && !own->inference))
        return false;
    bool lower = its->priority < own->priority;
    return own->queue == its->queue ? lower : c->nominal && (lower || v->reclaim);
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
    if (x->reclaim != y->reclaim)
        return x->reclaim;
    if (x->spec.priority != y->spec.priority)
        return x->spec.priority < y->spec.priority;
    if (x->evictions != y->evictions)
        return x->evictions < y->evictions;
    return x->lost != y->lost ? x->lost < y->lost : x->spec.id > y->spec.id;
}

static void collect(struct claim *c)
{
    struct sched *s = c->s;
    s->candidates.before = is_cheaper;
    list_each(v, &s->running, struct sched_workload, in_running)
    {
        if (!may_evict(c, v))
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

static void choose_none(struct claim *c)
{
    while (c->count > 0)
        put_back(c, c->s->chosen[--c->count]);
}

/* The cheapest until it is enough; or, as one that does not help may use up what its queue has to give
 * back, the cheapest that is enough by itself. */
static bool choose_enough(struct claim *c, bool single)
{
    struct heap *candidates = &c->s->candidates;
    bool enough = false;
    c->s->saved_count = 0;
    collect(c);
    for (struct heap_node *top; (top = heap_top(candidates));) {
        heap_remove(candidates, top);
        struct sched_workload *v = container_of(top, struct sched_workload, by_cost);
        if (enough || !may_evict(c, v))
            continue;
        choose(c, v);
        enough = has_quota(c) && has_room(c);
        if (single && !enough)
            choose_none(c);
    }
    if (!enough)
        choose_none(c);
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

static bool hold(struct claim *c, struct sched_workload *w)
{
    struct sched *s = c->s;
    if (!sched_hold_room(s, w->spec.members_min, c->now)) {
        w->why = SCHED_WHY_LEASES;
        return false;
    }
    for (size_t i = 0; i < c->count; i++)
        sched_evict(s, s->chosen[i], s->chosen[i]->reclaim ? SCHED_RECLAIMED : SCHED_PREEMPTED,
                    w->spec.id, c->now);
    struct quota_verdict v;
    CHECK(quota_take(s->quota, w->spec.queue, &c->amount, c->now, &v) == 0);
    sched_hold_begin(s, w, (unsigned)c->count, c->now);
    return true;
}

bool sched_preempt(struct sched *s, struct sched_workload *w, nsec now)
{
    struct claim c = {.s = s, .of = w, .now = now};
    if (s->held || (w->why != SCHED_WHY_QUOTA && w->why != SCHED_WHY_ROOM))
        return false;
    c.amount = sched_amount(&w->spec, w->spec.members_min);
    c.nominal = within_nominal(&c);
    if (!choose_enough(&c, false) && !choose_enough(&c, true))
        return false;
    keep_needed(&c);
    CHECK(has_room(&c)); /* `wanted`, without just these */
    for (size_t i = c.count; i-- > 0;)
        put_back(&c, s->chosen[i]);
    return hold(&c, w);
}
