/* SPDX-License-Identifier: Apache-2.0 */
#include "api/model.h"
#include "core/place/mig.h"
#include "core/place/policy.h"
#include "test.h"

static struct arena arena;
static struct err err;

static int set_up(void **state)
{
    arena_init(&arena, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    arena_fini(&arena);
    return 0;
}

/* A Model with these resources, as one writes them on one line. */
static int read(const char *text, struct resources *ret_resources)
{
    struct resource **resources;
    struct str manifest =
        arena_printf(&arena,
                     "apiVersion: fairway.dev/v1\nkind: Model\nmetadata: {name: chat}\nspec:\n"
                     "  engine: {type: simulate}\n  resources: %s\n",
                     text);
    size_t count;
    int error = resource_read(&arena, manifest, &resources, &count, &err);
    if (!error)
        *ret_resources = model_from(resources[0])->spec.resources;
    return error;
}

/* A cluster that has H100-80G and A10-24G. */
static int number(void *ctx, struct str model)
{
    return str_eq(model, STR("H100-80G")) ? 3 : str_eq(model, STR("A10-24G")) ? 5 : PLACE_NONE;
}

static struct place_request request_of(const char *text)
{
    struct resources r;
    struct place_request request = {0};
    if (read(text, &r) || resources_request(&r, number, NULL, &request, &err))
        fail_msg("%s: %s", text, err.message);
    return request;
}

static void test_requests(void **state)
{
    const struct {
        const char *text;
        struct place_request request;
    } cases[] = {
        {"{}", {0}},
        {"{gpus: 2}", {.gpus = 2}},
        {"{gpus: 4, together: nvlink}", {.gpus = 4, .together = PLACE_SAME_NVLINK}},
        {"{gpus: 2, together: numa}", {.gpus = 2, .together = PLACE_SAME_NUMA}},
        {"{gpus: 1, together: none}", {.gpus = 1}},
        {"{gpuShare: 250}", {.share_milli = 250}},
        {"{gpuShare: 1000}", {.gpus = 1}},
        {"{gpuMemory: 20Gi}", {.share_mib = 20480}},
        {"{gpuMemory: 1}", {.share_mib = 1}},
        {"{gpuShare: 100, gpuMemory: 1048577}", {.share_milli = 100, .share_mib = 2}},
        {"{mig: 1g.10gb}", {.mig = mig_profile_find(STR("1g.10gb"))}},
        {"{gpus: 1, gpuModels: [H100-80G]}", {.gpus = 1, .models = 1 << 3}},
        {"{gpus: 1, gpuModels: [A10-24G, B200-180G, H100-80G]}",
         {.gpus = 1, .models = 1 << 3 | 1 << 5}},
        {"{cpu: 1500m, memory: 1Gi}", {.cpu = 1500, .memory = 1024}},
        {"{memory: 1}", {.memory = 1}},
        {"{cpu: 2G, memory: 2E}", {.cpu = PLACE_AMOUNT_MAX, .memory = PLACE_AMOUNT_MAX}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct place_request request = request_of(cases[i].text);
        if (memcmp(&request, &cases[i].request, sizeof(request)) != 0)
            fail_msg("%s: another request", cases[i].text);
    }
}

/* Whatever may be written is a request that placement understands. */
static void test_requests_are_valid(void **state)
{
    static const char *const texts[] = {
        "{gpus: 16, together: nvlink, cpu: 2G, memory: 2E}",
        "{gpuShare: 1000}",
        "{gpuShare: 999, gpuMemory: 4096Gi}",
        "{mig: 7g.80gb, gpuModels: [H100-80G]}",
    };
    const struct place_options options = {
        .policy = &place_fairway, .nodes_max = 1, .leases_max = 1, .shapes_max = 1};
    struct place place;
    struct place_choice choice;
    place_init(&place, &options);
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct place_request request = request_of(texts[i]);
        assert_int_equal(place_choose(&place, 1, &request, &choice), ERR_UNAVAILABLE);
    }
    place_fini(&place);
}

static void test_model_that_nobody_has(void **state)
{
    struct resources r;
    struct place_request request;
    assert_int_equal(read("{gpus: 1, gpuModels: [B200-180G, L4-24G]}", &r), 0);
    assert_int_equal(resources_request(&r, number, NULL, &request, &err), ERR_UNAVAILABLE);
    assert_string_equal(err.message, "no GPU of model B200-180G or L4-24G in this cluster; change "
                                     "resources.gpuModels (fairway gpus has the models that there "
                                     "are)");
}

static void test_refused(void **state)
{
    static const char *const cases[][2] = {
        {"{gpus: 17}", "gpus: must be between 0 and 16"},
        {"{gpus: 1, gpuShare: 500}", "gpuShare: cannot go together with gpus; choose one"},
        {"{gpus: 1, gpuMemory: 1Gi}",
         "gpuMemory: is of a share, and gpus are whole ones with all their memory; choose one"},
        {"{gpuShare: 1000, gpuMemory: 1Gi}",
         "gpuMemory: is of a share, and gpuShare 1000 is a whole GPU with all its memory; choose "
         "one"},
        {"{gpus: 1, mig: 1g.10gb}", "mig: cannot go together with gpus; choose one"},
        {"{gpuShare: 1, mig: 1g.10gb}", "mig: cannot go together with gpuShare; choose one"},
        {"{gpuMemory: 1Gi, mig: 1g.10gb}", "mig: cannot go together with gpuMemory; choose one"},
        {"{mig: 9g.1tb}",
         "mig: \"9g.1tb\" must be a MIG profile, like 1g.10gb or 3g.40gb; `nvidia-smi mig -lgip` "
         "prints those of a machine"},
        {"{cpu: 1, gpuModels: [H100-80G]}",
         "gpuModels: is of no use without a GPU; add gpus, gpuShare, gpuMemory or mig"},
        {"{gpus: 1, gpuModels: [H100 80G]}",
         "gpuModels[0]: \"H100 80G\" must be the short name of a GPU model, like H100-80G; see "
         "fairway gpus"},
        {"{gpus: 1, together: nvlink}",
         "together: is for several whole GPUs; set gpus, or leave it out"},
        {"{gpuShare: 500, together: numa}",
         "together: is for several whole GPUs; set gpus, or leave it out"},
        {"{gpus: 2, together: rack}", "together: must be one of none, numa, nvlink, not \"rack\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct resources r;
        struct str expected = arena_printf(&arena, "line 6: spec.resources.%s", cases[i][1]);
        assert_int_equal(read(cases[i][0], &r), ERR_INVALID);
        assert_string_equal(err.message, expected.ptr);
    }
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_requests),
        TEST(test_requests_are_valid),
        TEST(test_model_that_nobody_has),
        TEST(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
