/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one process gets of a machine: `spec.resources` of a Model (each replica) and of a Job (each
 * member), and what that is for placement. Field meanings: resources.c, or
 * `fairway explain job.spec.resources`.
 *
 * Rules:
 * - At most one way to use GPUs: whole ones (gpus), a part of one (gpuShare, gpuMemory or both), or a
 *   MIG instance (mig).
 * - Amounts are rounded up to what placement counts in (MiB).
 *
 * Ownership: strings and lists live where the resource was read into. Thread rule: none.
 */
#ifndef FAIRWAY_API_RESOURCES_H
#define FAIRWAY_API_RESOURCES_H

#include "api/schema.h"
#include "core/place/place.h"

struct resources {
    int64_t gpus;
    int64_t gpu_share;                /* thousandths of one GPU */
    int64_t gpu_memory;               /* bytes, of one GPU */
    struct str mig;                   /* name of a profile; empty: none */
    struct schema_strings gpu_models; /* empty: any */
    int together;                     /* enum place_together */
    int64_t cpu;                      /* thousandths of a processor; 0: not limited */
    int64_t memory;                   /* bytes; 0: not limited */
};

extern const struct schema resources_schema;

bool resources_are_given(const struct resources *r);

/* The caller's number for a GPU model, below PLACE_MODELS_MAX; PLACE_NONE: there is no such GPU. */
typedef int resources_number(void *ctx, struct str gpu_model);

/* What is to be asked for. ERR_UNAVAILABLE: no GPU here is of an accepted model. ERR_INVALID: no such
 * MIG profile. */
[[nodiscard]] int resources_request(const struct resources *r, resources_number *number, void *ctx,
                                    struct place_request *ret_request, struct err *err);

#endif
