/* SPDX-License-Identifier: Apache-2.0 */
/* What runs now, as a scenario: `fairway simulate snapshot`, and what `fairway simulate run --live` begins with. */
#include <stdio.h>

#include "base/clock.h"
#include "base/yaml.h"
#include "cli/client.h"
#include "cli/simulate.h"
#include "sim/snapshot.h"

#define LIVE_MEMORY      ((size_t)64 << 20)
#define MANIFEST_MAX     ((size_t)4 << 20)
#define DURATION_DEFAULT SEC(3600)

/* What the admin API is asked for. */
enum { NODES, TENANTS, MODELS, JOBS, REPLICAS, LISTS };
static const char *const paths[LISTS] = {
    [NODES] = "/apis/fairway.dev/v1/nodes",
    [TENANTS] = "/apis/fairway.dev/v1/tenants",
    [MODELS] = "/apis/fairway.dev/v1/models",
    [JOBS] = "/apis/fairway.dev/v1/jobs",
    [REPLICAS] = "/v1/replicas",
};

static int ask(const char *state_option, struct arena *a, const struct json *lists[LISTS],
               struct err *err)
{
    char state[PATH_MAX];
    int error = cli_state_dir(state_option, state, err);
    for (int i = 0; i < LISTS && !error; i++) {
        struct client_reply reply;
        struct json *body = NULL;
        error = client_call(state, "GET", paths[i], STR_NONE, &reply, err);
        if (error)
            break;
        struct str kept = arena_dup(a, buf_str(&reply.text)); /* trees borrow of their text */
        error = kept.ptr ? json_parse(a, kept, &body, err)
                         : err_set(err, ERR_NO_MEMORY, "%s answers too much", paths[i]);
        lists[i] = body;
        client_reply_fini(&reply);
    }
    return error;
}

static int read_manifest(const char *path, struct arena *a, struct snapshot *s, struct err *err)
{
    struct resource **added;
    struct buf text;
    buf_init(&text, MANIFEST_MAX);
    int error = simulate_read_file(path, &text, err);
    if (!error && resource_read(a, buf_str(&text), &added, &s->added_count, err))
        error = err_wrap(err, err->code, "%s", path);
    if (!error)
        s->added = added;
    buf_fini(&text);
    return error;
}

static int make(const struct live_options *o, struct arena *a, struct buf *out, struct err *err)
{
    const struct json *lists[LISTS] = {NULL};
    struct snapshot s = {.now = clock_wall(), .duration = DURATION_DEFAULT};
    struct scenario scenario;
    if (o->duration && (nsec_parse(str_from(o->duration), &s.duration) || s.duration <= 0))
        return err_set(err, ERR_INVALID, "--duration takes a time like 30m or 2h, not %s",
                       o->duration);
    int error = ask(o->state, a, lists, err);
    if (!error && o->add)
        error = read_manifest(o->add, a, &s, err);
    if (error)
        return error;
    s.nodes = lists[NODES];
    s.tenants = lists[TENANTS];
    s.models = lists[MODELS];
    s.jobs = lists[JOBS];
    s.replicas = lists[REPLICAS];
    error = snapshot_scenario(a, &s, &scenario, err);
    if (!error)
        scenario_write(&scenario, out);
    return error ? error
           : out->error
               ? err_set(err, out->error, "the snapshot is over %zu bytes", SCENARIO_FILE_MAX)
               : 0;
}

int simulate_live(const struct live_options *options, struct buf *out, struct err *err)
{
    struct arena a;
    arena_init(&a, LIVE_MEMORY);
    int error = make(options, &a, out, err);
    arena_fini(&a);
    return error;
}

/* ---- the verb ---- */

static int print(struct str text, enum cli_output output, struct err *err)
{
    struct json *documents;
    struct arena a;
    if (output != CLI_JSON) {
        fwrite(text.ptr, 1, text.len, stdout);
        return 0;
    }
    arena_init(&a, LIVE_MEMORY);
    int error = yaml_parse(&a, text, &documents, err);
    if (!error)
        cli_print_tree(documents->first, CLI_JSON);
    arena_fini(&a);
    return error;
}

int simulate_snapshot(int argc, char **argv)
{
    const char *output_option = "yaml";
    struct live_options o = {0};
    const struct cli_option options[] = {
        {"--state", 0, &o.state, NULL},
        {"--add", 0, &o.add, NULL},
        {"--duration", 0, &o.duration, NULL},
        {"--output", 'o', &output_option, NULL},
    };
    enum cli_output output;
    struct buf text;
    struct err err;
    int count;
    int done = cli_parse(&verb_simulate, argc, argv, options, ARRAY_LEN(options), NULL, 0, &count);
    if (done)
        return MAX(done, 0);
    if (cli_output_parse(output_option, &output) || output == CLI_TABLE)
        return cli_usage(&verb_simulate, "-o takes yaml or json, not %s", output_option);
    buf_init(&text, SCENARIO_FILE_MAX);
    int error = simulate_live(&o, &text, &err);
    error = error ? error : print(buf_str(&text), output, &err);
    buf_fini(&text);
    return error ? cli_fail(&err) : CLI_OK;
}
