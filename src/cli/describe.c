/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/client.h"

static void heading(const char *text)
{
    printf("\n%s\n", text);
}

static void print_items(const struct json *items, void (*print)(const struct json *item))
{
    if (!items || !items->count)
        printf("  none\n");
    for (const struct json *item = items ? items->first : NULL; item; item = item->next)
        print(item);
}

/* What the admin API has at the path, each item by print(). */
static int list(const char *state, const char *path, void (*print)(const struct json *item),
                struct err *err)
{
    struct client_reply reply;
    int error = client_call(state, "GET", path, STR_NONE, &reply, err);
    if (error)
        return error;
    print_items(json_get(reply.body, STR("items")), print);
    client_reply_fini(&reply);
    return 0;
}

static void print_remote(const struct json *r, const char *url)
{
    const char *problem = cli_text(json_get(r, STR("problem")), "");
    printf("  %.0f  %s since %s; at %s, %.0f restarts%s%s\n", cli_number(r, STR("id")),
           cli_text(json_get(r, STR("state")), ""), cli_text(json_get(r, STR("since")), ""), url,
           cli_number(r, STR("restarts")), problem[0] ? "\n     " : "", problem);
}

static void print_replica(const struct json *r)
{
    const char *url = cli_text(json_get(r, STR("url")), NULL);
    if (url) {
        print_remote(r, url);
        return;
    }
    printf("  %.0f  %s since %s (%s); process %.0f, port %.0f, %.0f MiB, %.0f restarts\n",
           cli_number(r, STR("id")), cli_text(json_get(r, STR("state")), ""),
           cli_text(json_get(r, STR("since")), ""), cli_text(json_get(r, STR("reason")), ""),
           cli_number(r, STR("pid")), cli_number(r, STR("port")),
           cli_number(r, STR("memory")) / (1 << 20), cli_number(r, STR("restarts")));
}

static void print_event(const struct json *e)
{
    printf("  %s  %-12s %s\n", cli_text(json_get(e, STR("time")), ""),
           cli_text(json_get(e, STR("reason")), ""), cli_text(json_get(e, STR("message")), ""));
}

static void print_member(const struct json *m)
{
    const struct json *exit_code = json_get(m, STR("exitCode"));
    printf("  %.0f  process %.0f ", cli_number(m, STR("rank")), cli_number(m, STR("pid")));
    if (exit_code)
        printf("ended with %.0f\n", cli_number(m, STR("exitCode")));
    else
        printf("runs\n");
}

/* What a kind has beside its resource. */
static int print_replicas(const char *state, const char *model, const struct json *resource,
                          struct err *err)
{
    char path[512];
    heading("Replicas:");
    snprintf(path, sizeof(path), "/v1/replicas/%s", model);
    return list(state, path, print_replica, err);
}

static int print_members(const char *state, const char *job, const struct json *resource,
                         struct err *err)
{
    heading("Members:");
    print_items(json_get(json_get(resource, STR("status")), STR("members")), print_member);
    return 0;
}

static const struct {
    const char *word, *kind;
    int (*print_parts)(const char *state, const char *name, const struct json *resource,
                       struct err *err);
} kinds[] = {{"model", "Model", print_replicas}, {"job", "Job", print_members}};
static const char *const kind_words[] = {"model", "job", NULL};

static int describe(const char *state, const struct cli_object *object, struct err *err)
{
    struct client_reply reply;
    char path[512];
    size_t kind = 0;
    while (strcmp(kinds[kind].word, object->kind) != 0)
        kind++;
    snprintf(path, sizeof(path), "/apis/fairway.dev/v1/%ss/%s", object->kind, object->name);
    int error = client_call(state, "GET", path, STR_NONE, &reply, err);
    if (error)
        return error;
    cli_print_tree(reply.body, CLI_YAML);
    error = kinds[kind].print_parts(state, object->name, reply.body, err);
    client_reply_fini(&reply);
    heading("Events:");
    snprintf(path, sizeof(path), "/v1/events/%s?kind=%s", object->name, kinds[kind].kind);
    return error ? error : list(state, path, print_event, err);
}

static int run(int argc, char **argv)
{
    const char *arguments[2], *state_option = NULL;
    const struct cli_option options[] = {{"--state", 0, &state_option, NULL}};
    struct cli_object object;
    int count;
    int done =
        cli_parse(&verb_describe, argc, argv, options, ARRAY_LEN(options), arguments, 2, &count);
    if (done)
        return MAX(done, 0);
    if (count == 0)
        return cli_usage(&verb_describe, "say which model or job");
    if (cli_object_parse(&verb_describe, arguments, count, kind_words, &object))
        return CLI_USAGE;
    char state[PATH_MAX];
    struct err err;
    if (cli_state_dir(state_option, state, &err) || describe(state, &object, &err))
        return cli_fail(&err);
    return CLI_OK;
}

const struct verb verb_describe = {
    .name = "describe",
    .arguments = "[model|job] NAME",
    .summary =
        "Show a model with its replicas, or a job with its members, and what happened to them",
    .help = "      --state FOLDER    of the Fairway to ask\n",
    .run = run,
};
