/* SPDX-License-Identifier: Apache-2.0 */
#include "gpu/simulated.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "gpu/model.h"

enum { MIB_BITS = 20, GIB_BITS = 30, LIST_MAX = 400 };

/* Two hashes make the last four groups of a UUID. */
static void make_uuid(struct gpu_device *device, struct str node)
{
    uint64_t a = hash_combine(hash_bytes(node), (uint64_t)device->index);
    uint64_t b = hash_combine(a, hash_bytes(str_from(device->model)));
    snprintf(device->uuid, sizeof(device->uuid),
             "GPU-00000000-%04" PRIx64 "-%04" PRIx64 "-%04" PRIx64 "-%012" PRIx64, a & 0xFFFF,
             a >> 16 & 0xFFFF, a >> 32 & 0xFFFF, b & 0xFFFFFFFFFFFF);
}

static int unknown_model(struct str part, struct str model, struct err *err)
{
    struct buf list;
    buf_init(&list, LIST_MAX);
    gpu_model_list(model, &list);
    if (!list.len)
        gpu_model_list(STR_NONE, &list);
    int code = err_set(err, ERR_INVALID,
                       "\"%.*s\": \"%.*s\" is no GPU model; put its memory behind the name, as in "
                       "NAME-24G (1 to %d), or take one of %.*s",
                       STR_ARG(part), STR_ARG(model), GPU_MEMORY_GIB_MAX, STR_ARG(buf_str(&list)));
    buf_fini(&list);
    return code;
}

/* What all GPUs of a part have in common. */
static int describe(struct str part, struct str model, struct gpu_device *device, struct err *err)
{
    const struct gpu_model *known = gpu_model_find(model);
    uint32_t gib;
    gpu_device_init(device, 0);
    device->numa = 0;
    if (known) {
        device->memory = (int64_t)known->memory << MIB_BITS;
        device->capability = known->capability;
        snprintf(device->model, sizeof(device->model), "%s", known->name);
    } else if (gpu_model_parse(model, &gib)) {
        device->memory = (int64_t)gib << GIB_BITS;
        snprintf(device->model, sizeof(device->model), "%.*s", STR_ARG(model));
    } else {
        return unknown_model(part, model, err);
    }
    snprintf(device->name, sizeof(device->name), "simulated %s", device->model);
    return 0;
}

static int add_part(struct gpu_inventory *inventory, struct str part, struct str node,
                    struct err *err)
{
    size_t x = str_find_char(part, 'x');
    uint64_t number;
    struct gpu_device device;
    if (x == part.len || str_to_u64(str_sub(part, 0, x), &number) || number < 1)
        return err_set(err, ERR_INVALID,
                       "\"%.*s\" does not begin with a number of GPUs; write it as in 8xH100-80G",
                       STR_ARG(part));
    if (number > (uint64_t)(PLACE_GPUS_MAX - inventory->count))
        return err_set(err, ERR_INVALID,
                       "\"%.*s\" is too many: a node has at most %d GPUs, %d of them come before",
                       STR_ARG(part), PLACE_GPUS_MAX, inventory->count);
    int error = describe(part, str_sub(part, x + 1, part.len), &device, err);
    if (error)
        return error;
    const struct gpu_model *known = gpu_model_find(str_from(device.model));
    int first = inventory->count;
    while (number--) {
        device.index = inventory->count++;
        device.nvlink = known && known->nvlink ? first : device.index;
        make_uuid(&device, node);
        inventory->devices[device.index] = device;
    }
    return 0;
}

int gpu_simulated_parse(struct str line, struct str node, struct gpu_inventory *ret_inventory,
                        struct err *err)
{
    struct gpu_inventory inventory = {.state = GPU_READY, .simulated = true};
    struct str rest = str_trim(line);
    if (!rest.len)
        return err_set(err, ERR_INVALID,
                       "no GPUs are named; write them as in 8xH100-80G,4xA10-24G");
    for (struct str part; str_split(&rest, ',', &part);) {
        int error = add_part(&inventory, str_trim(part), node, err);
        if (error)
            return error;
    }
    *ret_inventory = inventory;
    return 0;
}
