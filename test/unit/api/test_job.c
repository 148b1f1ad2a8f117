/* SPDX-License-Identifier: Apache-2.0 */
#include "api/job.h"

#include <signal.h>

#include "test.h"

static struct arena arena;
static struct buf out;
static struct err err;
static struct resource **resources;

static int set_up(void **state)
{
    arena_init(&arena, 1 << 20);
    buf_init(&out, 1 << 20);
    return 0;
}

static int tear_down(void **state)
{
    arena_fini(&arena);
    buf_fini(&out);
    return 0;
}

#define HEAD "apiVersion: fairway.dev/v1\nkind: Job\nmetadata: {name: train}\nspec:\n"

static struct job *read_good(const char *text)
{
    size_t count;
    if (resource_read(&arena, str_from(text), &resources, &count, &err))
        fail_msg("%s", err.message);
    return job_from(resources[0]);
}

static void check_bad(const char *text, const char *message)
{
    size_t count;
    assert_int_equal(resource_read(&arena, str_from(text), &resources, &count, &err), ERR_INVALID);
    assert_string_equal(err.message, message);
}

static const char *encoded(const struct job *job)
{
    struct json_writer w;
    buf_clear(&out);
    json_writer_init(&w, &out, 0);
    resource_encode(&job->resource, &w);
    return buf_cstr(&out);
}

static void test_smallest(void **state)
{
    const struct job_spec *spec = &read_good(HEAD "  command: [python, train.py]\n")->spec;
    assert_int_equal(spec->command.count, 2);
    assert_true(spec->members == 1 && spec->min_members == 0 && spec->priority == 0);
    assert_true(spec->preemptible && !spec->suspend);
    assert_true(spec->restart.policy == JOB_RESTART_ON_FAILURE && spec->restart.limit == 3);
    assert_true(spec->checkpoint.grace == SEC(30) && job_signal(spec) == SIGTERM);
    assert_true(spec->max_runtime == 0 && spec->expected_duration == 0);
}

static const char full[] =
    "{\"apiVersion\":\"fairway.dev/v1\",\"kind\":\"Job\",\"metadata\":{\"name\":\"train\"},"
    "\"status\":{\"phase\":\"Running\",\"reason\":\"Started\",\"message\":\"all members run\","
    "\"startedAt\":\"2026-01-31T12:00:00.000Z\",\"attempts\":2,\"failures\":1,\"evictions\":1,"
    "\"members\":["
    "{\"rank\":0,\"pid\":77,\"startTime\":5,\"token\":\"t\"},"
    "{\"rank\":1,\"pid\":78,\"startTime\":6,\"token\":\"u\",\"exitCode\":0}]},"
    "\"spec\":{\"command\":[\"train\"],\"env\":{\"A\":\"b\"},\"workingDirectory\":\"/w\","
    "\"tenant\":\"team\",\"members\":4,\"minMembers\":2,\"resources\":{\"gpus\":2,\"together\":"
    "\"nvlink\",\"cpu\":8},\"priority\":-5,\"preemptible\":false,\"expectedDuration\":\"1h\","
    "\"maxRuntime\":\"2h\",\"restart\":{\"policy\":\"never\",\"limit\":0},\"checkpoint\":{"
    "\"signal\":\"USR1\",\"grace\":\"0s\"},\"suspend\":true}}";

static void test_full_there_and_back(void **state)
{
    const struct job *job = read_good(full);
    const struct job_member *members = job->status.members.items;
    assert_true(job->status.phase == JOB_RUNNING && job->status.members.count == 2);
    assert_true(members[0].exit_code == JOB_RUNS && members[1].exit_code == 0);
    assert_int_equal(job_signal(&job->spec), SIGUSR1);
    assert_string_equal(encoded(job), full);
}

/* What the controller sets is what the store keeps. */
static void test_status(void **state)
{
    struct job *job = read_good(HEAD "  command: [x]\n");
    struct json_writer w;
    job->status.phase = JOB_EVICTING;
    job->status.evictions = 1;
    json_writer_init(&w, &out, 0);
    resource_encode_status(&job->resource, &w);
    assert_string_equal(buf_cstr(&out),
                        "{\"phase\":\"Evicting\",\"attempts\":0,\"failures\":0,\"evictions\":1}");
    assert_string_equal(job_phase_text(JOB_EVICTING), "Evicting");
}

static void test_refused(void **state)
{
    check_bad(HEAD "  members: 2\n", "line 5: spec.command: is required");
    check_bad(HEAD "  command: []\n", "line 5: spec.command: must have at least 1 items");
    check_bad(HEAD "  command: [x]\n  members: 0\n",
              "line 6: spec.members: must be between 1 and 1024");
    check_bad(HEAD "  command: [x]\n  members: 4\n  minMembers: 5\n",
              "line 7: spec.minMembers: cannot be more than members (4)");
    check_bad(HEAD "  command: [x]\n  priority: 1001\n",
              "line 6: spec.priority: must be between -1000 and 1000");
    check_bad(HEAD "  command: [x]\n  workingDirectory: here\n",
              "line 6: spec.workingDirectory: \"here\" must be the whole path, from /");
    check_bad(HEAD "  command: [x]\n  maxRuntime: 1m\n  expectedDuration: 2m\n",
              "line 7: spec.expectedDuration: cannot be longer than maxRuntime");
    check_bad(HEAD "  command: [x]\n  checkpoint: {signal: KILL}\n",
              "line 6: spec.checkpoint.signal: must be one of TERM, INT, USR1, USR2, not \"KILL\"");
    check_bad(HEAD "  command: [x]\n  resources: {gpus: 1, gpuShare: 5}\n",
              "line 6: spec.resources.gpuShare: cannot go together with gpus; choose one");
}

static void test_only_suspend_changes(void **state)
{
    const struct job *stored = read_good(HEAD "  command: [x]\n");
    assert_int_equal(job_check_change(stored, read_good(HEAD "  command: [x]\n"), &err), 0);
    assert_int_equal(
        job_check_change(stored, read_good(HEAD "  command: [x]\n  suspend: true\n"), &err), 0);
    assert_int_equal(
        job_check_change(stored, read_good(HEAD "  command: [x]\n  tenant: team\n"), &err),
        ERR_CONFLICT);
    assert_string_equal(err.message,
                        "spec.tenant: of a Job that is there only spec.suspend can be changed; "
                        "delete job 'train' first, or give this one another name");
    assert_int_equal(job_check_change(stored, read_good(HEAD "  command: [x, y]\n"), &err),
                     ERR_CONFLICT);
    assert_int_equal(
        job_check_change(stored, read_good(HEAD "  command: [x]\n  resources: {gpus: 1}\n"), &err),
        ERR_CONFLICT);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_smallest), TEST(test_full_there_and_back),  TEST(test_status),
        TEST(test_refused),  TEST(test_only_suspend_changes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
