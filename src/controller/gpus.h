/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GPUs of this machine as they were found last, and their metrics.
 *
 * NVML is asked every GPUS_PERIOD by a thread of its own: an answer may take a minute when a GPU is broken, and nobody here waits
 * for one. GPUs that are made up (gpu/simulated.h) never change and need no thread.
 *
 * Ownership: gpus_stop frees all; a reading that outlasts GPUS_STOP_MAX is left to end by itself, and touches nothing but its own.
 * Thread rule: start and stop from one thread, the rest from any.
 */
#ifndef FAIRWAY_CONTROLLER_GPUS_H
#define FAIRWAY_CONTROLLER_GPUS_H

#include "base/time.h"
#include "gpu/inventory.h"

#define GPUS_PERIOD   SEC(2)
#define GPUS_STOP_MAX SEC(1)

struct gpus;
struct metrics;

struct gpus_options {
    const struct gpu_inventory *simulated; /* copied; NULL: those that NVML finds */
    struct metrics *metrics;               /* borrow */
    /* A GPU came, left, fell ill or is well again. On the reading thread, or in gpus_start. */
    void (*changed)(void *ctx);
    void *ctx;
};
struct gpus *gpus_start(const struct gpus_options *options);
void gpus_stop(struct gpus *g); /* NULL is fine */

/* A copy of the last reading; of the first, waits for it for so long. False: there was none yet. */
bool gpus_last(struct gpus *g, nsec patience, struct gpu_inventory *ret_inventory);

#endif
