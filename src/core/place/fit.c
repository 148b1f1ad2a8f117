/* SPDX-License-Identifier: Apache-2.0 */
#include "core/place/fit.h"

bool place_set_within(const struct place_set *s, const struct place_set *of)
{
    uint64_t outside = 0;
    for (size_t i = 0; i < ARRAY_LEN(s->bits); i++)
        outside |= s->bits[i] & ~of->bits[i];
    return outside == 0;
}

static bool is_empty(const struct place_set *s)
{
    uint64_t any = 0;
    for (size_t i = 0; i < ARRAY_LEN(s->bits); i++)
        any |= s->bits[i];
    return any == 0;
}

bool place_request_is_valid(const struct place_request *r)
{
    int ways = (r->gpus > 0) + place_is_share(r) + (r->mig != MIG_NONE);
    return ways <= 1 && r->gpus <= PLACE_GPUS_MAX && r->share_milli < PLACE_MILLI && r->cpu >= 0 &&
           r->cpu <= PLACE_AMOUNT_MAX && r->memory >= 0 && r->memory <= PLACE_AMOUNT_MAX &&
           r->together <= PLACE_SAME_NVLINK && r->spot <= 1 && r->spread <= PLACE_SPREAD_ZONES &&
           (r->spread == PLACE_NO_SPREAD) == (r->group == 0);
}

/* ---- shares ---- */

bool place_share_of(const struct place_gpu_spec *gpu, const struct place_request *r,
                    struct place_share *ret_share)
{
    uint64_t milli = r->share_milli, mib = r->share_mib;
    if (mib > gpu->memory)
        return false;
    if (milli == 0)
        milli = (mib * PLACE_MILLI + gpu->memory - 1) / gpu->memory;
    else if (mib == 0)
        mib = milli * gpu->memory / PLACE_MILLI; /* rounded down: four quarters are one GPU */
    *ret_share = (struct place_share){(uint16_t)milli, (uint32_t)mib};
    return true;
}

static int room_of(const struct place_gpu_spec *gpu, uint64_t milli_used, uint64_t mib_used)
{
    uint64_t room = PLACE_MILLI - milli_used;
    if (gpu->memory)
        room = MIN(room, (gpu->memory - mib_used) * PLACE_MILLI / gpu->memory);
    return (int)room;
}

int place_room(const struct place_gpu *gpu)
{
    return room_of(&gpu->spec, gpu->milli_used, gpu->mib_used);
}

int place_share_room(const struct place_gpu *gpu, const struct place_request *r)
{
    struct place_share share = {0};
    if (gpu->spec.memory == 0)
        return r->share_milli;
    CHECK(place_share_of(&gpu->spec, r, &share));
    return place_room(gpu) -
           room_of(&gpu->spec, gpu->milli_used + share.milli, gpu->mib_used + share.mib);
}

static bool has_share(const struct place_gpu *gpu, const struct place_request *r)
{
    struct place_share share;
    return place_share_of(&gpu->spec, r, &share) && share.milli <= PLACE_MILLI - gpu->milli_used &&
           share.mib <= gpu->spec.memory - gpu->mib_used;
}

/* ---- GPUs ---- */

uint16_t place_accepted(const struct place_case *c, uint16_t gpus)
{
    uint64_t models = c->request->models;
    if (models == 0 || (c->view->models & ~models) == 0)
        return gpus;
    uint16_t accepted = 0;
    place_each_gpu(i, gpus) if (models >> c->view->model[i] & 1) accepted |= (uint16_t)(1u << i);
    return accepted;
}

static uint16_t share_gpus(const struct place_case *c)
{
    const struct place_view *v = c->view;
    int wanted = c->request->share_milli;
    uint16_t gpus = 0;
    for (int i = 0; i < v->gpu_count; i++)
        gpus |= (uint16_t)((v->room[i] > 0 && v->room[i] >= wanted) << i);
    gpus = place_accepted(c, gpus);
    if (c->request->share_mib == 0)
        return gpus;
    place_each_gpu(i, gpus) if (!has_share(&c->node->gpus[i], c->request)) gpus &=
        (uint16_t) ~(1u << i);
    return gpus;
}

static uint16_t lowest(uint16_t gpus, int count)
{
    unsigned rest = gpus;
    for (; count > 0; count--)
        rest &= rest - 1;
    return gpus & (uint16_t)~rest;
}

static bool go_together(const struct place_gpu_spec *a, const struct place_gpu_spec *b,
                        uint32_t together)
{
    return a->model == b->model && (together != PLACE_SAME_NUMA || a->numa == b->numa) &&
           (together != PLACE_SAME_NVLINK || a->nvlink == b->nvlink);
}

uint16_t place_gpus_together(const struct place_case *c, uint16_t gpus, unsigned i)
{
    const struct place_node_spec *spec = &c->node->spec;
    uint16_t group = 0;
    place_each_gpu(k, gpus) if (go_together(&spec->gpus[i], &spec->gpus[k], c->request->together))
        group |= (uint16_t)(1u << k);
    return group;
}

static uint16_t whole_gpus(const struct place_case *c)
{
    int wanted = c->request->gpus;
    uint16_t idle = place_accepted(c, c->view->idle), best = 0;
    bool all_alike = (c->view->models & (c->view->models - 1)) == 0;
    if (place_count(idle) < wanted)
        return 0;
    if (all_alike && c->request->together == PLACE_ANYWHERE)
        return lowest(idle, wanted);
    for (uint16_t left = idle; left;) {
        uint16_t group = place_gpus_together(c, idle, (unsigned)__builtin_ctz(left));
        left &= (uint16_t)~group;
        if (place_count(group) >= wanted && (!best || place_count(group) < place_count(best)))
            best = group;
    }
    return lowest(best, wanted);
}

static uint16_t cut_gpus(const struct place_case *c)
{
    uint16_t gpus = place_accepted(c, c->view->cut), having = 0;
    struct mig_fit fit;
    place_each_gpu(i, gpus) if (mig_choose(c->node->spec.gpus[i].mig, c->request->mig,
                                           c->node->gpus[i].mig, &fit)) having |=
        (uint16_t)(1u << i);
    return having;
}

/* ---- all of it ---- */

static bool node_takes(const struct place_case *c)
{
    const struct place_view *v = c->view;
    const struct place_request *r = c->request;
    return v->open && v->cpu_free >= r->cpu && v->memory_free >= r->memory &&
           (!v->spot || r->spot) &&
           (is_empty(&r->labels) || place_set_within(&r->labels, &c->node->spec.labels)) &&
           (!v->picky || place_set_within(&c->node->spec.taints, &r->tolerations));
}

bool place_fits_gpus(struct place_case *c)
{
    const struct place_request *r = c->request;
    if (place_is_share(r))
        c->gpus = share_gpus(c);
    else if (r->gpus)
        c->gpus = whole_gpus(c);
    else if (r->mig)
        c->gpus = cut_gpus(c);
    else
        return true;
    return c->gpus != 0;
}

bool place_fits(struct place_case *c)
{
    c->gpus = 0;
    return node_takes(c) && place_fits_gpus(c);
}
