/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who has to go: candidates are taken out of their nodes one by one, the cheapest first, until the gang fits;
 * then those that turn out not to be needed are put back. Nothing is decided before it is known to be enough.
 */
#include <string.h>

#include "core/place/trial.h"
#include "core/sched/explain.h"
#include "core/sched/sched_internal.h"

struct claim {
    struct sched *s;
    const struct sched_workload *of;
    struct quota_amount amount;
    bool borrows;  /* as sched_workload.borrows */
    unsigned fits; /* members, with the chosen out; of one node at most members_min */
    size_t count;  /* of s->chosen */
    nsec now;
};

/* ---- who may be evicted ---- */

/* Does it find room in what its queue has of its own, beside what is used of that? Then it is used. */
static bool use_nominal(const struct sched *s, int queue, const struct quota_amount *amount,
                        struct quota_amount *used)
{
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        if (used->of[r] + amount->of[r] > s->quota->subtree[r][queue])
            return false;
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        used->of[r] += amount->of[r];
    return true;
}

/* Of what a queue has of its own, the highest priority has first, then who has started first; the claimant
 * (NULL: none) comes after its equals. As nobody has a right against what stands before it in this
 * order, evictions cannot go round in circles. */
static void label_queue(struct sched *s, int queue, struct claim *c)
{
    struct quota_amount used = {0};
    bool done = !c;
    s->borrowers[queue] = 0;
    list_each(v, &s->running[queue], struct sched_workload, in_running)
    {
        struct quota_amount amount = sched_amount(&v->spec, v->members);
        if (!done && v->spec.priority < c->of->spec.priority) {
            c->borrows = !use_nominal(s, queue, &c->amount, &used);
            done = true;
        }
        v->borrows = !use_nominal(s, queue, &amount, &used);
        s->borrowers[queue] += v->borrows;
    }
    if (!done)
        c->borrows = !use_nominal(s, queue, &c->amount, &used);
    s->labelled[queue] = !c;
}

static void label_others(struct claim *c)
{
    for (int queue = 0; queue < c->s->queue_count; queue++)
        if (queue != c->of->spec.queue && !c->s->labelled[queue])
            label_queue(c->s, queue, NULL);
}

static enum sched_spared why_spared(const struct claim *c, const struct sched_workload *v)
{
    const struct sched_spec *own = &c->of->spec, *its = &v->spec;
    bool lower = its->priority < own->priority, same = own->queue == its->queue;
    if (!its->preemptible)
        return SCHED_SPARED_NOT_PREEMPTIBLE;
    if (its->inference && !own->inference)
        return SCHED_SPARED_INFERENCE;
    if (same && !lower)
        return SCHED_SPARED_PRIORITY;
    if (same ? c->borrows && !v->borrows : c->borrows || !(lower || v->borrows))
        return SCHED_SPARED_QUOTA;
    if (!sched_reserve_yields(c->s, c->of) && sched_reserve_meets(c->s, v))
        return SCHED_SPARED_RESERVED;
    return SCHED_MAY_EVICT;
}

void sched_explain_spared(struct sched *s, const struct sched_workload *w, nsec now,
                          unsigned counts[SCHED_SPARED])
{
    struct claim c = {.s = s, .of = w, .now = now};
    c.amount = sched_amount(&w->spec, w->spec.members_min);
    label_queue(s, w->spec.queue, &c);
    label_others(&c);
    for (int queue = 0; queue < s->queue_count; queue++)
        list_each(v, &s->running[queue], struct sched_workload, in_running)
            counts[why_spared(&c, v)]++;
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

static void collect_in(struct claim *c, int queue)
{
    struct sched *s = c->s;
    list_each(v, &s->running[queue], struct sched_workload, in_running)
    {
        if (why_spared(c, v) != SCHED_MAY_EVICT)
            continue;
        v->lost = work_lost(v, c->now);
        heap_insert(&s->candidates, &v->by_cost);
    }
}

/* May anybody be evicted there? The last has the lowest priority. */
static bool may_hold_candidates(const struct claim *c, int queue)
{
    const struct sched *s = c->s;
    const struct list *running = &s->running[queue];
    bool own = queue == c->of->spec.queue;
    if (running->previous == running || (!own && c->borrows))
        return false;
    return (!own && s->borrowers[queue] > 0) ||
           container_of(running->previous, struct sched_workload, in_running)->spec.priority <
               c->of->spec.priority;
}

/* What those of this priority and higher use of what the queue has of its own. Those that wait one behind the
 * other mostly have one priority: it is counted once for all of them. */
static const struct quota_amount *used_before(struct sched *s, int queue, int priority)
{
    struct sched_before *before = &s->before[queue];
    if (before->priority == priority && before->at == s->changes[queue])
        return &before->used;
    *before = (struct sched_before){.priority = priority, .at = s->changes[queue]};
    list_each(v, &s->running[queue], struct sched_workload, in_running)
    {
        struct quota_amount amount = sched_amount(&v->spec, v->members);
        if (v->spec.priority < priority)
            break;
        use_nominal(s, queue, &amount, &before->used);
    }
    return &before->used;
}

/* Its equals in the queue go first. */
static bool would_borrow(struct sched *s, const struct sched_workload *w)
{
    struct quota_amount amount = sched_amount(&w->spec, w->spec.members_min);
    struct quota_amount used = *used_before(s, w->spec.queue, w->spec.priority);
    return !use_nominal(s, w->spec.queue, &amount, &used);
}

bool sched_has_candidates(struct sched *s, struct sched_workload *w)
{
    int own = w->spec.queue;
    if (w->would_borrow_at != s->changes[own]) {
        w->would_borrow = would_borrow(s, w);
        w->would_borrow_at = s->changes[own];
    }
    struct claim c = {.s = s, .of = w, .borrows = w->would_borrow};
    if (!c.borrows)
        label_others(&c);
    for (int queue = 0; queue < s->queue_count; queue++)
        if (may_hold_candidates(&c, queue))
            return true;
    return false;
}

static void collect(struct claim *c)
{
    struct sched *s = c->s;
    label_queue(s, c->of->spec.queue, c);
    if (!c->borrows)
        label_others(c);
    s->candidates.before = is_cheaper;
    for (int queue = 0; queue < s->queue_count; queue++)
        if (may_hold_candidates(c, queue))
            collect_in(c, queue);
}

/* ---- what would be without them ---- */

/* While candidates are chosen they are out of their nodes, not out of place: nobody else notices. */
static unsigned members_on(const struct claim *c, int slot)
{
    const struct place *p = c->s->place;
    const struct sched_spec *spec = &c->of->spec;
    return place_members(p, &p->nodes[slot], &spec->request, spec->members_min, NULL);
}

static void move_out(struct claim *c, const struct sched_workload *v, bool out)
{
    struct place *p = c->s->place;
    for (unsigned k = 0; k < v->members; k++) {
        const struct place_lease *l = place_lease_find(p, sched_owner(v->spec.id, k));
        int slot = place_lease_slot(l);
        unsigned before = members_on(c, slot);
        if (out)
            place_node_give_back(&p->nodes[slot], l);
        else
            place_node_take(&p->nodes[slot], l);
        c->fits += members_on(c, slot) - before;
    }
}

/* Likewise its quota. Of one that holds nothing the queue may be gone. */
static void set_aside(struct claim *c, const struct sched_workload *v, bool aside)
{
    struct quota_holding h = {v->spec.queue, sched_amount(&v->spec, v->members)};
    if (sched_is_nothing(&h.amount))
        return;
    if (aside)
        quota_set_aside(c->s->quota, &h);
    else
        quota_put_back(c->s->quota, &h);
}

static void take_out(struct claim *c, const struct sched_workload *v)
{
    set_aside(c, v, true);
    move_out(c, v, true);
}

static void put_back(struct claim *c, const struct sched_workload *v)
{
    set_aside(c, v, false);
    move_out(c, v, false);
}

static bool is_enough(const struct claim *c)
{
    struct quota_verdict v;
    if (c->fits < c->of->spec.members_min)
        return false;
    quota_fits(c->s->quota, c->of->spec.queue, &c->amount, &v);
    return v.answer == QUOTA_FITS || v.answer == QUOTA_BORROWS;
}

/* Members that fit as it is. */
static unsigned count_now(const struct claim *c)
{
    struct sched *s = c->s;
    const struct place_lease *lease;
    unsigned k = 0;
    while (k < c->of->spec.members_min && place_allocate(s->place, sched_owner(c->of->spec.id, k),
                                                         &c->of->spec.request, c->now, &lease) == 0)
        k++;
    sched_unplace(s, c->of, k);
    return k;
}

/* The cheapest until it is enough. */
static bool choose_enough(struct claim *c)
{
    struct heap *candidates = &c->s->candidates;
    bool enough = false;
    collect(c);
    if (candidates->count > 0)
        c->fits = count_now(c);
    for (struct heap_node *top; !enough && (top = heap_top(candidates));) {
        heap_remove(candidates, top);
        c->s->chosen[c->count] = container_of(top, struct sched_workload, by_cost);
        take_out(c, c->s->chosen[c->count++]);
        enough = is_enough(c);
    }
    for (size_t i = 0; i < candidates->count; i++)
        candidates->nodes[i]->place = 0;
    candidates->count = 0;
    return enough;
}

/* With any one more put back it would not fit: who is needed now is needed with fewer, too. */
static void keep_needed(struct claim *c)
{
    struct sched_workload **chosen = c->s->chosen;
    size_t kept = c->count;
    for (size_t i = c->count; i-- > 0;) {
        struct sched_workload *v = chosen[i];
        put_back(c, v);
        if (is_enough(c))
            continue;
        take_out(c, v);
        chosen[--kept] = v;
    }
    memmove(chosen, chosen + kept, (c->count - kept) * sizeof(struct sched_workload *));
    c->count -= kept;
}

static void put_all_back(struct claim *c)
{
    for (size_t i = c->count; i-- > 0;)
        put_back(c, c->s->chosen[i]);
}

/* `wanted`: where it would be without the chosen. */
static void find_room(struct claim *c)
{
    struct sched *s = c->s;
    unsigned members;
    s->saved_count = 0;
    for (size_t i = 0; i < c->count; i++)
        for (unsigned k = 0; k < s->chosen[i]->members; k++) {
            uint64_t owner = sched_owner(s->chosen[i]->spec.id, k);
            s->saved[s->saved_count++] = *place_lease_find(s->place, owner);
            place_release(s->place, owner);
        }
    CHECK(sched_place(s, c->of, c->of->spec.members_min, c->now, &members) == 0);
    for (unsigned k = 0; k < members; k++)
        s->wanted[k] = *place_lease_find(s->place, sched_owner(c->of->spec.id, k));
    sched_unplace(s, c->of, members);
    while (s->saved_count > 0)
        CHECK(place_restore(s->place, &s->saved[--s->saved_count]) == 0);
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
    if (enough)
        keep_needed(c);
    put_all_back(c);
    if (!enough)
        return false;
    find_room(c);
    return hold(c, w);
}

bool sched_preempt(struct sched *s, struct sched_workload *w, nsec now)
{
    struct claim c = {.s = s, .of = w, .now = now};
    if (s->held || (w->why != SCHED_WHY_QUOTA && w->why != SCHED_WHY_ROOM))
        return false;
    bool yields = sched_reserve_yields(s, w);
    if (!sched_has_candidates(s, w))
        return false;
    c.amount = sched_amount(&w->spec, w->spec.members_min);
    if (yields)
        sched_reserve_suspend(s);
    bool held = claim_room(&c, w);
    if (yields)
        sched_reserve_resume(s, w, now);
    return held;
}
