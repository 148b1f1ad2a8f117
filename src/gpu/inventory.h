/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GPUs of this node as they are at one moment: found by NVIDIA's management library
 * (gpu/nvml.h), or made up (gpu/simulated.h).
 *
 * Rules:
 * - No GPU is a normal state, and so is a library or a driver that is not there: `state` names it,
 *   `problem` says what can be done.
 * - What could not be read is GPU_UNKNOWN or an empty text, never zero.
 * - A faulty device stays in its place, with its reason; the others are no worse for it.
 * - A node has at most PLACE_GPUS_MAX devices; `problem` says if there are more.
 *
 * Ownership: a plain value; it is copied. Thread rule: none.
 */
#ifndef FAIRWAY_GPU_INVENTORY_H
#define FAIRWAY_GPU_INVENTORY_H

#include "core/place/place.h"

enum {
    GPU_UNKNOWN = -1,
    GPU_UUID_MAX = 96,
    GPU_NAME_MAX = 96,
    GPU_MODEL_MAX = 48,
    GPU_REASON_MAX = 128,
    GPU_PROBLEM_MAX = 256,
    GPU_PROCESSES_MAX = 64, /* of one device; with more of them, none is known */
};

/* X(member, text) */
#define GPU_STATES(X)                          \
    X(GPU_READY, "ready")                      \
    X(GPU_NO_LIBRARY, "no NVML library")       \
    X(GPU_OLD_LIBRARY, "NVML library too old") \
    X(GPU_NO_DRIVER, "driver does not answer") \
    X(GPU_NO_DEVICE, "no GPU")

enum gpu_state {
#define X(member, text) member,
    GPU_STATES(X)
#undef X
};

struct gpu_process {
    uint32_t pid;
    int64_t memory; /* bytes, or GPU_UNKNOWN */
};

struct gpu_device {
    int index;
    char uuid[GPU_UUID_MAX];
    char name[GPU_NAME_MAX];   /* as its maker calls it */
    char model[GPU_MODEL_MAX]; /* the short name, gpu/model.h */
    int64_t memory;            /* bytes */
    int capability;            /* CUDA compute capability, times ten: 90 */
    int numa;
    int nvlink; /* the lowest index among the GPUs that NVLink joins it with, or its own */
    bool mig;   /* it is cut into instances */
    bool faulty;
    char reason[GPU_REASON_MAX]; /* why it is faulty */
    int xid; /* the last error event (XID) since the start; 0: none; GPU_UNKNOWN: nobody looks */

    /* Readings. */
    int64_t memory_used; /* bytes */
    int utilisation;     /* percent */
    int temperature;     /* degrees Celsius */
    int power;           /* milliwatts */
    int process_count;   /* that compute */
    struct gpu_process processes[GPU_PROCESSES_MAX];
};

struct gpu_inventory {
    enum gpu_state state;
    bool simulated;
    char problem[GPU_PROBLEM_MAX]; /* "": none */
    int count;                     /* 0 unless ready */
    struct gpu_device devices[PLACE_GPUS_MAX];
};

const char *gpu_state_text(enum gpu_state state);

/* A device of which nothing is known yet. */
void gpu_device_init(struct gpu_device *device, int index);

/* The device as placement sees it; `model` is the caller's number for its model. Devices whose NUMA
 * node is not known are a group of their own. One with MIG on whose cut is not known takes nothing. */
struct place_gpu_spec gpu_place_spec(const struct gpu_device *device, uint8_t model);

#endif
