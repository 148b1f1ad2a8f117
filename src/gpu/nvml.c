/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/nvml.h"

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "gpu/nvml_internal.h"

#define LIBRARY     "libnvidia-ml.so.1"
#define LIBRARY_ENV "FAIRWAY_NVML"

enum { EVENTS_MAX = 256 }; /* of one reading; more wait for the next */

/*
 * NVIDIA's "Analyzing Xid Errors with the Xid Catalog"
 * (docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html) gives these a reset of the GPU or a
 * restart of the machine: 46, 64, 95, 119 and 120 as the immediate action RESET_GPU, 79 as RESTART_BM,
 * 48 and 74 in the text of their workflows. Of 63 it says to ignore it, and 94 ends one application.
 */
static const struct {
    uint64_t number;
    const char *text;
} fatal_xids[] = {
    {46, "XID 46: the GPU does not respond; reset it"},
    {48, "XID 48: memory error that cannot be corrected; reset the GPU"},
    {64, "XID 64: a bad row of memory could not be replaced; reset the GPU"},
    {74, "XID 74: NVLink error; reset the GPU"},
    {79, "XID 79: the GPU is gone from the bus; restart the machine"},
    {95, "XID 95: memory error that reached other applications; reset the GPU"},
    {119, "XID 119: the GPU's system processor does not respond; reset the GPU"},
    {120, "XID 120: the GPU's system processor failed; reset the GPU"},
};

const char *nvml_fatal_xid(uint64_t xid)
{
    for (size_t i = 0; i < ARRAY_LEN(fatal_xids); i++)
        if (fatal_xids[i].number == xid)
            return fatal_xids[i].text;
    return NULL;
}

const char *nvml_text(const struct nvml *n, int result)
{
    return result == NVML_NO_FUNCTION ? "the driver is too old" : n->api.error_text(result);
}

static const char *library_path(const struct nvml_options *options)
{
    const char *named = options->library ? options->library : getenv(LIBRARY_ENV);
    return named && named[0] ? named : LIBRARY;
}

struct nvml *nvml_open(const struct nvml_options *options)
{
    struct nvml *n = NEW(struct nvml);
    snprintf(n->sysfs, sizeof(n->sysfs), "%s", options->sysfs ? options->sysfs : "/sys");
    int error = nvml_api_load(&n->api, library_path(options), n->problem, sizeof(n->problem));
    n->state = error == 0 ? GPU_READY : error == ERR_NOT_FOUND ? GPU_NO_LIBRARY : GPU_OLD_LIBRARY;
    return n;
}

static void stop(struct nvml *n)
{
    if (n->events)
        NVML_CALL(&n->api, events_free, n->events);
    n->events = NULL;
    if (n->started)
        n->api.shutdown();
    n->started = false;
}

void nvml_close(struct nvml *n)
{
    stop(n);
    nvml_api_unload(&n->api);
    mem_free(n);
}

/* ---- start ---- */

static void no_driver(struct nvml *n, const char *what, int result)
{
    n->state = GPU_NO_DRIVER;
    snprintf(n->problem, sizeof(n->problem), "%s: %s", what, nvml_text(n, result));
    stop(n);
}

/* Once, as soon as the driver answers. */
static void start(struct nvml *n)
{
    int result = n->api.init();
    n->started = result == NVML_OK;
    if (result)
        return no_driver(n, "NVML does not start (is the driver loaded? nvidia-smi says more)",
                         result);
    result = n->api.count(&n->found);
    if (result)
        return no_driver(n, "the GPUs cannot be counted", result);
    n->state = n->found ? GPU_READY : GPU_NO_DEVICE;
    n->problem[0] = 0;
    n->count = (int)MIN(n->found, (unsigned)PLACE_GPUS_MAX);
    for (int i = 0; i < n->count; i++)
        gpu_device_init(&n->slots[i].device, i);
    if (NVML_CALL(&n->api, events_create, &n->events))
        n->events = NULL;
}

/* ---- events ---- */

/* An event may come with another handle of its device than the one that we have. */
static struct nvml_slot *find_slot(struct nvml *n, struct nvml_device *handle)
{
    char uuid[GPU_UUID_MAX] = "";
    for (int i = 0; handle && i < n->count; i++)
        if (n->slots[i].handle == handle)
            return &n->slots[i];
    if (!handle || n->api.uuid(handle, uuid, sizeof(uuid)))
        return NULL;
    for (int i = 0; i < n->count; i++)
        if (uuid[0] && str_eq(str_from(uuid), str_from(n->slots[i].device.uuid)))
            return &n->slots[i];
    return NULL;
}

static void add_problem(struct gpu_inventory *inventory, const char *format, ...) PRINTF_LIKE(2, 3);

static void add_problem(struct gpu_inventory *inventory, const char *format, ...)
{
    size_t used = strlen(inventory->problem);
    size_t room = sizeof(inventory->problem) - used;
    int written = snprintf(inventory->problem + used, room, "%s", used ? "; " : "");
    if ((size_t)written >= room)
        return;
    va_list args;
    va_start(args, format);
    vsnprintf(inventory->problem + used + written, room - (size_t)written, format, args);
    va_end(args);
}

static void note_event(struct nvml *n, const struct nvml_event *event,
                       struct gpu_inventory *inventory)
{
    struct nvml_slot *slot = find_slot(n, event->device);
    if (!(event->type & NVML_EVENT_XID))
        return;
    if (!slot) {
        add_problem(inventory, "XID %llu of a GPU that is not known",
                    (unsigned long long)event->data);
        return;
    }
    slot->device.xid = (int)MIN(event->data, (uint64_t)INT_MAX);
    const char *fatal = nvml_fatal_xid(event->data);
    if (fatal)
        nvml_device_fell_ill(slot, fatal);
}

static void read_events(struct nvml *n, struct gpu_inventory *inventory)
{
    for (int i = 0; n->events && i < EVENTS_MAX; i++) {
        struct nvml_event event = {0};
        int result = NVML_CALL(&n->api, events_wait, n->events, &event, 0);
        if (result == NVML_TIMEOUT)
            return;
        if (result) {
            add_problem(inventory, "XID events cannot be read: %s", nvml_text(n, result));
            return;
        }
        note_event(n, &event, inventory);
    }
}

/* Not every GPU has events: of others it stays unknown whether there were any. */
static void watch(struct nvml *n, struct nvml_slot *slot)
{
    if (slot->watched || !n->events || !slot->handle ||
        NVML_CALL(&n->api, events_register, slot->handle, NVML_EVENT_XID, n->events))
        return;
    slot->watched = true;
    slot->device.xid = 0;
}

/* ---- reading ---- */

/* True: events of some are watched. */
static bool read_devices(struct nvml *n)
{
    bool identified = false, watched = false;
    for (int i = 0; i < n->count; i++) {
        identified |= nvml_device_read(n, &n->slots[i]);
        watch(n, &n->slots[i]);
        watched |= n->slots[i].watched;
    }
    if (identified)
        nvml_link_groups(n);
    return watched;
}

void nvml_read(struct nvml *n, struct gpu_inventory *ret_inventory)
{
    struct gpu_inventory *inventory = ret_inventory;
    if (n->api.library && !n->started)
        start(n);
    *inventory = (struct gpu_inventory){.state = n->state};
    if (n->problem[0])
        add_problem(inventory, "%s", n->problem);
    if (n->state != GPU_READY)
        return;
    if (n->found > (unsigned)n->count)
        add_problem(inventory, "%u of %u GPUs are not used: over PLACE_GPUS_MAX (%d)",
                    n->found - (unsigned)n->count, n->found, PLACE_GPUS_MAX);
    if (read_devices(n))
        read_events(n, inventory);
    inventory->count = n->count;
    for (int i = 0; i < n->count; i++)
        inventory->devices[i] = n->slots[i].device;
}
