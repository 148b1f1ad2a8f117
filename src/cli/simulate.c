/* SPDX-License-Identifier: Apache-2.0 */
/* What a policy would do, on recorded workloads and simulated clusters. */
#include <stdio.h>

#include "base/clock.h"
#include "base/mem.h"
#include "cli/simulate.h"
#include "sim/openb.h"

#define TRACE_MAX ((size_t)1 << 30) /* memory of a trace */

struct request {
    const char *nodes, *tasks;
    struct openb_options options;
    enum cli_output output;
    bool no_speed;
};

/* ---- reading ---- */

typedef int parse_fn(struct arena *a, struct str text, const char *name, struct openb_trace *trace,
                     struct err *err);

static int read_file(const char *path, parse_fn *parse, struct arena *a, struct openb_trace *trace,
                     struct err *err)
{
    struct buf text;
    buf_init(&text, OPENB_FILE_MAX);
    int error = openb_read(path, &text, err);
    if (!error)
        error = parse(a, buf_str(&text), path, trace, err);
    buf_fini(&text);
    return error;
}

/* ---- writing ---- */

static double decisions_per_second(const struct openb_result *r)
{
    return (double)r->arrived / nsec_to_seconds(MAX(r->deciding, 1));
}

static double percent_of(uint64_t milli, const struct openb_trace *trace)
{
    return (double)milli / (double)(trace->gpus * PLACE_MILLI) * 100;
}

/* Hundredths are what there is to say. */
static double rounded(double percent)
{
    return (double)(int64_t)(percent * 100 + 0.5) / 100;
}

static void write_points(struct json_writer *w, const struct openb_result *r)
{
    json_key(w, STR("points"));
    json_array(w);
    for (int i = 0; i <= r->last; i++) {
        if (!r->points[i].arrivals)
            continue;
        json_object(w);
        json_member_int(w, STR("arrivedPercent"), i);
        json_member_double(w, STR("allocatedPercent"), rounded(r->points[i].allocated));
        json_end(w);
    }
    json_end(w);
}

static void write_json(const struct request *q, const struct openb_trace *trace,
                       const struct openb_result *r)
{
    struct buf text;
    struct json_writer w;
    buf_init(&text, OPENB_FILE_MAX);
    json_writer_init(&w, &text, 2);
    json_object(&w);
    json_member_str(&w, STR("policy"), str_from(q->options.policy->name));
    json_member_u64(&w, STR("seed"), q->options.seed);
    json_member_double(&w, STR("arrive"), q->options.arrive);
    json_member_u64(&w, STR("nodes"), trace->node_count);
    json_member_u64(&w, STR("gpus"), trace->gpus);
    json_member_u64(&w, STR("tasks"), trace->task_count);
    json_member_u64(&w, STR("arrived"), r->arrived);
    json_member_u64(&w, STR("placed"), r->placed);
    json_member_u64(&w, STR("dropped"), r->arrived - r->placed);
    json_member_double(&w, STR("arrivedPercent"), rounded(percent_of(r->arrived_milli, trace)));
    json_member_double(&w, STR("allocatedPercent"), rounded(percent_of(r->placed_milli, trace)));
    if (!q->no_speed) {
        json_member_u64(&w, STR("decisionsPerSecond"), (uint64_t)decisions_per_second(r));
        json_member_u64(&w, STR("slowestDecisionMicroseconds"),
                        (uint64_t)(r->slowest / NSEC_PER_USEC));
    }
    write_points(&w, r);
    json_end(&w);
    buf_put_char(&text, '\n');
    fwrite(text.ptr, 1, text.len, stdout);
    buf_fini(&text);
}

/* Every tenth per cent, and the last. */
static void write_table(const struct request *q, const struct openb_trace *trace,
                        const struct openb_result *r)
{
    static const char *const headings[] = {"ARRIVED", "ALLOCATED"};
    printf("%zu nodes, %llu GPUs; %llu tasks arrived, %llu were placed by %s (seed %llu)\n",
           trace->node_count, (unsigned long long)trace->gpus, (unsigned long long)r->arrived,
           (unsigned long long)r->placed, q->options.policy->name,
           (unsigned long long)q->options.seed);
    if (!q->no_speed)
        printf("%.0f decisions per second; the slowest took %lld microseconds\n",
               decisions_per_second(r), (long long)(r->slowest / NSEC_PER_USEC));
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    for (int i = 0; i <= r->last; i++) {
        if (!r->points[i].arrivals || (i % 10 != 0 && i != r->last))
            continue;
        cli_table_cell(t, "%d%%", i);
        cli_table_cell(t, "%.2f%%", r->points[i].allocated);
    }
    cli_table_print(t);
}

/* ---- the verb ---- */

static int simulate(const struct request *q)
{
    struct arena memory;
    struct openb_trace trace = {0};
    struct err err;
    arena_init(&memory, TRACE_MAX);
    int error = read_file(q->nodes, openb_parse_nodes, &memory, &trace, &err);
    if (!error)
        error = read_file(q->tasks, openb_parse_tasks, &memory, &trace, &err);
    if (error) {
        arena_fini(&memory);
        return cli_fail(&err);
    }
    struct openb_result *result = NEW(struct openb_result);
    openb_run(&trace, &q->options, clock_now, result);
    (q->output == CLI_JSON ? write_json : write_table)(q, &trace, result);
    mem_free(result);
    arena_fini(&memory);
    return CLI_OK;
}

int simulate_policy_usage(const char *given)
{
    char names[256] = "";
    for (const struct place_policy *const *p = place_policies; *p; p++)
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s", names[0] ? ", " : "",
                 (*p)->name);
    return cli_usage(&verb_simulate, "--policy takes one of %s, not %s", names, given);
}

static int run(int argc, char **argv)
{
    const struct verb *v = &verb_simulate;
    const char *experiment[1], *policy = "fairway", *seed = "1", *arrive = "1.3", *output = NULL;
    struct request q = {0};
    const struct cli_option options[] = {
        {"--nodes", 'n', &q.nodes, NULL},     {"--pods", 0, &q.tasks, NULL},
        {"--policy", 'p', &policy, NULL},     {"--seed", 0, &seed, NULL},
        {"--arrive", 0, &arrive, NULL},       {"--output", 'o', &output, NULL},
        {"--no-speed", 0, NULL, &q.no_speed},
    };
    int count;
    if (argc > 1 && strcmp(argv[1], "run") == 0)
        return simulate_run(argc - 1, argv + 1);
    if (argc > 1 && strcmp(argv[1], "snapshot") == 0)
        return simulate_snapshot(argc - 1, argv + 1);
    int done = cli_parse(v, argc, argv, options, ARRAY_LEN(options), experiment, 1, &count);
    if (done)
        return MAX(done, 0);
    if (count == 0 || strcmp(experiment[0], "openb") != 0)
        return cli_usage(v, "say what to simulate: run FILE, run --live, snapshot, or openb");
    if (!q.nodes || !q.tasks)
        return cli_usage(v, "give --nodes FILE and --pods FILE");
    if (!(q.options.policy = place_policy_find(str_from(policy))))
        return simulate_policy_usage(policy);
    if (str_to_u64(str_from(seed), &q.options.seed))
        return cli_usage(v, "--seed takes a number, not %s", seed);
    if (str_to_double(str_from(arrive), &q.options.arrive) || q.options.arrive <= 0 ||
        q.options.arrive > OPENB_ARRIVE_MAX)
        return cli_usage(v, "--arrive takes a number of times the GPUs, up to 10, not %s", arrive);
    if (cli_output_parse(output, &q.output) || q.output == CLI_YAML)
        return cli_usage(v, "-o takes table or json, not %s", output);
    return simulate(&q);
}

const struct verb verb_simulate = {
    .name = "simulate",
    .arguments = "run FILE|--live [options] | snapshot [options] | openb --nodes FILE --pods FILE "
                 "[options]",
    .summary = "Try the GPU scheduler on a simulated cluster",
    .help =
        "run: a cluster, its quotas and who comes when, from a YAML file, in virtual time. It "
        "tells\n"
        "who waits how long and what the GPUs do.\n\n"
        "  -p, --policy LIST     of placement: first_fit, best_fit, packing, clustering, "
        "dot_product,\n"
        "                        random, fgd or fairway (default); several, with commas, side by "
        "side\n"
        "      --seed N          of what comes when, and of faults (1)\n"
        "      --set PATH=VALUE  changes the file for this run: nodes.NAME.count=4; several times\n"
        "      --compare FILE    another file, side by side\n"
        "      --html FILE       the report as one page with plots\n"
        "      --trace FILE      every decision, as lines of JSON\n"
        "  -o, --output FORMAT   table (default) or json\n\n"
        "run --live: what runs in Fairway now is the file: who has room at once, who waits, who is "
        "evicted.\n\n"
        "      --add FILE        with these Models and Jobs beside it, a manifest as apply takes "
        "it\n"
        "      --duration TIME   of jobs that do not say how long they run (1h)\n"
        "      --state FOLDER    of the Fairway to ask\n\n"
        "snapshot: what runs in Fairway now, as a file for run. It takes --add, --duration and "
        "--state,\n"
        "and -o yaml (default) or json.\n\n"
        "openb: tasks of a recorded cluster arrive one by one and never leave; it tells how much "
        "of\n"
        "the GPUs is given out when so much of them has been asked for. Files are CSV, plain or "
        "gzip,\n"
        "as of the openb trace.\n\n"
        "  -n, --nodes FILE      columns cpu_milli, memory_mib, gpu, model\n"
        "      --pods FILE       columns cpu_milli, memory_mib, num_gpu, gpu_milli, gpu_spec\n"
        "  -p, --policy NAME     one of those above\n"
        "      --seed N          of the order of nodes and tasks (1)\n"
        "      --arrive X        tasks arrive until they ask for X times the GPUs (1.3)\n"
        "      --no-speed        leave out what differs from run to run\n"
        "  -o, --output FORMAT   table (default) or json, with every per cent\n",
    .run = run,
};
