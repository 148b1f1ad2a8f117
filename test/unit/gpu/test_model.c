/* SPDX-License-Identifier: Apache-2.0 */
/* Short names of models, against the names and the memory that NVIDIA's driver reports. */
#include "gpu/model.h"
#include "test.h"

#define MIB (INT64_C(1) << 20)

static void test_names_of_the_driver(void **state)
{
    static const struct {
        const char *name;
        int64_t mib;
        const char *model;
    } reported[] = {
        {"NVIDIA H100 80GB HBM3", 81559, "H100-80G"},
        {"NVIDIA H100 PCIe", 81559, "H100-80G"},
        {"NVIDIA H100 NVL", 95830, "H100-94G"},
        {"NVIDIA H100", 86000, "H100-80G"}, /* between the two, nearer to this */
        {"NVIDIA H200", 143771, "H200-141G"},
        {"NVIDIA B200", 183359, "B200-180G"},
        {"NVIDIA A100-SXM4-40GB", 40960, "A100-40G"},
        {"A100-SXM4-40GB", 40536, "A100-40G"},
        {"NVIDIA A100-SXM4-80GB", 81920, "A100-80G"},
        {"NVIDIA A100 80GB PCIe", 81920, "A100-80G"},
        {"NVIDIA A30", 24576, "A30"},
        {"NVIDIA A10", 23028, "A10-24G"},
        {"NVIDIA A10G", 23028, "A10G-24G"},
        {"Tesla T4", 15109, "T4-16G"},
        {"Tesla V100-SXM2-16GB", 16160, "V100-16G"},
        {"Tesla V100-SXM2-32GB", 32510, "V100-32G"},
        {"NVIDIA L4", 23034, "L4-24G"},
        {"NVIDIA L40S", 46068, "L40S-48G"},
        {"NVIDIA RTX A6000", 49140, "A6000-48G"},
        {"NVIDIA RTX 6000 Ada Generation", 49140, "RTX6000Ada-48G"},
        {"NVIDIA GeForce RTX 4090", 24564, "RTX4090-24G"},
        {"NVIDIA GH200 480GB", 97871, "GH200-96G"}, /* 480 GB are the processor's */
        /* Not known: the cleaned name, with what it has. */
        {"NVIDIA GeForce RTX 4090 Laptop GPU", 16376, "RTX-4090-Laptop-GPU-16G"},
        {"NVIDIA A100-SXM-64GB", 65536, "A100-SXM-64G"},
        {"NVIDIA TITAN V", 12066, "TITAN-V-12G"},
        {"Quadro RTX 6000", 24576, "Quadro-RTX-6000-24G"},
        {"  /(!) ", 100, "GPU-1G"},
        {"", 8192, "GPU-8G"},
        {"nvidia a6000", 49152, "A6000-48G"},
    };
    for (size_t i = 0; i < ARRAY_LEN(reported); i++) {
        char model[GPU_MODEL_MAX];
        gpu_model_name(str_from(reported[i].name), reported[i].mib * MIB, model);
        assert_string_equal(model, reported[i].model);
    }
}

static void test_a_name_without_memory(void **state)
{
    char model[GPU_MODEL_MAX];
    gpu_model_name(STR("NVIDIA A100-SXM4-40GB"), GPU_UNKNOWN, model);
    assert_string_equal(model, "A100-SXM4");
    gpu_model_name(STR_NONE, GPU_UNKNOWN, model);
    assert_string_equal(model, "GPU");
}

/* What would not fit is left out word by word; the memory is not. */
static void test_a_long_name(void **state)
{
    char model[GPU_MODEL_MAX];
    gpu_model_name(STR("NVIDIA Hopper Accelerator Evaluation Sample Board Revision Z"), INT64_MAX,
                   model);
    assert_string_equal(model, "Hopper-Accelerator-Evaluation-Sample-4096G");
}

static void test_models_that_can_be_cut(void **state)
{
    static const char *const cut[] = {"A30",      "A100-40G",  "A100-80G",
                                      "H100-80G", "H200-141G", "B200-180G"};
    for (size_t i = 0; i < ARRAY_LEN(cut); i++) {
        assert_non_null(mig_geometry_find(str_from(cut[i])));
        assert_string_equal(gpu_model_find(str_from(cut[i]))->name, cut[i]);
    }
    assert_string_equal(gpu_model_find(STR("h100-80g"))->name, "H100-80G");
    assert_null(gpu_model_find(STR("H100")));
}

static void test_place_spec(void **state)
{
    struct gpu_device device;
    gpu_device_init(&device, 3);
    struct place_gpu_spec spec = gpu_place_spec(&device, 7);
    assert_int_equal(spec.model, 7);
    assert_int_equal(spec.memory, 0);
    assert_int_equal(spec.numa, 255);
    assert_int_equal(spec.nvlink, 3);
    assert_false(spec.faulty);
    assert_null(spec.mig);

    device.memory = 81559 * MIB;
    device.numa = 1;
    device.mig = true;
    strcpy(device.model, "H100-80G");
    spec = gpu_place_spec(&device, 7);
    assert_int_equal(spec.memory, 81559);
    assert_int_equal(spec.numa, 1);
    assert_string_equal(spec.mig->gpu, "H100-80G");
    assert_false(spec.faulty);

    strcpy(device.model, "H100-94G"); /* how this one is cut is not known */
    assert_true(gpu_place_spec(&device, 7).faulty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names_of_the_driver), cmocka_unit_test(test_a_name_without_memory),
        cmocka_unit_test(test_a_long_name),         cmocka_unit_test(test_models_that_can_be_cut),
        cmocka_unit_test(test_place_spec),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
