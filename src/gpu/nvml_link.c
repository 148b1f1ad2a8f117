/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/nvml_internal.h"

static bool same_place(const struct nvml_place *a, const struct nvml_place *b)
{
    return a->known && b->known && a->domain == b->domain && a->bus == b->bus &&
           a->device == b->device;
}

/* The other end of an active link, if it is a GPU or a switch. A library that cannot say what it is
 * knows of nothing else. */
static struct nvml_place remote_of(const struct nvml *n, struct nvml_device *device, unsigned link)
{
    unsigned active = 0, type = NVML_REMOTE_GPU;
    struct nvml_pci pci;
    if (NVML_CALL(&n->api, link_state, device, link, &active) || active != NVML_ENABLED)
        return (struct nvml_place){0};
    if (!NVML_CALL(&n->api, link_remote_type, device, link, &type) && type != NVML_REMOTE_GPU &&
        type != NVML_REMOTE_SWITCH)
        return (struct nvml_place){0};
    if (NVML_CALL(&n->api, link_remote, device, link, &pci))
        return (struct nvml_place){0};
    return (struct nvml_place){pci.domain, pci.bus, pci.device, true};
}

static void read_links(const struct nvml *n, struct nvml_slot *slot)
{
    slot->remote_count = 0;
    for (unsigned link = 0; link < NVML_LINKS_MAX && slot->identified; link++) {
        struct nvml_place remote = remote_of(n, slot->handle, link);
        if (remote.known)
            slot->remotes[slot->remote_count++] = remote;
    }
}

/* By a link between the two, or at the same switch. */
static bool joined(const struct nvml_slot *a, const struct nvml_slot *b)
{
    for (int i = 0; i < a->remote_count; i++) {
        if (same_place(&a->remotes[i], &b->place))
            return true;
        for (int k = 0; k < b->remote_count; k++)
            if (same_place(&a->remotes[i], &b->remotes[k]))
                return true;
    }
    return false;
}

/* Gives both the lower of their groups. True: that changed something. */
static bool merge(struct nvml_slot *a, struct nvml_slot *b)
{
    int lower = MIN(a->device.nvlink, b->device.nvlink);
    bool changed = a->device.nvlink != b->device.nvlink;
    a->device.nvlink = b->device.nvlink = lower;
    return changed;
}

void nvml_link_groups(struct nvml *n)
{
    for (int i = 0; i < n->count; i++) {
        n->slots[i].device.nvlink = i;
        read_links(n, &n->slots[i]);
    }
    for (bool changed = true; changed;) {
        changed = false;
        for (int i = 0; i < n->count; i++)
            for (int k = 0; k < n->count; k++)
                changed |= joined(&n->slots[i], &n->slots[k]) && merge(&n->slots[i], &n->slots[k]);
    }
}
