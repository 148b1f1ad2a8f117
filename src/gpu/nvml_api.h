/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The functions of NVIDIA's management library that are used, declared after NVIDIA's "NVML API
 * Reference Guide" and found at run time: Fairway is built and runs without the library.
 *
 * A function that is not required may be missing in the library of an old driver: its pointer is NULL,
 * and NVML_CALL then gives NVML_NO_FUNCTION.
 * For the files nvml*.c alone. Thread rule: none of its own; the library's functions may be called
 * from any thread.
 */
#ifndef FAIRWAY_GPU_NVML_API_H
#define FAIRWAY_GPU_NVML_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum nvml_return {
    NVML_OK = 0,
    NVML_NOT_SUPPORTED = 3,
    NVML_TIMEOUT = 10,
    NVML_NO_FUNCTION = 13,
    NVML_LOST = 15,
    NVML_RESET_REQUIRED = 16,
};

enum {
    NVML_BUS_ID_OLD_MAX = 16,
    NVML_BUS_ID_MAX = 32,
    NVML_TEMPERATURE_GPU = 0,
    NVML_ENABLED = 1, /* of a link, of MIG */
    NVML_REMOTE_GPU = 0,
    NVML_REMOTE_SWITCH = 2,
};
#define NVML_EVENT_XID UINT64_C(8)

struct nvml_device;
struct nvml_event_set;

struct nvml_memory {
    uint64_t total, free, used; /* bytes */
};

struct nvml_utilisation {
    unsigned gpu, memory; /* percent */
};

struct nvml_pci {
    char bus_id_old[NVML_BUS_ID_OLD_MAX];
    unsigned domain, bus, device;
    unsigned device_id, subsystem_id;
    char bus_id[NVML_BUS_ID_MAX];
};

struct nvml_process {
    unsigned pid;
    uint64_t memory; /* bytes; all bits set: not known */
    unsigned gpu_instance, compute_instance;
};

struct nvml_event {
    struct nvml_device *device;
    uint64_t type;
    uint64_t data; /* of an XID event: its number */
    unsigned gpu_instance, compute_instance;
};

_Static_assert(sizeof(struct nvml_pci) == 68 && sizeof(struct nvml_process) == 24 &&
                   sizeof(struct nvml_event) == 32,
               "the sizes that the library has");

/* X(required, type, member, symbol, arguments) */
#define NVML_FUNCTIONS(X)                                                                         \
    X(true, int, init, "nvmlInit_v2", (void))                                                     \
    X(true, int, shutdown, "nvmlShutdown", (void))                                                \
    X(true, const char *, error_text, "nvmlErrorString", (int))                                   \
    X(true, int, count, "nvmlDeviceGetCount_v2", (unsigned *))                                    \
    X(true, int, by_index, "nvmlDeviceGetHandleByIndex_v2", (unsigned, struct nvml_device **))    \
    X(true, int, uuid, "nvmlDeviceGetUUID", (struct nvml_device *, char *, unsigned))             \
    X(true, int, name, "nvmlDeviceGetName", (struct nvml_device *, char *, unsigned))             \
    X(true, int, memory, "nvmlDeviceGetMemoryInfo", (struct nvml_device *, struct nvml_memory *)) \
    X(false, int, capability, "nvmlDeviceGetCudaComputeCapability",                               \
      (struct nvml_device *, int *, int *))                                                       \
    X(false, int, pci, "nvmlDeviceGetPciInfo_v3", (struct nvml_device *, struct nvml_pci *))      \
    X(false, int, utilisation, "nvmlDeviceGetUtilizationRates",                                   \
      (struct nvml_device *, struct nvml_utilisation *))                                          \
    X(false, int, temperature, "nvmlDeviceGetTemperature",                                        \
      (struct nvml_device *, unsigned, unsigned *))                                               \
    X(false, int, power, "nvmlDeviceGetPowerUsage", (struct nvml_device *, unsigned *))           \
    X(false, int, processes, "nvmlDeviceGetComputeRunningProcesses_v3",                           \
      (struct nvml_device *, unsigned *, struct nvml_process *))                                  \
    X(false, int, mig_mode, "nvmlDeviceGetMigMode",                                               \
      (struct nvml_device *, unsigned *, unsigned *))                                             \
    X(false, int, link_state, "nvmlDeviceGetNvLinkState",                                         \
      (struct nvml_device *, unsigned, unsigned *))                                               \
    X(false, int, link_remote_type, "nvmlDeviceGetNvLinkRemoteDeviceType",                        \
      (struct nvml_device *, unsigned, unsigned *))                                               \
    X(false, int, link_remote, "nvmlDeviceGetNvLinkRemotePciInfo_v2",                             \
      (struct nvml_device *, unsigned, struct nvml_pci *))                                        \
    X(false, int, events_create, "nvmlEventSetCreate", (struct nvml_event_set **))                \
    X(false, int, events_register, "nvmlDeviceRegisterEvents",                                    \
      (struct nvml_device *, unsigned long long, struct nvml_event_set *))                        \
    X(false, int, events_wait, "nvmlEventSetWait_v2",                                             \
      (struct nvml_event_set *, struct nvml_event *, unsigned))                                   \
    X(false, int, events_free, "nvmlEventSetFree", (struct nvml_event_set *))

struct nvml_api {
    void *library; /* own */
#define X(required, type, member, symbol, arguments) type(*member) arguments;
    NVML_FUNCTIONS(X)
#undef X
};

#define NVML_CALL(api, member, ...) \
    ((api)->member ? (api)->member(__VA_ARGS__) : (int)NVML_NO_FUNCTION)

/* Why it is not there, as text, if it fails. ERR_NOT_FOUND: no such library. ERR_UNSUPPORTED: it lacks
 * a required function. */
[[nodiscard]] int nvml_api_load(struct nvml_api *api, const char *path, char *problem, size_t size);
void nvml_api_unload(struct nvml_api *api); /* nothing loaded is fine */

#endif
