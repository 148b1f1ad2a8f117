/* SPDX-License-Identifier: Apache-2.0 */
/* GPUs that are made up from a line; and that placement takes a node of them. */
#include "gpu/simulated.h"
#include "test.h"

#include "core/place/policy.h"

static struct gpu_inventory inventory; /* large */

static void parse(const char *line)
{
    struct err err;
    int error = gpu_simulated_parse(str_from(line), STR("node-a"), &inventory, &err);
    if (error)
        fail_msg("%s", err.message);
}

static void test_parts(void **state)
{
    parse("8xH100-80G, 4xA10-24G,1xa30");
    assert_int_equal(inventory.state, GPU_READY);
    assert_true(inventory.simulated);
    assert_string_equal(inventory.problem, "");
    assert_int_equal(inventory.count, 13);
    for (int i = 0; i < inventory.count; i++)
        assert_int_equal(inventory.devices[i].index, i);
    assert_string_equal(inventory.devices[7].model, "H100-80G");
    assert_string_equal(inventory.devices[8].model, "A10-24G");
    assert_string_equal(inventory.devices[12].model, "A30");
    assert_int_equal(inventory.devices[0].memory >> 20, 81559);
    assert_int_equal(inventory.devices[0].capability, 90);
    assert_int_equal(inventory.devices[0].temperature, GPU_UNKNOWN);
    assert_int_equal(inventory.devices[0].memory_used, GPU_UNKNOWN);
}

static void test_a_model_that_is_not_known(void **state)
{
    parse("2xMY-CARD-7G");
    assert_int_equal(inventory.count, 2);
    assert_string_equal(inventory.devices[1].model, "MY-CARD-7G");
    assert_int_equal(inventory.devices[1].memory, INT64_C(7) << 30);
    assert_int_equal(inventory.devices[1].capability, GPU_UNKNOWN);
}

static void test_nvlink_joins_a_part(void **state)
{
    static const int group[] = {0, 0, 2, 2, 4, 5};
    parse("2xH100-80G,2xH100-80G,2xA10-24G");
    for (int i = 0; i < inventory.count; i++)
        assert_int_equal(inventory.devices[i].nvlink, group[i]);
}

static void test_uuids(void **state)
{
    parse("16xH100-80G");
    struct gpu_inventory *first = malloc(sizeof(*first));
    *first = inventory;
    parse("16xH100-80G");
    for (int i = 0; i < 16; i++) {
        const char *uuid = inventory.devices[i].uuid;
        assert_int_equal(strlen(uuid), strlen("GPU-00000000-0000-0000-0000-000000000000"));
        assert_memory_equal(uuid, "GPU-00000000-", 13);
        assert_string_equal(uuid, first->devices[i].uuid);
        for (int k = 0; k < i; k++)
            assert_string_not_equal(uuid, inventory.devices[k].uuid);
    }
    assert_int_equal(gpu_simulated_parse(STR("1xH100-80G"), STR("node-b"), &inventory, NULL), 0);
    assert_string_not_equal(inventory.devices[0].uuid, first->devices[0].uuid);
    free(first);
}

static void test_errors_name_the_part(void **state)
{
    static const struct {
        const char *line, *message;
    } wrong[] = {
        {"", "no GPUs are named; write them as in 8xH100-80G"},
        {"  ", "no GPUs are named"},
        {"8xH100-80G,", "\"\" does not begin with a number"},
        {"H100-80G", "\"H100-80G\" does not begin with a number of GPUs; write it as in 8xH100"},
        {"0xH100-80G", "\"0xH100-80G\" does not begin with a number"},
        {"-1xH100-80G", "\"-1xH100-80G\" does not begin with a number"},
        {"99999999999999999999xA30", "does not begin with a number"},
        {"9xA30,8xH100-80G", "\"8xH100-80G\" is too many: a node has at most 16 GPUs, 9 of them"},
        {"1xA30,8xH100",
         "\"H100\" is no GPU model; put its memory behind the name, as in NAME-24G"},
        {"8xH100", "take one of H100-80G, H100-94G"},
        {"1xFOO", "P100-16G, "}, /* all of them */
        {"1xFOO-0G", "\"FOO-0G\" is no GPU model"},
        {"1xFOO-5000G", "\"FOO-5000G\" is no GPU model"},
        {"1x-24G", "\"-24G\" is no GPU model"},
        {"1xFO O-24G", "is no GPU model"},
        {"1x", "\"\" is no GPU model"},
    };
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct err err = {0};
        inventory.count = 77;
        int error = gpu_simulated_parse(str_from(wrong[i].line), STR("n"), &inventory, &err);
        assert_int_equal(error, ERR_INVALID);
        assert_int_equal(inventory.count, 77); /* left alone */
        if (!strstr(err.message, wrong[i].message))
            fail_msg("%s: %s", wrong[i].line, err.message);
    }
}

/* Four GPUs on one NVLink: the second part has them, the first has not. */
static void test_placement_takes_it(void **state)
{
    parse("2xH100-80G,4xH100-80G");
    struct place_node_spec node = {
        .id = 1, .cpu = 64000, .memory = 100000, .gpu_count = inventory.count};
    for (int i = 0; i < inventory.count; i++)
        node.gpus[i] = gpu_place_spec(&inventory.devices[i], 0);
    struct place place;
    struct place_options options = {.policy = place_policy_find(STR("first_fit")),
                                    .nodes_max = 1,
                                    .leases_max = 4,
                                    .shapes_max = 4};
    place_init(&place, &options);
    assert_int_equal(place_node_put(&place, &node), 0);
    struct place_request request = {.cpu = 1000, .gpus = 4, .together = PLACE_SAME_NVLINK};
    struct place_choice choice;
    assert_int_equal(place_choose(&place, 1, &request, &choice), 0);
    assert_int_equal(choice.gpus, 0x3C);
    request.gpus = 5;
    assert_int_equal(place_choose(&place, 1, &request, &choice), ERR_UNAVAILABLE);
    place_fini(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_a_model_that_is_not_known),
        cmocka_unit_test(test_nvlink_joins_a_part),
        cmocka_unit_test(test_uuids),
        cmocka_unit_test(test_errors_name_the_part),
        cmocka_unit_test(test_placement_takes_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
