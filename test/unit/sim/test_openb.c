/* SPDX-License-Identifier: Apache-2.0 */
/* The files of the openb experiment and its rules, on a small cut of the trace (test/data/openb). */
#include "sim/openb.h"
#include "test.h"

#include <unistd.h>
#include <zlib.h>

#include "base/mem.h"

#define NODES "sn,cpu_milli,memory_mib,gpu,model\n"
#define TASKS "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n"

struct fixture {
    struct arena memory;
    struct openb_trace trace;
    struct err err;
};

static void open_fixture(struct fixture *f)
{
    *f = (struct fixture){0};
    arena_init(&f->memory, 16 << 20);
}

static int parse_nodes(struct fixture *f, const char *text)
{
    return openb_parse_nodes(&f->memory, str_from(text), "nodes.csv", &f->trace, &f->err);
}

static int parse_tasks(struct fixture *f, const char *text)
{
    return openb_parse_tasks(&f->memory, str_from(text), "pods.csv", &f->trace, &f->err);
}

/* ---- files ---- */

static void test_what_is_in_the_files(void **state)
{
    struct fixture f;
    open_fixture(&f);
    assert_int_equal(parse_nodes(&f, NODES "a,64000,262144,2,P100\r\nb,8000,1024,0,\nc,1,2,1,T4"),
                     0);
    /* Columns in another order, one of no interest, and one left out. */
    assert_int_equal(parse_tasks(&f, "gpu_milli,qos,num_gpu,memory_mib,cpu_milli\n"
                                     "460,LS,1,12288,6000\n1000,BE,8,0,500\n0,BE,0,1,2\n"),
                     0);
    assert_int_equal(f.trace.node_count, 3);
    assert_int_equal(f.trace.gpus, 3);
    assert_int_equal(f.trace.nodes[0].cpu, 64000);
    assert_int_equal(f.trace.nodes[0].gpu_count, 2);
    assert_int_equal(f.trace.nodes[2].gpus[0].model, 1);
    assert_true(str_eq(f.trace.models[1], STR("T4")));
    assert_int_equal(f.trace.task_count, 3);
    assert_int_equal(f.trace.tasks[0].share_milli, 460);
    assert_int_equal(f.trace.tasks[0].memory, 12288);
    assert_int_equal(f.trace.tasks[1].gpus, 8);
    assert_int_equal(f.trace.tasks[2].gpus + f.trace.tasks[2].share_milli, 0);
    arena_fini(&f.memory);
}

static void test_accepted_models(void **state)
{
    struct fixture f;
    open_fixture(&f);
    assert_int_equal(parse_nodes(&f, NODES "a,1,1,1,T4\n"), 0);
    assert_int_equal(parse_tasks(&f, TASKS "p,1,1,1,1000,T4|A10|A10\nq,1,1,1,1000,\n"), 0);
    assert_int_equal(f.trace.tasks[0].models, 3);
    assert_int_equal(f.trace.tasks[1].models, 0);
    arena_fini(&f.memory);
}

static void test_errors_name_file_line_and_reason(void **state)
{
    static const struct {
        const char *nodes, *tasks, *message;
    } cases[] = {
        {"", NULL, "nodes.csv, line 0: the line of column names is missing"},
        {"sn,cpu_milli,gpu,model\n", NULL,
         "nodes.csv, line 1: no column of this name: 'memory_mib'"},
        {"gpu,gpu\n", NULL, "nodes.csv, line 1: a column twice: 'gpu'"},
        {NODES "a,1,1,1,T4\nb,1,1\n", NULL,
         "nodes.csv, line 3: not as many cells as columns: 'b,1,1'"},
        {NODES "a,1,1,1,T4,\n", NULL,
         "nodes.csv, line 2: not as many cells as columns: 'a,1,1,1,T4,'"},
        {NODES "a,-1,1,1,T4\n", NULL, "nodes.csv, line 2: cpu_milli is no number: '-1'"},
        {NODES "a,1,1,17,T4\n", NULL, "nodes.csv, line 2: gpu is no number up to 16: '17'"},
        {NODES "a,1,1,1,\n", NULL, "nodes.csv, line 2: a GPU model without a name: 'a,1,1,1,'"},
        {NODES "a,1,1,0,\n", NULL, "nodes.csv, line 2: no node has a GPU"},
        {NODES "a,1,1,1,T4\n", TASKS, "pods.csv, line 1: no task asks for a GPU"},
        {NODES "a,1,1,1,T4\n", TASKS "p,1,1,0,0,\n", "pods.csv, line 2: no task asks for a GPU"},
        {NODES "a,1,1,1,T4\n", TASKS "p,1,1,2,500,\n",
         "pods.csv, line 2: only one GPU can be shared, and not to 0 thousandths: 'p,1,1,2,500,'"},
        {NODES "a,1,1,1,T4\n", TASKS "p,1,1,1,1001,\n",
         "pods.csv, line 2: gpu_milli is no number up to 1000: '1001'"},
        {NODES "a,1,1,1,T4\n", TASKS "p,1,1,1,1000,T4|\n",
         "pods.csv, line 2: a GPU model without a name: 'p,1,1,1,1000,T4|'"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct fixture f;
        open_fixture(&f);
        int error = parse_nodes(&f, cases[i].nodes);
        assert_int_equal(error, cases[i].tasks ? 0 : ERR_PARSE);
        if (cases[i].tasks)
            assert_int_equal(parse_tasks(&f, cases[i].tasks), ERR_PARSE);
        assert_string_equal(f.err.message, cases[i].message);
        arena_fini(&f.memory);
    }
}

static void test_gzip_reads_as_plain_does(void **state)
{
    char path[] = "/tmp/test_openb_XXXXXX";
    struct buf plain, unpacked;
    struct err err;
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    buf_init(&plain, OPENB_FILE_MAX);
    buf_init(&unpacked, OPENB_FILE_MAX);
    assert_int_equal(openb_read(TEST_DATA "/openb/pods.csv", &plain, &err), 0);
    gzFile file = gzopen(path, "wb");
    assert_int_equal(gzwrite(file, plain.ptr, (unsigned)plain.len), (int)plain.len);
    gzclose(file);
    assert_int_equal(openb_read(path, &unpacked, &err), 0);
    assert_true(plain.len > 1000 && str_eq(buf_str(&plain), buf_str(&unpacked)));
    /* Cut short. */
    assert_int_equal(truncate(path, 200), 0);
    buf_clear(&unpacked);
    assert_int_equal(openb_read(path, &unpacked, &err), ERR_IO);
    assert_non_null(strstr(err.message, path));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(openb_read(path, &unpacked, &err), ERR_NOT_FOUND);
    buf_fini(&plain);
    buf_fini(&unpacked);
}

/* ---- runs ---- */

static void read_cut(struct fixture *f)
{
    struct buf text;
    open_fixture(f);
    buf_init(&text, OPENB_FILE_MAX);
    assert_int_equal(openb_read(TEST_DATA "/openb/nodes.csv", &text, &f->err), 0);
    assert_int_equal(openb_parse_nodes(&f->memory, buf_str(&text), "", &f->trace, &f->err), 0);
    buf_clear(&text);
    assert_int_equal(openb_read(TEST_DATA "/openb/pods.csv", &text, &f->err), 0);
    assert_int_equal(openb_parse_tasks(&f->memory, buf_str(&text), "", &f->trace, &f->err), 0);
    buf_fini(&text);
}

static struct openb_result *new_run(const struct fixture *f, const struct place_policy *policy,
                                    uint64_t seed, double arrive)
{
    struct openb_result *r = NEW(struct openb_result);
    struct openb_options options = {.policy = policy, .seed = seed, .arrive = arrive};
    openb_run(&f->trace, &options, NULL, r);
    return r;
}

static void test_the_rules_of_a_run(void **state)
{
    struct fixture f;
    read_cut(&f);
    for (const struct place_policy *const *policy = place_policies; *policy; policy++) {
        struct openb_result *r = new_run(&f, *policy, 7, 1.3),
                            *again = new_run(&f, *policy, 7, 1.3),
                            *other = new_run(&f, *policy, 8, 1.3);
        uint64_t most = f.trace.gpus * 1300;
        assert_memory_equal(r, again, sizeof(*r));
        assert_memory_not_equal(r, other, sizeof(*r));
        assert_true(r->arrived_milli <= most && r->arrived_milli > most - 8000);
        assert_int_equal(r->last, 130);
        assert_true(r->placed < r->arrived && r->placed_milli <= f.trace.gpus * 1000);
        assert_true(r->points[130].allocated > 75 && r->points[130].allocated <= 100);
        for (int i = 1; i <= 130; i++)
            assert_true(!r->points[i].arrivals ||
                        (r->points[i].allocated < i + 0.51 && r->points[i].allocated > 0));
        mem_free(r);
        mem_free(again);
        mem_free(other);
    }
    arena_fini(&f.memory);
}

/* With room for all, all are placed; the demand is what was said, less than one task. */
static void test_few_arrivals_all_fit(void **state)
{
    struct fixture f;
    read_cut(&f);
    struct openb_result *r = new_run(&f, &place_fgd, 1, 0.25);
    assert_int_equal(r->placed, r->arrived);
    assert_int_equal(r->placed_milli, r->arrived_milli);
    assert_in_range(r->arrived_milli, f.trace.gpus * 250 - 8000, f.trace.gpus * 250);
    assert_true(r->arrived < f.trace.task_count);
    mem_free(r);
    arena_fini(&f.memory);
}

/* Thousandths of GPUs that each policy gives out of the cut: others are another policy, or another
 * order. */
static void test_policies_decide_as_before(void **state)
{
    static const struct {
        const char *policy;
        unsigned placed_milli;
    } golden[] = {
        {"first_fit", 955690},   {"best_fit", 940140}, {"packing", 930700}, {"clustering", 926930},
        {"dot_product", 910900}, {"random", 882330},   {"fgd", 960060},     {"fairway", 965520},
    };
    struct fixture f;
    read_cut(&f);
    for (size_t i = 0; i < ARRAY_LEN(golden); i++) {
        struct openb_result *r = new_run(&f, place_policy_find(str_from(golden[i].policy)), 1, 1.3);
        assert_int_equal(r->placed_milli, golden[i].placed_milli);
        mem_free(r);
    }
    arena_fini(&f.memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_in_the_files),
        cmocka_unit_test(test_accepted_models),
        cmocka_unit_test(test_errors_name_file_line_and_reason),
        cmocka_unit_test(test_gzip_reads_as_plain_does),
        cmocka_unit_test(test_the_rules_of_a_run),
        cmocka_unit_test(test_few_arrivals_all_fit),
        cmocka_unit_test(test_policies_decide_as_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
