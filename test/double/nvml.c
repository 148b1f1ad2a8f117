/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A double of NVIDIA's management library: the functions that Fairway uses, over a text file that
 * NVML_DOUBLE_STATE names and that is read at each call, so that a test can change it meanwhile. The
 * declarations are its own, so that a wrong one of Fairway's is found.
 *
 * Lines KEY=VALUE; keys:
 *   init, count.error, wait.error, register.error   what these calls return
 *   count                                           of devices
 *   hang            as long as it is 1, counting them does not return
 *   events          DEVICE:XID ... ; each is told once; DEVICE may be "?", and "~2"
 *                   is another handle of device 2
 *   N.error         what every call about device N returns
 *   N.WHAT.error    what this call returns
 *   N.WHAT          uuid, name, memory, used, capability ("9.0"), bus ("3b"), utilisation,
 *                   temperature, power, mig, processes ("PID:BYTES ..."; BYTES may be "?"),
 *                   links ("gpu:BUS switch:BUS cpu:BUS off:BUS ...")
 * What is not there is not supported. With -DNVML_DOUBLE_OLD it is the library of an old driver.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    SUCCESS = 0,
    INVALID_ARGUMENT = 2,
    NOT_SUPPORTED = 3,
    INSUFFICIENT_SIZE = 7,
    TIMEOUT = 10,
    DEVICES_MAX = 32,
    VALUE_MAX = 4096
};

typedef int nvmlReturn_t;
typedef struct nvmlDevice {
    bool watched;
} * nvmlDevice_t;
typedef struct nvmlEventSet {
    int told;
} * nvmlEventSet_t;
typedef struct {
    unsigned long long total, free, used;
} nvmlMemory_t;
typedef struct {
    unsigned gpu, memory;
} nvmlUtilization_t;
typedef struct {
    char busIdLegacy[16];
    unsigned domain, bus, device, pciDeviceId, pciSubSystemId;
    char busId[32];
} nvmlPciInfo_t;
typedef struct {
    unsigned pid;
    unsigned long long usedGpuMemory;
    unsigned gpuInstanceId, computeInstanceId;
} nvmlProcessInfo_t;
typedef struct {
    nvmlDevice_t device;
    unsigned long long eventType, eventData;
    unsigned gpuInstanceId, computeInstanceId;
} nvmlEventData_t;

int nvml_double_running; /* inits without a shutdown */

static struct nvmlDevice devices[2 * DEVICES_MAX]; /* each has a second handle */

/* ---- the file ---- */

static bool lookup(const char *key, char value[VALUE_MAX])
{
    const char *path = getenv("NVML_DOUBLE_STATE");
    FILE *file = path ? fopen(path, "re") : NULL;
    size_t length = strlen(key);
    bool found = false;
    while (file && !found && fgets(value, VALUE_MAX, file)) {
        found = !strncmp(value, key, length) && value[length] == '=';
        if (found)
            memmove(value, value + length + 1, strlen(value + length));
    }
    if (file)
        fclose(file);
    if (found)
        value[strcspn(value, "\n")] = 0;
    return found;
}

static int number(const char *key, int otherwise)
{
    char value[VALUE_MAX];
    return lookup(key, value) ? atoi(value) : otherwise;
}

/* The value of a device, or why there is none. */
static nvmlReturn_t value_of(nvmlDevice_t device, const char *what, char value[VALUE_MAX])
{
    char key[64];
    int index = (int)((device - devices) % DEVICES_MAX);
    snprintf(key, sizeof(key), "%d.error", index);
    int error = number(key, SUCCESS);
    snprintf(key, sizeof(key), "%d.%s.error", index, what);
    error = error ? error : number(key, SUCCESS);
    if (error)
        return error;
    snprintf(key, sizeof(key), "%d.%s", index, what);
    return lookup(key, value) ? SUCCESS : NOT_SUPPORTED;
}

static nvmlReturn_t unsigned_of(nvmlDevice_t device, const char *what, unsigned *number_of)
{
    char value[VALUE_MAX];
    nvmlReturn_t result = value_of(device, what, value);
    if (result == SUCCESS)
        *number_of = (unsigned)strtoul(value, NULL, 10);
    return result;
}

static nvmlReturn_t text_of(nvmlDevice_t device, const char *what, char *text, unsigned length)
{
    char value[VALUE_MAX];
    nvmlReturn_t result = value_of(device, what, value);
    if (result == SUCCESS && strlen(value) >= length)
        return INSUFFICIENT_SIZE;
    if (result == SUCCESS)
        strcpy(text, value);
    return result;
}

static void fill_pci(nvmlPciInfo_t *pci, unsigned bus)
{
    *pci = (nvmlPciInfo_t){.bus = bus};
    snprintf(pci->busId, sizeof(pci->busId), "00000000:%02X:00.0", bus);
}

/* ---- the library ---- */

nvmlReturn_t nvmlInit_v2(void);
nvmlReturn_t nvmlInit_v2(void)
{
    int result = number("init", SUCCESS);
    nvml_double_running += result == SUCCESS;
    memset(devices, 0, sizeof(devices));
    return result;
}

nvmlReturn_t nvmlShutdown(void);
nvmlReturn_t nvmlShutdown(void)
{
    nvml_double_running--;
    return SUCCESS;
}

const char *nvmlErrorString(nvmlReturn_t result);
const char *nvmlErrorString(nvmlReturn_t result)
{
    static char text[32];
    snprintf(text, sizeof(text), "error %d of the double", result);
    return text;
}

nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count);
nvmlReturn_t nvmlDeviceGetCount_v2(unsigned *count)
{
    while (number("hang", 0))
        usleep(10000);
    *count = (unsigned)number("count", 0);
    return number("count.error", SUCCESS);
}

nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device);
nvmlReturn_t nvmlDeviceGetHandleByIndex_v2(unsigned index, nvmlDevice_t *device)
{
    char value[VALUE_MAX];
    if (index >= (unsigned)number("count", 0) || index >= DEVICES_MAX)
        return INVALID_ARGUMENT;
    nvmlReturn_t result = value_of(&devices[index], "handle", value);
    if (result != SUCCESS && result != NOT_SUPPORTED)
        return result;
    *device = &devices[index];
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length);
nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t device, char *uuid, unsigned length)
{
    return text_of(device, "uuid", uuid, length);
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned length);
nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t device, char *name, unsigned length)
{
    return text_of(device, "name", name, length);
}

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory);
nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t device, nvmlMemory_t *memory)
{
    char total[VALUE_MAX], used[VALUE_MAX];
    nvmlReturn_t result = value_of(device, "memory", total);
    if (result == SUCCESS)
        result = value_of(device, "used", used);
    if (result == SUCCESS) {
        memory->total = strtoull(total, NULL, 10);
        memory->used = strtoull(used, NULL, 10);
        memory->free = memory->total - memory->used;
    }
    return result;
}

nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor);
nvmlReturn_t nvmlDeviceGetCudaComputeCapability(nvmlDevice_t device, int *major, int *minor)
{
    char value[VALUE_MAX];
    nvmlReturn_t result = value_of(device, "capability", value);
    if (result == SUCCESS)
        sscanf(value, "%d.%d", major, minor);
    return result;
}

nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci);
nvmlReturn_t nvmlDeviceGetPciInfo_v3(nvmlDevice_t device, nvmlPciInfo_t *pci)
{
    char value[VALUE_MAX];
    nvmlReturn_t result = value_of(device, "bus", value);
    if (result == SUCCESS)
        fill_pci(pci, (unsigned)strtoul(value, NULL, 16));
    return result;
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization);
nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t device, nvmlUtilization_t *utilization)
{
    return unsigned_of(device, "utilisation", &utilization->gpu);
}

nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned sensor, unsigned *celsius);
nvmlReturn_t nvmlDeviceGetTemperature(nvmlDevice_t device, unsigned sensor, unsigned *celsius)
{
    return sensor ? INVALID_ARGUMENT : unsigned_of(device, "temperature", celsius);
}

nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned *milliwatts);
nvmlReturn_t nvmlDeviceGetPowerUsage(nvmlDevice_t device, unsigned *milliwatts)
{
    return unsigned_of(device, "power", milliwatts);
}

#ifndef NVML_DOUBLE_OLD

/* As the library: too small an array is not filled, and the count says how many there are. */
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned *count,
                                                     nvmlProcessInfo_t *processes);
nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t device, unsigned *count,
                                                     nvmlProcessInfo_t *processes)
{
    char value[VALUE_MAX], *rest;
    nvmlReturn_t result = value_of(device, "processes", value);
    if (result != SUCCESS)
        return result;
    unsigned room = *count, found = 0;
    for (char *word = strtok_r(value, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        const char *memory = strchr(word, ':') + 1;
        nvmlProcessInfo_t process = {.pid = (unsigned)atoi(word),
                                     .usedGpuMemory =
                                         *memory == '?' ? ~0ULL : strtoull(memory, NULL, 10)};
        if (found < room)
            processes[found] = process;
        found++;
    }
    *count = found;
    return found > room ? INSUFFICIENT_SIZE : SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *current, unsigned *pending);
nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t device, unsigned *current, unsigned *pending)
{
    *pending = 0;
    return unsigned_of(device, "mig", current);
}

/* The remote end of a link, as in "gpu:3b". */
static nvmlReturn_t link_of(nvmlDevice_t device, unsigned link, char word[VALUE_MAX])
{
    char value[VALUE_MAX], *rest;
    nvmlReturn_t result = value_of(device, "links", value);
    if (result != SUCCESS)
        return result;
    char *each = strtok_r(value, " ", &rest);
    while (each && link--)
        each = strtok_r(NULL, " ", &rest);
    if (!each)
        return INVALID_ARGUMENT;
    strcpy(word, each);
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned link, unsigned *active);
nvmlReturn_t nvmlDeviceGetNvLinkState(nvmlDevice_t device, unsigned link, unsigned *active)
{
    char word[VALUE_MAX];
    nvmlReturn_t result = link_of(device, link, word);
    if (result == SUCCESS)
        *active = strncmp(word, "off", 3) != 0;
    return result;
}

nvmlReturn_t nvmlDeviceGetNvLinkRemoteDeviceType(nvmlDevice_t device, unsigned link,
                                                 unsigned *type);
nvmlReturn_t nvmlDeviceGetNvLinkRemoteDeviceType(nvmlDevice_t device, unsigned link, unsigned *type)
{
    char word[VALUE_MAX];
    nvmlReturn_t result = link_of(device, link, word);
    if (result == SUCCESS)
        *type = word[0] == 'g' ? 0 : word[0] == 'c' ? 1 : 2;
    return result;
}

nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t device, unsigned link,
                                                 nvmlPciInfo_t *pci);
nvmlReturn_t nvmlDeviceGetNvLinkRemotePciInfo_v2(nvmlDevice_t device, unsigned link,
                                                 nvmlPciInfo_t *pci)
{
    char word[VALUE_MAX];
    nvmlReturn_t result = link_of(device, link, word);
    if (result == SUCCESS)
        fill_pci(pci, (unsigned)strtoul(strchr(word, ':') + 1, NULL, 16));
    return result;
}

nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set);
nvmlReturn_t nvmlEventSetCreate(nvmlEventSet_t *set)
{
    *set = calloc(1, sizeof(**set));
    return SUCCESS;
}

nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set);
nvmlReturn_t nvmlEventSetFree(nvmlEventSet_t set)
{
    free(set);
    return SUCCESS;
}

nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types,
                                      nvmlEventSet_t set);
nvmlReturn_t nvmlDeviceRegisterEvents(nvmlDevice_t device, unsigned long long types,
                                      nvmlEventSet_t set)
{
    nvmlReturn_t result = number("register.error", SUCCESS);
    device->watched = result == SUCCESS && types == 8;
    return result;
}

/* The next event that was not told yet: the file's word number `told`. */
nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *event, unsigned milliseconds);
nvmlReturn_t nvmlEventSetWait_v2(nvmlEventSet_t set, nvmlEventData_t *event, unsigned milliseconds)
{
    char value[VALUE_MAX], *rest;
    int error = number("wait.error", SUCCESS);
    if (error)
        return error;
    int skip = set->told;
    char *word = lookup("events", value) ? strtok_r(value, " ", &rest) : NULL;
    for (; word; word = strtok_r(NULL, " ", &rest)) {
        int index = atoi(word + (*word == '~'));
        if (skip-- > 0)
            continue;
        set->told++;
        if (*word != '?' && !devices[index].watched)
            continue;
        nvmlDevice_t device = *word == '?' ? NULL : &devices[index + (*word == '~') * DEVICES_MAX];
        *event = (nvmlEventData_t){.device = device,
                                   .eventType = 8,
                                   .eventData = strtoull(strchr(word, ':') + 1, NULL, 10)};
        return SUCCESS;
    }
    return TIMEOUT;
}

#endif
