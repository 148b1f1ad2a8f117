/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A line of GPUs: what is accepted is a node that placement takes, and written anew, one GPU a part,
 * gives the same models; what is refused is refused with a reason. And of any name at all, behind two
 * bytes that make its memory, a short name is made that such a line accepts.
 */
#include "gpu/simulated.h"

#include <stdio.h>

#include "base/buf.h"
#include "core/place/policy.h"
#include "gpu/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MEMORY_BYTES = 2 };

static struct gpu_inventory inventory, again;

static void check_placeable(void)
{
    struct place_node_spec node = {
        .id = 1, .cpu = 1000, .memory = 1000, .gpu_count = inventory.count};
    for (int i = 0; i < inventory.count; i++)
        node.gpus[i] = gpu_place_spec(&inventory.devices[i], 0);
    struct place place;
    struct place_options options = {.policy = place_policy_find(STR("first_fit")),
                                    .nodes_max = 1,
                                    .leases_max = 1,
                                    .shapes_max = 1};
    place_init(&place, &options);
    CHECK(place_node_put(&place, &node) == 0);
    place_fini(&place);
}

static void check_written_anew(void)
{
    struct buf line;
    buf_init(&line, PLACE_GPUS_MAX * (GPU_MODEL_MAX + 4));
    for (int i = 0; i < inventory.count; i++)
        buf_printf(&line, "%s1x%s", i ? "," : "", inventory.devices[i].model);
    CHECK(gpu_simulated_parse(buf_str(&line), STR("n"), &again, NULL) == 0);
    CHECK(again.count == inventory.count);
    for (int i = 0; i < again.count; i++) {
        CHECK(!strcmp(again.devices[i].model, inventory.devices[i].model));
        CHECK(!strcmp(again.devices[i].uuid, inventory.devices[i].uuid));
        CHECK(again.devices[i].memory == inventory.devices[i].memory);
    }
    buf_fini(&line);
}

static void check_name(struct str name, int64_t memory)
{
    char model[GPU_MODEL_MAX], line[GPU_MODEL_MAX + 2];
    gpu_model_name(name, memory, model);
    snprintf(line, sizeof(line), "1x%s", model);
    CHECK(gpu_simulated_parse(str_from(line), STR("n"), &again, NULL) == 0);
    CHECK(!strcmp(again.devices[0].model, model));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str text = {(const char *)data, size};
    struct err err = {0};
    int error = gpu_simulated_parse(text, STR("n"), &inventory, &err);
    if (error) {
        CHECK(error == ERR_INVALID && err.message[0]);
    } else {
        CHECK(inventory.count >= 1 && inventory.count <= PLACE_GPUS_MAX);
        check_placeable();
        check_written_anew();
    }
    if (size > MEMORY_BYTES) {
        int64_t mib = 8 * (1 + data[0] + 256 * (int64_t)data[1]);
        check_name(str_sub(text, MEMORY_BYTES, size), mib << 20);
    }
    return 0;
}
