/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Short names of GPU models: "H100-80G" for "NVIDIA H100 80GB HBM3". They are what users write and
 * what placement compares; those of models that can be cut are the names of core/place/mig.h.
 *
 * A name consists of letters, digits and "-", and ends in the memory: "-24G". (The A30 is the one
 * exception.) Pure; everything is constant.
 */
#ifndef FAIRWAY_GPU_MODEL_H
#define FAIRWAY_GPU_MODEL_H

#include "base/buf.h"
#include "gpu/inventory.h"

enum { GPU_MEMORY_GIB_MAX = 4096 };

struct gpu_model {
    const char *name;   /* short */
    const char *family; /* how the maker's name begins, without vendor, spaces and signs */
    uint32_t memory;    /* MiB, as the driver reports it */
    uint8_t capability; /* CUDA compute capability, times ten */
    bool nvlink;        /* usually joined by it in one node */
};

/* A well-known model by its short name, in any case; NULL: it is not known. */
const struct gpu_model *gpu_model_find(struct str name);

/* The short name of a device that calls itself `name` and has so much memory (bytes, or GPU_UNKNOWN):
 * a well-known one, or else the cleaned form of its name with its memory. */
void gpu_model_name(struct str name, int64_t memory, char ret_model[GPU_MODEL_MAX]);

/* Splits "NAME-24G"; false: it is no such name. */
bool gpu_model_parse(struct str model, uint32_t *ret_gib);

/* The short names of the well-known models that begin with `start`, with commas. */
void gpu_model_list(struct str start, struct buf *out);

#endif
