/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proposals on random small clusters in which something has ended. The oracle carries them out on a cluster that it rebuilds
 * from nodes and leases, and goes by the definitions:
 * - each move is possible when its turn comes: room is free, the node takes such a request, quota is there twice if both
 *   replicas run for a time
 * - the gain is what the expected workload can use more of it then, or the GPUs of who waits if that is more; the cost is right
 * - who is said to start could not before, and can then
 * - if one move is worth it there is a proposal
 * - asking has changed no byte of the state
 */
#include "core/place/policy.h"
#include "core/place/target.h"
#include "core/place/trial.h"
#include "core/sched/defrag.h"
#include "core/sched/sched_internal.h"
#include "test.h"

enum { STATES = 1500, NODES = 3, WORKLOADS = 20, LEASES = 64, QUEUES = 3, ENDS = 12 };

struct world {
    uint64_t seed, random;
    nsec now;
    struct place_options places;
    struct place place;
    struct quota quota;
    struct sched sched;
    struct sched_workload workloads[WORKLOADS];
    struct sched_defrag_options options;
    struct sched_proposals found;
    struct place replay;
    uint64_t next_owner;
    int proposals, starts, moves, quiet;
};

#define HOLDS(condition) PROPERTY(condition, w->seed, 0)

static uint64_t below(struct world *w, uint64_t n)
{
    return test_below(&w->random, n);
}

static bool chance(struct world *w, uint64_t percent)
{
    return below(w, 100) < percent;
}

/* ---- states ---- */

static void add_nodes(struct world *w)
{
    int count = 1 + (int)below(w, NODES);
    for (int i = 0; i < count; i++) {
        struct place_node_spec n = {.id = (uint64_t)i + 1, .cpu = 6000, .memory = 1000};
        n.gpu_count = 1 + (int)below(w, 4);
        n.spot = chance(w, 10);
        bool cut = chance(w, 10);
        for (int k = 0; k < n.gpu_count; k++) {
            n.gpus[k] = (struct place_gpu_spec){.memory = 80000, .model = chance(w, 15)};
            n.gpus[k].mig = cut ? mig_geometry_find(STR("H100-80G")) : NULL;
        }
        HOLDS(sched_node_put(&w->sched, &n, w->now) == 0);
    }
}

static void add_queues(struct world *w)
{
    for (int node = 0; node < QUEUES; node++) {
        struct quota_spec spec = {.weight = 1};
        int added;
        for (int r = 0; r < QUOTA_RESOURCES; r++) {
            spec.nominal.of[r] = node && r == 0 ? 1000 * (int64_t)(1 + below(w, 8)) : 0;
            spec.borrowing.of[r] = spec.lending.of[r] = QUOTA_NO_LIMIT;
        }
        HOLDS(quota_add(&w->quota, node ? 0 : QUOTA_NONE, &spec, 0, &added) == 0);
    }
}

static void random_request(struct world *w, struct sched_spec *spec)
{
    struct place_request *r = &spec->request;
    *r = (struct place_request){.cpu = 500 * (int64_t)below(w, 3), .spot = chance(w, 80)};
    r->models = chance(w, 10) ? 1 + below(w, 2) : 0;
    uint64_t kind = below(w, 10);
    if (kind < 4)
        r->gpus = (uint8_t)(1 + below(w, 3));
    else if (kind < 9)
        r->share_milli = (uint16_t)(125 * (1 + below(w, 6)));
    else
        r->mig = mig_profile_find(chance(w, 50) ? STR("1g.10gb") : STR("3g.40gb"));
    spec->amount.of[0] = r->gpus ? PLACE_MILLI * r->gpus : r->mig ? 250 : r->share_milli;
}

static void submit(struct world *w, int i)
{
    struct sched_spec *spec = &w->workloads[i].spec;
    w->workloads[i] = (struct sched_workload){0};
    spec->id = (uint64_t)i + 1;
    spec->queue = 1 + (int)below(w, QUEUES - 1);
    spec->priority = (int)below(w, 2);
    spec->created = w->now;
    spec->inference = chance(w, 50);
    spec->preemptible = !spec->inference && chance(w, 80);
    spec->members_min = chance(w, 80) ? 1 : 2;
    spec->members_max = spec->members_min + chance(w, 10);
    spec->start_cost = (nsec)below(w, chance(w, 50) ? SEC(60) : SEC(900));
    spec->expected = chance(w, 20) ? (nsec)below(w, SEC(4000)) : 0;
    random_request(w, spec);
    HOLDS(sched_submit(&w->sched, &w->workloads[i], w->now) == 0);
}

static void decide(struct world *w)
{
    struct sched_decision d;
    while (sched_next(&w->sched, w->now, &d))
        if (d.kind == SCHED_EVICT)
            sched_ended(&w->sched, d.workload, SCHED_STOPPED, w->now);
}

static void expect(struct world *w)
{
    struct place_request requests[WORKLOADS];
    uint32_t counts[WORKLOADS];
    size_t count = below(w, 5);
    for (size_t i = 0; i < count; i++) {
        struct sched_spec spec = {0};
        random_request(w, &spec);
        requests[i] = spec.request;
        counts[i] = 1 + (uint32_t)below(w, 9);
    }
    place_set_target(&w->place, requests, counts, count);
}

static void populate(struct world *w)
{
    int count = 6 + (int)below(w, WORKLOADS - 5);
    for (int i = 0; i < count; i++) {
        w->now += (nsec)below(w, SEC(300));
        submit(w, i);
        decide(w);
    }
    for (uint64_t ends = below(w, ENDS); ends > 0; ends--) {
        struct sched_workload *v = &w->workloads[below(w, (uint64_t)count)];
        w->now += (nsec)below(w, SEC(300));
        if (v->state == SCHED_RUNNING)
            sched_ended(&w->sched, v, SCHED_COMPLETED, w->now);
        if (chance(w, 50))
            decide(w);
    }
    w->now += SEC(5);
    decide(w);
}

/* ---- the oracle ---- */

static int64_t room_for(const struct place_node *n, const struct expected *m, int model)
{
    int64_t sum = 0, idle = 0;
    for (int i = 0; i < n->spec.gpu_count; i++) {
        const struct place_gpu *gpu = &n->gpus[i];
        int64_t room = PLACE_MILLI - gpu->milli_used;
        if (gpu->spec.model != model || gpu->spec.mig || gpu->spec.faulty)
            continue;
        idle += gpu->leases == 0;
        sum += m->milli && room >= m->milli ? room : 0;
    }
    return m->gpus ? (idle >= m->gpus ? idle * PLACE_MILLI : 0) : sum;
}

/* Times the weight of all that is expected. */
static int64_t usable(const struct world *w, const struct place *p)
{
    const struct place_target *t = w->place.target;
    int64_t sum = 0;
    for (int slot = 0; slot < p->node_count; slot++)
        for (int k = 0; k < t->shape_count; k++)
            for (int model = 0; model < 2; model++) {
                const struct place_node *n = &p->nodes[slot];
                const struct expected *m = &t->shapes[k];
                if (m->models >> model & 1 && n->spec.cpu - n->cpu_used >= m->cpu)
                    sum += m->count * room_for(n, m, model);
            }
    return sum;
}

static int64_t gain_of(const struct world *w, int64_t before, int64_t after)
{
    int64_t weight = (int64_t)w->place.target->weight;
    return weight ? MAX(after - before, 0) / weight : 0;
}

static void rebuild(struct world *w, struct place *p)
{
    const struct place_lease *l = NULL;
    place_init(p, &w->places);
    for (int slot = 0; slot < w->place.node_count; slot++)
        HOLDS(place_node_put(p, &w->place.nodes[slot].spec) == 0);
    while ((l = place_lease_next(&w->place, l)))
        HOLDS(place_restore(p, l) == 0);
}

static unsigned members_fit(struct world *w, struct place *p, const struct sched_workload *v)
{
    const struct place_lease *l;
    unsigned n = 0, most = v->spec.members_min;
    while (n < most && place_allocate(p, UINT64_MAX - n, &v->spec.request, 0, &l) == 0)
        n++;
    for (unsigned k = 0; k < n; k++)
        place_release(p, UINT64_MAX - k);
    return n;
}

static bool fits(struct world *w, struct place *p, const struct sched_workload *v)
{
    return members_fit(w, p, v) == v->spec.members_min;
}

static bool has_quota(struct world *w, const struct sched_workload *v, unsigned members)
{
    struct quota_amount amount = sched_amount(&v->spec, members);
    struct quota_verdict verdict;
    quota_fits(&w->quota, v->spec.queue, &amount, &verdict);
    return (verdict.answer == QUOTA_FITS || verdict.answer == QUOTA_BORROWS) &&
           !sched_reserve_needs_quota(&w->sched, v, members, w->now);
}

static double gpus_of(const struct world *w, const struct sched_workload *v)
{
    double sum = 0;
    for (unsigned k = 0; k < v->members; k++) {
        const struct place_lease *l = place_lease_find(&w->place, sched_owner(v->spec.id, k));
        const struct mig_geometry *g = mig_geometry_find(STR("H100-80G"));
        sum += l->mig ? PLACE_MILLI * mig_profile_of(g, l->mig)->slices / g->slices / 1e3
                      : l->milli * place_count(l->gpus) / 1e3;
    }
    return sum;
}

static double cost_of(const struct world *w, const struct sched_workload *v)
{
    nsec lost = v->spec.start_cost + (v->spec.inference ? 0 : w->now - v->checkpoint);
    return gpus_of(w, v) * nsec_to_seconds(lost);
}

static bool accepts(const struct world *w, const struct sched_workload *v,
                    const struct place_lease *l)
{
    const struct place_node *n = place_node_find(&w->replay, l->node);
    uint64_t models = v->spec.request.models;
    place_each_gpu(i, l->gpus) if (models && !(models >> n->spec.gpus[i].model & 1)) return false;
    return true;
}

/* ---- carried out ---- */

static void take(struct world *w, const struct sched_workload *v, struct place_lease l)
{
    const struct place_node *n = place_node_find(&w->replay, l.node);
    HOLDS(n && !place_lack_of(&w->replay, n, &v->spec.request).reasons);
    HOLDS(accepts(w, v, &l));
    HOLDS(l.cpu == v->spec.request.cpu && l.mig == v->spec.request.mig);
    HOLDS(!v->spec.request.share_milli || l.milli == v->spec.request.share_milli);
    HOLDS(!v->spec.request.gpus || place_count(l.gpus) == v->spec.request.gpus);
    l.owner = w->next_owner++;
    HOLDS(place_restore(&w->replay, &l) == 0);
}

static void leave(struct world *w, const struct sched_workload *v)
{
    for (unsigned k = 0; k < v->members; k++)
        place_release(&w->replay, sched_owner(v->spec.id, k));
}

/* One workload with all its members, the first move of which this is. */
static unsigned carry_out(struct world *w, const struct sched_member_move *m)
{
    const struct sched_workload *v = sched_find(&w->sched, m->workload);
    HOLDS(v && v->state == SCHED_RUNNING && (v->spec.inference || v->spec.preemptible));
    HOLDS(m->starts_first == v->spec.inference);
    if (v->spec.inference)
        HOLDS(has_quota(w, v, v->members));
    else
        leave(w, v);
    for (unsigned k = 0; k < v->members; k++) {
        const struct place_lease *l = place_lease_find(&w->place, sched_owner(v->spec.id, k));
        HOLDS(m[k].workload == v->spec.id && m[k].member == k);
        HOLDS(m[k].from.owner == l->owner && m[k].from.node == l->node &&
              m[k].from.gpus == l->gpus && m[k].from.mig_start == l->mig_start);
        take(w, v, m[k].to);
    }
    leave(w, v);
    return v->members;
}

static void release_reserved(struct world *w)
{
    const struct sched_ghosts *g = &w->sched.reservation.ghosts;
    for (unsigned k = 0; k < g->count; k++)
        place_release(&w->replay, g->first + k);
}

static int64_t begin_to_run(struct world *w, const struct sched_proposal *p,
                            const struct sched_workload *v)
{
    int64_t milli = 0;
    HOLDS(fits(w, &w->replay, v) && p->start_count == v->spec.members_min);
    for (unsigned k = 0; k < p->start_count; k++) {
        const struct mig_geometry *g = mig_geometry_find(STR("H100-80G"));
        const struct place_lease *l = &p->room[k];
        take(w, v, *l);
        milli += l->mig ? PLACE_MILLI * mig_profile_of(g, l->mig)->slices / g->slices
                        : l->milli * place_count(l->gpus);
    }
    struct quota_holding h = {v->spec.queue, sched_amount(&v->spec, v->spec.members_min)};
    quota_put_back(&w->quota, &h);
    return milli;
}

static void check_proposal(struct world *w, const struct sched_proposal *p)
{
    const struct sched_workload *v = p->starts ? sched_find(&w->sched, p->starts) : NULL;
    double cost = 0;
    HOLDS(!p->starts || (v && v->state == SCHED_PENDING && v->sleeps_until <= w->now));
    if (v && v == w->sched.reservation.of)
        release_reserved(w);
    int64_t before = usable(w, &w->replay);
    HOLDS(!v || !fits(w, &w->replay, v));
    for (unsigned i = 0; i < p->move_count;) {
        const struct sched_member_move *m = &w->found.moves[p->first_move + i];
        const struct sched_workload *mover = sched_find(&w->sched, m->workload);
        HOLDS((v && v == w->sched.reservation.of) || !sched_reserve_meets(&w->sched, mover));
        cost += cost_of(w, mover);
        i += carry_out(w, m);
        HOLDS(i <= p->move_count);
    }
    int64_t gain = gain_of(w, before, usable(w, &w->replay));
    HOLDS(!v || has_quota(w, v, v->spec.members_min));
    int64_t its = v ? begin_to_run(w, p, v) : 0;
    gain = MAX(gain, its);
    HOLDS(gain == p->gain && cost - p->cost < 1e-6 && p->cost - cost < 1e-6);
    HOLDS((double)gain / 1e3 * nsec_to_seconds(w->options.horizon) > cost);
    w->starts += v != NULL;
    w->proposals++;
    w->moves += (int)p->move_count;
}

static void check_proposals(struct world *w)
{
    unsigned moves = 0;
    struct quota *kept = malloc(sizeof(*kept));
    *kept = w->quota;
    rebuild(w, &w->replay);
    w->next_owner = UINT64_C(1) << 40;
    for (unsigned i = 0; i < w->found.count; i++) {
        HOLDS(w->found.items[i].first_move == moves && w->found.items[i].move_count > 0);
        check_proposal(w, &w->found.items[i]);
        moves += w->found.items[i].move_count;
    }
    HOLDS(moves == w->found.move_count);
    for (unsigned i = 0; i < moves; i++)
        for (unsigned k = 0; k < i; k++)
            HOLDS(w->found.moves[i].workload != w->found.moves[k].workload ||
                  w->found.moves[i].member != w->found.moves[k].member);
    HOLDS(!place_check(&w->replay));
    place_fini(&w->replay);
    w->quota = *kept;
    free(kept);
}

/* ---- no single move would have been worth it ---- */

static bool waits(struct world *w, const struct sched_workload *v)
{
    return v->state == SCHED_PENDING && v->sleeps_until <= w->now && v != w->sched.reservation.of &&
           has_quota(w, v, v->spec.members_min);
}

static int64_t least_milli(const struct sched_spec *spec)
{
    int64_t one = spec->request.gpus          ? spec->request.gpus * PLACE_MILLI
                  : spec->request.share_milli ? spec->request.share_milli
                                              : PLACE_MILLI / 8;
    return one * spec->members_min;
}

/* Whoever it is that can start: the least that it is worth. */
static int64_t gain_by_waiting(struct world *w, const bool could[WORKLOADS])
{
    int64_t least = INT64_MAX;
    bool any = false;
    for (int i = 0; i < WORKLOADS; i++) {
        const struct sched_workload *v = &w->workloads[i];
        if (!waits(w, v))
            continue;
        least = MIN(least, least_milli(&v->spec));
        any |= !could[i] && fits(w, &w->replay, v);
    }
    return any ? least : 0;
}

static void try_way(struct world *w, const struct sched_workload *v, struct place_lease to,
                    int64_t before, const bool could[WORKLOADS])
{
    uint64_t owner = sched_owner(v->spec.id, 0);
    struct place_lease from = *place_lease_find(&w->replay, owner);
    to.owner = UINT64_C(1) << 40;
    if (!v->spec.inference)
        place_release(&w->replay, owner);
    const struct place_node *n = place_node_find(&w->replay, to.node);
    bool possible = !place_lack_of(&w->replay, n, &v->spec.request).reasons &&
                    place_restore(&w->replay, &to) == 0;
    place_release(&w->replay, owner);
    if (possible) {
        int64_t expected = gain_of(w, before, usable(w, &w->replay));
        int64_t waiting = gain_by_waiting(w, could), gain = MAX(expected, waiting);
        HOLDS((double)gain / 1e3 * nsec_to_seconds(w->options.horizon) <= cost_of(w, v) + 1e-6);
    }
    place_release(&w->replay, to.owner);
    HOLDS(place_restore(&w->replay, &from) == 0);
}

static void try_ways(struct world *w, const struct sched_workload *v, int64_t before,
                     const bool could[WORKLOADS])
{
    struct place_lease from = *place_lease_find(&w->place, sched_owner(v->spec.id, 0)), ways[16];
    for (int slot = 0; slot < w->replay.node_count; slot++) {
        const struct place_node *n = &w->replay.nodes[slot];
        for (int i = 0; v->spec.request.share_milli && i < n->spec.gpu_count; i++) {
            struct place_lease to = from;
            to.node = n->spec.id;
            to.gpus = (uint16_t)(1u << i);
            if (accepts(w, v, &to))
                try_way(w, v, to, before, could);
        }
        unsigned count =
            v->spec.request.share_milli ? 0 : place_ways(&w->replay, n, &v->spec.request, ways);
        for (unsigned k = 0; k < count; k++)
            try_way(w, v, ways[k], before, could);
    }
}

static void check_none_is_worth_it(struct world *w)
{
    bool could[WORKLOADS];
    rebuild(w, &w->replay);
    int64_t before = usable(w, &w->replay);
    for (int i = 0; i < WORKLOADS; i++)
        could[i] = w->workloads[i].state == SCHED_PENDING && fits(w, &w->replay, &w->workloads[i]);
    for (int i = 0; i < WORKLOADS; i++) {
        const struct sched_workload *v = &w->workloads[i];
        if (v->state != SCHED_RUNNING || v->members > 1 ||
            (!v->spec.inference && !v->spec.preemptible) || sched_reserve_meets(&w->sched, v) ||
            (v->spec.inference && !has_quota(w, v, 1)))
            continue;
        try_ways(w, v, before, could);
    }
    place_fini(&w->replay);
    w->quiet++;
}

/* ---- all of it ---- */

struct bytes {
    struct world world;
    struct place_node nodes[NODES];
    struct place_view views[NODES];
    struct place_holding holdings[LEASES];
};

static void copy_bytes(const struct world *w, struct bytes *b)
{
    b->world = *w;
    memcpy(b->nodes, w->place.nodes, sizeof(b->nodes));
    memcpy(b->views, w->place.views, sizeof(b->views));
    memcpy(b->holdings, w->place.holdings, sizeof(b->holdings));
}

static void ask(struct world *w)
{
    struct bytes *before = malloc(2 * sizeof(*before)), *after = before + 1;
    copy_bytes(w, before);
    sched_defrag(&w->sched, &w->options, w->now, &w->found);
    copy_bytes(w, after);
    HOLDS(memcmp(&before->world.place, &after->world.place, sizeof(w->place)) == 0);
    HOLDS(memcmp(&before->world.quota, &after->world.quota, sizeof(w->quota)) == 0);
    HOLDS(memcmp(&before->world.sched, &after->world.sched, sizeof(w->sched)) == 0);
    HOLDS(memcmp(before->world.workloads, after->world.workloads, sizeof(w->workloads)) == 0);
    HOLDS(memcmp(before->nodes, after->nodes, sizeof(before->nodes)) == 0);
    HOLDS(memcmp(before->views, after->views, sizeof(before->views)) == 0);
    HOLDS(memcmp(before->holdings, after->holdings, sizeof(before->holdings)) == 0);
    HOLDS(!sched_check(&w->sched) && !quota_check(&w->quota) && !place_check(&w->place));
    free(before);
}

static void run(struct world *w, uint64_t seed)
{
    w->seed = w->random = seed;
    w->now = SEC(1000);
    w->places = (struct place_options){
        .policy = chance(w, 50) ? &place_fairway : &place_first_fit,
        .nodes_max = NODES,
        .leases_max = LEASES,
        .shapes_max = 8,
    };
    struct sched_options options = {WORKLOADS, SEC(1), SEC(4), SEC(20), SEC(900)};
    memset(w->workloads, 0, sizeof(w->workloads));
    place_init(&w->place, &w->places);
    quota_init(&w->quota, SEC(60));
    sched_init(&w->sched, &options, &w->place, &w->quota);
    w->options = sched_defrag_options_default();
    w->options.horizon = SEC(60 + below(w, 7200));
    add_queues(w);
    add_nodes(w);
    expect(w);
    populate(w);
    ask(w);
    if (w->found.count)
        check_proposals(w);
    else
        check_none_is_worth_it(w);
    sched_fini(&w->sched);
    place_fini(&w->place);
}

static void test_proposals(void **state)
{
    const char *many = getenv("FAIRWAY_HISTORIES");
    uint64_t first = test_seed(1), count = many ? strtoull(many, NULL, 0) : STATES;
    struct world *w = calloc(1, sizeof(*w));
    for (uint64_t i = 0; i < count; i++)
        run(w, first + i);
    print_message("%d proposals, %d moves, %d would start, %d states without\n", w->proposals,
                  w->moves, w->starts, w->quiet);
    assert_true(many || (w->starts > 0 && w->moves > w->proposals && w->quiet > 0));
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_proposals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
