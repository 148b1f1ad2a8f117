/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The GPUs that NVIDIA's management library (NVML) finds on this machine.
 *
 * Rules:
 * - Nothing here keeps a node from starting: without the library, or without a driver that answers, a
 *   reading is an inventory with that state. A driver that answers later is found by a later reading.
 * - A device that the library calls lost or in need of a reset, or that has raised a fatal XID, is faulty
 *   until the node's process starts anew. One whose identity cannot be read is faulty until it can be.
 * - Any other value that cannot be read is unknown, and no device is worse for it. So it is with events:
 *   if waiting for them fails, no device is faulty, and the inventory's problem says so.
 * - What a device is (UUID, model, NVLink) is read once; its state is read each time.
 *
 * Ownership: nvml_close frees all. Thread rule: one thread at a time. A call lasts as long as the driver
 * takes, which with a broken GPU may be a minute: not on a loop's thread.
 */
#ifndef FAIRWAY_GPU_NVML_H
#define FAIRWAY_GPU_NVML_H

#include "gpu/inventory.h"

struct nvml;

struct nvml_options {
    const char *library; /* NULL: FAIRWAY_NVML of the environment, else libnvidia-ml.so.1 */
    const char *sysfs;   /* NULL: /sys; where NUMA nodes are looked up */
};

struct nvml *nvml_open(const struct nvml_options *options);
void nvml_read(struct nvml *n, struct gpu_inventory *ret_inventory);
void nvml_close(struct nvml *n);

/* What this error event means if it is fatal; NULL: it is not. */
const char *nvml_fatal_xid(uint64_t xid);

#endif
