/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reservation: when and where the first of those that find no room will have it, and that nobody
 * takes it away. Those that run are given back in the order in which they are expected to end, until
 * the gang fits; only nodes where something has ended are counted anew.
 */
#include "core/place/trial.h"
#include "core/sched/sched_internal.h"

#define ASK_AGAIN SEC(10) /* if there was none to be had */

static bool is_aged(const struct sched *s, const struct sched_workload *w, nsec now)
{
    return now - w->spec.created >= s->options.age_max;
}

/* ---- when ---- */

struct sweep {
    struct sched *s;
    const struct sched_workload *of;
    struct sched_workload **ended; /* s->chosen */
    size_t count;
    unsigned fits; /* members, so far; of one node at most as many as are wanted */
    nsec at;
};

static unsigned members_on(const struct sweep *w, int slot)
{
    const struct place *p = w->s->place;
    return place_members(p, &p->nodes[slot], &w->of->spec.request, w->of->spec.members_min, NULL);
}

static void count_now(struct sweep *w)
{
    const struct place *p = w->s->place;
    for (int slot = 0; slot < p->node_count; slot++)
        if (place_fits_now(p, slot, &w->of->spec.request))
            w->fits += members_on(w, slot);
}

/* What it had can be had, but what it leaves to a held one. */
static void end_one(struct sweep *w, struct sched_workload *v)
{
    struct place *p = w->s->place;
    w->ended[w->count++] = v;
    for (unsigned k = 0; k < v->members && v->evicted_for == 0; k++) {
        const struct place_lease *l = place_lease_find(p, sched_owner(v->spec.id, k));
        int slot = place_lease_slot(l);
        unsigned before = members_on(w, slot);
        place_node_give_back(&p->nodes[slot], l);
        w->fits += members_on(w, slot) - before;
    }
}

static bool has_room(const struct sweep *w)
{
    return w->fits >= w->of->spec.members_min;
}

/* False: it is not known when, and it has not waited for long. */
static bool end_until_room(struct sweep *w, nsec now)
{
    struct heap_node *top;
    bool aged = is_aged(w->s, w->of, now);
    while (!has_room(w) && (top = heap_top(&w->s->ending))) {
        struct sched_workload *v = container_of(top, struct sched_workload, ending);
        if (v->ends == NSEC_NEVER && !aged)
            break;
        heap_remove(&w->s->ending, top);
        end_one(w, v);
        w->at = MAX(w->at, v->ends);
    }
    return has_room(w);
}

/* ---- where ---- */

static void take_room(const struct sweep *w, int slot, unsigned *count)
{
    const struct place *p = w->s->place;
    struct place_lease *room = w->s->reservation.room;
    const struct place_node *n = &p->nodes[slot];
    for (unsigned k = 0; k < *count; k++)
        if (room[k].node == n->spec.id)
            return;
    *count +=
        place_members(p, n, &w->of->spec.request, w->of->spec.members_min - *count, &room[*count]);
}

/* Where something ends, the last first: what is free now is of use to others. */
static void choose_room(const struct sweep *w)
{
    const struct place *p = w->s->place;
    unsigned count = 0, wanted = w->of->spec.members_min;
    for (size_t i = w->count; i-- > 0 && count < wanted;) {
        const struct sched_workload *v = w->ended[i];
        for (unsigned k = 0; k < v->members && count < wanted; k++)
            take_room(w, place_lease_slot(place_lease_find(p, sched_owner(v->spec.id, k))), &count);
    }
    for (int slot = 0; slot < p->node_count && count < wanted; slot++)
        if (place_fits_now(p, slot, &w->of->spec.request))
            take_room(w, slot, &count);
    CHECK(count == wanted);
}

static void undo(const struct sweep *w)
{
    struct place *p = w->s->place;
    for (size_t i = w->count; i-- > 0;) {
        struct sched_workload *v = w->ended[i];
        heap_insert(&w->s->ending, &v->ending);
        for (unsigned k = 0; k < v->members && v->evicted_for == 0; k++) {
            const struct place_lease *l = place_lease_find(p, sched_owner(v->spec.id, k));
            place_node_take(&p->nodes[place_lease_slot(l)], l);
        }
    }
}

/* When and where it will fit. */
static bool work_out(struct sched *s, const struct sched_workload *of, nsec now)
{
    struct sweep w = {.s = s, .of = of, .ended = s->chosen, .at = now};
    count_now(&w);
    bool fits = end_until_room(&w, now);
    if (fits) {
        choose_room(&w);
        s->reservation.at = w.at;
    }
    undo(&w);
    return fits;
}

/* ---- who ---- */

static bool ranks_before(const struct sched *s, const struct sched_workload *a,
                         const struct sched_workload *b, nsec now)
{
    bool aged = is_aged(s, a, now);
    if (a->spec.priority != b->spec.priority)
        return a->spec.priority > b->spec.priority;
    if (aged != is_aged(s, b, now))
        return aged;
    return aged && a->spec.created < b->spec.created;
}

static bool could_know_when(const struct sched *s, const struct sched_workload *w, nsec now)
{
    const struct heap_node *top = heap_top(&s->ending);
    return is_aged(s, w, now) ||
           (top && container_of(top, const struct sched_workload, ending)->ends != NSEC_NEVER);
}

/* A time that was promised is kept: of equals nobody takes it over. */
static bool may_take_over(const struct sched *s, const struct sched_workload *w, nsec now)
{
    const struct sched_reservation *r = &s->reservation;
    if (!r->of)
        return true;
    if (w->spec.priority == r->of->spec.priority && r->firm && r->at != NSEC_NEVER)
        return false;
    return ranks_before(s, w, r->of, now);
}

/* One a version, and who can have none not again at once: bounded work, and everyone is asked in turn. */
static bool may_ask(struct sched *s, struct sched_workload *w, nsec now)
{
    struct sched_reservation *r = &s->reservation;
    if (w == r->of || !may_take_over(s, w, now))
        return false;
    if (r->again == 0)
        r->again = nsec_after(now, ASK_AGAIN);
    bool asked = w->reservation_tried == r->epoch && now < w->no_reservation_until;
    return !asked && r->asked_at[is_aged(s, w, now)] != s->version && could_know_when(s, w, now);
}

static void fill(struct sched *s, nsec now)
{
    struct sched_reservation *r = &s->reservation;
    sched_ghosts_release(s, &r->ghosts);
    r->incomplete = false;
    if (!sched_ghosts_fill(s, &r->ghosts, r->room, r->of->spec.members_min, now))
        sched_reserve_drop(s);
}

static bool is_over(const struct sched_reservation *r, const struct sched_workload *w, nsec now)
{
    return w->why != SCHED_WHY_ROOM &&
           (w->why != SCHED_WHY_QUOTA || r->at == NSEC_NEVER || now >= r->at);
}

void sched_reserve(struct sched *s, struct sched_workload *w, nsec now)
{
    struct sched_reservation *r = &s->reservation;
    if (w == r->of && is_over(r, w, now))
        sched_reserve_drop(s);
    if (w->why != SCHED_WHY_ROOM || !may_ask(s, w, now))
        return;
    struct sched_workload *old = r->of;
    r->asked_at[is_aged(s, w, now)] = s->version;
    sched_reserve_suspend(s);
    if (work_out(s, w, now)) {
        if (old)
            sched_reserve_drop(s);
        r->of = w;
        r->stale = r->firm = false;
        w->reserved = true;
    } else {
        w->reservation_tried = r->epoch;
        w->no_reservation_until = nsec_after(now, ASK_AGAIN);
    }
    if (r->of)
        fill(s, now);
}

void sched_reserve_drop(struct sched *s)
{
    struct sched_reservation *r = &s->reservation;
    sched_ghosts_release(s, &r->ghosts);
    r->of->reserved = false;
    r->of = NULL;
    r->stale = false;
    sched_all_changed(s);
}

void sched_reserve_forget(struct sched *s)
{
    struct sched_reservation *r = &s->reservation;
    sched_ghosts_release(s, &r->ghosts);
    r->stale = r->firm = true;
    r->again = 0;
    r->asked_at[0] = r->asked_at[1] = 0;
    r->epoch++;
}

void sched_reserve_refresh(struct sched *s, nsec now)
{
    struct sched_reservation *r = &s->reservation;
    if (r->again && now >= r->again) {
        r->again = 0;
        sched_all_changed(s);
    }
    if (!r->of)
        return;
    if (!sched_queue_is_open(s->quota, r->of->spec.queue)) {
        sched_reserve_drop(s);
    } else if (r->stale) {
        r->stale = false;
        sched_ghosts_go(s, &r->ghosts);
        if (work_out(s, r->of, now))
            fill(s, now);
        else
            sched_reserve_drop(s);
    } else if (r->incomplete) {
        fill(s, now);
    }
}

/* ---- what others may ---- */

bool sched_reserve_yields(const struct sched *s, const struct sched_workload *w)
{
    const struct sched_workload *of = s->reservation.of;
    return of && (w == of || w->spec.priority > of->spec.priority);
}

bool sched_reserve_admits(const struct sched *s, const struct sched_workload *w, nsec now)
{
    const struct sched_reservation *r = &s->reservation;
    return sched_reserve_yields(s, w) || (r->of && r->at != NSEC_NEVER && w->spec.expected &&
                                          nsec_after(now, w->spec.expected) <= r->at);
}

void sched_reserve_suspend(struct sched *s)
{
    sched_ghosts_release(s, &s->reservation.ghosts);
}

static bool meets(const struct sched *s, const struct place_lease *l)
{
    const struct sched_reservation *r = &s->reservation;
    for (unsigned k = 0; l && k < r->of->spec.members_min; k++)
        if (r->room[k].node == l->node)
            return true;
    return false;
}

bool sched_reserve_meets(const struct sched *s, const struct sched_workload *w)
{
    bool any = false;
    for (unsigned k = 0; s->reservation.of && !any && k < w->spec.members_max; k++)
        any = meets(s, place_lease_find(s->place, sched_owner(w->spec.id, k)));
    return any;
}

void sched_reserve_resume(struct sched *s, const struct sched_workload *w, nsec now)
{
    struct sched_reservation *r = &s->reservation;
    if (!r->of)
        return;
    if (w != r->of && sched_reserve_yields(s, w))
        r->stale |= w->state == SCHED_HELD || sched_reserve_meets(s, w);
    fill(s, now);
}

static int64_t missing(const struct sched *s, const struct quota_holding *gone, size_t count)
{
    const struct sched_spec *of = &s->reservation.of->spec;
    struct quota_amount amount = sched_amount(of, of->members_min);
    struct quota_verdict v;
    int64_t sum = 0;
    quota_fits_without(s->quota, of->queue, &amount, gone, count, &v);
    for (int i = 0; i < v.obstacle_count; i++)
        sum += v.obstacles[i].missing;
    return sum;
}

bool sched_reserve_needs_quota(const struct sched *s, const struct sched_workload *w,
                               unsigned members, nsec now)
{
    struct quota_holding taken = {w->spec.queue, sched_amount(&w->spec, members)};
    if (!s->reservation.of || sched_reserve_admits(s, w, now))
        return false;
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        taken.amount.of[r] = -taken.amount.of[r];
    return missing(s, &taken, 1) > missing(s, NULL, 0);
}
