/* SPDX-License-Identifier: Apache-2.0 */
/* A scenario in virtual time: `fairway simulate run`, of a file or of what runs now (--live). */
#include <errno.h>
#include <stdio.h>

#include "base/mem.h"
#include "cli/simulate.h"
#include "sim/world.h"

enum { CHANGES_MAX = 64, RUNS_MAX = 8 };
#define REPORT_MAX      ((size_t)64 << 20)
#define SCENARIO_MEMORY ((size_t)256 << 20)

/* One of the runs of a command: its own file, or its own policy. */
struct one {
    const char *file; /* NULL: what runs now */
    const struct place_policy *policy;
    const char *name; /* in the report */
    struct arena memory;
    struct sim_result *result; /* own */
};

struct request {
    const char *changes[CHANGES_MAX];
    size_t change_count;
    struct one runs[RUNS_MAX];
    size_t run_count;
    uint64_t seed;
    enum cli_output output;
    const char *html, *trace;
    bool live;
    struct live_options live_options;
    struct buf live_text; /* the scenario of what runs now, the same for all runs */
};

/* ---- files ---- */

static int cannot(struct err *err, const char *path, const char *what)
{
    return err_set(err, err_from_errno(errno), "%s: cannot be %s: %s", path, what, strerror(errno));
}

int simulate_read_file(const char *path, struct buf *out, struct err *err)
{
    FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
    size_t got;
    if (!file)
        return cannot(err, path, "read");
    do {
        char *room = buf_reserve(out, BUFSIZ);
        got = room ? fread(room, 1, BUFSIZ, file) : 0;
        buf_commit(out, got);
    } while (got > 0);
    int error = ferror(file) ? cannot(err, path, "read") : 0;
    if (file != stdin)
        fclose(file);
    if (out->error)
        return err_set(err, ERR_TOO_BIG, "%s: more than %zu bytes", path, out->max);
    return error;
}

static int write_file(const char *path, struct str text, struct err *err)
{
    FILE *file = fopen(path, "wb");
    if (!file)
        return cannot(err, path, "written");
    bool good = fwrite(text.ptr, 1, text.len, file) == text.len;
    good &= fclose(file) == 0;
    return good ? 0 : cannot(err, path, "written");
}

static void trace_line(void *ctx, struct str line)
{
    fprintf(ctx, "%.*s\n", STR_ARG(line));
}

/* ---- runs ---- */

static const char *file_name(const struct one *run)
{
    return run->file ? run->file : "live";
}

static int read_scenario(const struct request *q, struct one *run, struct scenario **ret_scenario,
                         struct err *err)
{
    struct buf text;
    buf_init(&text, SCENARIO_FILE_MAX);
    int error = run->file ? simulate_read_file(run->file, &text, err) : 0;
    if (!error) {
        error = scenario_read(&run->memory, buf_str(run->file ? &text : &q->live_text), q->changes,
                              q->change_count, ret_scenario, err);
        if (error)
            err_wrap(err, error, "%s", file_name(run));
    }
    buf_fini(&text);
    return error;
}

static int simulate_one(const struct request *q, struct one *run, FILE *trace, struct err *err)
{
    struct scenario *scenario;
    arena_init(&run->memory, SCENARIO_MEMORY);
    run->result = NEW(struct sim_result);
    int error = read_scenario(q, run, &scenario, err);
    if (error)
        return error;
    const struct sim_options options = {
        .policy = run->policy, .seed = q->seed, .trace = trace ? trace_line : NULL, .ctx = trace};
    error = sim_run(&run->memory, scenario, &options, run->result, err);
    return error ? err_wrap(err, error, "%s", file_name(run)) : 0;
}

static int simulate_all(struct request *q, struct err *err)
{
    FILE *trace = NULL;
    if (q->trace && !(trace = fopen(q->trace, "wb")))
        return cannot(err, q->trace, "written");
    int error = 0;
    for (size_t i = 0; !error && i < q->run_count; i++)
        error = simulate_one(q, &q->runs[i], trace, err);
    if (trace) {
        bool bad = ferror(trace);
        bad |= fclose(trace) != 0;
        error = error ? error : bad ? cannot(err, q->trace, "written") : 0;
    }
    return error;
}

/* ---- reports ---- */

static void print_figures(const struct request *q)
{
    const char *headings[RUNS_MAX + 1] = {"FIGURE"};
    struct sim_figure figures[SIM_FIGURES_MAX], own[SIM_FIGURES_MAX];
    for (size_t k = 0; k < q->run_count; k++)
        headings[k + 1] = q->runs[k].name;
    struct cli_table *t = cli_table_new(headings, q->run_count + 1);
    int count = sim_figures(q->runs[0].result, figures);
    for (int i = 0; i < count; i++) {
        cli_table_cell(t, "%s", figures[i].title);
        for (size_t k = 0; k < q->run_count; k++) {
            char text[SIM_FIGURE_TEXT_MAX];
            int others = sim_figures(q->runs[k].result, own), at = 0;
            while (at < others && strcmp(own[at].key, figures[i].key) != 0)
                at++;
            cli_table_cell(t, "%s", at < others ? sim_figure_text(&own[at], text) : "-");
        }
    }
    cli_table_print(t);
}

static void print_waits(const struct one *run, bool named)
{
    static const char *const headings[] = {"CLASS",   "CAME",    "WAIT P50", "P95",    "P99",
                                           "LONGEST", "EVICTED", "RUNNING",  "WAITING"};
    static const double quantiles[] = {0.5, 0.95, 0.99, 1};
    const struct sim_result *r = run->result;
    printf(named ? "\n%s\n" : "\n", run->name);
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    for (size_t i = 0; i < r->class_count; i++) {
        const struct sim_class *c = &r->classes[i];
        cli_table_cell(t, "%.*s", STR_ARG(c->name));
        cli_table_cell(t, "%llu", (unsigned long long)c->arrived);
        for (size_t k = 0; k < ARRAY_LEN(quantiles); k++) {
            char text[NSEC_TEXT_MAX];
            nsec wait = (nsec)hist_quantile(&c->wait, quantiles[k]);
            cli_table_cell(t, "%s", c->wait.count ? sim_wait_text(wait, text) : "-");
        }
        cli_table_cell(t, "%llu", (unsigned long long)c->evicted);
        cli_table_cell(t, "%llu", (unsigned long long)c->running);
        cli_table_cell(t, "%llu", (unsigned long long)c->waiting);
    }
    cli_table_print(t);
}

/* Of who waits to the end one cannot tell for how long. */
static const char *wait_text(const struct sim_class *c, char text[NSEC_TEXT_MAX])
{
    nsec wait = (nsec)hist_quantile(&c->wait, 1);
    if (c->waiting)
        return "to the end";
    return c->wait.count && wait > 0 ? sim_wait_text(wait, text) : "-";
}

static void print_placed(const struct one *run, bool named)
{
    static const char *const headings[] = {"WHO", "WANTED", "PLACED AT ONCE", "LONGEST WAIT",
                                           "EVICTED"};
    const struct sim_result *r = run->result;
    if (named)
        printf("%s\n", run->name);
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    for (size_t i = 0; i < r->class_count; i++) {
        const struct sim_class *c = &r->classes[i];
        char text[NSEC_TEXT_MAX];
        cli_table_cell(t, "%s %.*s", c->service ? "service" : "job", STR_ARG(c->name));
        cli_table_cell(t, "%llu", (unsigned long long)c->arrived);
        cli_table_cell(t, "%llu", (unsigned long long)c->placed_at_once);
        cli_table_cell(t, "%s", wait_text(c, text));
        cli_table_cell(t, "%llu", (unsigned long long)c->evicted);
    }
    cli_table_print(t);
}

static void print_text(const struct request *q)
{
    const struct sim_result *r = q->runs[0].result;
    char text[NSEC_TEXT_MAX];
    printf("%s simulated, %llu nodes with %llu GPUs; seed %llu\n\n", nsec_format(r->duration, text),
           (unsigned long long)r->nodes, (unsigned long long)r->gpus, (unsigned long long)r->seed);
    if (!q->live)
        print_figures(q);
    for (size_t i = 0; i < q->run_count; i++)
        (q->live ? print_placed : print_waits)(&q->runs[i], q->run_count > 1);
}

static int report(const struct request *q, struct err *err)
{
    const struct sim_result *results[RUNS_MAX];
    const char *names[RUNS_MAX];
    struct buf text;
    int error = 0;
    for (size_t i = 0; i < q->run_count; i++) {
        results[i] = q->runs[i].result;
        names[i] = q->runs[i].name;
    }
    buf_init(&text, REPORT_MAX);
    if (q->html) {
        sim_report_html(results, names, q->run_count, file_name(&q->runs[0]), &text);
        error = write_file(q->html, buf_str(&text), err);
        buf_clear(&text);
    }
    if (!error && q->output == CLI_JSON) {
        sim_report_json(results, q->run_count, &text);
        fwrite(text.ptr, 1, text.len, stdout);
    } else if (!error) {
        print_text(q);
    }
    buf_fini(&text);
    return error;
}

static int simulate(struct request *q)
{
    struct err err;
    buf_init(&q->live_text, SCENARIO_FILE_MAX);
    int error = q->live ? simulate_live(&q->live_options, &q->live_text, &err) : 0;
    error = error ? error : simulate_all(q, &err);
    error = error ? error : report(q, &err);
    buf_fini(&q->live_text);
    for (size_t i = 0; i < q->run_count; i++) {
        if (q->runs[i].result)
            arena_fini(&q->runs[i].memory);
        mem_free(q->runs[i].result);
    }
    return error ? cli_fail(&err) : CLI_OK;
}

/* ---- the command line ---- */

/* Takes each --set out of the arguments: it may be given several times. */
static int take_changes(struct request *q, int *argc, char **argv)
{
    int kept = 0;
    for (int i = 0; i < *argc; i++) {
        bool joined = str_starts(str_from(argv[i]), STR("--set="));
        if (!joined && strcmp(argv[i], "--set") != 0) {
            argv[kept++] = argv[i];
            continue;
        }
        if (!joined && i + 1 == *argc)
            return cli_usage(&verb_simulate, "--set needs a value");
        if (q->change_count == CHANGES_MAX)
            return cli_usage(&verb_simulate, "--set at most %d times", CHANGES_MAX);
        q->changes[q->change_count++] = joined ? argv[i] + strlen("--set=") : argv[++i];
    }
    *argc = kept;
    return 0;
}

static int add_run(struct request *q, const char *file, const struct place_policy *policy,
                   const char *name)
{
    if (q->run_count == RUNS_MAX)
        return cli_usage(&verb_simulate, "at most %d runs side by side", RUNS_MAX);
    q->runs[q->run_count++] = (struct one){.file = file, .policy = policy, .name = name};
    return 0;
}

/* One run for each policy; and one of the other file, with the first policy. */
static int plan_runs(struct request *q, const char *file, const char *policies, const char *other)
{
    struct str rest = str_from(policies), name;
    while (str_split(&rest, ',', &name)) {
        const struct place_policy *policy = place_policy_find(name);
        if (!policy)
            return simulate_policy_usage(policies);
        int error = add_run(q, file, policy, policy->name);
        if (error)
            return error;
    }
    if (!q->run_count)
        return simulate_policy_usage(policies);
    if (q->run_count == 1 && other)
        q->runs[0].name = file_name(&q->runs[0]);
    return other ? add_run(q, other, q->runs[0].policy, other) : 0;
}

int simulate_run(int argc, char **argv)
{
    const struct verb *v = &verb_simulate;
    const char *file[1] = {NULL}, *policy = "fairway", *seed = "1", *other = NULL, *output = NULL;
    struct request q = {0};
    struct live_options *live = &q.live_options;
    const struct cli_option options[] = {
        {"--policy", 'p', &policy, NULL},   {"--seed", 0, &seed, NULL},
        {"--compare", 0, &other, NULL},     {"--output", 'o', &output, NULL},
        {"--html", 0, &q.html, NULL},       {"--trace", 0, &q.trace, NULL},
        {"--live", 0, NULL, &q.live},       {"--add", 0, &live->add, NULL},
        {"--state", 0, &live->state, NULL}, {"--duration", 0, &live->duration, NULL},
    };
    int count, done = take_changes(&q, &argc, argv);
    if (!done)
        done = cli_parse(v, argc, argv, options, ARRAY_LEN(options), file, 1, &count);
    if (done)
        return MAX(done, 0);
    if (count == 0 && !q.live)
        return cli_usage(v, "say which file: fairway simulate run FILE, or --live");
    if (count && q.live)
        return cli_usage(v, "take %s or --live", file[0]);
    if (!q.live && (live->add || live->state || live->duration))
        return cli_usage(v, "--add, --duration and --state go with --live");
    if (str_to_u64(str_from(seed), &q.seed))
        return cli_usage(v, "--seed takes a number, not %s", seed);
    if (cli_output_parse(output, &q.output) || q.output == CLI_YAML)
        return cli_usage(v, "-o takes table or json, not %s", output);
    if ((done = plan_runs(&q, file[0], policy, other)))
        return done;
    return simulate(&q);
}
