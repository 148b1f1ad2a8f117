/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Moves are tried on the nodes themselves, as preemption tries its victims: leases are taken out of a node and put into
 * another, and two sums follow, what the expected workload can use of all nodes and how many members of the goal find room.
 * All of it is undone at the end; views, scores and leases in place never notice.
 */
#include "core/sched/defrag.h"

#include "core/place/fit.h"
#include "core/place/trial.h"
#include "core/sched/sched_internal.h"

enum {
    WAITING_MAX = 16, /* who waits that is looked at, in one round */
    ROUNDING = 64,    /* an allocation is rounded up to the alignment of anything, which is less */
    CHANGES_MAX = 2 * SCHED_MOVES_MAX + SCHED_STARTS_MAX * (SCHED_PROPOSALS_MAX + 1),
    ALONE = -1, /* not a place to be cleared: one workload */
};

struct mover {
    struct sched_workload *w;
    int slot; /* of its only member; PLACE_NONE: it has more */
    double gpus, cost;
};

struct change {
    int slot;
    bool taken; /* else given back */
    struct place_lease lease;
};

/* For whom room is sought. */
struct goal {
    struct place_request request;
    unsigned wanted;                 /* members */
    const struct sched_workload *of; /* NULL: somebody who may come */
};

/* One workload, or those that have to go so that a GPU of a node becomes free. */
struct site {
    double key; /* lower is better */
    size_t first;
    int gpu; /* or ALONE */
};

struct search {
    struct sched *s;
    const struct sched_defrag_options *options;
    nsec now;
    struct sched_proposals *found;
    struct arena memory;
    struct mover *movers; /* own (memory), by slot, then cost */
    size_t mover_count;
    struct site *sites; /* own (memory); `candidates` */
    size_t site_count;
    struct change *changes; /* own (memory) */
    size_t change_count;
    const struct goal *goal; /* NULL: none */
    unsigned fits;           /* its members, of one node at most as many as are wanted */
    int64_t usable;          /* times the weight of what is expected */
    double cost;             /* of all moves so far */
};

/* ---- what would be ---- */

struct mark {
    size_t changes;
    unsigned moves, fits;
    int64_t usable;
    double cost;
};

static struct mark mark_of(const struct search *x)
{
    return (struct mark){x->change_count, x->found->move_count, x->fits, x->usable, x->cost};
}

static struct place_node *node_at(const struct search *x, int slot)
{
    return &x->s->place->nodes[slot];
}

static unsigned members_on(const struct search *x, int slot)
{
    return x->goal ? place_members(x->s->place, node_at(x, slot), &x->goal->request,
                                   x->goal->wanted, NULL)
                   : 0;
}

static void alter(struct search *x, int slot, const struct place_lease *l, bool take)
{
    struct place_node *n = node_at(x, slot);
    x->fits -= members_on(x, slot);
    x->usable -= place_usable(x->s->place, n);
    if (take)
        place_node_take(n, l);
    else
        place_node_give_back(n, l);
    x->fits += members_on(x, slot);
    x->usable += place_usable(x->s->place, n);
}

static void change(struct search *x, int slot, const struct place_lease *l, bool take)
{
    CHECK(x->change_count < CHANGES_MAX);
    x->changes[x->change_count++] = (struct change){slot, take, *l};
    alter(x, slot, l, take);
}

/* For the same goal. */
static void undo(struct search *x, const struct mark *m)
{
    while (x->change_count > m->changes) {
        const struct change *c = &x->changes[--x->change_count];
        if (c->taken)
            place_node_give_back(node_at(x, c->slot), &c->lease);
        else
            place_node_take(node_at(x, c->slot), &c->lease);
    }
    x->found->move_count = m->moves;
    x->fits = m->fits;
    x->usable = m->usable;
    x->cost = m->cost;
}

/* Its view is not what it is now. */
static bool is_changed(const struct search *x, int slot)
{
    for (size_t i = 0; i < x->change_count; i++)
        if (x->changes[i].slot == slot)
            return true;
    return false;
}

static bool could_fit(const struct search *x, int slot, const struct place_request *r)
{
    return is_changed(x, slot) || place_fits_now(x->s->place, slot, r);
}

/* Of so many members, those that find room, and where. */
static unsigned find_room(const struct search *x, const struct place_request *r, unsigned most,
                          struct place_lease *leases)
{
    const struct place *p = x->s->place;
    unsigned count = 0;
    for (int slot = 0; slot < p->node_count && count < most; slot++)
        if (could_fit(x, slot, r))
            count += place_members(p, node_at(x, slot), r, most - count, &leases[count]);
    return count;
}

static void aim(struct search *x, const struct goal *goal)
{
    x->goal = goal;
    x->fits = 0;
    for (int slot = 0; goal && slot < x->s->place->node_count; slot++)
        if (could_fit(x, slot, &goal->request))
            x->fits += members_on(x, slot);
}

static bool is_reached(const struct search *x)
{
    return x->fits >= x->goal->wanted;
}

/* Thousandths of GPUs. */
static int64_t milli_of(const struct place_node *n, const struct place_lease *l)
{
    if (!l->mig)
        return (int64_t)l->milli * place_count(l->gpus);
    const struct mig_geometry *g = n->gpus[__builtin_ctz(l->gpus)].spec.mig;
    return PLACE_MILLI * mig_profile_of(g, l->mig)->slices / g->slices;
}

static const struct place_lease *lease_of(const struct search *x, const struct sched_workload *w,
                                          unsigned member)
{
    return place_lease_find(x->s->place, sched_owner(w->spec.id, member));
}

/* ---- who may move ---- */

static struct mover mover_of(const struct search *x, struct sched_workload *w)
{
    struct mover m = {.w = w, .slot = PLACE_NONE};
    for (unsigned k = 0; k < w->members; k++) {
        const struct place_lease *l = lease_of(x, w, k);
        m.gpus += (double)milli_of(node_at(x, place_lease_slot(l)), l) / PLACE_MILLI;
        if (w->members == 1)
            m.slot = place_lease_slot(l);
    }
    nsec work = w->spec.inference ? 0 : MAX(x->now - w->checkpoint, 0);
    m.cost = m.gpus * nsec_to_seconds(work + w->spec.start_cost);
    return m;
}

static bool goes_before(const struct mover *a, const struct mover *b)
{
    if (a->slot != b->slot)
        return a->slot < b->slot;
    return a->cost != b->cost ? a->cost < b->cost : a->w->spec.id < b->w->spec.id;
}

/* By Shell's method. */
static void sort_movers(struct search *x)
{
    struct mover *m = x->movers;
    for (size_t gap = x->mover_count / 2; gap > 0; gap /= 2)
        for (size_t i = gap; i < x->mover_count; i++) {
            struct mover one = m[i];
            size_t at = i;
            for (; at >= gap && goes_before(&one, &m[at - gap]); at -= gap)
                m[at] = m[at - gap];
            m[at] = one;
        }
}

static void list_movers(struct search *x)
{
    for (int queue = 0; queue < x->s->queue_count; queue++)
        list_each(w, &x->s->running[queue], struct sched_workload, in_running)
        {
            struct mover m = mover_of(x, w);
            bool may = w->spec.inference || w->spec.preemptible;
            if (may && m.gpus > 0 && w->members <= x->options->moves_max)
                x->movers[x->mover_count++] = m;
        }
    sort_movers(x);
}

static bool has_moved(const struct search *x, const struct sched_workload *w)
{
    for (unsigned i = 0; i < x->found->move_count; i++)
        if (x->found->moves[i].workload == w->spec.id)
            return true;
    return false;
}

static bool has_quota(const struct search *x, const struct sched_workload *w, unsigned members)
{
    struct quota_amount amount = sched_amount(&w->spec, members);
    struct quota_verdict v;
    if (sched_is_nothing(&amount))
        return true;
    quota_fits(x->s->quota, w->spec.queue, &amount, &v);
    return (v.answer == QUOTA_FITS || v.answer == QUOTA_BORROWS) &&
           !sched_reserve_needs_quota(x->s, w, members, x->now);
}

static bool is_for_the_reserved(const struct search *x)
{
    return x->goal && x->goal->of && x->goal->of == x->s->reservation.of;
}

static bool may_move(const struct search *x, const struct mover *m)
{
    unsigned left = x->options->moves_max - x->found->move_count;
    return m->w->members <= left && !has_moved(x, m->w) &&
           (is_for_the_reserved(x) || !sched_reserve_meets(x->s, m->w)) &&
           (!m->w->spec.inference || has_quota(x, m->w, m->w->members));
}

static void set_out(struct search *x, const struct mover *m, bool out)
{
    for (unsigned k = 0; k < m->w->members; k++) {
        const struct place_lease *l = lease_of(x, m->w, k);
        alter(x, place_lease_slot(l), l, !out);
    }
}

/* ---- where they go ---- */

/* Those of the list from the i-th on are still there; the i-th itself only if it starts anew first. */
static void put_those_there(const struct search *x, struct place_node *n,
                            const struct mover *const *list, unsigned i, unsigned count)
{
    for (i += !list[i]->w->spec.inference; i < count; i++)
        for (unsigned k = 0; k < list[i]->w->members; k++) {
            const struct place_lease *l = lease_of(x, list[i]->w, k);
            if (l->node == n->spec.id)
                place_node_take(n, l);
        }
}

struct way {
    int slot;
    unsigned fits;
    int64_t usable;
    struct place_lease lease;
};

/* What leaves most room, for the goal and then for all that is expected. */
static void weigh(struct search *x, int slot, const struct place_lease *l, struct way *best)
{
    alter(x, slot, l, true);
    if (best->slot == PLACE_NONE || x->fits > best->fits ||
        (x->fits == best->fits && x->usable > best->usable))
        *best = (struct way){slot, x->fits, x->usable, *l};
    alter(x, slot, l, false);
}

static struct way find_way(struct search *x, const struct mover *const *list, unsigned i,
                           unsigned count)
{
    const struct place *p = x->s->place;
    const struct place_request *r = &list[i]->w->spec.request;
    struct place_lease ways[PLACE_GPUS_MAX];
    struct way best = {.slot = PLACE_NONE};
    for (int slot = 0; slot < p->node_count; slot++) {
        if (!could_fit(x, slot, r))
            continue;
        struct place_node at_its_turn = *node_at(x, slot);
        put_those_there(x, &at_its_turn, list, i, count);
        unsigned way_count = place_ways(p, &at_its_turn, r, ways);
        for (unsigned k = 0; k < way_count; k++)
            weigh(x, slot, &ways[k], &best);
    }
    return best;
}

static bool settle(struct search *x, const struct mover *const *list, unsigned i, unsigned count)
{
    const struct sched_workload *w = list[i]->w;
    struct sched_proposals *f = x->found;
    for (unsigned k = 0; k < w->members; k++) {
        struct way way = find_way(x, list, i, count);
        if (way.slot == PLACE_NONE || f->move_count == x->options->moves_max)
            return false;
        change(x, way.slot, &way.lease, true);
        f->moves[f->move_count++] = (struct sched_member_move){w->spec.id, k, w->spec.inference,
                                                               *lease_of(x, w, k), way.lease};
    }
    x->cost += list[i]->cost;
    return true;
}

/* In this order. False: it is to be undone. */
static bool relocate(struct search *x, const struct mover *const *list, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        for (unsigned k = 0; k < list[i]->w->members; k++) {
            const struct place_lease *l = lease_of(x, list[i]->w, k);
            change(x, place_lease_slot(l), l, false);
        }
    for (unsigned i = 0; i < count; i++)
        if (!settle(x, list, i, count))
            return false;
    return true;
}

/* ---- sites ---- */

static void keep_site(struct search *x, struct site site)
{
    size_t at = x->site_count < x->options->candidates ? x->site_count++ : x->site_count;
    for (; at > 0 && site.key < x->sites[at - 1].key; at--)
        if (at < x->options->candidates)
            x->sites[at] = x->sites[at - 1];
    if (at < x->options->candidates)
        x->sites[at] = site;
}

static bool clears(struct search *x, const struct mover *m, unsigned fits)
{
    set_out(x, m, true);
    return x->fits > fits;
}

/* With any of them left no more members of the goal would find room. */
static unsigned keep_needed(struct search *x, const struct mover **list, unsigned count,
                            unsigned fits)
{
    unsigned kept = 0;
    for (unsigned i = count; i-- > 0;) {
        set_out(x, list[i], false);
        if (x->fits > fits)
            list[i] = NULL;
        else
            set_out(x, list[i], true);
    }
    for (unsigned i = 0; i < count; i++)
        if (list[i])
            list[kept++] = list[i];
    for (unsigned i = 0; i < kept; i++)
        set_out(x, list[i], false);
    return kept;
}

static bool is_on(const struct search *x, const struct mover *m, int gpu)
{
    return lease_of(x, m->w, 0)->gpus >> gpu & 1;
}

/* Of a node's movers (from the first on) those without whom one more member of the goal finds room: those on the GPU first.
 * Returns how many; 0: all together are not enough. */
static unsigned leavers_of(struct search *x, const struct site *site, const struct mover **list)
{
    unsigned count = 0, fits = x->fits;
    bool enough = false;
    for (int other = 0; other <= 1 && !enough; other++)
        for (size_t i = site->first; i < x->mover_count && !enough; i++) {
            const struct mover *m = &x->movers[i];
            if (m->slot != x->movers[site->first].slot || count == SCHED_MOVES_MAX)
                break;
            if (is_on(x, m, site->gpu) == other || !may_move(x, m))
                continue;
            list[count++] = m;
            enough = clears(x, m, fits);
        }
    if (enough)
        return keep_needed(x, list, count, fits);
    for (unsigned i = 0; i < count; i++)
        set_out(x, list[i], false);
    return 0;
}

static void rank_gpu(struct search *x, size_t first, int gpu)
{
    const struct mover *list[SCHED_MOVES_MAX];
    struct site site = {.first = first, .gpu = gpu};
    unsigned count = leavers_of(x, &site, list);
    for (unsigned i = 0; i < count; i++)
        site.key += list[i]->cost;
    if (count)
        keep_site(x, site);
}

static void rank_gpus(struct search *x)
{
    x->site_count = 0;
    for (size_t first = 0, end; first < x->mover_count; first = end) {
        uint16_t gpus = 0;
        int slot = x->movers[first].slot;
        for (end = first; end < x->mover_count && x->movers[end].slot == slot; end++)
            gpus |= slot == PLACE_NONE ? 0 : lease_of(x, x->movers[end].w, 0)->gpus;
        place_each_gpu(i, gpus) rank_gpu(x, first, (int)i);
    }
}

/* Those whose leaving is enough, the cheapest first. */
static void rank_single(struct search *x)
{
    x->site_count = 0;
    for (size_t i = 0; i < x->mover_count; i++) {
        const struct mover *m = &x->movers[i];
        if (!may_move(x, m))
            continue;
        set_out(x, m, true);
        bool enough = is_reached(x);
        set_out(x, m, false);
        if (enough)
            keep_site(x, (struct site){m->cost, i, ALONE});
    }
}

static bool try_site(struct search *x, const struct site *site, unsigned least)
{
    const struct mover *list[SCHED_MOVES_MAX] = {&x->movers[site->first]};
    struct mark before = mark_of(x);
    unsigned count = site->gpu == ALONE ? 1 : leavers_of(x, site, list);
    if (count && relocate(x, list, count) && x->fits >= least)
        return true;
    undo(x, &before);
    return false;
}

static bool try_sites(struct search *x, unsigned least)
{
    for (size_t i = 0; i < x->site_count; i++)
        if (try_site(x, &x->sites[i], least))
            return true;
    return false;
}

/* By one move, else GPU by GPU. */
static bool make_room(struct search *x)
{
    rank_single(x);
    if (try_sites(x, x->goal->wanted))
        return true;
    while (!is_reached(x)) {
        rank_gpus(x);
        if (!try_sites(x, x->fits + 1))
            return false;
    }
    return true;
}

/* ---- what it is worth ---- */

static int64_t gain_since(const struct search *x, const struct mark *m)
{
    int64_t weight = MAX(place_expected_weight(x->s->place), 1);
    return MAX(x->usable - m->usable, 0) / weight;
}

/* GPUs times seconds. */
static double net_of(const struct search *x, int64_t gain, double cost)
{
    return (double)gain / PLACE_MILLI * nsec_to_seconds(x->options->horizon) - cost;
}

/* Which is undone if it is not worth it. */
static bool propose(struct search *x, const struct mark *before, struct sched_proposal *p)
{
    p->first_move = before->moves;
    p->move_count = x->found->move_count - before->moves;
    p->cost = x->cost - before->cost;
    if (net_of(x, p->gain, p->cost) <= 0)
        return false;
    x->found->count++;
    return true;
}

/* ---- for those who wait ---- */

static bool has_started(const struct search *x, const struct sched_workload *w)
{
    for (unsigned i = 0; i < x->found->count; i++)
        if (x->found->items[i].starts == w->spec.id)
            return true;
    return false;
}

static bool asks_for_gpu(const struct place_request *r)
{
    return r->gpus || r->mig || place_is_share(r);
}

static bool asks_alike(const struct sched_spec *a, const struct sched_spec *b)
{
    return a->queue == b->queue && a->members_min == b->members_min &&
           memcmp(&a->request, &b->request, sizeof(a->request)) == 0;
}

/* In their order; of those that ask alike the first. */
static void insert_waiting(struct sched_workload **list, unsigned *count, struct sched_workload *w)
{
    unsigned at = *count;
    for (unsigned i = 0; i < *count; i++)
        if (asks_alike(&list[i]->spec, &w->spec))
            return;
    for (; at > 0 && sched_goes_before(&w->spec, &list[at - 1]->spec); at--)
        if (at < WAITING_MAX)
            list[at] = list[at - 1];
    if (at < WAITING_MAX)
        list[at] = w;
    *count = MIN(*count + 1, (unsigned)WAITING_MAX);
}

static unsigned list_waiting(const struct search *x, struct sched_workload *list[WAITING_MAX])
{
    unsigned count = 0;
    for (int queue = 0; queue < x->s->queue_count; queue++) {
        if (!sched_queue_is_open(x->s->quota, queue))
            continue;
        list_each(w, &x->s->waiting[queue], struct sched_workload, in_queue)
        {
            const struct sched_spec *spec = &w->spec;
            if (asks_for_gpu(&spec->request) && place_request_is_valid(&spec->request) &&
                spec->members_min <= SCHED_STARTS_MAX && !has_started(x, w) &&
                has_quota(x, w, spec->members_min))
                insert_waiting(list, &count, w);
        }
    }
    return count;
}

/* Room that is kept for it is its own. */
static bool set_reserved_free(struct search *x)
{
    const struct sched_ghosts *g = &x->s->reservation.ghosts;
    if (g->count > SCHED_STARTS_MAX)
        return false;
    for (unsigned k = 0; k < g->count; k++) {
        const struct place_lease *l = place_lease_find(x->s->place, g->first + k);
        change(x, place_lease_slot(l), l, false);
    }
    return true;
}

/* Who goes before it may find room as well. */
static struct sched_workload *who_starts(const struct search *x, struct sched_workload *const *list,
                                         unsigned of, struct sched_proposal *p)
{
    for (unsigned i = is_for_the_reserved(x) ? of : 0; i < of; i++) {
        unsigned members = list[i]->spec.members_min;
        if (find_room(x, &list[i]->spec.request, members, p->room) == members)
            return list[i];
    }
    unsigned members = list[of]->spec.members_min;
    return find_room(x, &list[of]->spec.request, members, p->room) == members ? list[of] : NULL;
}

/* Its GPUs, in thousandths. */
static int64_t describe_start(const struct search *x, const struct sched_workload *w,
                              struct sched_proposal *p)
{
    int64_t milli = 0;
    p->starts = w->spec.id;
    p->start_count = w->spec.members_min;
    for (unsigned k = 0; k < p->start_count; k++) {
        milli += milli_of(place_node_find(x->s->place, p->room[k].node), &p->room[k]);
        p->room[k].owner = sched_owner(w->spec.id, k);
    }
    return milli;
}

static struct quota_holding holding_of(const struct sched_workload *w)
{
    return (struct quota_holding){w->spec.queue, sched_amount(&w->spec, w->spec.members_min)};
}

/* From here on it counts as running. */
static void start(struct search *x, const struct sched_workload *w, const struct sched_proposal *p)
{
    struct quota_holding h = holding_of(w);
    if (!sched_is_nothing(&h.amount))
        quota_put_back(x->s->quota, &h);
    for (unsigned k = 0; k < p->start_count; k++) {
        const struct place_node *n = place_node_find(x->s->place, p->room[k].node);
        change(x, (int)(n - x->s->place->nodes), &p->room[k], true);
    }
}

static void unstart_all(struct search *x)
{
    for (unsigned i = 0; i < x->found->count; i++) {
        uint64_t id = x->found->items[i].starts;
        struct quota_holding h = id ? holding_of(sched_find(x->s, id)) : (struct quota_holding){0};
        if (!sched_is_nothing(&h.amount))
            quota_set_aside(x->s->quota, &h);
    }
}

static bool propose_for(struct search *x, struct sched_workload *const *list, unsigned of,
                        struct sched_proposal *p)
{
    struct mark before = mark_of(x);
    *p = (struct sched_proposal){0};
    if (is_reached(x) || !make_room(x))
        return false;
    const struct sched_workload *w = who_starts(x, list, of, p);
    if (!w)
        return false;
    int64_t expected = gain_since(x, &before), its = describe_start(x, w, p);
    p->gain = MAX(expected, its);
    if (!propose(x, &before, p))
        return false;
    start(x, w, p);
    return true;
}

static bool propose_start(struct search *x)
{
    struct sched_workload *list[WAITING_MAX];
    struct sched_proposal *p = &x->found->items[x->found->count];
    unsigned count = list_waiting(x, list);
    bool found = false;
    for (unsigned i = 0; i < count && !found; i++) {
        const struct sched_spec *spec = &list[i]->spec;
        struct goal goal = {spec->request, spec->members_min, list[i]};
        struct mark before = mark_of(x);
        bool possible = list[i] != x->s->reservation.of || set_reserved_free(x);
        aim(x, &goal);
        found = possible && propose_for(x, list, i, p);
        aim(x, NULL);
        if (!found)
            undo(x, &before);
    }
    return found;
}

/* ---- for those who may come ---- */

/* A bound: nobody could use more of the nodes that it leaves than all of it, and it takes room elsewhere. */
static void rank_by_gain(struct search *x)
{
    x->site_count = 0;
    for (size_t i = 0; i < x->mover_count; i++) {
        const struct mover *m = &x->movers[i];
        struct mark before = mark_of(x);
        if (!may_move(x, m))
            continue;
        set_out(x, m, true);
        double most = net_of(x, gain_since(x, &before), m->cost);
        set_out(x, m, false);
        if (most > 0)
            keep_site(x, (struct site){-most, i, ALONE});
    }
}

static double net_since(const struct search *x, const struct mark *m)
{
    return net_of(x, gain_since(x, m), x->cost - m->cost);
}

/* The best single move. NULL: none is worth it. */
static const struct site *best_single(struct search *x, double *ret_net)
{
    const struct site *best = NULL;
    *ret_net = 0;
    rank_by_gain(x);
    for (size_t i = 0; i < x->site_count && -x->sites[i].key > *ret_net; i++) {
        struct mark before = mark_of(x);
        if (!try_site(x, &x->sites[i], 0))
            continue;
        double net = net_since(x, &before);
        undo(x, &before);
        if (net <= *ret_net)
            continue;
        best = &x->sites[i];
        *ret_net = net;
    }
    return best;
}

/* Room for one more of the i-th that is expected, if it is whole GPUs. */
static bool make_room_for_expected(struct search *x, int i)
{
    struct goal goal = {.wanted = PLACE_GPUS_MAX};
    struct mark before = mark_of(x);
    if (!place_expected(x->s->place, i, &goal.request) || !goal.request.gpus)
        return false;
    aim(x, &goal);
    rank_gpus(x);
    bool found = try_sites(x, x->fits + 1);
    aim(x, NULL);
    if (!found)
        undo(x, &before);
    return found;
}

/* Which of the expected it is best to make room for, if that is better; else PLACE_NONE. */
static int best_expected(struct search *x, double better)
{
    struct place_request r;
    int best = PLACE_NONE;
    for (int i = 0; place_expected(x->s->place, i, &r); i++) {
        struct mark before = mark_of(x);
        if (!make_room_for_expected(x, i))
            continue;
        double net = net_since(x, &before);
        undo(x, &before);
        if (net <= better)
            continue;
        best = i;
        better = net;
    }
    return best;
}

static bool propose_room(struct search *x)
{
    struct sched_proposal *p = &x->found->items[x->found->count];
    struct mark before = mark_of(x);
    double net;
    const struct site *single = best_single(x, &net);
    struct site chosen = single ? *single : (struct site){0};
    int expected = best_expected(x, net);
    *p = (struct sched_proposal){0};
    if (expected != PLACE_NONE ? !make_room_for_expected(x, expected)
                               : !single || !try_site(x, &chosen, 0))
        return false;
    p->gain = gain_since(x, &before);
    return propose(x, &before, p);
}

/* ---- all of it ---- */

struct sched_defrag_options sched_defrag_options_default(void)
{
    return (struct sched_defrag_options){
        .horizon = SEC(3600),
        .candidates = 64,
        .moves_max = SCHED_MOVES_MAX,
        .proposals_max = SCHED_PROPOSALS_MAX,
    };
}

static void *new_array(struct search *x, size_t count, size_t size)
{
    void *memory = arena_array(&x->memory, count, size);
    CHECK(memory);
    return memory;
}

static void begin(struct search *x)
{
    size_t workloads = x->s->by_id.count, candidates = x->options->candidates;
    CHECK(candidates > 0 && x->options->moves_max <= SCHED_MOVES_MAX &&
          x->options->proposals_max <= SCHED_PROPOSALS_MAX);
    arena_init(&x->memory, workloads * sizeof(struct mover) + candidates * sizeof(struct site) +
                               CHANGES_MAX * sizeof(struct change) + 4 * (size_t)ROUNDING);
    x->movers = new_array(x, workloads, sizeof(*x->movers));
    x->sites = new_array(x, candidates, sizeof(*x->sites));
    x->changes = new_array(x, CHANGES_MAX, sizeof(*x->changes));
    list_movers(x);
}

/* An elastic gang may take more than what was kept for it. */
static bool may_go_on(const struct search *x)
{
    const struct sched_proposals *f = x->found;
    const struct sched_workload *w =
        f->count ? sched_find(x->s, f->items[f->count - 1].starts) : NULL;
    return f->count < x->options->proposals_max &&
           (!w || w->spec.members_min == w->spec.members_max);
}

void sched_defrag(struct sched *s, const struct sched_defrag_options *options, nsec now,
                  struct sched_proposals *ret)
{
    struct search x = {.s = s, .options = options, .now = now, .found = ret};
    struct mark nothing = {0};
    ret->count = ret->move_count = 0;
    if (s->reservation.of && s->reservation.stale)
        return;
    begin(&x);
    while (may_go_on(&x) && (propose_start(&x) || propose_room(&x)))
        ;
    unsigned moves = ret->move_count;
    unstart_all(&x);
    undo(&x, &nothing);
    ret->move_count = moves;
    arena_fini(&x.memory);
}
