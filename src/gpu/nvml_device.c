/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>
#include <stdio.h>

#include "gpu/model.h"
#include "gpu/nvml_internal.h"

void nvml_device_fell_ill(struct nvml_slot *slot, const char *reason)
{
    if (slot->ill)
        return;
    slot->ill = slot->device.faulty = true;
    snprintf(slot->device.reason, sizeof(slot->device.reason), "%s", reason);
}

/* Did the call succeed? Some failures say that the device is no more. */
static bool answered(struct nvml *n, struct nvml_slot *slot, int result)
{
    if (result == NVML_LOST || result == NVML_RESET_REQUIRED) {
        slot->lost = true;
        nvml_device_fell_ill(slot, nvml_text(n, result));
    }
    return result == NVML_OK;
}

/* As answered(), of what a device cannot be used without. */
static bool required(struct nvml *n, struct nvml_slot *slot, int result, const char *what)
{
    if (answered(n, slot, result))
        return true;
    struct gpu_device *d = &slot->device;
    if (!d->faulty)
        snprintf(d->reason, sizeof(d->reason), "%s cannot be read: %s", what, nvml_text(n, result));
    d->faulty = true;
    return false;
}

/* ---- what it is ---- */

static int numa_node(const char *sysfs, const struct nvml_place *place)
{
    char path[NVML_SYSFS_MAX + 64];
    int node = GPU_UNKNOWN;
    snprintf(path, sizeof(path), "%s/bus/pci/devices/%04x:%02x:%02x.0/numa_node", sysfs,
             place->domain, place->bus, place->device);
    FILE *file = fopen(path, "re");
    if (!file)
        return GPU_UNKNOWN;
    char text[16] = "";
    int64_t value;
    if (fgets(text, sizeof(text), file) && !str_to_i64(str_trim(str_from(text)), &value) &&
        value >= 0 && value <= INT_MAX)
        node = (int)value;
    fclose(file);
    return node;
}

static void read_place(struct nvml *n, struct nvml_slot *slot)
{
    struct nvml_pci pci = {0};
    if (!answered(n, slot, NVML_CALL(&n->api, pci, slot->handle, &pci)))
        return;
    slot->place = (struct nvml_place){pci.domain, pci.bus, pci.device, true};
    slot->device.numa = numa_node(n->sysfs, &slot->place);
}

static void read_capability(struct nvml *n, struct nvml_slot *slot)
{
    int major, minor;
    if (answered(n, slot, NVML_CALL(&n->api, capability, slot->handle, &major, &minor)))
        slot->device.capability = 10 * major + minor;
}

static bool identify(struct nvml *n, struct nvml_slot *slot)
{
    struct gpu_device *d = &slot->device;
    struct nvml_memory memory = {0};
    char uuid[GPU_UUID_MAX] = "", name[GPU_NAME_MAX] = "";
    if (!slot->handle &&
        !required(n, slot, n->api.by_index((unsigned)d->index, &slot->handle), "the device"))
        return false;
    if (!required(n, slot, n->api.uuid(slot->handle, uuid, sizeof(uuid)), "its UUID") ||
        !required(n, slot, n->api.name(slot->handle, name, sizeof(name)), "its name") ||
        !required(n, slot, n->api.memory(slot->handle, &memory), "its memory"))
        return false;
    snprintf(d->uuid, sizeof(d->uuid), "%.*s", GPU_UUID_MAX - 1, uuid);
    snprintf(d->name, sizeof(d->name), "%.*s", GPU_NAME_MAX - 1, name);
    d->memory = (int64_t)MIN(memory.total, (uint64_t)INT64_MAX);
    gpu_model_name(str_from(d->name), d->memory, d->model);
    read_place(n, slot);
    if (!slot->lost)
        read_capability(n, slot);
    return true;
}

/* ---- how it is ---- */

static int to_int(unsigned value)
{
    return (int)MIN(value, (unsigned)INT_MAX);
}

static void read_mig(struct nvml *n, struct nvml_slot *slot)
{
    unsigned current = 0, pending;
    int result = NVML_CALL(&n->api, mig_mode, slot->handle, &current, &pending);
    slot->device.mig = current == NVML_ENABLED && result == NVML_OK;
    if (result != NVML_NOT_SUPPORTED && result != NVML_NO_FUNCTION)
        required(n, slot, result, "its MIG mode");
}

static void read_memory(struct nvml *n, struct nvml_slot *slot)
{
    struct nvml_memory memory;
    if (answered(n, slot, n->api.memory(slot->handle, &memory)))
        slot->device.memory_used = (int64_t)MIN(memory.used, (uint64_t)INT64_MAX);
}

static void read_utilisation(struct nvml *n, struct nvml_slot *slot)
{
    struct nvml_utilisation value;
    if (answered(n, slot, NVML_CALL(&n->api, utilisation, slot->handle, &value)))
        slot->device.utilisation = to_int(value.gpu);
}

static void read_temperature(struct nvml *n, struct nvml_slot *slot)
{
    unsigned value;
    if (answered(n, slot,
                 NVML_CALL(&n->api, temperature, slot->handle, NVML_TEMPERATURE_GPU, &value)))
        slot->device.temperature = to_int(value);
}

static void read_power(struct nvml *n, struct nvml_slot *slot)
{
    unsigned value;
    if (answered(n, slot, NVML_CALL(&n->api, power, slot->handle, &value)))
        slot->device.power = to_int(value);
}

static void read_processes(struct nvml *n, struct nvml_slot *slot)
{
    struct nvml_process found[GPU_PROCESSES_MAX];
    unsigned count = GPU_PROCESSES_MAX;
    if (!answered(n, slot, NVML_CALL(&n->api, processes, slot->handle, &count, found)))
        return;
    struct gpu_device *d = &slot->device;
    d->process_count = (int)MIN(count, (unsigned)GPU_PROCESSES_MAX);
    for (int i = 0; i < d->process_count; i++)
        d->processes[i] = (struct gpu_process){
            .pid = found[i].pid,
            .memory = found[i].memory > INT64_MAX ? GPU_UNKNOWN : (int64_t)found[i].memory};
}

static void forget_readings(struct nvml_slot *slot)
{
    struct gpu_device *d = &slot->device;
    d->memory_used = d->utilisation = d->temperature = d->power = d->process_count = GPU_UNKNOWN;
    d->faulty = slot->ill;
    if (!slot->ill)
        d->reason[0] = 0;
}

bool nvml_device_read(struct nvml *n, struct nvml_slot *slot)
{
    static void (*const readers[])(struct nvml *, struct nvml_slot *) = {
        read_mig, read_memory, read_utilisation, read_temperature, read_power, read_processes,
    };
    forget_readings(slot);
    if (slot->lost)
        return false;
    bool identified_now = !slot->identified && identify(n, slot);
    slot->identified |= identified_now;
    for (size_t i = 0; slot->identified && i < ARRAY_LEN(readers) && !slot->lost; i++)
        readers[i](n, slot);
    return identified_now;
}
