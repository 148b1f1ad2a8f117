/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of workloads on a small cluster: arrivals, ends, failures, nodes and GPUs that are lost,
 * quotas that change, restarts. The oracle knows the workloads' states, rebuilds the cluster from its leases
 * for every question, and goes by the definitions:
 * - who starts is the first in quota's order that fits, with as many members as can be
 * - who is held could not start, fits without its victims, and not if any one of them stays; each of them
 *   may be evicted by it; it starts as soon as they are gone, if no node has changed
 * - when there is no decision, nobody who waits could start, or could evict enough
 * - who has the reservation fits when those that are expected to end by then have ended; others of its
 *   priority and lower take none of its room or quota, unless they will have ended
 * - left to itself, it comes to rest: nobody is evicted in circles
 * - what is said to be the reason why one is pending is true: with what is said to be missing it would fit,
 *   with all but one of it not; and there always is one
 * - a state made anew from what outlives a restart decides the same
 * - sched_check, place_check and quota_check after every step
 */
#include "core/place/policy.h"
#include "core/quota/quota_internal.h"
#include "core/sched/explain.h"
#include "core/sched/sched_internal.h"
#include "test.h"

enum {
    HISTORIES = 120,
    STEPS = 250,
    NODES = 4,
    WORKLOADS = 24,
    LEASES = 128,
    QUEUES = 8,
    RESTS = 200, /* rounds in which it must come to rest */
};

/* What a scheduler works on. */
struct cluster {
    struct place place;
    struct quota quota;
    struct sched sched;
    struct sched_workload workloads[WORKLOADS];
};

struct world {
    uint64_t seed, random;
    int step;
    nsec now;
    struct place_options places;
    struct sched_options options;
    struct cluster *c, *other;
    struct place_node_spec nodes[NODES];
    uint64_t next_id, next_node;
    struct sched_spec last; /* that arrived */
    bool nodes_changed;     /* since one is held */
    int evictions, reservations;
};

#define HOLDS(condition) PROPERTY(condition, w->seed, w->step)

static uint64_t below(struct world *w, uint64_t n)
{
    return test_below(&w->random, n);
}

static bool chance(struct world *w, uint64_t percent)
{
    return below(w, 100) < percent;
}

/* ---- the oracle ---- */

static bool is_among(const struct sched_workload *v, struct sched_workload *const *list, int count)
{
    for (int i = 0; i < count; i++)
        if (list[i] == v)
            return true;
    return false;
}

static struct sched_workload *user_of(struct cluster *c, uint64_t owner)
{
    for (int i = 0; i < WORKLOADS; i++)
        if (c->workloads[i].state != SCHED_OUT &&
            c->workloads[i].spec.id == owner >> SCHED_MEMBER_BITS)
            return &c->workloads[i];
    return NULL; /* a ghost */
}

/* Does it stand above who has the reservation? */
static bool is_above(const struct world *w, const struct sched_workload *p)
{
    const struct sched_workload *of = w->c->sched.reservation.of;
    return p == of || (of && p->spec.priority > of->spec.priority);
}

static bool may_use_reserved(const struct world *w, const struct sched_workload *p)
{
    nsec at = w->c->sched.reservation.at;
    return is_above(w, p) ||
           (p->spec.expected && at != NSEC_NEVER && w->now + p->spec.expected <= at);
}

enum ghosts { NO_GHOSTS, HELD = 1, RESERVED = 2 };

static bool is_left(struct world *w, const struct place_lease *l,
                    struct sched_workload *const *gone, int count, unsigned ghosts)
{
    struct sched_workload *user = user_of(w->c, l->owner);
    if (user)
        return !is_among(user, gone, count);
    return ghosts & (l->owner >= SCHED_GHOST_RESERVED ? RESERVED : HELD);
}

/* How many members find room without those who are gone, beside these ghosts. */
static unsigned room_for(struct world *w, const struct sched_workload *p, unsigned most,
                         struct sched_workload *const *gone, int count, unsigned ghosts)
{
    struct place copy;
    const struct place_lease *l = NULL;
    unsigned n = 0;
    place_init(&copy, &w->places);
    for (int slot = 0; slot < w->c->place.node_count; slot++) {
        const struct place_node *node = &w->c->place.nodes[slot];
        struct place_node_spec spec = node->spec;
        spec.closed |= node->removed;
        if (spec.id)
            HOLDS(place_node_put(&copy, &spec) == 0);
    }
    while ((l = place_lease_next(&w->c->place, l)))
        if (is_left(w, l, gone, count, ghosts))
            HOLDS(place_restore(&copy, l) == 0);
    while (n < most && place_allocate(&copy, UINT64_MAX - n, &p->spec.request, w->now, &l) == 0)
        n++;
    place_fini(&copy);
    return n;
}

static struct quota_amount amount_of(const struct sched_workload *p, unsigned members)
{
    struct quota_amount a;
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        a.of[r] = p->spec.amount.of[r] * members;
    return a;
}

static bool has_quota(struct world *w, const struct sched_workload *p, unsigned members,
                      struct sched_workload *const *gone, int count)
{
    struct quota_holding holdings[WORKLOADS];
    struct quota_amount a = amount_of(p, members);
    struct quota_verdict v;
    size_t n = 0;
    for (int i = 0; i < count; i++)
        if (quota_has(&w->c->quota, gone[i]->spec.queue)) /* else it holds nothing */
            holdings[n++] =
                (struct quota_holding){gone[i]->spec.queue, amount_of(gone[i], gone[i]->members)};
    quota_fits_without(&w->c->quota, p->spec.queue, &a, holdings, n, &v);
    return v.answer == QUOTA_FITS || v.answer == QUOTA_BORROWS;
}

static int64_t missing(struct world *w, const struct sched_workload *p)
{
    struct quota_amount a = amount_of(p, p->spec.members_min);
    struct quota_verdict v;
    int64_t sum = 0;
    quota_fits(&w->c->quota, p->spec.queue, &a, &v);
    for (int i = 0; i < v.obstacle_count; i++)
        sum += v.obstacles[i].missing;
    return sum;
}

/* Would it be in the way of who has the reservation? */
static bool needs_its_quota(struct world *w, const struct sched_workload *p, unsigned members)
{
    struct sched_workload *of = w->c->sched.reservation.of;
    struct quota_amount a = amount_of(p, members);
    struct quota *before = &w->other->quota;
    if (!of || may_use_reserved(w, p))
        return false;
    int64_t missed = missing(w, of);
    *before = w->c->quota;
    HOLDS(quota_restore(&w->c->quota, p->spec.queue, &a, w->now) == 0);
    bool needs = missing(w, of) > missed;
    w->c->quota = *before;
    return needs;
}

static bool could_start(struct world *w, const struct sched_workload *p)
{
    unsigned n = p->spec.members_min, ghosts = HELD | (may_use_reserved(w, p) ? 0 : RESERVED);
    return has_quota(w, p, n, NULL, 0) && !needs_its_quota(w, p, n) &&
           room_for(w, p, n, NULL, 0, ghosts) == n;
}

/* It has quota, and leaves it to another. */
static bool waits_for_quota_of_others(struct world *w, const struct sched_workload *p)
{
    unsigned n = p->spec.members_min;
    return has_quota(w, p, n, NULL, 0) && needs_its_quota(w, p, n);
}

static bool could_by_evicting(struct world *w, const struct sched_workload *p,
                              struct sched_workload *const *gone, int count)
{
    unsigned n = p->spec.members_min, ghosts = HELD | (is_above(w, p) ? 0 : RESERVED);
    return has_quota(w, p, n, gone, count) && room_for(w, p, n, gone, count, ghosts) == n;
}

static bool may_try(struct world *w, const struct sched_workload *p)
{
    return p->state == SCHED_PENDING && p->sleeps_until <= w->now &&
           quota_is_queue(&w->c->quota, p->spec.queue);
}

/* All who may be tried, in quota's order. */
static int in_order(struct world *w, struct sched_workload *ret[WORKLOADS])
{
    struct quota_head heads[WORKLOADS];
    struct sched_workload *of[WORKLOADS];
    int left = 0, count = 0;
    for (int i = 0; i < WORKLOADS; i++) {
        struct sched_workload *p = &w->c->workloads[i];
        int at = left;
        if (!may_try(w, p))
            continue;
        for (; at > 0 && of[at - 1]->spec.id > p->spec.id; at--)
            of[at] = of[at - 1];
        of[at] = p;
        left++;
    }
    while (left > 0) {
        for (int i = 0; i < left; i++)
            heads[i] =
                (struct quota_head){of[i]->spec.queue, of[i]->spec.priority, of[i]->spec.created};
        int next = quota_next(&w->c->quota, heads, left, w->now);
        ret[count++] = of[next];
        memmove(&of[next], &of[next + 1], (size_t)(--left - next) * sizeof(*of));
    }
    return count;
}

static bool is_exempt(const struct sched_workload *p, const struct sched_workload *v)
{
    return v == p || v->state != SCHED_RUNNING || !v->spec.preemptible ||
           (v->spec.inference && !p->spec.inference);
}

/* Of the same queue: has a first claim to what the queue has of its own? */
static bool goes_first(const struct sched_workload *a, const struct sched_workload *b)
{
    if (a->state != SCHED_RUNNING || b->state != SCHED_RUNNING)
        return a->state == SCHED_RUNNING && a->spec.priority >= b->spec.priority;
    if (a->spec.priority != b->spec.priority)
        return a->spec.priority > b->spec.priority;
    return a->started != b->started ? a->started < b->started : a->spec.id < b->spec.id;
}

/* Beyond what its queue has, beside those who go first and do not borrow themselves. */
static bool borrows(struct world *w, const struct sched_workload *p)
{
    unsigned members = p->state == SCHED_RUNNING ? p->members : p->spec.members_min;
    struct quota_amount sum = amount_of(p, members);
    for (int i = 0; i < WORKLOADS; i++) {
        const struct sched_workload *v = &w->c->workloads[i];
        if (v == p || v->state != SCHED_RUNNING || v->spec.queue != p->spec.queue ||
            !goes_first(v, p) || borrows(w, v))
            continue;
        for (int r = 0; r < QUOTA_RESOURCES; r++)
            sum.of[r] += v->spec.amount.of[r] * v->members;
    }
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        if (sum.of[r] > w->c->quota.subtree[r][p->spec.queue])
            return true;
    return false;
}

static bool has_reserved_node(struct world *w, const struct sched_workload *v)
{
    const struct sched_reservation *r = &w->c->sched.reservation;
    const struct place_lease *l = NULL;
    while (r->of && (l = place_lease_next(&w->c->place, l)))
        for (unsigned k = 0; k < r->of->spec.members_min; k++)
            if (user_of(w->c, l->owner) == v && r->room[k].node == l->node)
                return true;
    return false;
}

static bool may_evict(struct world *w, const struct sched_workload *p,
                      const struct sched_workload *v)
{
    bool lower = v->spec.priority < p->spec.priority;
    if (is_exempt(p, v) || (!is_above(w, p) && has_reserved_node(w, v)))
        return false;
    if (v->spec.queue == p->spec.queue)
        return lower && (borrows(w, v) || !borrows(w, p));
    return !borrows(w, p) && (lower || borrows(w, v));
}

/* ---- decisions ---- */

/* Before a decision: who should be next, if it is not a preemption. */
struct expected {
    struct sched_workload *order[WORKLOADS];
    int count, first; /* that could start; count: nobody */
};

static void expect(struct world *w, struct expected *e)
{
    e->count = in_order(w, e->order);
    e->first = 0;
    while (e->first < e->count && !could_start(w, e->order[e->first]))
        e->first++;
}

static bool could_grow(struct world *w, const struct sched_workload *p)
{
    unsigned ghosts = HELD | (may_use_reserved(w, p) ? 0 : RESERVED);
    return p->members < p->spec.members_max && has_quota(w, p, 1, NULL, 0) &&
           !needs_its_quota(w, p, 1) && room_for(w, p, 1, NULL, 0, ghosts) == 1;
}

static int place_of(const struct expected *e, const struct sched_workload *p)
{
    int i = 0;
    while (i < e->count && e->order[i] != p)
        i++;
    return i;
}

/* What will be asked of the state before a preemption is answered from this copy of it. */
static void check_preemption(struct world *w, const struct expected *e,
                             const struct cluster *before, bool same_rules)
{
    struct sched_workload *p = w->c->sched.held, *chosen[WORKLOADS], *but[WORKLOADS];
    struct quota quota = w->c->quota;
    int count = 0;
    HOLDS(p && (!same_rules || place_of(e, p) < e->first));
    for (int i = 0; i < WORKLOADS; i++)
        if (w->c->workloads[i].evicted_for == p->spec.id)
            chosen[count++] = &w->c->workloads[i];
    HOLDS(count > 0);
    for (int i = 0; i < count; i++)
        chosen[i]->state = SCHED_RUNNING;
    w->c->quota = before->quota;
    unsigned n = p->spec.members_min, ghosts = is_above(w, p) ? 0 : RESERVED;
    HOLDS(has_quota(w, p, n, chosen, count));
    HOLDS(room_for(w, p, n, chosen, count, ghosts) == n);
    for (int i = 0; i < count; i++) {
        int left = 0;
        for (int k = 0; k < count; k++)
            if (k != i)
                but[left++] = chosen[k];
        HOLDS(!has_quota(w, p, n, but, left) || room_for(w, p, n, but, left, ghosts) < n);
    }
    p->state = SCHED_PENDING;
    for (int i = 0; i < count; i++)
        HOLDS(may_evict(w, p, chosen[i]));
    p->state = SCHED_HELD;
    for (int i = 0; i < count; i++)
        chosen[i]->state = SCHED_EVICTING;
    w->c->quota = quota;
    w->nodes_changed = false;
}

static int victims(struct world *w, struct sched_workload *ret[WORKLOADS])
{
    int count = 0;
    for (int i = 0; w->c->sched.held && i < WORKLOADS; i++)
        if (w->c->workloads[i].evicted_for == w->c->sched.held->spec.id)
            ret[count++] = &w->c->workloads[i];
    return count;
}

/* Nobody has taken what is kept. Of a MIG instance that is partly free there is no promise. */
static void check_held(struct world *w)
{
    struct sched_workload *gone[WORKLOADS], *p = w->c->sched.held;
    int count = victims(w, gone);
    if (p && !w->nodes_changed && !p->spec.request.mig)
        HOLDS(room_for(w, p, p->members, gone, count, RESERVED) == p->members);
}

/* Room and time of the reservation are what was promised (as with check_held). */
static void check_reservation(struct world *w)
{
    const struct sched_reservation *r = &w->c->sched.reservation;
    struct sched_workload *gone[WORKLOADS];
    int count = 0;
    if (!r->of || r->stale || r->of->spec.request.mig)
        return;
    for (int i = 0; i < WORKLOADS; i++) {
        struct sched_workload *v = &w->c->workloads[i];
        bool known = v->spec.expected && v->started + v->spec.expected <= r->at;
        if ((v->state == SCHED_RUNNING && (known || r->at == NSEC_NEVER)) ||
            (v->state == SCHED_EVICTING && !v->evicted_for))
            gone[count++] = v;
    }
    unsigned n = r->of->spec.members_min;
    HOLDS(r->of->state == SCHED_PENDING && room_for(w, r->of, n, gone, count, HELD) == n);
    w->reservations++;
}

/* Whoever runs has its node and its GPUs. */
static void check_rooms(struct world *w)
{
    const struct place_lease *l = NULL;
    while ((l = place_lease_next(&w->c->place, l))) {
        const struct sched_workload *user = user_of(w->c, l->owner);
        const struct place_node *n = place_node_find(&w->c->place, l->node);
        HOLDS(!user || user->state != SCHED_RUNNING || n);
        for (int i = 0; user && user->state == SCHED_RUNNING && i < n->spec.gpu_count; i++)
            HOLDS(!(l->gpus >> i & 1) || !n->spec.gpus[i].faulty);
    }
}

static void check_state(struct world *w)
{
    const char *broken = sched_check(&w->c->sched);
    if (!broken)
        broken = quota_check(&w->c->quota);
    if (broken)
        fail_msg("%s: seed %llu, step %d", broken, (unsigned long long)w->seed, w->step);
    check_held(w);
    check_reservation(w);
    check_rooms(w);
}

static bool decide(struct world *w)
{
    struct sched_decision d;
    struct expected e;
    struct sched *s = &w->c->sched;
    struct sched_workload *held = s->held;
    bool pending_evictions = !list_empty(&s->decided), ready = held && s->victims == 0;
    bool late = held && w->now >= held->hold_until;
    sched_reserve_refresh(s, w->now);
    if (!ready)
        expect(w, &e);
    w->other->quota = w->c->quota;
    const struct sched_workload *reserved = s->reservation.of;
    uint64_t asked[2] = {s->reservation.asked_at[0], s->reservation.asked_at[1]};
    bool any = sched_next(s, w->now, &d);
    /* Else those after the one that has it now were tried by other rules than those before. */
    bool same_rules =
        !memcmp(asked, s->reservation.asked_at, sizeof(asked)) &&
        (s->reservation.of == reserved || (!s->reservation.of && any && d.workload == reserved));
    check_state(w);
    if (pending_evictions) {
        HOLDS(any && d.kind == SCHED_EVICT);
    } else if (ready) {
        HOLDS(w->nodes_changed || held->spec.request.mig || held->state == SCHED_RUNNING);
        HOLDS(held->state != SCHED_RUNNING || (any && d.workload == held));
    } else if (s->held && s->held != held && !late) {
        HOLDS(any && d.kind == SCHED_EVICT);
        check_preemption(w, &e, w->other, same_rules);
    } else if (!late && same_rules) {
        HOLDS(any == (e.first < e.count));
        HOLDS(!any || (d.kind == SCHED_START && d.workload == e.order[e.first]));
    }
    if (any && d.kind == SCHED_START)
        HOLDS(d.workload->state == SCHED_RUNNING &&
              (d.workload == held || !could_grow(w, d.workload)));
    if (any && d.kind == SCHED_EVICT) {
        HOLDS(d.workload->state == SCHED_EVICTING);
        w->evictions++;
    }
    return any;
}

static void check_nobody_could(struct world *w)
{
    struct sched_workload *order[WORKLOADS], *gone[WORKLOADS];
    int count = in_order(w, order);
    for (int i = 0; i < count; i++) {
        int candidates = 0;
        HOLDS(order[i]->why != SCHED_WHY_NEW && !could_start(w, order[i]));
        for (int k = 0; k < WORKLOADS && !w->c->sched.held; k++) {
            struct sched_workload *v = &w->c->workloads[k];
            if (may_evict(w, order[i], v))
                gone[candidates++] = v;
        }
        HOLDS(!candidates || waits_for_quota_of_others(w, order[i]) ||
              !could_by_evicting(w, order[i], gone, candidates));
    }
}

/* ---- reasons ---- */

static void check_quota_reasons(struct world *w, const struct sched_workload *p,
                                const struct quota_verdict *v)
{
    for (int but = -1; but < v->obstacle_count; but++) { /* -1: all of them are cured */
        w->other->quota = w->c->quota;
        struct quota *q = &w->other->quota;
        struct quota_amount amount = amount_of(p, p->spec.members_min);
        struct quota_verdict after;
        for (int i = 0; i < v->obstacle_count; i++) {
            const struct quota_obstacle *o = &v->obstacles[i];
            struct quota_spec spec = q->nodes[o->node].spec;
            bool is_root = q->nodes[o->node].parent == QUOTA_NONE;
            int64_t *limit =
                is_root ? &spec.nominal.of[o->resource] : &spec.borrowing.of[o->resource];
            *limit += o->missing - (i == but);
            HOLDS(quota_change(q, o->node, &spec) == 0);
        }
        quota_fits(q, p->spec.queue, &amount, &after);
        HOLDS((after.answer == QUOTA_SHORT) == (but >= 0));
    }
}

static void add_gpus(struct place_node *n, struct place_gpu_spec like, int count)
{
    like.faulty = false;
    for (; count > 0; count--) {
        n->spec.gpus[n->spec.gpu_count] = like;
        n->gpus[n->spec.gpu_count++] = (struct place_gpu){.spec = like};
    }
}

static void cure_gpus(struct place_node *n, const struct sched_workload *p, unsigned reason,
                      const struct place_lack *lack)
{
    const struct place_request *r = &p->spec.request;
    struct place_gpu_spec like = {.memory =
                                      81920}; /* of a model that all accept, or the first that is */
    if (r->models)
        like.model = (uint8_t)__builtin_ctzll(r->models);
    like.mig = r->mig ? mig_geometry_find(STR("H100-80G")) : NULL;
    int idle[2] = {0};
    for (int i = 0; i < n->spec.gpu_count; i++)
        idle[n->spec.gpus[i].model] +=
            !n->spec.gpus[i].faulty && !n->spec.gpus[i].mig && n->gpus[i].leases == 0;
    if (reason == PLACE_GPUS && (!r->models || r->models == 3))
        like.model = idle[1] > idle[0];
    add_gpus(n, like, reason == PLACE_GPUS ? lack->gpus : MAX(r->gpus, 1));
}

static void cure(struct place_node *n, const struct sched_workload *p, unsigned reason,
                 const struct place_lack *lack)
{
    if (reason == PLACE_CLOSED)
        n->spec.closed = false;
    else if (reason == PLACE_CPU)
        n->spec.cpu += lack->cpu;
    else if (reason == PLACE_MEMORY)
        n->spec.memory += lack->memory;
    else if (reason == PLACE_SPOT)
        n->spec.spot = false;
    else if (reason == PLACE_LABELS)
        n->spec.labels = p->spec.request.labels;
    else if (reason == PLACE_TAINTS)
        n->spec.taints = p->spec.request.tolerations;
    else
        cure_gpus(n, p, reason, lack);
}

static void check_lack(struct world *w, const struct sched_workload *p,
                       const struct sched_class *class)
{
    const struct place *place = &w->c->place;
    for (unsigned but = 0; but <= class->lack.reasons; but = but ? but << 1 : 1) {
        struct place_node n = *place_node_find(place, class->best);
        if (but & ~class->lack.reasons)
            continue;
        for (unsigned reason = 1; reason < 1 << PLACE_REASONS; reason <<= 1)
            if (reason & class->lack.reasons & ~but)
                cure(&n, p, reason, &class->lack);
        HOLDS(place_members(place, &n, &p->spec.request, 1, NULL) == !but);
    }
    if (class->lack.reasons & PLACE_GPUS) {
        struct place_node n = *place_node_find(place, class->best);
        struct place_lack less = class->lack;
        less.gpus--;
        for (unsigned reason = 1; reason < 1 << PLACE_REASONS; reason <<= 1)
            if (reason & less.reasons)
                cure(&n, p, reason, &less);
        HOLDS(place_members(place, &n, &p->spec.request, 1, NULL) == 0);
    }
}

static void check_leavers(struct world *w, struct sched_workload *p,
                          const struct sched_class *class, unsigned now)
{
    struct sched_workload *gone[SCHED_LEAVERS_MAX];
    unsigned ghosts = HELD | (may_use_reserved(w, p) ? 0 : RESERVED);
    int count = 0;
    for (unsigned i = 0; i < class->leaver_count; i++) {
        struct sched_workload *v = user_of(w->c, class->leavers[i] << SCHED_MEMBER_BITS);
        HOLDS(v && v != p);
        if (v->state == SCHED_HELD)
            ghosts &= ~(unsigned)HELD;
        else if (v->reserved)
            ghosts &= ~(unsigned)RESERVED;
        gone[count++] = v;
    }
    struct place_node empty = {.spec = place_node_find(&w->c->place, class->best)->spec};
    for (int i = 0; i < empty.spec.gpu_count; i++)
        empty.gpus[i].spec = empty.spec.gpus[i];
    HOLDS((count > 0) == (place_members(&w->c->place, &empty, &p->spec.request, 1, NULL) == 1));
    if (count)
        HOLDS(room_for(w, p, now + 1, gone, count, ghosts) == now + 1);
}

static void check_spared(struct world *w, struct sched_workload *p,
                         const struct sched_explanation *e)
{
    unsigned sum = 0, running = 0, may = 0;
    for (int i = 0; i < SCHED_SPARED; i++)
        sum += e->spared[i];
    for (int i = 0; i < WORKLOADS; i++) {
        running += w->c->workloads[i].state == SCHED_RUNNING;
        may += may_evict(w, p, &w->c->workloads[i]);
    }
    HOLDS(sum == running && e->spared[SCHED_MAY_EVICT] == may);
}

static void check_explanation(struct world *w, struct sched_workload *p)
{
    struct sched_explanation *e = malloc(sizeof(*e));
    unsigned n = p->spec.members_min;
    sched_explain(&w->c->sched, p, w->now, e);
    bool quota = e->quota.answer == QUOTA_SHORT, room = e->members_now < n;
    HOLDS(e->closed == !quota_is_queue(&w->c->quota, p->spec.queue));
    HOLDS(e->closed || e->sleeps_until || quota || room || e->kept_for);
    if (!e->closed) {
        HOLDS(e->members_now ==
              room_for(w, p, n, NULL, 0, HELD | (may_use_reserved(w, p) ? 0 : RESERVED)));
        HOLDS(quota == !has_quota(w, p, n, NULL, 0));
        check_quota_reasons(w, p, &e->quota);
        check_spared(w, p, e);
    }
    bool admitted = may_use_reserved(w, p);
    if (admitted)
        sched_reserve_suspend(&w->c->sched);
    for (unsigned i = 0; i < e->class_count; i++)
        if (e->classes[i].best)
            check_lack(w, p, &e->classes[i]);
    if (admitted)
        sched_reserve_resume(&w->c->sched, w->c->sched.reservation.of, w->now);
    for (unsigned i = 0; i < e->class_count; i++) {
        if (room && e->classes[i].best)
            check_leavers(w, p, &e->classes[i], e->members_now);
    }
    HOLDS(!e->kept_for || quota || waits_for_quota_of_others(w, p) ||
          (room_for(w, p, n, NULL, 0, HELD) == n));
    free(e);
}

static void check_explanations(struct world *w)
{
    for (int i = 0; i < WORKLOADS; i++)
        if (w->c->workloads[i].state == SCHED_PENDING)
            check_explanation(w, &w->c->workloads[i]);
}

static int drain(struct world *w)
{
    int decisions = 0;
    while (decide(w))
        HOLDS(++decisions < 10 * WORKLOADS);
    return decisions;
}

static void settle(struct world *w)
{
    drain(w);
    check_nobody_could(w);
    check_explanations(w);
}

/* ---- events ---- */

static struct sched_workload *any_in(struct world *w, unsigned states)
{
    int first = (int)below(w, WORKLOADS);
    for (int i = 0; i < WORKLOADS; i++) {
        struct sched_workload *p = &w->c->workloads[(first + i) % WORKLOADS];
        if (states >> p->state & 1)
            return p;
    }
    return NULL;
}

static void random_request(struct world *w, struct sched_spec *spec)
{
    struct place_request *r = &spec->request;
    static const char *profiles[] = {"1g.10gb", "2g.20gb", "3g.40gb"};
    *r = (struct place_request){.cpu = 1000 * (int64_t)below(w, 3), .spot = chance(w, 80)};
    r->memory = chance(w, 20) ? (int64_t)below(w, 600) : 0;
    if (chance(w, 10))
        place_set_add(&r->labels, 7);
    if (chance(w, 70))
        place_set_add(&r->tolerations, 9);
    r->models = chance(w, 20) ? 1 + below(w, 2) : 0;
    uint64_t kind = below(w, 10);
    if (kind < 6)
        r->gpus = (uint8_t)(1 + below(w, 3));
    else if (kind < 8)
        r->share_milli = (uint16_t)(250 * (1 + below(w, 3)));
    else if (kind < 9)
        r->mig = mig_profile_find(str_from(profiles[below(w, 3)]));
    spec->amount.of[0] = r->gpus ? PLACE_MILLI * r->gpus : r->mig ? 250 : r->share_milli;
    spec->amount.of[QUOTA_CPU] = r->cpu;
}

static void random_spec(struct world *w, struct sched_spec *spec)
{
    spec->queue = (int)below(w, QUEUES);
    spec->priority = (int)below(w, 3);
    spec->inference = chance(w, 30);
    spec->preemptible = chance(w, spec->inference ? 30 : 80);
    spec->expected = chance(w, 50) ? (nsec)below(w, SEC(20)) : 0;
    spec->members_min = chance(w, 60) ? 1 : 1 + (unsigned)below(w, 4);
    spec->members_max = spec->members_min + (chance(w, 70) ? 0 : (unsigned)below(w, 3));
    random_request(w, spec);
}

static void arrive(struct world *w)
{
    struct sched_workload *p = any_in(w, 1u << SCHED_OUT);
    if (!p)
        return;
    memset(p, 0, sizeof(*p));
    struct sched_spec *spec = &p->spec;
    if (w->last.id && chance(w, 30))
        *spec = w->last;
    else
        random_spec(w, spec);
    spec->id = w->next_id++;
    spec->created = w->now - (nsec)below(w, 3);
    w->last = *spec;
    HOLDS(sched_submit(&w->c->sched, p, w->now) == 0);
}

static void end(struct world *w)
{
    unsigned states = 1u << (chance(w, 50) ? SCHED_EVICTING : SCHED_RUNNING);
    struct sched_workload *p = any_in(w, states);
    if (p)
        sched_ended(&w->c->sched, p, chance(w, 50) ? SCHED_COMPLETED : SCHED_STOPPED, w->now);
}

static void withdraw(struct world *w)
{
    struct sched_workload *p = any_in(w, ~(1u << SCHED_OUT));
    if (!p)
        return;
    sched_withdraw(&w->c->sched, p, w->now);
    HOLDS(p->state == SCHED_OUT);
}

static void change_node(struct world *w)
{
    struct place_node_spec *n = &w->nodes[below(w, NODES)];
    w->nodes_changed = true;
    if (n->id && chance(w, 30)) {
        sched_node_remove(&w->c->sched, n->id, w->now);
        n->id = 0;
        return;
    }
    if (n->id == 0) {
        *n = (struct place_node_spec){.id = w->next_node++, .cpu = 8000, .memory = 1000};
        n->gpu_count = (int)below(w, 5);
        bool cut = chance(w, 25);
        for (int i = 0; i < n->gpu_count; i++) {
            n->gpus[i] = (struct place_gpu_spec){.model = (uint8_t)below(w, 2), .memory = 81920};
            n->gpus[i].mig = cut ? mig_geometry_find(STR("H100-80G")) : NULL;
        }
    }
    n->closed = chance(w, 10);
    n->spot = chance(w, 10);
    n->labels = n->taints = (struct place_set){0};
    if (chance(w, 60))
        place_set_add(&n->labels, 7);
    if (chance(w, 20))
        place_set_add(&n->taints, 9);
    for (int i = 0; i < n->gpu_count; i++)
        n->gpus[i].faulty = chance(w, 10);
    if (sched_node_put(&w->c->sched, n, w->now)) /* full of what is removed and not yet empty */
        n->id = 0;
}

static struct quota_spec random_quota(struct world *w, bool cohort)
{
    struct quota_spec s = {.weight = 1 + (uint32_t)below(w, 4)};
    for (int r = 0; r < QUOTA_RESOURCES; r++) {
        s.nominal.of[r] = cohort ? 0 : 1000 * (int64_t)below(w, 7);
        s.borrowing.of[r] = chance(w, 70) ? QUOTA_NO_LIMIT : 1000 * (int64_t)below(w, 4);
        s.lending.of[r] = chance(w, 70) ? QUOTA_NO_LIMIT : 1000 * (int64_t)below(w, 4);
    }
    s.nominal.of[QUOTA_CPU] *= 3;
    return s;
}

/* May the numbers that are free be given to new queues? */
static bool numbers_are_free(const struct world *w)
{
    for (int i = 0; i < WORKLOADS; i++)
        if (w->c->workloads[i].state != SCHED_OUT &&
            !quota_has(&w->c->quota, w->c->workloads[i].spec.queue))
            return false;
    return true;
}

/* 0 to 2 are cohorts; queues may go and come. */
static void change_quota(struct world *w)
{
    int node = (int)below(w, QUEUES), added;
    struct quota_spec s = random_quota(w, node < 3);
    if (node >= 3 && chance(w, 10)) {
        if (quota_remove(&w->c->quota, node))
            HOLDS(!quota_is_queue(&w->c->quota, node));
    } else if (quota_change(&w->c->quota, node, &s) && !quota_has(&w->c->quota, node) &&
               numbers_are_free(w)) {
        int error = quota_add(&w->c->quota, (int)below(w, 3), &s, w->now, &added);
        HOLDS(!error || error == ERR_CONFLICT); /* a childless cohort is a queue */
    }
    sched_changed(&w->c->sched);
}

static void plant(struct world *w)
{
    for (int node = 0; node < QUEUES; node++) {
        struct quota_spec s = random_quota(w, node < 3);
        int parent = node == 0 ? QUOTA_NONE : node < 3 ? 0 : (int)below(w, 3), added;
        HOLDS(quota_add(&w->c->quota, parent, &s, w->now, &added) == 0);
    }
}

/* ---- restarts ---- */

static void clear_held(struct quota *q)
{
    for (int n = 0; n < q->count; n++) {
        memset(&q->nodes[n].held, 0, sizeof(q->nodes[n].held));
        for (int r = 0; r < QUOTA_RESOURCES; r++)
            q->usage[r][n] = 0;
    }
}

static void restore_one(struct world *w, struct cluster *new, const struct sched_workload *old,
                        struct sched_workload *p)
{
    struct place_lease leases[LEASES];
    size_t count = 0;
    bool held = old->state == SCHED_HELD;
    uint64_t first = held ? UINT64_C(1) << 63 : sched_owner(old->spec.id, 0);
    const struct place_lease *l;
    *p = (struct sched_workload){
        .spec = old->spec,
        .state = old->state,
        .members = old->members,
        .evictions = old->evictions,
        .requeues = old->requeues,
        .sleeps_until = old->sleeps_until,
        .started = old->started,
        .checkpoint = old->checkpoint,
        .evicted_for = old->evicted_for,
        .evict_why = old->evict_why,
        .hold_until = old->hold_until,
        .reserved = old->reserved,
    };
    if (old->state == SCHED_OUT)
        return;
    if (old->state == SCHED_PENDING) {
        HOLDS(sched_submit(&new->sched, p, w->now) == 0);
        return;
    }
    while (count < LEASES && (l = place_lease_find(&w->c->place, first + count)))
        leases[count++] = *l;
    HOLDS(sched_restore(&new->sched, p, leases, count, w->now) == 0);
}

static void begin(struct world *w, struct cluster *c)
{
    memset(c, 0, sizeof(*c));
    place_init(&c->place, &w->places);
    quota_init(&c->quota, SEC(60));
    sched_init(&c->sched, &w->options, &c->place, &c->quota);
}

static void finish(struct cluster *c)
{
    sched_fini(&c->sched);
    place_fini(&c->place);
}

static bool can_restart(const struct world *w)
{
    for (int n = 0; n < w->c->quota.count; n++)
        if (w->c->quota.nodes[n].used && w->c->quota.nodes[n].draining)
            return false;
    for (int slot = 0; slot < w->c->place.node_count; slot++)
        if (w->c->place.nodes[slot].removed || w->c->place.nodes[slot].spec.id == 0)
            return false;
    return list_empty(&w->c->sched.decided);
}

static void restart(struct world *w)
{
    struct cluster *new = w->other;
    struct sched_decision a, b;
    if (!can_restart(w))
        return;
    begin(w, new);
    for (int n = 0; n < w->c->quota.count; n++)
        if (w->c->quota.nodes[n].used)
            quota_history_advance(&w->c->quota, n, w->now);
    new->quota = w->c->quota;
    clear_held(&new->quota);
    for (int slot = 0; slot < w->c->place.node_count; slot++)
        HOLDS(place_node_put(&new->place, &w->c->place.nodes[slot].spec) == 0);
    for (int i = 0; i < WORKLOADS; i++)
        restore_one(w, new, &w->c->workloads[i], &new->workloads[i]);
    HOLDS(!sched_check(&new->sched) && !quota_check(&new->quota));
    HOLDS(memcmp(&new->quota, &w->c->quota, sizeof(new->quota)) == 0);
    while (!list_empty(&new->sched.decided)) /* told again */
        HOLDS(sched_next(&new->sched, w->now, &b) && b.workload->state == SCHED_EVICTING);
    sched_changed(&w->c->sched);
    while (sched_next(&w->c->sched, w->now, &a)) {
        HOLDS(sched_next(&new->sched, w->now, &b));
        HOLDS(a.kind == b.kind && a.workload->spec.id == b.workload->spec.id);
        w->evictions += a.kind == SCHED_EVICT;
    }
    HOLDS(!sched_next(&new->sched, w->now, &b));
    finish(w->c);
    w->other = w->c;
    w->c = new;
}

/* ---- histories ---- */

static void confirm_evictions(struct world *w)
{
    struct sched_workload *p;
    while ((p = any_in(w, 1u << SCHED_EVICTING)))
        sched_ended(&w->c->sched, p, SCHED_STOPPED, w->now);
}

/* Nothing comes and nothing ends: then there is an end of decisions. */
static void rest(struct world *w)
{
    int round = 0;
    do {
        HOLDS(round++ < RESTS);
        confirm_evictions(w);
        w->now += w->options.backoff_max;
    } while (drain(w));
}

static void step(struct world *w)
{
    uint64_t what = below(w, 100);
    w->now += (nsec)below(w, SEC(2));
    if (what < 40)
        arrive(w);
    else if (what < 65)
        end(w);
    else if (what < 68)
        withdraw(w);
    else if (what < 74)
        change_node(w);
    else if (what < 80)
        change_quota(w);
    else if (what < 81)
        rest(w);
    else if (what < 84)
        restart(w);
    else if (what < 92)
        decide(w);
    else
        settle(w);
    check_state(w);
}

static void run(uint64_t seed, int *evictions, int *reservations)
{
    struct world *w = calloc(1, sizeof(*w));
    w->seed = w->random = seed;
    w->c = calloc(1, sizeof(*w->c));
    w->other = calloc(1, sizeof(*w->other));
    w->next_id = w->next_node = 1;
    w->now = SEC(1000);
    w->places = (struct place_options){
        .policy = chance(w, 50) ? &place_fairway : &place_first_fit,
        .nodes_max = 3 * NODES,
        .leases_max = LEASES,
        .shapes_max = 8,
    };
    w->options = (struct sched_options){WORKLOADS, SEC(1), SEC(8), SEC(20), SEC(15)};
    begin(w, w->c);
    plant(w);
    for (int i = 0; i < NODES; i++)
        change_node(w);
    for (w->step = 0; w->step < STEPS; w->step++)
        step(w);
    *evictions += w->evictions;
    *reservations += w->reservations;
    finish(w->c);
    free(w->c);
    free(w->other);
    free(w);
}

static void test_histories(void **state)
{
    const char *many = getenv("FAIRWAY_HISTORIES");
    uint64_t first = test_seed(1), count = many ? strtoull(many, NULL, 0) : HISTORIES;
    int evictions = 0, reservations = 0;
    print_message("seeds from %llu\n", (unsigned long long)first);
    for (uint64_t i = 0; i < count; i++)
        run(first + i, &evictions, &reservations);
    print_message("%d evictions, %d times the reservation was right\n", evictions, reservations);
    assert_true(evictions > 0 && reservations > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_histories),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
