/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of core/place share about the state. */
#ifndef FAIRWAY_CORE_PLACE_INTERNAL_H
#define FAIRWAY_CORE_PLACE_INTERNAL_H

#include "core/place/policy.h"

/* The node's slot; -1: there is none, or it was removed. */
int place_slot(const struct place *p, uint64_t id);
struct place_view place_view_of(const struct place *p, const struct place_node *n);

/* The lease's room must be free (taken). */
void place_take(struct place *p, int slot, const struct place_lease *l);
void place_give_back(struct place *p, int slot, const struct place_lease *l);

struct place_lease place_lease_of(const struct place_node *n, uint64_t owner,
                                  const struct place_request *r, const struct place_choice *choice,
                                  nsec now);

/* PLACE_KIND_SHARE, or its number of GPUs. */
int place_kind(const struct place_lease *l);

/* Of a GPU's memory: all, of one that is given whole. */
static inline uint32_t place_lease_mib(const struct place_gpu_spec *gpu,
                                       const struct place_lease *l)
{
    return l->milli == PLACE_MILLI ? gpu->memory : l->mib;
}

#endif
