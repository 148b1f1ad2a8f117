/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/inventory.h"

enum { NUMA_UNKNOWN = UINT8_MAX, MIB_BITS = 20 };

const char *gpu_state_text(enum gpu_state state)
{
    static const char *const texts[] = {
#define X(member, text) [member] = text,
        GPU_STATES(X)
#undef X
    };
    CHECK(state < ARRAY_LEN(texts));
    return texts[state];
}

void gpu_device_init(struct gpu_device *device, int index)
{
    *device = (struct gpu_device){
        .index = index,
        .memory = GPU_UNKNOWN,
        .capability = GPU_UNKNOWN,
        .numa = GPU_UNKNOWN,
        .nvlink = index,
        .xid = GPU_UNKNOWN,
        .memory_used = GPU_UNKNOWN,
        .utilisation = GPU_UNKNOWN,
        .temperature = GPU_UNKNOWN,
        .power = GPU_UNKNOWN,
        .process_count = GPU_UNKNOWN,
    };
}

struct place_gpu_spec gpu_place_spec(const struct gpu_device *device, uint8_t model)
{
    bool numa_known = device->numa >= 0 && device->numa < NUMA_UNKNOWN;
    int64_t mib = device->memory > 0 ? device->memory >> MIB_BITS : 0;
    const struct mig_geometry *mig =
        device->mig ? mig_geometry_find(str_from(device->model)) : NULL;
    return (struct place_gpu_spec){
        .model = model,
        .numa = numa_known ? (uint8_t)device->numa : NUMA_UNKNOWN,
        .nvlink = (uint8_t)device->nvlink,
        .faulty = device->faulty || (device->mig && !mig),
        .memory = (uint32_t)MIN(mib, PLACE_AMOUNT_MAX / PLACE_GPUS_MAX),
        .mig = mig,
    };
}
