/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of a small cluster (arrivals, departures, nodes that come, close, open and are
 * lost, faulty GPUs, other expectations, restarts) beside an oracle that keeps a list of leases and
 * works everything out from the definitions, node by node and GPU by GPU:
 * - a request is refused just when it fits nowhere; it gets what it asked for, where it fits
 * - it goes to the node with the best score less the price, of equal ones to the first; scores and
 *   prices by the definitions
 * - nothing is given twice: place_check after each step; whole, share and MIG exclude each other
 * - a dry run leaves no trace, and says what then happens
 * - a state made anew from nodes and leases is the same, and decides the same
 * - releasing is idempotent
 */
#include "core/place/policy.h"
#include "test.h"

#include <limits.h>
#include <math.h>

enum {
    HISTORIES = 1000,
    STEPS = 120,
    NODES = 7,
    LEASES = 60,
    SHAPES = 8,
    RECENT = 4,
    MODELS = 4,
    EXPECTED = 12
};

struct world {
    struct place place;
    struct place_options options;
    struct place_node_spec nodes[NODES]; /* by slot; id 0: none */
    bool removed[NODES];
    struct place_lease leases[LEASES];
    int lease_count;
    struct place_request told[EXPECTED],
        expected[EXPECTED]; /* of what will come; what of it is kept */
    uint32_t told_counts[EXPECTED], counts[EXPECTED];
    int told_count, expected_count;
    struct place_request recent[RECENT]; /* asked for again and again */
    uint64_t next_owner, next_node;
    uint64_t seed, random;
    int step;
};

#define TRUE_OF(condition) PROPERTY(condition, w->seed, w->step)

static uint64_t below(struct world *w, uint64_t n)
{
    return test_below(&w->random, n);
}

static bool chance(struct world *w, uint64_t percent)
{
    return below(w, 100) < percent;
}

/* ---- the oracle: what is left ---- */

struct left {
    int64_t cpu, memory;
    int milli[PLACE_GPUS_MAX];
    int64_t mib[PLACE_GPUS_MAX];
    struct mig_use mig[PLACE_GPUS_MAX];
    int leases[PLACE_GPUS_MAX];
    unsigned kinds; /* as bits: 0 a part, n so many GPUs */
};

static bool is_whole(const struct place_lease *l)
{
    return l->milli == PLACE_MILLI;
}

static void subtract(struct left *left, const struct place_node_spec *n,
                     const struct place_lease *l)
{
    left->cpu -= l->cpu;
    left->memory -= l->memory;
    if (l->gpus)
        left->kinds |= 1u << (is_whole(l) ? __builtin_popcount(l->gpus) : 0);
    for (int i = 0; i < PLACE_GPUS_MAX; i++) {
        if (!(l->gpus >> i & 1))
            continue;
        left->leases[i]++;
        left->milli[i] -= l->milli;
        left->mib[i] -= is_whole(l) ? n->gpus[i].memory : l->mib;
        if (l->mig) {
            const struct mig_profile *profile = mig_profile_of(n->gpus[i].mig, l->mig);
            left->mig[i].slices |= (uint8_t)(((1 << profile->slices) - 1) << l->mig_start);
            left->mig[i].media |= profile->media;
        }
    }
}

static struct left left_of(const struct world *w, int slot)
{
    const struct place_node_spec *n = &w->nodes[slot];
    struct left left = {.cpu = n->cpu, .memory = n->memory};
    for (int i = 0; i < n->gpu_count; i++) {
        left.milli[i] = PLACE_MILLI;
        left.mib[i] = n->gpus[i].memory;
    }
    for (int k = 0; k < w->lease_count; k++)
        if (w->leases[k].node == n->id)
            subtract(&left, n, &w->leases[k]);
    return left;
}

/* ---- the oracle: what fits ---- */

static bool accepts(const struct place_request *r, const struct place_gpu_spec *gpu)
{
    return (r->models == 0 || r->models >> gpu->model & 1) && !gpu->faulty;
}

static int64_t round_up(int64_t a, int64_t b)
{
    return (a + b - 1) / b;
}

/* What a share comes to on this GPU. */
static void share_of(const struct place_request *r, const struct place_gpu_spec *gpu,
                     int64_t *milli, int64_t *mib)
{
    *milli = r->share_milli;
    *mib = r->share_mib;
    if (!*mib)
        *mib = *milli * gpu->memory / PLACE_MILLI;
    if (!*milli)
        *milli = gpu->memory ? round_up(*mib * PLACE_MILLI, gpu->memory) : INT64_MAX;
}

static bool wants_share(const struct place_request *r)
{
    return r->share_milli || r->share_mib;
}

/* May GPU i serve the request by itself: with a share, an instance, or as one of several? */
static bool gpu_serves(const struct place_node_spec *n, const struct left *left, int i,
                       const struct place_request *r)
{
    const struct place_gpu_spec *gpu = &n->gpus[i];
    int64_t milli, mib;
    if (i >= n->gpu_count || !accepts(r, gpu) || !gpu->mig != !r->mig)
        return false;
    if (r->gpus)
        return left->leases[i] == 0;
    if (r->mig) {
        const struct mig_profile *profile = mig_profile_of(gpu->mig, r->mig);
        for (unsigned start = 0; profile && start < gpu->mig->slices; start++)
            if (mig_is_free(profile, left->mig[i], start))
                return true;
        return false;
    }
    share_of(r, gpu, &milli, &mib);
    return milli <= left->milli[i] && mib <= left->mib[i];
}

static bool go_together(const struct place_request *r, const struct place_gpu_spec *a,
                        const struct place_gpu_spec *b)
{
    return a->model == b->model && (r->together != PLACE_SAME_NUMA || a->numa == b->numa) &&
           (r->together != PLACE_SAME_NVLINK || a->nvlink == b->nvlink);
}

static bool gpus_serve(const struct place_node_spec *n, const struct left *left,
                       const struct place_request *r)
{
    int most = 0;
    for (int i = 0; i < n->gpu_count; i++) {
        int together = 0;
        for (int k = 0; k < n->gpu_count; k++)
            together += gpu_serves(n, left, i, r) && gpu_serves(n, left, k, r) &&
                        go_together(r, &n->gpus[i], &n->gpus[k]);
        most = together > most ? together : most;
    }
    return most >= (r->gpus ? r->gpus : wants_share(r) || r->mig);
}

static bool fits(const struct world *w, int slot, const struct place_request *r)
{
    const struct place_node_spec *n = &w->nodes[slot];
    struct left left = left_of(w, slot);
    if (n->id == 0 || w->removed[slot] || n->closed || (n->spot && !r->spot))
        return false;
    for (int i = 0; i < 4; i++)
        if (r->labels.bits[i] & ~n->labels.bits[i] || n->taints.bits[i] & ~r->tolerations.bits[i])
            return false;
    return r->cpu <= left.cpu && r->memory <= left.memory && gpus_serve(n, &left, r);
}

/* ---- the oracle: scores ---- */

static int room(const struct place_node_spec *n, const struct left *left, int i)
{
    int by_memory = PLACE_MILLI;
    if (n->gpus[i].faulty || n->gpus[i].mig)
        return 0;
    if (n->gpus[i].memory)
        by_memory = (int)(left->mib[i] * PLACE_MILLI / n->gpus[i].memory);
    return left->milli[i] < by_memory ? left->milli[i] : by_memory;
}

static int all_room(const struct place_node_spec *n, const struct left *left)
{
    int sum = 0;
    for (int i = 0; i < n->gpu_count; i++)
        sum += room(n, left, i);
    return sum;
}

static bool is_idle(const struct place_node_spec *n, const struct left *left, int i)
{
    return !n->gpus[i].faulty && !n->gpus[i].mig && left->leases[i] == 0;
}

static int idle_count(const struct place_node_spec *n, const struct left *left)
{
    int count = 0;
    for (int i = 0; i < n->gpu_count; i++)
        count += is_idle(n, left, i);
    return count;
}

static int64_t milli_of(const struct place_request *m)
{
    return m->gpus ? m->gpus * PLACE_MILLI : m->share_milli;
}

/* fairway: of this room, in 2^-16 thousandths: all, or what three times the copies for which there is
 * CPU would take. */
static int64_t ahead(const struct left *left, const struct place_request *m, int64_t room)
{
    if (room == 0 || m->cpu <= left->cpu * 3 * milli_of(m) / room)
        return room << 16;
    return left->cpu * ((3 * milli_of(m) << 16) / m->cpu);
}

/* Room that one expected shape could use, GPUs of one model at a time; in 2^-16 thousandths. */
static int64_t usable(const struct place_node_spec *n, const struct left *left,
                      const struct place_request *m, bool looks_ahead)
{
    int64_t sum = 0;
    if ((!m->gpus && !m->share_milli) || m->cpu > left->cpu)
        return 0;
    for (int model = 0; model < MODELS; model++) {
        int64_t enough = 0, count = 0;
        for (int i = 0; i < n->gpu_count; i++) {
            bool has = m->gpus ? is_idle(n, left, i) : room(n, left, i) >= m->share_milli;
            if (n->gpus[i].model != model || !has || (m->models && !(m->models >> model & 1)))
                continue;
            enough += room(n, left, i);
            count++;
        }
        if (count >= (m->gpus ? m->gpus : 1))
            sum += looks_ahead ? ahead(left, m, enough) : enough << 16;
    }
    return sum;
}

static int64_t expected_weight(const struct world *w)
{
    int64_t sum = 0;
    for (int i = 0; i < w->expected_count; i++)
        sum += w->counts[i];
    return sum;
}

/* Weight of all times what could not be used; in 2^-16 thousandths. */
static int64_t fragment(const struct world *w, const struct place_node_spec *n,
                        const struct left *left)
{
    bool looks_ahead = w->options.policy == &place_fairway;
    int64_t sum = 0;
    for (int i = 0; i < w->expected_count; i++)
        sum += w->counts[i] *
               (((int64_t)all_room(n, left) << 16) - usable(n, left, &w->expected[i], looks_ahead));
    return sum;
}

/* By how much the fragment shrinks. */
static int64_t gain_of(const struct world *w, int slot, const struct place_lease *l)
{
    const struct place_node_spec *n = &w->nodes[slot];
    struct left before = left_of(w, slot), after = before;
    subtract(&after, n, l);
    return fragment(w, n, &before) - fragment(w, n, &after);
}

static int fgd_score(const struct world *w, int slot, const struct place_lease *l)
{
    int64_t weight = expected_weight(w);
    double gain = (double)gain_of(w, slot, l) / 65536;
    return (int)(100 / (1 + exp(-(gain / (double)(weight ? weight : 1) / 1000))));
}

/* ---- the oracle: prices ---- */

static int lowest_model(const struct place_node_spec *n)
{
    int lowest = n->gpu_count ? MODELS : 0;
    for (int i = 0; i < n->gpu_count; i++)
        lowest = n->gpus[i].model < lowest ? n->gpus[i].model : lowest;
    return lowest;
}

/* Thousandths on open nodes whose lowest model is one of these: all, or what is free. */
static double supply(const struct world *w, uint64_t models, bool free)
{
    double sum = 0;
    for (int slot = 0; slot < NODES; slot++) {
        const struct place_node_spec *n = &w->nodes[slot];
        struct left left = left_of(w, slot);
        if (n->id == 0 || n->closed || w->removed[slot] || !(models >> lowest_model(n) & 1))
            continue;
        for (int i = 0; i < n->gpu_count; i++)
            sum += free ? room(n, &left, i) : n->gpus[i].faulty || n->gpus[i].mig ? 0 : PLACE_MILLI;
    }
    return sum;
}

/* In steps, for the request on nodes of this model. */
static int price(const struct world *w, const struct place_request *r, int model)
{
    double named = 0, all = 0, free = supply(w, UINT64_C(1) << model, true);
    for (int i = 0; i < w->expected_count; i++) {
        const struct place_request *m = &w->expected[i];
        double milli = (double)w->counts[i] * (double)milli_of(m);
        all += milli;
        if (milli > 0 && m->models >> model & 1)
            named += milli / supply(w, m->models, false);
    }
    double asked = r->gpus ? r->gpus : r->share_milli ? r->share_milli / 1000.0 : 0.5;
    if (named == 0 || (!r->gpus && !wants_share(r)))
        return 0;
    free /= supply(w, UINT64_C(1) << model, false);
    free = free < 0.02 ? 0.02 : free;
    double steps = asked * named / (all / supply(w, UINT64_MAX, false)) / free / free / 0.05;
    return steps > 1 << 20 ? 1 << 20 : (int)(steps + 1e-6);
}

/* Steps of 0.05 GPUs, on from 321. */
static int fairway_score(const struct world *w, int slot, const struct place_lease *l)
{
    int64_t gain = gain_of(w, slot, l), step = expected_weight(w) * 50 << 16;
    int steps = 0;
    while (step && gain < steps * step)
        steps--;
    while (step && gain >= (steps + 1) * step)
        steps++;
    return 321 + steps;
}

static int possibilities(const struct mig_geometry *g, struct mig_use use)
{
    int count = 0;
    for (int i = 0; i < g->count; i++)
        for (unsigned start = 0; start < g->slices; start++)
            count += mig_is_free(&g->profiles[i], use, start);
    return count;
}

/* The most s for which s/100 is not more than part/whole. */
static int percent(__int128 part, __int128 whole)
{
    int s = 0;
    while ((s + 1) * whole <= 100 * part)
        s++;
    return s;
}

/* Of putting the lease there; the lease says which GPUs. */
static int score(const struct world *w, int slot, const struct place_request *r,
                 const struct place_lease *l)
{
    const struct place_node_spec *n = &w->nodes[slot];
    struct left left = left_of(w, slot), after = left;
    int gpu = __builtin_ctz(l->gpus | 1u << 31), idle = idle_count(n, &left);
    __int128 most_cpu = 1, most_milli = 1000;
    int64_t asked = r->gpus ? r->gpus * 1000 : r->share_milli, free = all_room(n, &left);
    for (int i = 0; i < NODES; i++) {
        most_milli =
            w->nodes[i].gpu_count * 1000 > most_milli ? w->nodes[i].gpu_count * 1000 : most_milli;
        most_cpu = w->nodes[i].cpu > most_cpu ? w->nodes[i].cpu : most_cpu;
    }
    subtract(&after, n, l);
    if (r->mig)
        return 100 - possibilities(n->gpus[gpu].mig, left.mig[gpu]) +
               possibilities(n->gpus[gpu].mig, after.mig[gpu]);
    const struct place_policy *policy = w->options.policy;
    if (policy == &place_fgd)
        return fgd_score(w, slot, l);
    if (policy == &place_fairway)
        return fairway_score(w, slot, l) - price(w, r, lowest_model(n));
    if (policy == &place_best_fit)
        return percent(2 * most_cpu * most_milli - (left.cpu - r->cpu) * most_milli -
                           (free - asked) * most_cpu,
                       2 * most_cpu * most_milli);
    if (policy == &place_dot_product)
        return percent(2 * most_cpu * most_cpu * most_milli * most_milli -
                           (__int128)left.cpu * r->cpu * most_milli * most_milli -
                           (__int128)free * asked * most_cpu * most_cpu,
                       2 * most_cpu * most_cpu * most_milli * most_milli);
    if (policy == &place_packing && l->gpus) {
        int taken = room(n, &left, gpu), new_idle = idle - idle_count(n, &after);
        if (idle == n->gpu_count)
            return 33 - idle > idle ? 33 - idle : idle;
        if (taken == 1000)
            return 50 - new_idle > 33 ? 50 - new_idle : 33;
        return 100 - taken / 10 / 10;
    }
    if (policy == &place_clustering && l->gpus) {
        unsigned kind = 1u << (r->gpus ? r->gpus : 0);
        int band = !left.kinds ? 1 : left.kinds == kind ? 3 : left.kinds & kind ? 2 : 0;
        return (int)(25 * (most_milli - free) / most_milli) + 25 * band;
    }
    return 0;
}

/* ---- checks ---- */

/* Also of a node that was removed and whose leases are there. */
static int slot_with(const struct world *w, uint64_t node)
{
    for (int slot = 0; slot < NODES; slot++)
        if (w->nodes[slot].id == node)
            return slot;
    return 0;
}

/* The lease that the request comes to on this node with these GPUs. */
static struct place_lease lease_on(const struct world *w, int slot, const struct place_request *r,
                                   uint16_t gpus, uint8_t start)
{
    const struct place_node_spec *n = &w->nodes[slot];
    struct place_lease l = {.node = n->id, .cpu = r->cpu, .memory = r->memory, .gpus = gpus};
    int64_t milli = 0, mib = 0;
    if (r->gpus) {
        milli = PLACE_MILLI;
        mib = n->gpus[__builtin_ctz(gpus)].memory;
    } else if (wants_share(r)) {
        share_of(r, &n->gpus[__builtin_ctz(gpus)], &milli, &mib);
    }
    l.milli = (uint16_t)milli;
    l.mib = (uint32_t)mib;
    l.mig = r->mig;
    l.mig_start = start;
    return l;
}

/* Does it give the request what it asks for, of what is left there? */
static void check_lease(struct world *w, int slot, const struct place_request *r,
                        const struct place_lease *l)
{
    const struct place_node_spec *n = &w->nodes[slot];
    struct left left = left_of(w, slot);
    struct place_lease wanted = lease_on(w, slot, r, l->gpus, l->mig_start);
    int first = __builtin_ctz(l->gpus | 1u << 31);
    TRUE_OF(fits(w, slot, r));
    TRUE_OF(l->cpu == r->cpu && l->memory == r->memory && l->node == n->id);
    TRUE_OF(__builtin_popcount(l->gpus) == (r->gpus ? r->gpus : wants_share(r) || r->mig));
    TRUE_OF(l->milli == wanted.milli && l->mib == wanted.mib && l->mig == r->mig);
    for (int i = 0; i < PLACE_GPUS_MAX; i++)
        TRUE_OF(!(l->gpus >> i & 1) ||
                (gpu_serves(n, &left, i, r) && go_together(r, &n->gpus[first], &n->gpus[i])));
    TRUE_OF(!r->mig ||
            mig_is_free(mig_profile_of(n->gpus[first].mig, r->mig), left.mig[first], l->mig_start));
}

/* The best score with a part of this GPU, by trying; INT_MIN: none. */
static int best_on(const struct world *w, int slot, const struct place_request *r, int gpu)
{
    const struct place_node_spec *n = &w->nodes[slot];
    struct left left = left_of(w, slot);
    int best = INT_MIN;
    if (!gpu_serves(n, &left, gpu, r))
        return INT_MIN;
    for (unsigned start = 0; start < (r->mig ? MIG_SLICES_MAX : 1); start++) {
        struct place_lease l = lease_on(w, slot, r, (uint16_t)(1u << gpu), (uint8_t)start);
        if (r->mig && !mig_is_free(mig_profile_of(n->gpus[gpu].mig, r->mig), left.mig[gpu], start))
            continue;
        int one = score(w, slot, r, &l);
        best = one > best ? one : best;
    }
    return best;
}

/* Whole GPUs: from the smallest group that has enough, the lowest. */
static uint16_t whole_of(const struct world *w, int slot, const struct place_request *r)
{
    const struct place_node_spec *n = &w->nodes[slot];
    struct left left = left_of(w, slot);
    int least = PLACE_GPUS_MAX + 1, wanted = r->gpus;
    uint16_t gpus = 0;
    for (int i = 0; i < n->gpu_count; i++) {
        uint16_t some = 0;
        int count = 0;
        if (!gpu_serves(n, &left, i, r))
            continue;
        for (int k = 0; k < n->gpu_count; k++) {
            if (!gpu_serves(n, &left, k, r) || !go_together(r, &n->gpus[i], &n->gpus[k]))
                continue;
            if (count++ < wanted)
                some |= (uint16_t)(1u << k);
        }
        if (count < wanted || count >= least)
            continue;
        least = count;
        gpus = some;
    }
    return gpus;
}

static int best_score(const struct world *w, int slot, const struct place_request *r)
{
    int best = INT_MIN;
    if (!wants_share(r) && !r->mig) {
        struct place_lease l = lease_on(w, slot, r, r->gpus ? whole_of(w, slot, r) : 0, 0);
        return score(w, slot, r, &l);
    }
    for (int i = 0; i < PLACE_GPUS_MAX; i++) {
        int one = best_on(w, slot, r, i);
        best = one > best ? one : best;
    }
    return best;
}

/* For a part of a GPU: under fgd and fairway and with MIG the first that has the score, else the tightest. */
static uint16_t part_of(const struct world *w, const struct place_choice *choice,
                        const struct place_request *r)
{
    const struct place_node_spec *n = &w->nodes[choice->node];
    struct left left = left_of(w, choice->node);
    const struct place_policy *policy = w->options.policy;
    bool by_score = r->mig || policy == &place_fgd || policy == &place_fairway;
    int best = -1;
    for (int i = 0; i < n->gpu_count; i++) {
        if (!gpu_serves(n, &left, i, r))
            continue;
        if (by_score && best_on(w, choice->node, r, i) == choice->score)
            return (uint16_t)(1u << i);
        if (best < 0 || room(n, &left, i) < room(n, &left, best))
            best = i;
    }
    return by_score || best < 0 ? 0 : (uint16_t)(1u << best);
}

/* Of the request's group, in the node's zone and on the node, as one number: the zone counts first. */
static int crowd_by_spread(const struct world *w, int slot, const struct place_request *r)
{
    int crowd = 0;
    for (int k = 0; k < w->lease_count && r->spread; k++) {
        int other = slot_with(w, w->leases[k].node);
        if (w->leases[k].group != r->group)
            continue;
        if (r->spread == PLACE_SPREAD_ZONES && w->nodes[other].zone == w->nodes[slot].zone)
            crowd += 1 << 16;
        crowd += other == slot;
    }
    return crowd;
}

static void check_choice(struct world *w, const struct place_request *r,
                         const struct place_choice *choice)
{
    struct place_lease l = lease_on(w, choice->node, r, choice->gpus, choice->mig_start);
    bool draws = w->options.policy->draws;
    check_lease(w, choice->node, r, &l);
    TRUE_OF(!r->gpus || choice->gpus == whole_of(w, choice->node, r));
    TRUE_OF(choice->score == score(w, choice->node, r, &l));
    TRUE_OF(draws || !(wants_share(r) || r->mig) || choice->gpus == part_of(w, choice, r));
    bool first_of_equals = !draws || r->spread;
    for (int slot = 0; slot < NODES; slot++) {
        if (!fits(w, slot, r))
            continue;
        int crowd = crowd_by_spread(w, slot, r), own = crowd_by_spread(w, choice->node, r);
        int best = best_score(w, slot, r);
        TRUE_OF(crowd >= own);
        TRUE_OF(crowd > own || (slot < choice->node && first_of_equals ? best < choice->score
                                                                       : best <= choice->score));
    }
}

static bool fits_somewhere(const struct world *w, const struct place_request *r)
{
    for (int slot = 0; slot < NODES; slot++)
        if (fits(w, slot, r))
            return true;
    return false;
}

/* ---- requests and nodes of chance ---- */

static struct place_request some_request(struct world *w)
{
    static const char *const profiles[] = {"1g.5gb", "1g.10gb", "1g.10gb+me", "2g.20gb", "3g.40gb"};
    struct place_request r = {.cpu = (int64_t)below(w, 5) * 2000,
                              .memory = (int64_t)below(w, 3) * 4000};
    uint64_t dice = below(w, 100);
    if (dice < 25)
        r.gpus = (uint8_t)(1 + below(w, chance(w, 70) ? 2 : 6));
    else if (dice < 55)
        r.share_milli = (uint16_t)(1 + below(w, 20) * 50);
    else if (dice < 62)
        r.share_mib = (uint32_t)(1 + below(w, 30) * 1000);
    else if (dice < 68)
        r.share_milli = r.share_mib = (uint16_t)(100 + below(w, 800));
    else if (dice < 85)
        r.mig = mig_profile_find(str_from(profiles[below(w, ARRAY_LEN(profiles))]));
    if (chance(w, 30))
        r.models = 1 + below(w, (1 << MODELS) - 1);
    if (chance(w, 15))
        place_set_add(&r.labels, (unsigned)below(w, 2) * 200);
    if (chance(w, 70))
        place_set_add(&r.tolerations, 7);
    r.spot = chance(w, 60);
    r.together = chance(w, 20) ? (uint32_t)below(w, 3) : PLACE_ANYWHERE;
    r.spread = chance(w, 30) ? 1 + (uint32_t)below(w, 2) : PLACE_NO_SPREAD;
    r.group = r.spread ? 1 + (uint32_t)below(w, 3) : 0;
    return r;
}

static struct place_gpu_spec some_gpu(struct world *w, uint64_t model, int i)
{
    static const char *const cuts[] = {"A30", "A100-40G", "A100-80G", "H100-80G"};
    struct place_gpu_spec gpu = {
        .model = (uint8_t)model, .numa = (uint8_t)(i / 4), .nvlink = (uint8_t)(i / 2 % 3)};
    gpu.memory = (uint32_t)(model % 3) * 16000;
    gpu.faulty = chance(w, 5);
    if (chance(w, 25))
        gpu.mig = mig_geometry_find(str_from(cuts[below(w, ARRAY_LEN(cuts))]));
    return gpu;
}

static struct place_node_spec some_node(struct world *w)
{
    struct place_node_spec n = {.id = w->next_node++,
                                .cpu = 8000 + (int64_t)below(w, 8) * 8000,
                                .memory = 8000 + (int64_t)below(w, 8) * 8000};
    uint64_t model = below(w, MODELS);
    n.gpu_count = chance(w, 10) ? 0 : (int)(1 + below(w, 8));
    for (int i = 0; i < n.gpu_count; i++)
        n.gpus[i] = some_gpu(w, chance(w, 10) ? below(w, MODELS) : model, i);
    for (unsigned i = 0; i < 2; i++)
        if (chance(w, 50))
            place_set_add(&n.labels, i * 200);
    if (chance(w, 20))
        place_set_add(&n.taints, 7);
    n.spot = chance(w, 20);
    n.zone = (uint8_t)below(w, 3);
    return n;
}

/* ---- what happens ---- */

static int slot_of(const struct world *w, uint64_t id)
{
    for (int slot = 0; slot < NODES; slot++)
        if (id && w->nodes[slot].id == id)
            return slot;
    return -1;
}

static bool has_leases(const struct world *w, uint64_t node)
{
    for (int k = 0; k < w->lease_count; k++)
        if (w->leases[k].node == node)
            return true;
    return false;
}

/* State without what is remembered for speed. */
struct state {
    struct place_node nodes[NODES];
    struct place_holding holdings[LEASES];
    uint32_t free_holding;
    uint64_t changes;
};

static struct state state_of(const struct world *w)
{
    struct state s = {.free_holding = w->place.free_holding, .changes = w->place.changes.count};
    memcpy(s.nodes, w->place.nodes, sizeof(s.nodes));
    memcpy(s.holdings, w->place.holdings, sizeof(s.holdings));
    return s;
}

static bool same_state(const struct state *a, const struct state *b)
{
    return memcmp(a->nodes, b->nodes, sizeof(a->nodes)) == 0 &&
           memcmp(a->holdings, b->holdings, sizeof(a->holdings)) == 0 &&
           a->free_holding == b->free_holding && a->changes == b->changes;
}

static struct place_request asked_before(struct world *w)
{
    struct place_request *one = &w->recent[below(w, RECENT)];
    if (chance(w, 20))
        *one = some_request(w);
    return *one;
}

static void arrive(struct world *w)
{
    struct place_request r = chance(w, 50) ? asked_before(w) : some_request(w);
    struct place_choice choice = {0};
    const struct place_lease *l = NULL;
    uint64_t owner = w->next_owner++;
    struct state before = state_of(w);
    int dry = place_choose(&w->place, owner, &r, &choice);
    struct state after = state_of(w);
    TRUE_OF(same_state(&before, &after));
    TRUE_OF(dry == (fits_somewhere(w, &r) ? 0 : ERR_UNAVAILABLE));
    if (!dry)
        check_choice(w, &r, &choice);
    int error = place_allocate(&w->place, owner, &r, w->step, &l);
    TRUE_OF(error == (w->lease_count == LEASES ? ERR_FULL : dry));
    if (error)
        return;
    TRUE_OF(l->owner == owner && l->since == w->step && l->gpus == choice.gpus &&
            l->node == w->nodes[choice.node].id && l->mig_start == choice.mig_start);
    check_lease(w, choice.node, &r, l);
    TRUE_OF(place_allocate(&w->place, owner, &r, w->step, &l) == ERR_CONFLICT);
    w->leases[w->lease_count++] = *place_lease_find(&w->place, owner);
}

static void free_slot_if_empty(struct world *w, int slot)
{
    if (w->removed[slot] && !has_leases(w, w->nodes[slot].id)) {
        w->removed[slot] = false;
        w->nodes[slot] = (struct place_node_spec){0};
    }
}

static void depart(struct world *w)
{
    if (w->lease_count == 0)
        return;
    int k = (int)below(w, (uint64_t)w->lease_count);
    int slot = slot_of(w, w->leases[k].node);
    uint64_t owner = w->leases[k].owner;
    w->leases[k] = w->leases[--w->lease_count];
    place_release(&w->place, owner);
    TRUE_OF(!place_lease_find(&w->place, owner));
    place_release(&w->place, owner);
    free_slot_if_empty(w, slot);
}

static void add_node(struct world *w)
{
    struct place_node_spec n = some_node(w);
    int slot = 0;
    while (slot < NODES && w->nodes[slot].id)
        slot++;
    TRUE_OF(place_node_put(&w->place, &n) == (slot < NODES ? 0 : ERR_FULL));
    if (slot < NODES)
        w->nodes[slot] = n;
}

static void lose_node(struct world *w)
{
    int slot = (int)below(w, NODES);
    place_node_remove(&w->place, w->nodes[slot].id);
    w->removed[slot] = w->nodes[slot].id != 0;
    TRUE_OF(!place_node_find(&w->place, w->nodes[slot].id));
    free_slot_if_empty(w, slot);
}

/* Cordon, health, faults; sometimes more than is possible while the GPU is in use. */
static void change_node(struct world *w)
{
    int slot = (int)below(w, NODES);
    struct place_node_spec n = w->nodes[slot];
    struct left left = left_of(w, slot);
    bool possible = true;
    if (n.id == 0)
        return;
    n.closed = chance(w, 30);
    for (int i = 0; i < n.gpu_count; i++)
        n.gpus[i].faulty = chance(w, 20);
    if (n.gpu_count && chance(w, 30)) {
        n.gpus[0].memory += 16;
        possible = left.leases[0] == 0;
    }
    if (chance(w, 20)) {
        possible = possible && n.cpu - left.cpu <= 8000;
        n.cpu = 8000;
    }
    TRUE_OF(place_node_put(&w->place, &n) == (possible ? 0 : ERR_CONFLICT));
    if (!possible)
        return;
    w->nodes[slot] = n;
    w->removed[slot] = false;
}

/* Of what the state was told the most frequent, of equal ones the first, until they are 95 %. */
static void keep_expected(struct world *w)
{
    bool in[EXPECTED] = {false};
    int64_t sum = 0, kept = 0;
    w->expected_count = 0;
    for (int i = 0; i < w->told_count; i++)
        sum += w->told_counts[i];
    while (kept * 100 < sum * 95) {
        int most = -1;
        for (int i = 0; i < w->told_count; i++)
            if (!in[i] && (most < 0 || w->told_counts[i] > w->told_counts[most]))
                most = i;
        in[most] = true;
        kept += w->told_counts[most];
        w->expected[w->expected_count] = w->told[most];
        w->counts[w->expected_count++] = w->told_counts[most];
    }
}

static void expect_other(struct world *w)
{
    w->told_count = 0;
    for (int i = 0; i < EXPECTED; i++) {
        struct place_request r = some_request(w);
        r.cpu += i; /* no two alike */
        if (r.mig || r.share_mib)
            continue;
        w->told[w->told_count] = r;
        w->told_counts[w->told_count++] = 1 + (uint32_t)below(w, chance(w, 50) ? 10 : 300);
    }
    keep_expected(w);
    place_set_target(&w->place, w->told, w->told_counts, (size_t)w->told_count);
}

static bool same_gpu(const struct place_gpu *a, const struct place_gpu *b)
{
    const struct place_gpu_spec *s = &a->spec, *t = &b->spec;
    return s->model == t->model && s->numa == t->numa && s->nvlink == t->nvlink &&
           s->faulty == t->faulty && s->memory == t->memory && s->mig == t->mig &&
           a->mib_used == b->mib_used && a->milli_used == b->milli_used && a->leases == b->leases &&
           a->mig.slices == b->mig.slices && a->mig.media == b->mig.media;
}

static bool same_node(const struct place_node *a, const struct place_node *b)
{
    const struct place_node_spec *s = &a->spec, *t = &b->spec;
    for (int i = 0; i < PLACE_GPUS_MAX; i++)
        if (!same_gpu(&a->gpus[i], &b->gpus[i]))
            return false;
    return s->id == t->id && s->cpu == t->cpu && s->memory == t->memory && s->spot == t->spot &&
           s->zone == t->zone && s->closed == t->closed && s->gpu_count == t->gpu_count &&
           place_set_within(&s->labels, &t->labels) && place_set_within(&t->labels, &s->labels) &&
           place_set_within(&s->taints, &t->taints) && place_set_within(&t->taints, &s->taints) &&
           a->removed == b->removed && a->cpu_used == b->cpu_used &&
           a->memory_used == b->memory_used && a->leases == b->leases &&
           memcmp(a->kinds, b->kinds, sizeof(a->kinds)) == 0;
}

static bool same_lease(const struct place_lease *a, const struct place_lease *b)
{
    return a->owner == b->owner && a->node == b->node && a->since == b->since && a->cpu == b->cpu &&
           a->memory == b->memory && a->mib == b->mib && a->milli == b->milli &&
           a->gpus == b->gpus && a->mig == b->mig && a->mig_start == b->mig_start &&
           a->group == b->group;
}

/* Makes the state anew in `again`, as after a restart. */
static void rebuild(struct world *w, struct place *again)
{
    place_init(again, &w->options);
    for (int slot = 0; slot < NODES; slot++)
        if (w->nodes[slot].id)
            TRUE_OF(place_node_put(again, &w->nodes[slot]) == 0);
    for (int k = 0; k < w->lease_count; k++)
        TRUE_OF(place_restore(again, &w->leases[k]) == 0);
    for (int slot = 0; slot < NODES; slot++)
        if (w->removed[slot])
            place_node_remove(again, w->nodes[slot].id);
    place_set_target(again, w->told, w->told_counts, (size_t)w->told_count);
}

static void same_decision(struct world *w, struct place *again)
{
    struct place_request r = some_request(w);
    struct place_choice a = {0}, b = {0};
    uint64_t owner = below(w, 1000);
    int error = place_choose(&w->place, owner, &r, &a);
    TRUE_OF(place_choose(again, owner, &r, &b) == error);
    TRUE_OF(error || (w->place.nodes[a.node].spec.id == again->nodes[b.node].spec.id &&
                      a.gpus == b.gpus && a.mig_start == b.mig_start && a.score == b.score));
}

static void restart(struct world *w)
{
    struct place again;
    int at = 0;
    rebuild(w, &again);
    TRUE_OF(place_check(&again) == NULL);
    for (int slot = 0; slot < NODES; slot++)
        if (w->nodes[slot].id)
            TRUE_OF(same_node(&w->place.nodes[slot], &again.nodes[at++]));
    for (int k = 0; k < w->lease_count; k++) {
        const struct place_lease *l = place_lease_find(&again, w->leases[k].owner);
        TRUE_OF(l && same_lease(l, &w->leases[k]));
        TRUE_OF(place_restore(&again, &w->leases[k]) == ERR_CONFLICT);
    }
    for (int i = 0; i < 5; i++)
        same_decision(w, &again);
    place_fini(&again);
}

static void one_step(struct world *w)
{
    uint64_t dice = below(w, 100);
    if (dice < 60)
        arrive(w);
    else if (dice < 76)
        depart(w);
    else if (dice < 84)
        add_node(w);
    else if (dice < 87)
        lose_node(w);
    else if (dice < 95)
        change_node(w);
    else if (dice < 98)
        expect_other(w);
    else
        restart(w);
    const char *broken = place_check(&w->place);
    if (broken)
        fail_msg("%s: seed %llu, step %d", broken, (unsigned long long)w->seed, w->step);
}

static void run_history(uint64_t seed)
{
    static struct world world;
    struct world *w = &world;
    int policies = 0;
    while (place_policies[policies])
        policies++;
    *w = (struct world){.seed = seed, .random = seed, .next_owner = 1, .next_node = 1};
    w->options = (struct place_options){
        .policy = place_policies[below(w, (uint64_t)policies)],
        .seed = seed,
        .nodes_max = NODES,
        .leases_max = LEASES,
        .shapes_max = SHAPES,
    };
    place_init(&w->place, &w->options);
    for (int i = 0; i < NODES - 2; i++)
        add_node(w);
    for (int i = 0; i < RECENT; i++)
        w->recent[i] = some_request(w);
    expect_other(w);
    for (w->step = 0; w->step < STEPS; w->step++)
        one_step(w);
    while (w->lease_count)
        depart(w);
    for (int slot = 0; slot < NODES; slot++)
        if (w->nodes[slot].id)
            TRUE_OF(w->place.nodes[slot].cpu_used == 0 && w->place.nodes[slot].leases == 0);
    place_fini(&w->place);
}

static void test_histories(void **state)
{
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < (getenv("FAIRWAY_SEED") ? 1 : HISTORIES); i++)
        run_history(first + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
