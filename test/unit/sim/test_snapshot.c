/* SPDX-License-Identifier: Apache-2.0 */
/* What the admin API tells, as a scenario; each is written, and read back as a file would be. */
#include "api/resource.h"
#include "base/clock.h"
#include "sim/snapshot.h"
#include "test.h"

#define NODE(gpus)                                                                         \
    "{\"items\":[{\"metadata\":{\"name\":\"vm\"},\"spec\":{\"cordon\":false,\"cpu\":2.5}," \
    "\"status\":{\"cpu\":8,\"memory\":17179869184,\"gpus\":[" gpus "]}}]}"
#define GPU(model, health) "{\"model\":\"" model "\",\"health\":\"" health "\"}"
#define H100               GPU("H100-80G", "ok")
#define HEAD(kind, name)                                                                      \
    "{\"apiVersion\":\"fairway.dev/v1\",\"kind\":\"" kind "\",\"metadata\":{\"name\":\"" name \
    "\"},\"spec\":{"
#define TENANT(name, spec) HEAD("Tenant", name) spec "}}"
#define MODEL(name, spec, reason)                                                                \
    HEAD("Model", name)                                                                          \
    "\"engine\":{\"type\":\"simulate\"}," spec "},\"status\":{\"phase\":\"x\",\"conditions\":[{" \
    "\"type\":\"Ready\",\"status\":\"True\",\"reason\":\"" reason "\"}]}}"
#define JOB_AT(name, created, spec, status)                                              \
    "{\"apiVersion\":\"fairway.dev/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"" name \
    "\",\"creationTimestamp\":\"" created "\"},\"spec\":{\"command\":[\"x\"]," spec      \
    "},\"status\":{" status "}}"
#define JOB(name, spec, status) JOB_AT(name, "2026-01-01T00:00:00.000Z", spec, status)
#define REPLICA(model, state)   "{\"model\":\"" model "\",\"state\":\"" state "\"}"
#define ITEMS(items)            "{\"items\":[" items "]}"

struct told {
    const char *node, *tenants, *models, *jobs, *replicas, *added;
};

struct fixture {
    struct arena memory;
    struct scenario *scenario;
    struct err err;
};

static const struct json *parsed(struct fixture *f, const char *text)
{
    struct json *tree;
    assert_int_equal(json_parse(&f->memory, str_from(text ? text : ITEMS("")), &tree, &f->err), 0);
    return tree;
}

static int take(struct fixture *f, const struct told *t)
{
    struct resource **added = NULL;
    struct scenario made;
    struct buf text;
    *f = (struct fixture){0};
    arena_init(&f->memory, 64 << 20);
    struct snapshot s = {
        .nodes = parsed(f, t->node ? t->node : NODE(H100)),
        .tenants = parsed(f, t->tenants),
        .models = parsed(f, t->models),
        .jobs = parsed(f, t->jobs),
        .replicas = parsed(f, t->replicas),
        .now = clock_parse_rfc3339(STR("2026-01-01T03:00:00.000Z")),
        .duration = SEC(60),
    };
    if (t->added)
        assert_int_equal(
            resource_read(&f->memory, str_from(t->added), &added, &s.added_count, &f->err), 0);
    s.added = added;
    int error = snapshot_scenario(&f->memory, &s, &made, &f->err);
    if (error)
        return error;
    buf_init(&text, SCENARIO_FILE_MAX);
    scenario_write(&made, &text);
    struct str kept = arena_dup(&f->memory, buf_str(&text));
    buf_fini(&text);
    return scenario_read(&f->memory, kept, NULL, 0, &f->scenario, &f->err);
}

static void assert_text(struct str text, const char *expected)
{
    assert_string_equal(text.ptr, expected);
}

static void test_the_node_has_what_is_well(void **state)
{
    struct fixture f;
    const struct told t = {
        .node = NODE(H100 "," H100 "," GPU("H100-80G", "faulty") "," GPU("A10-24G", "ok") "," H100),
        .models = ITEMS(MODEL("chat", "\"replicas\":1", "Ready"))};
    assert_int_equal(take(&f, &t), 0);
    const struct scenario_nodes *n = &scenario_nodes(f.scenario)[0];
    assert_text(n->name, "vm");
    assert_text(n->gpus, "2xH100-80G,1xA10-24G,1xH100-80G");
    assert_true(n->cpu == 2500 && n->memory == INT64_C(16) << 30 && n->count == 1);
    assert_int_equal(f.scenario->queues.count, 0);
    assert_true(f.scenario->may_not_fit);
    arena_fini(&f.memory);
}

static void test_quotas_are_one_cohort_and_the_rest(void **state)
{
    struct fixture f;
    const struct told t = {
        .node = NODE(H100 "," H100 "," GPU("H100-80G", "faulty") "," H100),
        .tenants =
            ITEMS(TENANT("a", "\"weight\":3,\"gpuQuota\":{\"gpus\":1,\"borrow\":0}") "," TENANT(
                "cohort", "\"gpuQuota\":{\"gpus\":\"1500m\",\"lend\":1}") "," TENANT("free", "")),
        .models = ITEMS(MODEL("chat", "\"tenant\":\"a\"", "Ready") "," MODEL(
            "more", "\"tenant\":\"free\"", "Ready") "," MODEL("none", "\"replicas\":0", "Ready"))};
    assert_int_equal(take(&f, &t), 0);
    const struct scenario_queue *q = scenario_queues(f.scenario);
    assert_int_equal(f.scenario->queues.count, 4);
    assert_text(q[0].name, "cohort-"); /* a tenant has the name */
    assert_int_equal(q[0].nominal.gpus, SCENARIO_LEFT_OUT);
    assert_text(q[1].name, "a");
    assert_text(q[1].parent, "cohort-");
    assert_true(q[1].weight == 3 && q[1].nominal.gpus == 1000 && q[1].borrowing.gpus == 0);
    assert_true(q[1].lending.gpus == SCENARIO_LEFT_OUT && q[2].lending.gpus == 1000);
    assert_text(q[3].name, "default");
    assert_int_equal(q[3].nominal.gpus, 4000 - 2500); /* also of the one that is not well */
    const struct scenario_service *v = scenario_services(f.scenario);
    assert_text(v[0].queue, "a");
    assert_text(v[1].queue, "default"); /* a tenant without a quota */
    assert_text(v[2].queue, "default");
    arena_fini(&f.memory);
}

static void test_services_run_wait_and_are_left_out(void **state)
{
    struct fixture f;
    const struct told t = {
        .models =
            ITEMS(MODEL("chat", "\"replicas\":3,\"priority\":7,\"resources\":{\"gpuShare\":250}",
                        "Ready") "," MODEL("broken", "\"replicas\":1", "CannotRun")),
        .replicas = ITEMS(REPLICA("chat", "ready") "," REPLICA("other", "ready") "," REPLICA(
            "chat", "starting") "," REPLICA("chat", "pending") "," REPLICA("chat", "draining"))};
    assert_int_equal(take(&f, &t), 0);
    assert_int_equal(f.scenario->services.count, 1);
    const struct scenario_service *v = &scenario_services(f.scenario)[0];
    const struct scenario_step *steps = v->replicas.items;
    assert_true(v->preemptible && v->priority == 7 && v->resources.gpu_share == 250);
    assert_int_equal(v->replicas.count, 2);
    assert_true(steps[0].at == SNAPSHOT_RUNS && steps[0].count == 2);
    assert_true(steps[1].at == SNAPSHOT_WAITS && steps[1].count == 3);
    arena_fini(&f.memory);
}

static void test_memory_is_what_placement_reckons_with(void **state)
{
    struct fixture f;
    const struct told t = {
        .models = ITEMS(MODEL("chat", "\"resources\":{\"memory\":\"1Gi\"}", "Ready")),
        .replicas = ITEMS("{\"model\":\"chat\",\"state\":\"ready\",\"memoryWanted\":3221225472}")};
    assert_int_equal(take(&f, &t), 0);
    assert_int_equal(scenario_services(f.scenario)[0].resources.memory, INT64_C(3) << 30);
    arena_fini(&f.memory);
}

#define LATER "2026-01-01T02:00:00.000Z"
#define DONE  JOB("done", "\"members\":1", "\"phase\":\"Succeeded\"")
#define OFF   JOB("off", "\"suspend\":true", "\"phase\":\"Evicting\"")
#define WAITS                                                            \
    JOB_AT("waits", "2026-01-01T01:00:00.000Z",                          \
           "\"members\":4,\"minMembers\":2,\"expectedDuration\":\"3h\"," \
           "\"preemptible\":false",                                      \
           "\"phase\":\"Pending\",\"ran\":\"1h\"")
#define WAITS_TOO JOB_AT("waits-too", LATER, "\"members\":2", "\"phase\":\"Pending\"")
#define SECOND                                    \
    JOB("second", "\"expectedDuration\":\"30m\"", \
        "\"phase\":\"Running\",\"startedAt\":\"" LATER "\"")
#define SAME                                                          \
    JOB("same",                                                       \
        "\"members\":4,\"minMembers\":2,\"expectedDuration\":\"5h\"," \
        "\"checkpoint\":{\"grace\":\"7s\"}",                          \
        "\"phase\":\"Running\",\"ran\":\"30m\","                      \
        "\"startedAt\":\"2026-01-01T01:00:00.000Z\","                 \
        "\"members\":[{\"rank\":0},{\"rank\":1},{\"rank\":2}]")

static void test_jobs_are_in_the_order_of_their_start(void **state)
{
    struct fixture f;
    const struct told t = {.models = ITEMS(MODEL("same", "\"replicas\":1", "Ready")),
                           .jobs = ITEMS(DONE "," OFF "," WAITS_TOO "," WAITS "," SECOND "," SAME)};
    assert_int_equal(take(&f, &t), 0);
    static const struct {
        const char *name, *at;
        int64_t members;
        nsec mean;
    } expected[] = {
        {"job-same", "0s", 3, SEC(5 * 3600 - 1800 - 7200)},
        {"second", "0s", 1, SEC(1)}, /* over already */
        {"waits", "1s", 4, SEC(2 * 3600)},
        {"waits-too", "1s", 2, SEC(60)},
    };
    assert_int_equal(f.scenario->jobs.count, ARRAY_LEN(expected));
    const struct scenario_job *j = scenario_jobs(f.scenario);
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        assert_text(j[i].name, expected[i].name);
        assert_text(j[i].arrivals.at.items[0], expected[i].at);
        assert_int_equal(j[i].members, expected[i].members);
        assert_int_equal(j[i].duration.mean, expected[i].mean);
    }
    assert_int_equal(j[2].duration.estimate_error, 0); /* the scheduler knows it */
    assert_int_equal(j[3].duration.estimate_error, SCENARIO_LEFT_OUT);
    assert_true(j[0].min_members == 2 && j[0].grace == SEC(7) && j[0].preemptible);
    assert_true(!j[2].preemptible && j[2].min_members == 2);
    arena_fini(&f.memory);
}

static void test_what_is_added_comes_last(void **state)
{
    struct fixture f;
    const struct told t = {.models = ITEMS(MODEL("chat", "\"replicas\":2", "Ready")),
                           .replicas = ITEMS(REPLICA("chat", "ready") "," REPLICA("chat", "ready")),
                           .jobs = ITEMS(JOB("waits", "\"members\":1", "\"phase\":\"Pending\"")),
                           .added =
                               "apiVersion: fairway.dev/v1\nkind: Model\nmetadata: {name: new}\n"
                               "spec: {engine: {type: simulate}, replicas: 2}\n---\n"
                               "apiVersion: fairway.dev/v1\nkind: Model\nmetadata: {name: chat}\n"
                               "spec: {engine: {type: simulate}, replicas: 5}\n---\n"
                               "apiVersion: fairway.dev/v1\nkind: Job\nmetadata: {name: batch}\n"
                               "spec: {command: [x]}\n"};
    assert_int_equal(take(&f, &t), 0);
    const struct scenario_service *v = scenario_services(f.scenario);
    const struct scenario_step *chat = v[0].replicas.items, *new = v[1].replicas.items;
    assert_int_equal(f.scenario->services.count, 2);
    assert_true(chat[0].count == 2 && chat[1].at == SNAPSHOT_ADDED && chat[1].count == 5);
    assert_true(new[0].count == 0 && new[1].at == SNAPSHOT_ADDED &&new[1].count == 2);
    assert_int_equal(f.scenario->jobs.count, 2);
    assert_text(scenario_jobs(f.scenario)[1].name, "batch");
    assert_text(scenario_jobs(f.scenario)[1].arrivals.at.items[0], "2s");
    arena_fini(&f.memory);
}

static void test_other_kinds_are_refused(void **state)
{
    struct fixture f;
    const struct told t = {
        .added = "apiVersion: fairway.dev/v1\nkind: Tenant\nmetadata: {name: a}\nspec: {}\n"};
    assert_int_equal(take(&f, &t), ERR_UNSUPPORTED);
    assert_non_null(strstr(f.err.message, "tenants/a: a Model or a Job can be added"));
    arena_fini(&f.memory);
}

static void test_a_job_that_is_there_is_refused(void **state)
{
    struct fixture f;
    const struct told t = {.jobs = ITEMS(JOB("train", "\"members\":1", "\"phase\":\"Running\"")),
                           .added =
                               "apiVersion: fairway.dev/v1\nkind: Job\nmetadata: {name: train}\n"
                               "spec: {command: [x]}\n"};
    assert_int_equal(take(&f, &t), ERR_CONFLICT);
    assert_non_null(strstr(f.err.message, "jobs/train: is there already"));
    arena_fini(&f.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_node_has_what_is_well),
        cmocka_unit_test(test_quotas_are_one_cohort_and_the_rest),
        cmocka_unit_test(test_services_run_wait_and_are_left_out),
        cmocka_unit_test(test_memory_is_what_placement_reckons_with),
        cmocka_unit_test(test_jobs_are_in_the_order_of_their_start),
        cmocka_unit_test(test_what_is_added_comes_last),
        cmocka_unit_test(test_other_kinds_are_refused),
        cmocka_unit_test(test_a_job_that_is_there_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
