/* SPDX-License-Identifier: Apache-2.0 */
/* What nvml.c, nvml_device.c and nvml_link.c share. */
#ifndef FAIRWAY_GPU_NVML_INTERNAL_H
#define FAIRWAY_GPU_NVML_INTERNAL_H

#include "gpu/nvml.h"
#include "gpu/nvml_api.h"

enum { NVML_LINKS_MAX = 36, NVML_SYSFS_MAX = 256 };

/* Where a device is on the bus. */
struct nvml_place {
    unsigned domain, bus, device;
    bool known;
};

struct nvml_slot {
    struct nvml_device *handle; /* borrow (the library's); NULL: it was not given */
    struct gpu_device device;
    bool identified;
    bool watched; /* its events are */
    bool lost;    /* it does not answer any more: it is not asked */
    bool ill;     /* until a restart */
    struct nvml_place place;
    struct nvml_place remotes[NVML_LINKS_MAX]; /* at the other ends of its links */
    int remote_count;
};

struct nvml {
    struct nvml_api api;
    enum gpu_state state;          /* of the library and the driver */
    char problem[GPU_PROBLEM_MAX]; /* with it */
    char sysfs[NVML_SYSFS_MAX];
    bool started;                  /* nvmlInit succeeded */
    struct nvml_event_set *events; /* own (the library's); NULL: there are none */
    unsigned found;                /* devices, those that are not used included */
    int count;
    struct nvml_slot slots[PLACE_GPUS_MAX];
};

/* The library's text for it. */
const char *nvml_text(const struct nvml *n, int result);

/* Reads one device, as far as it answers. True: what it is has become known just now. */
bool nvml_device_read(struct nvml *n, struct nvml_slot *slot);
/* It is faulty until a restart; the first reason stays. */
void nvml_device_fell_ill(struct nvml_slot *slot, const char *reason);

/* Finds out which devices NVLink joins, directly, through switches or through one another. */
void nvml_link_groups(struct nvml *n);

#endif
