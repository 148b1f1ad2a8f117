/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What would fit if something were different: questions about nodes, not decisions. A caller may give
 * leases back to a node of the state and take them again (place_node_give_back, place_node_take) to ask
 * what would be without them: views and scores do not notice, and must not be used meanwhile.
 */
#ifndef FAIRWAY_CORE_PLACE_TRIAL_H
#define FAIRWAY_CORE_PLACE_TRIAL_H

#include "core/place/place.h"

/* By the view: as the state is. */
bool place_fits_now(const struct place *p, int slot, const struct place_request *request);
/* How many such requests find room on the node, at most `most`, and where (without owners; NULL: no
 * matter). All are alike, so none of them can be in another's way. */
unsigned place_members(const struct place *p, const struct place_node *node,
                       const struct place_request *request, unsigned most,
                       struct place_lease *ret_leases);

/* Where on the node one such request may go: a share to each GPU that has it, all else to one place. Returns how many
 * (without owners). */
unsigned place_ways(const struct place *p, const struct place_node *node,
                    const struct place_request *request,
                    struct place_lease ret_leases[PLACE_GPUS_MAX]);

/* Thousandths of free GPUs of the node that the expected workload (place_set_target) can use, as fgd
 * defines it, times the weight of all that is expected. */
int64_t place_usable(const struct place *p, const struct place_node *node);
int64_t place_expected_weight(const struct place *p);
/* The i-th of what is expected, as far as policies look at it. False: there are no more. */
bool place_expected(const struct place *p, int i, struct place_request *ret_request);

/* Why not one such request finds room on the node: every bit is a reason by itself, and without all of
 * them it would. */
enum place_reason {
    PLACE_CLOSED = 1 << 0,
    PLACE_SPOT = 1 << 1,   /* it may be taken away, which the request does not want */
    PLACE_LABELS = 1 << 2, /* not all that it asks for */
    PLACE_TAINTS = 1 << 3, /* some that it does not tolerate */
    PLACE_MODEL = 1 << 4,  /* no well GPU of an accepted model, or none that can be used this way */
    PLACE_GPUS = 1 << 5,   /* too few idle ones (that go together) */
    PLACE_SHARE = 1 << 6,  /* no GPU has so much left */
    PLACE_MIG = 1 << 7,    /* no GPU has the slices left */
    PLACE_CPU = 1 << 8,
    PLACE_MEMORY = 1 << 9,
    PLACE_REASONS = 10,
};
struct place_lack {
    unsigned reasons;    /* 0: it fits */
    int64_t cpu, memory; /* so much is missing */
    int gpus;            /* so many idle ones, that go with those which are idle */
    int milli;           /* of a share, on the GPU with the most room */
};
struct place_lack place_lack_of(const struct place *p, const struct place_node *n,
                                const struct place_request *request);

void place_node_take(struct place_node *n, const struct place_lease *l);
void place_node_give_back(struct place_node *n, const struct place_lease *l);

/* The node's slot of a lease that is held. */
static inline int place_lease_slot(const struct place_lease *l)
{
    return container_of(l, const struct place_holding, lease)->node;
}

#endif
