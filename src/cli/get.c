/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>

#include "cli/client.h"

enum { GPUS_TEXT_MAX = 1000 };

static double number(const struct json *node, double fallback)
{
    return node && node->type == JSON_NUMBER ? node->number : fallback;
}

/* Where a model comes from. */
static const char *source_of(const struct json *spec)
{
    const struct json *urls = json_get(json_get(spec, STR("engine")), STR("urls"));
    const char *url = urls && urls->first ? cli_text(urls->first, "") : "(simulated)";
    return cli_text(json_get(json_get(spec, STR("source")), STR("uri")), url);
}

static void print_models(const struct json *items, struct arena *a)
{
    static const char *const headings[] = {"NAME", "REPLICAS", "READY", "STATUS", "SOURCE", "AGE"};
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    json_each(item, items)
    {
        const struct json *meta = json_get(item, STR("metadata"));
        const struct json *spec = json_get(item, STR("spec"));
        const struct json *status = json_get(item, STR("status"));
        const struct json *created = json_get(meta, STR("creationTimestamp"));
        cli_table_cell(t, "%s", cli_text(json_get(meta, STR("name")), ""));
        cli_table_cell(t, "%.0f", number(json_get(spec, STR("replicas")), 1));
        cli_table_cell(t, "%.0f", number(json_get(status, STR("readyReplicas")), 0));
        cli_table_cell(t, "%s", cli_text(json_get(status, STR("phase")), "Unknown"));
        cli_table_cell(t, "%s", source_of(spec));
        struct str age = created ? cli_age(a, created->text) : STR("-");
        cli_table_cell(t, "%.*s", STR_ARG(age));
    }
    cli_table_print(t);
}

static const char *gpu_model(const struct json *gpu)
{
    return cli_text(json_get(gpu, STR("model")), "unknown");
}

/* Of how many GPUs from this one on it is the model; 0: an earlier one has it too. */
static unsigned count_model(const struct json *gpus, const struct json *first)
{
    unsigned count = 0;
    json_each(gpu, gpus)
    {
        bool same = strcmp(gpu_model(gpu), gpu_model(first)) == 0;
        if (same && !count && gpu != first)
            return 0;
        count += same;
    }
    return count;
}

/* "8 x H100-80G, 4 x A10-24G" */
static void put_gpus(struct cli_table *t, const struct json *gpus)
{
    struct buf text;
    buf_init(&text, GPUS_TEXT_MAX);
    for (const struct json *gpu = gpus ? gpus->first : NULL; gpu; gpu = gpu->next) {
        unsigned count = count_model(gpus, gpu);
        if (count)
            buf_printf(&text, "%s%u x %s", text.len ? ", " : "", count, gpu_model(gpu));
    }
    cli_table_cell(t, "%s", text.len ? buf_cstr(&text) : "-");
    buf_fini(&text);
}

static void print_nodes(const struct json *items, struct arena *a)
{
    static const char *const headings[] = {"NAME", "CPU", "MEMORY", "FREE", "GPUS", "CORDONED"};
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    json_each(item, items)
    {
        const struct json *status = json_get(item, STR("status"));
        cli_table_cell(t, "%s",
                       cli_text(json_get(json_get(item, STR("metadata")), STR("name")), ""));
        cli_table_cell(t, "%.0f", number(json_get(status, STR("cpu")), 0));
        cli_table_cell(t, "%.1f GiB", number(json_get(status, STR("memory")), 0) / (1 << 30));
        cli_table_cell(t, "%.1f GiB", number(json_get(status, STR("memoryFree")), 0) / (1 << 30));
        put_gpus(t, json_get(status, STR("gpus")));
        const struct json *cordon = json_get(json_get(item, STR("spec")), STR("cordon"));
        cli_table_cell(t, "%s", cordon && cordon->boolean ? "yes" : "no");
    }
    cli_table_print(t);
}

static void print_replicas(const struct json *items, struct arena *a)
{
    static const char *const headings[] = {"REPLICA", "RUN",    "MODEL",    "STATE", "PID",
                                           "PORT",    "MEMORY", "RESTARTS", "AGE",   "REASON"};
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    json_each(item, items)
    {
        const struct json *since = json_get(item, STR("since"));
        cli_table_cell(t, "%.0f", number(json_get(item, STR("id")), 0));
        cli_table_cell(t, "%.0f", number(json_get(item, STR("run")), 0));
        cli_table_cell(t, "%s", cli_text(json_get(item, STR("model")), ""));
        cli_table_cell(t, "%s", cli_text(json_get(item, STR("state")), ""));
        cli_table_cell(t, "%.0f", number(json_get(item, STR("pid")), 0));
        cli_table_cell(t, "%.0f", number(json_get(item, STR("port")), 0));
        cli_table_cell(t, "%.0f MiB", number(json_get(item, STR("memory")), 0) / (1 << 20));
        cli_table_cell(t, "%.0f", number(json_get(item, STR("restarts")), 0));
        struct str age = since ? cli_age(a, since->text) : STR("-");
        cli_table_cell(t, "%.*s", STR_ARG(age));
        cli_table_cell(t, "%s", cli_text(json_get(item, STR("reason")), ""));
    }
    cli_table_print(t);
}

static void print_events(const struct json *items, struct arena *a)
{
    static const char *const headings[] = {"AGE", "OBJECT", "REASON", "MESSAGE"};
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    json_each(item, items)
    {
        const struct json *at = json_get(item, STR("time"));
        struct str age = at ? cli_age(a, at->text) : STR("-");
        cli_table_cell(t, "%.*s", STR_ARG(age));
        const char *kind = cli_text(json_get(item, STR("kind")), "?");
        cli_table_cell(t, "%c%s/%s", tolower((unsigned char)kind[0]), kind + 1,
                       cli_text(json_get(item, STR("object")), ""));
        cli_table_cell(t, "%s", cli_text(json_get(item, STR("reason")), ""));
        cli_table_cell(t, "%s", cli_text(json_get(item, STR("message")), ""));
    }
    cli_table_print(t);
}

static void print_tenants(const struct json *items, struct arena *a)
{
    static const char *const headings[] = {"NAME", "WEIGHT", "PRIORITY", "LIMITS", "AGE"};
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    json_each(item, items)
    {
        const struct json *meta = json_get(item, STR("metadata"));
        const struct json *spec = json_get(item, STR("spec"));
        const struct json *limits = json_get(spec, STR("limits"));
        const struct json *created = json_get(meta, STR("creationTimestamp"));
        cli_table_cell(t, "%s", cli_text(json_get(meta, STR("name")), ""));
        cli_table_cell(t, "%.0f", number(json_get(spec, STR("weight")), 1));
        cli_table_cell(t, "%s", cli_text(json_get(spec, STR("priority")), ""));
        cli_table_cell(t, "%u", limits ? limits->count : 0);
        struct str age = created ? cli_age(a, created->text) : STR("-");
        cli_table_cell(t, "%.*s", STR_ARG(age));
    }
    cli_table_print(t);
}

/* What all members ask for: "8", "2 x 20Gi", "2 x 1g.10gb" or "-". */
static void put_asked(struct cli_table *t, const struct json *spec)
{
    const struct json *resources = json_get(spec, STR("resources"));
    const struct json *mig = json_get(resources, STR("mig"));
    const struct json *part = mig ? mig : json_get(resources, STR("gpuMemory"));
    double members = cli_number(spec, STR("members"));
    double gpus =
        cli_number(resources, STR("gpus")) + cli_number(resources, STR("gpuShare")) / 1000;
    if (gpus > 0)
        cli_table_cell(t, "%g", gpus * members);
    else if (part)
        cli_table_cell(t, "%.0f x %.*s", members,
                       STR_ARG(part->type == JSON_STRING ? part->text : part->raw));
    else
        cli_table_cell(t, "-");
}

static void print_jobs(const struct json *items, struct arena *a)
{
    static const char *const headings[] = {"NAME",   "PHASE",    "MEMBERS", "GPUS",
                                           "TENANT", "PRIORITY", "AGE",     "REASON"};
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    json_each(item, items)
    {
        const struct json *meta = json_get(item, STR("metadata"));
        const struct json *spec = json_get(item, STR("spec"));
        const struct json *status = json_get(item, STR("status"));
        const struct json *created = json_get(meta, STR("creationTimestamp"));
        cli_table_cell(t, "%s", cli_text(json_get(meta, STR("name")), ""));
        cli_table_cell(t, "%s", cli_text(json_get(status, STR("phase")), ""));
        cli_table_cell(t, "%.0f", number(json_get(spec, STR("members")), 1));
        put_asked(t, spec);
        cli_table_cell(t, "%s", cli_text(json_get(spec, STR("tenant")), "-"));
        cli_table_cell(t, "%.0f", number(json_get(spec, STR("priority")), 0));
        struct str age = created ? cli_age(a, created->text) : STR("-");
        cli_table_cell(t, "%.*s", STR_ARG(age));
        cli_table_cell(t, "%s", cli_text(json_get(status, STR("reason")), ""));
    }
    cli_table_print(t);
}

static void print_gateways(const struct json *items, struct arena *a)
{
    static const char *const headings[] = {"ID", "ADDRESS", "RUNNING", "WAITING", "SEEN", "AGE"};
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    json_each(item, items)
    {
        const struct json *seen = json_get(item, STR("seen"));
        const struct json *joined = json_get(item, STR("joined"));
        cli_table_cell(t, "%s", cli_text(json_get(item, STR("id")), ""));
        cli_table_cell(t, "%s", cli_text(json_get(item, STR("address")), ""));
        cli_table_cell(t, "%.0f", number(json_get(item, STR("running")), 0));
        cli_table_cell(t, "%.0f", number(json_get(item, STR("waiting")), 0));
        cli_table_cell(t, "%.*s ago", STR_ARG(cli_age(a, seen ? seen->text : STR_NONE)));
        cli_table_cell(t, "%.*s", STR_ARG(cli_age(a, joined ? joined->text : STR_NONE)));
    }
    cli_table_print(t);
}

/* What `get` accepts as a kind, and where the admin API has it. */
static const struct {
    const char *words[3];
    const char *path;
    void (*print)(const struct json *items, struct arena *a);
} kinds[] = {
    {{"models", "model", "m"}, "/apis/fairway.dev/v1/models", print_models},
    {{"jobs", "job", "j"}, "/apis/fairway.dev/v1/jobs", print_jobs},
    {{"nodes", "node", "n"}, "/apis/fairway.dev/v1/nodes", print_nodes},
    {{"tenants", "tenant", "t"}, "/apis/fairway.dev/v1/tenants", print_tenants},
    {{"replicas", "replica", "r"}, "/v1/replicas", print_replicas},
    {{"gateways", "gateway", "g"}, "/v1/gateways", print_gateways},
    {{"events", "event", "e"}, "/v1/events", print_events},
};

static int find_kind(const char *word)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        for (size_t j = 0; j < ARRAY_LEN(kinds[i].words); j++)
            if (strcmp(word, kinds[i].words[j]) == 0)
                return (int)i;
    return -1;
}

/* One object prints as a table of one row. */
static void print(size_t kind, const struct client_reply *r, struct arena *a,
                  enum cli_output output)
{
    const struct json *items = json_get(r->body, STR("items"));
    if (output != CLI_TABLE) {
        cli_print_tree(r->body, output);
        return;
    }
    struct json one = {.type = JSON_ARRAY, .count = 1, .first = r->body};
    kinds[kind].print(items ? items : &one, a);
}

static int run(int argc, char **argv)
{
    const char *arguments[2], *state_option = NULL, *output_option = NULL;
    const struct cli_option options[] = {{"--output", 'o', &output_option, NULL},
                                         {"--state", 0, &state_option, NULL}};
    int count;
    int done = cli_parse(&verb_get, argc, argv, options, ARRAY_LEN(options), arguments, 2, &count);
    if (done)
        return MAX(done, 0);
    enum cli_output output;
    if (cli_output_parse(output_option, &output))
        return cli_usage(&verb_get, "-o takes table, json or yaml, not %s", output_option);
    if (count == 0)
        return cli_usage(&verb_get,
                         "say what: models, jobs, tenants, nodes, replicas, gateways or events");
    int kind = find_kind(arguments[0]);
    if (kind < 0)
        return cli_usage(&verb_get,
                         "there are models, jobs, tenants, nodes, replicas, gateways and events, "
                         "not %s",
                         arguments[0]);
    char state[PATH_MAX], path[1024];
    struct err err;
    struct client_reply reply;
    snprintf(path, sizeof(path), "%s%s%s", kinds[kind].path, count == 2 ? "/" : "",
             count == 2 ? arguments[1] : "");
    if (cli_state_dir(state_option, state, &err) ||
        client_call(state, "GET", path, STR_NONE, &reply, &err))
        return cli_fail(&err);
    struct arena a;
    arena_init(&a, 1 << 20);
    print((size_t)kind, &reply, &a, output);
    arena_fini(&a);
    client_reply_fini(&reply);
    return CLI_OK;
}

const struct verb verb_get = {
    .name = "get",
    .arguments = "models|jobs|tenants|nodes|replicas|gateways|events [NAME] [-o table|json|yaml]",
    .summary = "List objects, or show one",
    .help = "  -o, --output FORMAT   table (default), json or yaml\n"
            "      --state FOLDER    of the Fairway to ask\n",
    .run = run,
};
