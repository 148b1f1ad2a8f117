/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How GPUs can be cut into instances (NVIDIA Multi-Instance GPU): of each profile, how many memory
 * slices it takes and at which slice it may start. The tables are those of NVIDIA's "MIG User
 * Guide", supported profiles; `nvidia-smi mig -lgipp` prints the same on a machine.
 *
 * Instances may be on a GPU together just when their slices do not overlap and at most one of them
 * has the media engines: the starts are such that compute slices cannot run out before.
 * Pure; everything is constant.
 */
#ifndef FAIRWAY_CORE_PLACE_MIG_H
#define FAIRWAY_CORE_PLACE_MIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

enum { MIG_SLICES_MAX = 8, MIG_PROFILES_MAX = 7, MIG_NONE = 0 };

/* One profile of one kind of GPU. */
struct mig_profile {
    uint8_t number; /* of its name, see mig_profile_find */
    uint8_t slices; /* of memory, side by side */
    uint8_t starts; /* a bit for each slice at which it may start */
    bool media;     /* has the media engines: one such instance on a GPU */
};

struct mig_geometry {
    const char *gpu; /* "H100-80G" */
    uint8_t slices;  /* in all */
    uint8_t count;
    struct mig_profile profiles[MIG_PROFILES_MAX];
};

/* What is taken of a GPU. */
struct mig_use {
    uint8_t slices; /* a bit for each */
    bool media;
};

/* Where an instance would go. */
struct mig_fit {
    uint8_t start;
    uint8_t lost; /* starts of all profiles that are possible now and would not be any more */
};

/* "A30", "A100-40G", "A100-80G", "H100-80G", "H200-141G", "B200-180G"; NULL: it has no such cut. */
const struct mig_geometry *mig_geometry_find(struct str gpu);

/* The number of a profile's name ("1g.10gb", "1g.10gb+me"), the same on every GPU; MIG_NONE: there is
 * none. */
uint8_t mig_profile_find(struct str name);
const char *mig_profile_name(uint8_t number);

/* NULL: this kind of GPU has no such profile. */
const struct mig_profile *mig_profile_of(const struct mig_geometry *g, uint8_t number);

static inline uint8_t mig_slices(const struct mig_profile *profile, unsigned start)
{
    return (uint8_t)(((1u << profile->slices) - 1) << start);
}

/* May it start there, and is there room? */
bool mig_is_free(const struct mig_profile *profile, struct mig_use use, unsigned start);

/* The start that takes the fewest possibilities from others, then the last one. False: no room. */
bool mig_choose(const struct mig_geometry *g, uint8_t number, struct mig_use use,
                struct mig_fit *ret_fit);

#endif
