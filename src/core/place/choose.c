/* SPDX-License-Identifier: Apache-2.0 */
/* Where a request would go. */
#include "base/hash.h"
#include "base/rng.h"
#include "core/place/fit.h"
#include "core/place/place_internal.h"
#include "core/place/trial.h"

/* ---- shapes ---- */

static struct str key_of(const struct place_request *r)
{
    return (struct str){(const char *)r, sizeof(*r)};
}

static struct place_shape *least_recent(struct place *p)
{
    struct place_shape *least = &p->shapes[0];
    for (unsigned i = 1; i < p->shape_count; i++)
        if (p->shapes[i].used < least->used)
            least = &p->shapes[i];
    return least;
}

static struct place_shape *take_shape(struct place *p)
{
    if (p->shape_count < p->options.shapes_max) {
        struct place_shape *s = &p->shapes[p->shape_count++];
        rank_init(&s->rank, &p->memory, p->options.nodes_max, &p->changes);
        return s;
    }
    struct place_shape *s = least_recent(p);
    map_remove(&p->by_request, &s->by_request);
    rank_forget(&s->rank);
    return s;
}

static struct place_shape *shape_of(struct place *p, const struct place_request *r)
{
    struct map_node *known = map_find(&p->by_request, key_of(r));
    struct place_shape *s =
        known ? container_of(known, struct place_shape, by_request) : take_shape(p);
    if (!known) {
        s->request = *r;
        map_insert(&p->by_request, key_of(&s->request), &s->by_request);
    }
    s->used = ++p->asked;
    return s;
}

/* ---- scores ---- */

struct question {
    const struct place *place;
    const struct place_request *request;
};

static struct place_case case_of(const struct question *q, uint32_t slot)
{
    const struct place *p = q->place;
    return (struct place_case){p, &p->nodes[slot], &p->views[slot], q->request, 0};
}

/* The GPU on which the fewest other instances become impossible, and how many do. */
static struct mig_fit best_cut(const struct place_case *c, int *ret_gpu)
{
    struct mig_fit best = {0}, fit;
    *ret_gpu = PLACE_NONE;
    place_each_gpu(i, c->gpus)
    {
        const struct place_gpu *gpu = &c->node->gpus[i];
        if (!mig_choose(gpu->spec.mig, c->request->mig, gpu->mig, &fit))
            continue;
        if (*ret_gpu != PLACE_NONE && fit.lost >= best.lost)
            continue;
        best = fit;
        *ret_gpu = (int)i;
    }
    return best;
}

static int score_of(const void *context, uint32_t slot)
{
    struct place_case c = case_of(context, slot);
    int gpu;
    if (!place_fits(&c))
        return RANK_OUT;
    if (c.request->mig)
        return PLACE_PERCENT - best_cut(&c, &gpu).lost;
    return c.place->options.policy->score(&c);
}

/* ---- the choice ---- */

static int drawn(uint16_t gpus, struct rng *r)
{
    uint64_t n = rng_below(r, (uint64_t)place_count(gpus));
    place_each_gpu(i, gpus) if (n-- == 0) return (int)i;
    return PLACE_NONE;
}

static int tightest(const struct place_case *c)
{
    int best = PLACE_NONE;
    place_each_gpu(i, c->gpus) if (best == PLACE_NONE || c->view->room[i] < c->view->room[best])
        best = (int)i;
    return best;
}

static int share_gpu(const struct place_case *c, struct rng *r)
{
    const struct place_policy *policy = c->place->options.policy;
    return policy->draws       ? drawn(c->gpus, r)
           : policy->share_gpu ? policy->share_gpu(c)
                               : tightest(c);
}

/* A part of a GPU, or whole ones, or none. Without the policy's opinion if `r` is NULL. */
static void choose_gpus(const struct place_case *c, struct rng *r, struct place_choice *choice)
{
    int gpu = PLACE_NONE;
    choice->gpus = c->gpus;
    if (c->request->mig)
        choice->mig_start = best_cut(c, &gpu).start;
    else if (place_is_share(c->request))
        gpu = r ? share_gpu(c, r) : tightest(c);
    if (gpu != PLACE_NONE)
        choice->gpus = (uint16_t)(1u << gpu);
}

/* ---- spread ---- */

enum { ZONES = UINT8_MAX + 1 };

static void count_group(struct place *p, uint32_t group, uint32_t zones[ZONES])
{
    const struct place_lease *l = NULL;
    memset(p->crowd, 0, (size_t)p->node_count * sizeof(*p->crowd));
    memset(zones, 0, ZONES * sizeof(*zones));
    while ((l = place_lease_next(p, l))) {
        int slot = place_lease_slot(l);
        if (l->group != group)
            continue;
        p->crowd[slot]++;
        zones[p->nodes[slot].spec.zone]++;
    }
}

/* Fewest in the zone, then on the node, then by the policy: lower is better. */
static bool is_better(const uint64_t a[3], const uint64_t b[3])
{
    for (int i = 0; i < 3; i++)
        if (a[i] != b[i])
            return a[i] < b[i];
    return false;
}

static int choose_apart(struct place *p, const struct place_request *r, const struct rank *rank,
                        const int *prices)
{
    uint32_t zones[ZONES];
    uint64_t best[3] = {0};
    int chosen = PLACE_NONE;
    count_group(p, r->group, zones);
    for (int slot = 0; slot < p->node_count; slot++) {
        int score = rank_score(rank, slot);
        if (score == RANK_OUT)
            continue;
        score -= prices[p->changes.groups[slot]];
        uint32_t in_zone = r->spread == PLACE_SPREAD_ZONES ? zones[p->nodes[slot].spec.zone] : 0;
        uint64_t key[3] = {in_zone, p->crowd[slot], (uint64_t)(INT64_C(1) << 32) - (uint64_t)score};
        if (chosen != PLACE_NONE && !is_better(key, best))
            continue;
        memcpy(best, key, sizeof(best));
        chosen = slot;
    }
    return chosen;
}

static int choose_node(const struct place *p, const struct rank *rank, const int *prices,
                       struct rng *r)
{
    int best = rank_best(rank, prices);
    if (best == PLACE_NONE || !p->options.policy->draws)
        return best;
    return rank_tie(rank, (uint32_t)rng_below(r, rank_ties(rank)));
}

int place_choose(struct place *p, uint64_t owner, const struct place_request *request,
                 struct place_choice *ret_choice)
{
    if (!place_request_is_valid(request))
        return ERR_INVALID;
    struct place_request plain = *request; /* scores do not depend on who is where */
    plain.spread = plain.group = 0;
    struct place_shape *shape = shape_of(p, &plain);
    struct question q = {p, &shape->request};
    int prices[RANK_GROUPS_MAX] = {0};
    struct rng r = rng_from(hash_combine(p->options.seed, owner));
    rank_update(&shape->rank, &p->changes, (uint32_t)p->node_count, score_of, &q);
    if (p->options.policy->price)
        p->options.policy->price(p, request, prices);
    int slot = request->spread ? choose_apart(p, request, &shape->rank, prices)
                               : choose_node(p, &shape->rank, prices, &r);
    if (slot == PLACE_NONE)
        return ERR_UNAVAILABLE;
    struct place_case c = case_of(&q, (uint32_t)slot);
    CHECK(place_fits(&c));
    *ret_choice = (struct place_choice){
        .node = slot,
        .score = rank_score(&shape->rank, slot) - prices[p->changes.groups[slot]],
    };
    choose_gpus(&c, &r, ret_choice);
    return 0;
}

/* ---- what would be ---- */

bool place_fits_now(const struct place *p, int slot, const struct place_request *request)
{
    struct question q = {p, request};
    struct place_case c = case_of(&q, (uint32_t)slot);
    return place_fits(&c);
}

unsigned place_members(const struct place *p, const struct place_node *node,
                       const struct place_request *request, unsigned most,
                       struct place_lease *ret_leases)
{
    struct place_node copy = *node;
    struct rng r = rng_from(p->options.seed);
    unsigned count = 0;
    for (; count < most; count++) {
        /* How many does not depend on which GPUs they have. */
        struct place_view view = ret_leases ? place_view_of(p, &copy) : place_view_plain(&copy);
        struct place_case c = {p, &copy, &view, request, 0};
        struct place_choice choice = {0};
        if (!place_fits(&c))
            break;
        choose_gpus(&c, ret_leases ? &r : NULL, &choice);
        struct place_lease lease = place_lease_of(&copy, 0, request, &choice, 0);
        place_node_take(&copy, &lease);
        if (ret_leases)
            ret_leases[count] = lease;
    }
    return count;
}

unsigned place_ways(const struct place *p, const struct place_node *node,
                    const struct place_request *request,
                    struct place_lease ret_leases[PLACE_GPUS_MAX])
{
    struct place_view view = place_view_of(p, node);
    struct place_case c = {p, node, &view, request, 0};
    struct place_choice choice = {0};
    struct rng r = rng_from(p->options.seed);
    unsigned count = 0;
    if (!place_fits(&c))
        return 0;
    if (!place_is_share(request)) {
        choose_gpus(&c, &r, &choice);
        ret_leases[0] = place_lease_of(node, 0, request, &choice, 0);
        return 1;
    }
    place_each_gpu(i, c.gpus)
    {
        choice.gpus = (uint16_t)(1u << i);
        ret_leases[count++] = place_lease_of(node, 0, request, &choice, 0);
    }
    return count;
}
