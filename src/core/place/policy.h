/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Placement policies: each gives a node that a request fits a score, from what the node has and what
 * is asked for. The definitions of all but first_fit are those of Weng et al., "Beware of
 * Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation Gradient Descent" (USENIX ATC
 * 2023), and of the simulator that the paper published.
 *
 * MIG instances are placed alike under every policy: where the fewest other instances become
 * impossible. Pure.
 */
#ifndef FAIRWAY_CORE_PLACE_POLICY_H
#define FAIRWAY_CORE_PLACE_POLICY_H

#include "core/place/place.h"

enum { PLACE_SCORE_MAX = RANK_SCORE_MAX, PLACE_PERCENT = 100 };

/* One request at one node that it fits. */
struct place_case {
    const struct place *place;
    const struct place_node *node;
    const struct place_view *view;
    const struct place_request *request;
    uint16_t gpus; /* those that it would get; of a share or an instance: any of these */
};

struct place_policy {
    const char *name;
    bool draws; /* among the best nodes, and among the GPUs for a share */
    int (*score)(const struct place_case *c); /* 0 to PLACE_SCORE_MAX */
    /* The GPU for a share. NULL: the one with the least room, of equal ones the first. */
    int (*share_gpu)(const struct place_case *c);
    /* Fills what the policy keeps in the view (value, step). NULL: nothing. */
    void (*look)(const struct place *p, struct place_view *view);
    /* What is taken off the score of nodes for this request, by group (place_group): it may change
     * with every decision. NULL: nothing. */
    void (*price)(const struct place *p, const struct place_request *request,
                  int prices[RANK_GROUPS_MAX]);
};

extern const struct place_policy place_first_fit, /* all equal: the order of the nodes decides */
    place_best_fit,                               /* least left of CPU and GPU */
    place_packing,     /* used GPUs before idle ones, idle ones before idle nodes */
    place_clustering,  /* beside tasks of the same kind */
    place_dot_product, /* least alignment of what is left and what is asked */
    place_random,      /* drawn */
    place_fgd,         /* least growth of what the expected workload could not use */
    place_fairway;     /* likewise, with an eye on CPU and on scarce models; the default */
/* All, ended by NULL. */
extern const struct place_policy *const place_policies[];
const struct place_policy *place_policy_find(struct str name); /* NULL: no such policy */

/* What a share takes of this GPU; false: the GPU cannot give it, not even when it is idle. */
struct place_share {
    uint16_t milli;
    uint32_t mib;
};
bool place_share_of(const struct place_gpu_spec *gpu, const struct place_request *request,
                    struct place_share *ret_share);
/* Thousandths of room that are gone after it. */
int place_share_room(const struct place_gpu *gpu, const struct place_request *request);

/* Of a share: GPUs alike with the same room are worth the same, if there is no memory to mind. */
bool place_is_like(const struct place_case *c, unsigned i, unsigned k);

static inline bool place_is_share(const struct place_request *r)
{
    return r->share_milli || r->share_mib;
}

static inline int place_count(uint16_t gpus)
{
    return __builtin_popcount(gpus);
}

/* Nodes are grouped by the lowest of their GPUs' models; models from the last group on share it. */
static inline int place_group(uint64_t models)
{
    return models ? MIN(__builtin_ctzll(models), RANK_GROUPS_MAX - 1) : 0;
}

#define place_each_gpu(i, set)                                                                    \
    for (unsigned i##_left = (set), i; i##_left && (i = (unsigned)__builtin_ctz(i##_left), true); \
         i##_left &= i##_left - 1)

/* ---- what is expected ---- */

void place_target_init(struct place *p);
void place_target_fini(struct place *p);
size_t place_target_size(void);
void place_target_make(struct place *p, const struct place_request *requests,
                       const uint32_t *counts, size_t count);
/* The cluster has these models. True: not all were known, views and scores are out of date. */
bool place_target_models(struct place *p, uint64_t models);

#endif
