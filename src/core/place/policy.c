/* SPDX-License-Identifier: Apache-2.0 */
#include "core/place/policy.h"

/* A request's GPUs in thousandths, as far as they are known without a GPU: of a share of memory alone
 * nothing is. */
static int milli_of(const struct place_request *r)
{
    return r->gpus ? r->gpus * PLACE_MILLI : r->share_milli;
}

static bool wants_gpu(const struct place_request *r)
{
    return r->gpus || place_is_share(r);
}

bool place_is_like(const struct place_case *c, unsigned i, unsigned k)
{
    return c->view->room[i] == c->view->room[k] && c->view->model[i] == c->view->model[k] &&
           c->node->gpus[i].spec.memory == 0 && c->node->gpus[k].spec.memory == 0;
}

/* ---- first_fit, random ---- */

static int all_equal(const struct place_case *c)
{
    return 0;
}

const struct place_policy place_first_fit = {.name = "first_fit", .score = all_equal};
const struct place_policy place_random = {.name = "random", .score = all_equal, .draws = true};

/* ---- best_fit ---- */

static int64_t most_milli(const struct place_case *c)
{
    return (int64_t)MAX(c->place->largest.gpus, 1) * PLACE_MILLI;
}

static int64_t most_cpu(const struct place_case *c)
{
    return MAX(c->place->largest.cpu, 1);
}

/* 1 - (cpu left / most + gpu left / most) / 2, in per cent, rounded down. */
static int best_fit_score(const struct place_case *c)
{
    int64_t cpu = c->view->cpu_free - c->request->cpu;
    int64_t gpu = c->view->room_sum - milli_of(c->request);
    int64_t all = 2 * most_cpu(c) * most_milli(c);
    return (int)((all - cpu * most_milli(c) - gpu * most_cpu(c)) * PLACE_PERCENT / all);
}

const struct place_policy place_best_fit = {.name = "best_fit", .score = best_fit_score};

/* ---- packing ---- */

enum { HALF = PLACE_PERCENT / 2, THIRD = PLACE_PERCENT / 3 };

/* The share goes to the GPU with the least room; so it takes an idle one only if no other fits. */
static int least_room(const struct place_case *c)
{
    int least = PLACE_MILLI;
    place_each_gpu(i, c->gpus) least = MIN(least, c->view->room[i]);
    return least;
}

static int packing_score(const struct place_case *c)
{
    const struct place_request *r = c->request;
    int idle = place_count(c->view->idle);
    if (!wants_gpu(r))
        return 0;
    if (idle == c->view->gpu_count)
        return MAX(THIRD - idle, idle);
    int least = r->gpus ? PLACE_MILLI : least_room(c);
    if (least == PLACE_MILLI)
        return MAX(HALF - MAX(r->gpus, 1), THIRD);
    return MAX(PLACE_PERCENT - least * PLACE_PERCENT / PLACE_MILLI / 10, HALF);
}

const struct place_policy place_packing = {.name = "packing", .score = packing_score};

/* ---- clustering ---- */

/* In four bands: only tasks of this kind, this kind among others, nothing, only other kinds; in a band the
 * node with the least left. */
static int clustering_score(const struct place_case *c)
{
    const struct place_request *r = c->request;
    uint32_t kind = UINT32_C(1) << (r->gpus ? r->gpus : PLACE_KIND_SHARE), there = c->view->kinds;
    int band = there == kind ? 3 : there & kind ? 2 : there == 0 ? 1 : 0;
    int most = (int)most_milli(c);
    if (!wants_gpu(r))
        return 0;
    return PLACE_PERCENT / 4 * (most - c->view->room_sum) / most + PLACE_PERCENT / 4 * band;
}

const struct place_policy place_clustering = {.name = "clustering", .score = clustering_score};

/* ---- dot_product ---- */

/* 1 - (cpu left * cpu asked / most^2 + gpu left * gpu asked / most^2) / 2, in per cent, rounded down. */
static int dot_product_score(const struct place_case *c)
{
    __int128 cpu_square = (__int128)most_cpu(c) * most_cpu(c),
             gpu_square = (__int128)most_milli(c) * most_milli(c);
    __int128 cpu = (__int128)c->view->cpu_free * c->request->cpu * gpu_square,
             gpu = (__int128)c->view->room_sum * milli_of(c->request) * cpu_square;
    __int128 all = 2 * cpu_square * gpu_square;
    return (int)((all - cpu - gpu) * PLACE_PERCENT / all);
}

const struct place_policy place_dot_product = {.name = "dot_product", .score = dot_product_score};

/* ---- all ---- */

const struct place_policy *const place_policies[] = {
    &place_first_fit,  &place_best_fit,    &place_packing,
    &place_clustering, &place_dot_product, &place_random,
    &place_fgd,        &place_fairway,     NULL,
};

const struct place_policy *place_policy_find(struct str name)
{
    for (const struct place_policy *const *policy = place_policies; *policy; policy++)
        if (str_eq(name, str_from((*policy)->name)))
            return *policy;
    return NULL;
}
