/* SPDX-License-Identifier: Apache-2.0 */
/* What a scenario's file says, what is refused and how, and changes of the command line. */
#include "sim/scenario.h"
#include "test.h"

#define HEAD                                                                \
    "duration: 1h\n"                                                        \
    "nodes:\n"                                                              \
    "  - {name: big, count: 3, cpu: 64, memory: 512Gi, gpus: 8xH100-80G}\n" \
    "  - {name: small, cpu: 16, memory: 64Gi}\n"
#define JOB "  - {name: train, arrivals: {count: 1}, duration: {mean: 1m}, resources: {gpus: 1}"

struct fixture {
    struct arena memory;
    struct scenario *scenario;
    struct err err;
};

static int read_with(struct fixture *f, const char *text, const char *const *changes, size_t count)
{
    *f = (struct fixture){0};
    arena_init(&f->memory, 16 << 20);
    return scenario_read(&f->memory, str_from(text), changes, count, &f->scenario, &f->err);
}

static void test_defaults(void **state)
{
    struct fixture f;
    assert_int_equal(read_with(&f, HEAD "jobs:\n" JOB "}\n", NULL, 0), 0);
    const struct scenario *s = f.scenario;
    assert_true(s->day == SEC(86400) && s->duration == SEC(3600) && s->retry == SEC(10));
    assert_int_equal(s->nodes.count, 2);
    assert_int_equal(scenario_nodes(s)[0].cpu, 64000);
    assert_int_equal(scenario_nodes(s)[1].count, 1);
    const struct scenario_job *j = &scenario_jobs(s)[0];
    assert_true(j->preemptible && j->members == 1 && j->grace == SEC(30) && j->checkpoint == 0);
    assert_int_equal(j->duration.distribution, SCENARIO_CONSTANT);
    arena_fini(&f.memory);
}

static void test_what_is_left_out_of_a_quota(void **state)
{
    struct fixture f;
    assert_int_equal(read_with(&f,
                               HEAD
                               "queues: [{name: a, nominal: {gpus: 0}, borrowing: {gpus: 0}}]\n"
                               "jobs:\n" JOB ", queue: a}\n",
                               NULL, 0),
                     0);
    const struct scenario_queue *q = &scenario_queues(f.scenario)[0];
    assert_int_equal(q->nominal.gpus, 0);
    assert_int_equal(q->nominal.cpu, SCENARIO_LEFT_OUT);
    assert_int_equal(q->borrowing.gpus, 0);
    assert_int_equal(q->lending.gpus, SCENARIO_LEFT_OUT);
    arena_fini(&f.memory);
}

static void test_errors_name_place_reason_and_way_out(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {HEAD "job:\n" JOB "}\n", "line 6: job: unknown field; did you mean \"jobs\"?"},
        {HEAD "jobs:\n" JOB ", prioriti: 3}\n",
         "line 6: jobs[0].prioriti: unknown field; did you mean \"priority\"?"},
        {HEAD, "nobody asks for anything; add jobs or services"},
        {HEAD "jobs:\n" JOB ", queue: a}\n",
         "jobs[0].queue: names a queue, and there are no queues; leave it out"},
        {HEAD "queues: [{name: a}]\njobs:\n" JOB "}\n",
         "jobs[0].queue: is required, as there are queues"},
        {HEAD "queues: [{name: a}, {name: b, parent: a}]\njobs:\n" JOB ", queue: a}\n",
         "\"a\" is a cohort"},
        {HEAD "queues: [{name: b, parent: a}, {name: a}]\njobs:\n" JOB ", queue: b}\n",
         "queues[0].parent: \"a\" is no queue above it in the list"},
        {HEAD "jobs:\n" JOB "}\n" JOB "}\n", "jobs[1].name: is given twice"},
        {HEAD "jobs:\n" JOB ", members: 2, minMembers: 3}\n",
         "jobs[0].minMembers: must not be above members"},
        {HEAD "jobs:\n" JOB "}\nfaults: {list: [{node: big-4, down: 1m}]}\n",
         "faults.list[0].node: \"big-4\" is no node"},
        {HEAD "jobs:\n" JOB "}\nfaults: {list: [{node: big, down: 1m}]}\n",
         "faults.list[0].node: \"big\" is no node"},
        {HEAD "jobs:\n  - {name: x, arrivals: {}, duration: {mean: 1m}}\n",
         "jobs[0].arrivals: nothing ever comes; set count, at or perHour"},
        {HEAD "jobs:\n  - {name: x, arrivals: {at: [soon]}, duration: {mean: 1m}}\n",
         "must be a duration like 10s or 2m30s"},
        {HEAD "services: [{name: x, replicas: [{at: 2h, count: 1}, {at: 1h, count: 2}]}]\n",
         "services[0].replicas: must be in ascending order"},
        {"duration: 1h\nnodes: [{name: a, cpu: 1, memory: 1Gi, gpus: 8xH900}]\njobs:\n" JOB "}\n",
         "nodes[0].gpus: \"8xH900\": \"H900\" is no GPU model"},
        {"- 1\n", "a scenario is one document, a YAML mapping"},
        {"", "a scenario is one document, a YAML mapping"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        int error = read_with(&f, cases[i].text, NULL, 0);
        if (error != ERR_INVALID || !strstr(f.err.message, cases[i].message))
            fail_msg("case %zu: %d, \"%s\" has no \"%s\"", i, error, f.err.message,
                     cases[i].message);
        arena_fini(&f.memory);
    }
}

static void test_changes(void **state)
{
    struct fixture f;
    const char *const changes[] = {"nodes[0].count=5", "nodes.small.cpu=8", "jobs.train.priority=7",
                                   "faults.meanBetween=10h", "duration=2h"};
    assert_int_equal(read_with(&f, HEAD "jobs:\n" JOB "}\n", changes, ARRAY_LEN(changes)), 0);
    assert_int_equal(scenario_nodes(f.scenario)[0].count, 5);
    assert_int_equal(scenario_nodes(f.scenario)[1].cpu, 8000);
    assert_int_equal(scenario_jobs(f.scenario)[0].priority, 7);
    assert_true(f.scenario->faults.mean_between == SEC(36000));
    assert_true(f.scenario->duration == SEC(7200));
    arena_fini(&f.memory);
}

static void test_changes_that_are_refused(void **state)
{
    static const struct {
        const char *change, *message;
    } cases[] = {
        {"duration", "\"duration\" is no change; write path=value"},
        {"=3", "\"=3\" is no change"},
        {"nodes.none.count=3", "nodes.none.count: there is no such place in the file"},
        {"nodes[7].count=3", "nodes[7].count: there is no such place in the file"},
        {"nodes[x].count=3", "there is no such place in the file"},
        {"duration=", "duration=: has no value"},
        {"nodes.big.counts=3", "nodes[0].counts: unknown field; did you mean \"count\"?"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        int error = read_with(&f, HEAD "jobs:\n" JOB "}\n", &cases[i].change, 1);
        if (!error || !strstr(f.err.message, cases[i].message))
            fail_msg("%s: %d, \"%s\" has no \"%s\"", cases[i].change, error, f.err.message,
                     cases[i].message);
        arena_fini(&f.memory);
    }
}

static void test_curves(void **state)
{
    struct scenario_step steps[] = {{SEC(10), 2}, {SEC(20), 12}};
    struct scenario_service s = {.replicas = {steps, 2}};
    nsec day = SEC(100);
    assert_int_equal(scenario_replicas_at(&s, day, SEC(10)), 2);
    assert_int_equal(scenario_replicas_at(&s, day, SEC(19)), 2);
    assert_int_equal(scenario_replicas_at(&s, day, SEC(20)), 12);
    assert_int_equal(scenario_replicas_at(&s, day, SEC(105)), 12); /* yesterday's last */
    s.between = SCENARIO_LINES;
    assert_int_equal(scenario_replicas_at(&s, day, SEC(15)), 7);
    assert_int_equal(scenario_replicas_at(&s, day, SEC(65)), 7); /* half way to the morning */
    struct schema_objects none = {0};
    assert_int_equal(scenario_factor_at(&none, day, SEC(5)), 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_what_is_left_out_of_a_quota),
        cmocka_unit_test(test_errors_name_place_reason_and_way_out),
        cmocka_unit_test(test_changes),
        cmocka_unit_test(test_changes_that_are_refused),
        cmocka_unit_test(test_curves),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
