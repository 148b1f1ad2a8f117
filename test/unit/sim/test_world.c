/* SPDX-License-Identifier: Apache-2.0 */
/* Small scenarios on one node of 8 GPUs, of which every instant can be worked out by hand. */
#include "sim/world.h"
#include "test.h"

#include "core/place/policy.h"

#define HEAD         \
    "duration: 1h\n" \
    "nodes: [{name: n, cpu: 64, memory: 512Gi, gpus: 8xH100-80G, price: 4}]\n"

struct run {
    struct arena memory;
    struct sim_result *result;
    struct buf trace;
    struct err err;
};

static void keep_line(void *ctx, struct str line)
{
    struct run *run = ctx;
    buf_put(&run->trace, line);
    buf_put_char(&run->trace, '\n');
}

static int simulate_up_to(struct run *run, const char *text, uint64_t events_max)
{
    struct scenario *scenario;
    *run = (struct run){0};
    arena_init(&run->memory, 16 << 20);
    buf_init(&run->trace, 1 << 20);
    run->result = ARENA_NEW(&run->memory, struct sim_result);
    if (scenario_read(&run->memory, str_from(text), NULL, 0, &scenario, &run->err))
        fail_msg("%s", run->err.message);
    const struct sim_options options = {.policy = &place_fairway,
                                        .seed = 1,
                                        .trace = keep_line,
                                        .ctx = run,
                                        .check = true,
                                        .events_max = events_max};
    return sim_run(&run->memory, scenario, &options, run->result, &run->err);
}

static int simulate(struct run *run, const char *text)
{
    return simulate_up_to(run, text, 0);
}

static void end(struct run *run)
{
    buf_fini(&run->trace);
    arena_fini(&run->memory);
}

static const struct sim_class *class(const struct run *run, const char *name)
{
    for (size_t i = 0; i < run->result->class_count; i++)
        if (str_eq(run->result->classes[i].name, str_from(name)))
            return &run->result->classes[i];
    fail_msg("no class %s", name);
    return NULL;
}

/* GPU time in GPU minutes. */
static sim_gpu_time minutes(int64_t gpu_minutes)
{
    return (sim_gpu_time)gpu_minutes * PLACE_MILLI * SEC(60);
}

static void test_one_after_the_other(void **state)
{
    struct run run;
    assert_int_equal(simulate(&run, HEAD "jobs:\n  - {name: a, arrivals: {count: 2}, start: 1m, "
                                         "duration: {mean: 10m}, resources: {gpus: 8}}\n"),
                     0);
    const struct sim_class *a = class(&run, "a");
    assert_int_equal(a->completed, 2);
    assert_int_equal(a->wait.least, 0);
    assert_true((nsec)a->wait.greatest == SEC(660));
    assert_true(a->useful == minutes(2 * 8 * 10) && a->starting == minutes(2 * 8) && a->lost == 0);
    assert_true(run.result->given == minutes(2 * 8 * 11) && run.result->capacity == minutes(480));
    assert_true(run.result->cost > 3.999 && run.result->cost < 4.001);
    assert_string_equal(buf_cstr(&run.trace),
                        "{\"at\":0,\"decision\":\"start\",\"workload\":\"a-1\",\"nodes\":[\"n\"],"
                        "\"gpus\":8}\n{\"at\":660,\"decision\":\"start\",\"workload\":\"a-2\","
                        "\"nodes\":[\"n\"],\"gpus\":8}\n");
    end(&run);
}

/* Evicted after 25 of 30 minutes: 20 are safe, 5 are lost, it leaves in 1, and then has 10 to go. */
static void test_an_eviction_costs_what_came_after_the_checkpoint(void **state)
{
    struct run run;
    assert_int_equal(
        simulate(&run,
                 HEAD "jobs:\n"
                      "  - {name: low, arrivals: {count: 1}, checkpoint: 10m, grace: 1m, "
                      "duration: {mean: 30m}, resources: {gpus: 8}}\n"
                      "  - {name: high, priority: 1, arrivals: {at: [25m]}, duration: {mean: 10m}, "
                      "resources: {gpus: 4}}\n"),
        0);
    const struct sim_class *low = class(&run, "low"), *high = class(&run, "high");
    assert_true(low->useful == minutes(240) && low->lost == minutes(40));
    assert_true(low->starting == minutes(8) && high->useful == minutes(40));
    assert_true((nsec)high->wait.greatest == SEC(60));
    assert_int_equal(low->completed + high->completed, 2);
    assert_int_equal(low->wait.count, 1); /* until its first start */
    assert_int_equal(run.result->preempted, 1);
    struct str trace = buf_str(&run.trace);
    assert_true(str_find(trace, STR("{\"at\":1500,\"decision\":\"evict\",\"workload\":\"low-1\","
                                    "\"why\":\"preempted\",\"for\":\"high-1\"}\n")) < trace.len);
    assert_true(str_find(trace, STR("{\"at\":2160,\"decision\":\"start\",\"workload\":\"low-1\"")) <
                trace.len);
    end(&run);
}

/* Two members with 30 minutes each, of which 20 are safe: after the eviction 10 are left. */
static void test_a_gang_goes_on_from_its_checkpoint(void **state)
{
    struct run run;
    assert_int_equal(
        simulate(&run, HEAD
                 "jobs:\n"
                 "  - {name: gang, arrivals: {count: 1}, members: 2, checkpoint: 10m, grace: 1m, "
                 "duration: {mean: 30m}, resources: {gpus: 4}}\n"
                 "  - {name: high, priority: 1, arrivals: {at: [25m]}, duration: {mean: 10m}, "
                 "resources: {gpus: 8}}\n"),
        0);
    const struct sim_class *gang = class(&run, "gang");
    assert_int_equal(gang->completed, 1);
    assert_true(gang->useful == minutes(8 * 30) && gang->lost == minutes(8 * 5));
    end(&run);
}

/* Both began at once; what would be lost of one is 12 minutes of work, of the other 2. */
static void test_the_scheduler_knows_of_checkpoints(void **state)
{
    struct run run;
    assert_int_equal(
        simulate(&run,
                 HEAD "jobs:\n"
                      "  - {name: a, arrivals: {count: 1}, checkpoint: 10m, duration: {mean: 50m}, "
                      "resources: {gpus: 4}}\n"
                      "  - {name: b, arrivals: {count: 1}, checkpoint: 20m, duration: {mean: 50m}, "
                      "resources: {gpus: 4}}\n"
                      "  - {name: high, priority: 1, arrivals: {at: [12m]}, duration: {mean: 10m}, "
                      "resources: {gpus: 4}}\n"),
        0);
    assert_true(class(&run, "a")->evicted == 1 && class(&run, "b")->evicted == 0);
    assert_true(class(&run, "a")->lost == minutes(4 * 2));
    end(&run);
}

/* Of 10 replicas 8 have a GPU: when 8 are wanted those two go, and nobody else. */
static void test_replicas_that_wait_go_first(void **state)
{
    struct run run;
    assert_int_equal(simulate(&run, HEAD
                              "services: [{name: chat, resources: {gpus: 1}, replicas: [{at: 0s, "
                              "count: 10}, {at: 30m, count: 8}]}]\n"),
                     0);
    const struct sim_class *chat = class(&run, "chat");
    assert_true(chat->running == 8 && chat->waiting == 0 && chat->withdrawn == 2);
    assert_true(chat->useful == minutes(8 * 60));
    assert_int_equal(chat->started, 8);
    assert_true((nsec)chat->wait.greatest == SEC(1800));
    end(&run);
}

/* The first has lost its node when only one is wanted: it goes, and the second is left alone. */
static void test_one_that_has_lost_its_node_goes_first(void **state)
{
    struct run run;
    assert_int_equal(
        simulate(&run, "duration: 1h\n"
                       "nodes: [{name: n, count: 2, cpu: 8, memory: 64Gi, gpus: 8xH100-80G}]\n"
                       "services: [{name: chat, resources: {gpus: 8}, replicas: [{at: 0s, count: "
                       "2}, {at: 30m, count: 1}]}]\n"
                       "faults: {list: [{node: n-1, down: 10m, up: 50m}]}\n"),
        0);
    assert_int_equal(run.result->decisions, 3); /* two starts, one eviction */
    assert_true(class(&run, "chat")->running == 1 && class(&run, "chat")->waiting == 0);
    end(&run);
}

/* 5 of 8 GPUs are taken. Of the 3 that are free one class, who come as often, cannot use any. */
static void test_what_is_free_and_of_no_use(void **state)
{
    struct run run;
    assert_int_equal(
        simulate(&run, HEAD
                 "jobs:\n"
                 "  - {name: five, arrivals: {count: 1}, duration: {mean: 2h}, resources: {gpus: "
                 "5}}\n"
                 "  - {name: one, arrivals: {at: [2h]}, duration: {mean: 2h}, resources: {gpus: "
                 "1}}\n"),
        0);
    const struct sim_bin *bin = &run.result->bins[100];
    assert_true(bin->free > 2.999 && bin->free < 3.001);
    assert_true(bin->fragmented > 1.499 && bin->fragmented < 1.501);
    end(&run);
}

static void test_without_a_checkpoint_all_is_lost(void **state)
{
    struct run run;
    assert_int_equal(simulate(&run, HEAD "jobs: [{name: a, arrivals: {count: 1}, duration: {mean: "
                                         "30m}, resources: {gpus: 8}}]\n"
                                         "faults: {list: [{node: n, down: 25m, up: 28m}]}\n"),
                     0);
    const struct sim_class *a = class(&run, "a");
    assert_true(a->lost == minutes(8 * 25) && a->useful == minutes(8 * 30) && a->starting == 0);
    assert_true(run.result->room_lost == 1 && run.result->nodes_lost == 1);
    assert_true(run.result->capacity == minutes(8 * 57));
    end(&run);
}

static void test_fewer_members_take_longer(void **state)
{
    struct run run;
    assert_int_equal(
        simulate(&run,
                 HEAD "jobs:\n"
                      "  - {name: other, priority: 1, arrivals: {count: 1}, duration: {mean: 1h}, "
                      "resources: {gpus: 4}}\n"
                      "  - {name: gang, arrivals: {at: [1m]}, members: 4, minMembers: 2, duration: "
                      "{mean: 10m}, resources: {gpus: 2}}\n"),
        0);
    assert_true(class(&run, "gang")->useful == minutes(4 * 20));
    assert_int_equal(class(&run, "gang")->completed, 1);
    end(&run);
}

#define TWO_STEPS                                                                           \
    "jobs: [{name: fill, arrivals: {count: 8}, grace: 30s, duration: {mean: 2h}, "          \
    "resources: {gpus: 1}}]\n"                                                              \
    "services:\n  - {name: chat, priority: 1, resources: {gpus: 1}, load: 10s, ahead: %s, " \
    "replicas: [{at: 0s, count: 1}, {at: 30m, count: 2}]}\n"

static void test_replicas_that_are_asked_for_ahead(void **state)
{
    static const struct {
        const char *ahead;
        nsec wait;
    } cases[] = {{"0s", SEC(30)}, {"10s", SEC(20)}, {"1m", 0}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct run run;
        char text[1024];
        snprintf(text, sizeof(text), HEAD TWO_STEPS, cases[i].ahead);
        assert_int_equal(simulate(&run, text), 0);
        const struct sim_class *chat = class(&run, "chat");
        assert_int_equal(chat->arrived, 2);
        assert_int_equal(chat->running, 2);
        assert_true((nsec)chat->wait.greatest == cases[i].wait);
        assert_int_equal(run.result->preempted, 1);
        end(&run);
    }
}

/* Half of the node is free from the first minute on. Who knows how long all take keeps it for the large one. */
static void test_estimates_make_reservations(void **state)
{
    static const struct {
        const char *estimate;
        nsec wait;
    } cases[] = {{"", SEC(31 * 60)}, {", estimateError: 0", SEC(9 * 60)}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct run run;
        char text[1024];
        snprintf(text, sizeof(text),
                 HEAD "jobs:\n"
                      "  - {name: a, arrivals: {count: 1}, duration: {mean: 10m%s}, resources: "
                      "{gpus: 4}}\n"
                      "  - {name: large, arrivals: {at: [1m]}, duration: {mean: 10m%s}, resources: "
                      "{gpus: 8}}\n"
                      "  - {name: small, arrivals: {at: [2m]}, duration: {mean: 30m%s}, resources: "
                      "{gpus: 4}}\n",
                 cases[i].estimate, cases[i].estimate, cases[i].estimate);
        assert_int_equal(simulate(&run, text), 0);
        assert_true((nsec) class(&run, "large")->wait.greatest == cases[i].wait);
        end(&run);
    }
}

static void test_quota_comes_back(void **state)
{
    struct run run;
    assert_int_equal(
        simulate(&run,
                 HEAD "queues: [{name: all}, {name: a, parent: all, nominal: {gpus: 4}}, {name: b, "
                      "parent: all, nominal: {gpus: 4}}]\n"
                      "jobs:\n"
                      "  - {name: borrower, queue: a, arrivals: {count: 8}, duration: {mean: 2h}, "
                      "resources: {gpus: 1}}\n"
                      "  - {name: owner, queue: b, arrivals: {at: [10m]}, duration: {mean: 2h}, "
                      "resources: {gpus: 4}}\n"),
        0);
    assert_int_equal(run.result->reclaimed, 4);
    assert_true((nsec) class(&run, "owner")->wait.greatest == SEC(30));
    assert_int_equal(class(&run, "borrower")->waiting, 4);
    end(&run);
}

static void test_who_fits_nowhere_is_refused(void **state)
{
    struct run run;
    assert_int_equal(simulate(&run, HEAD "jobs: [{name: a, arrivals: {count: 1}, duration: {mean: "
                                         "1m}, resources: {gpus: 9}}]\n"),
                     ERR_INVALID);
    assert_non_null(strstr(run.err.message, "a: fits on no node, not even on an empty one"));
    end(&run);
    assert_int_equal(simulate(&run, HEAD "jobs: [{name: a, arrivals: {count: 1}, duration: {mean: "
                                         "1m}, resources: {gpus: 1, gpuModels: [A10-24G]}}]\n"),
                     ERR_INVALID);
    assert_non_null(strstr(run.err.message, "a: no GPU of model A10-24G in this cluster"));
    end(&run);
}

/* Hardly any candidate of these arrivals is kept; and checkpoints, and faults, without end. */
static void test_who_fits_nowhere_may_wait(void **state)
{
    struct run run;
    assert_int_equal(
        simulate(&run,
                 HEAD "mayNotFit: true\n"
                      "jobs:\n"
                      "  - {name: large, arrivals: {count: 1}, duration: {mean: 1m}, resources: "
                      "{gpus: 9}}\n"
                      "  - {name: other, arrivals: {count: 1}, duration: {mean: 1m}, resources: "
                      "{gpus: 1, gpuModels: [A10-24G]}}\n"
                      "  - {name: fits, arrivals: {count: 2}, duration: {mean: 1m}, resources: "
                      "{gpus: 8}}\n"),
        0);
    assert_true(class(&run, "large")->waiting == 1 && class(&run, "other")->waiting == 1);
    assert_int_equal(class(&run, "large")->placed_at_once, 0);
    assert_int_equal(class(&run, "fits")->completed, 2);
    assert_int_equal(class(&run, "fits")->placed_at_once, 1);
    end(&run);
}

static void test_services_make_room_for_services_alone(void **state)
{
    struct run run;
    assert_int_equal(
        simulate(&run, HEAD
                 "services:\n"
                 "  - {name: low, preemptible: true, replicas: [{count: 1}], resources: {gpus: "
                 "4}}\n"
                 "  - {name: kept, replicas: [{count: 1}], resources: {gpus: 4}}\n"
                 "  - {name: high, priority: 1, replicas: [{count: 0}, {at: 10m, count: 2}], "
                 "resources: {gpus: 4}}\n"
                 "jobs: [{name: job, priority: 9, arrivals: {at: [1m]}, duration: {mean: 1m}, "
                 "resources: {gpus: 4}}]\n"),
        0);
    assert_true(class(&run, "low")->evicted == 1 && class(&run, "low")->waiting == 1);
    assert_true(class(&run, "kept")->evicted == 0 && class(&run, "kept")->running == 1);
    assert_true(class(&run, "high")->running == 1 && class(&run, "high")->waiting == 1);
    assert_int_equal(class(&run, "job")->started, 0);
    end(&run);
}

/* A zone is lost: of a service that is spread half of the replicas. */
static void test_replicas_are_spread_over_zones(void **state)
{
    static const char format[] =
        "duration: 1h\n"
        "nodes:\n"
        "  - {name: a, zone: east, count: 2, cpu: 64, memory: 512Gi, gpus: 8xH100-80G}\n"
        "  - {name: b, zone: west, cpu: 64, memory: 512Gi, gpus: 8xH100-80G}\n"
        "services:\n"
        "  - {name: chat, resources: {gpus: 1}, replicas: [{count: 4}], spread: %s}\n"
        "faults: {list: [{node: a-1, down: 10m}, {node: a-2, down: 10m}]}\n";
    static const struct {
        const char *spread;
        uint64_t least, most;
    } cases[] = {{"zones", 2, 2}, {"nodes", 2, 3}, {"none", 0, 4}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[1024];
        struct run run;
        snprintf(text, sizeof(text), format, cases[i].spread);
        assert_int_equal(simulate(&run, text), 0);
        uint64_t lost = class(&run, "chat")->evicted;
        assert_true(lost >= cases[i].least && lost <= cases[i].most);
        assert_int_equal(class(&run, "chat")->running, 4); /* all on b */
        end(&run);
    }
}

static void test_too_much_is_refused(void **state)
{
    static const char *const texts[] = {
        HEAD
        "jobs: [{name: a, arrivals: {perHour: 1M, curve: [{at: 0s, factor: 1}, {at: 1s, factor: "
        "0}, {at: 23h, factor: 0}]}, duration: {mean: 1m}, resources: {gpus: 1}}]\n",
        HEAD
        "jobs: [{name: a, arrivals: {count: 1}, checkpoint: 1us, duration: {mean: 1h}, resources: "
        "{gpus: 1}}]\n",
        HEAD "jobs: [{name: a, arrivals: {count: 1}, duration: {mean: 1h}, resources: {gpus: 1}}]\n"
             "faults: {meanBetween: 1us, repair: 1ms}\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct run run;
        assert_int_equal(simulate_up_to(&run, texts[i], 1000), ERR_FULL);
        assert_non_null(strstr(run.err.message, "more than 1000 events; simulate a shorter time"));
        end(&run);
    }
}

/* A label that nobody asks for has no number, one that is asked for binds; so do taints. */
static void test_labels_and_taints(void **state)
{
    struct run run;
    assert_int_equal(
        simulate(&run,
                 "duration: 1h\n"
                 "nodes:\n"
                 "  - {name: a, cpu: 8, memory: 64Gi, gpus: 8xH100-80G, labels: {x: y, zone: "
                 "north}, taints: [mine]}\n"
                 "  - {name: b, cpu: 8, memory: 64Gi, gpus: 8xH100-80G, labels: {zone: "
                 "south}}\n"
                 "jobs:\n"
                 "  - {name: n, arrivals: {count: 1}, duration: {mean: 1m}, resources: {gpus: "
                 "1}, nodeLabels: {zone: north}, tolerations: [mine]}\n"
                 "  - {name: s, arrivals: {count: 1}, duration: {mean: 1m}, resources: {gpus: "
                 "1}}\n"),
        0);
    struct str trace = buf_str(&run.trace);
    assert_true(str_find(trace, STR("\"n-1\",\"nodes\":[\"a\"]")) < trace.len);
    assert_true(str_find(trace, STR("\"s-1\",\"nodes\":[\"b\"]")) < trace.len);
    end(&run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_after_the_other),
        cmocka_unit_test(test_an_eviction_costs_what_came_after_the_checkpoint),
        cmocka_unit_test(test_a_gang_goes_on_from_its_checkpoint),
        cmocka_unit_test(test_the_scheduler_knows_of_checkpoints),
        cmocka_unit_test(test_replicas_that_wait_go_first),
        cmocka_unit_test(test_one_that_has_lost_its_node_goes_first),
        cmocka_unit_test(test_what_is_free_and_of_no_use),
        cmocka_unit_test(test_without_a_checkpoint_all_is_lost),
        cmocka_unit_test(test_fewer_members_take_longer),
        cmocka_unit_test(test_replicas_that_are_asked_for_ahead),
        cmocka_unit_test(test_estimates_make_reservations),
        cmocka_unit_test(test_quota_comes_back),
        cmocka_unit_test(test_who_fits_nowhere_is_refused),
        cmocka_unit_test(test_who_fits_nowhere_may_wait),
        cmocka_unit_test(test_services_make_room_for_services_alone),
        cmocka_unit_test(test_replicas_are_spread_over_zones),
        cmocka_unit_test(test_too_much_is_refused),
        cmocka_unit_test(test_labels_and_taints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
