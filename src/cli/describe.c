/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/client.h"

static void heading(const char *text)
{
    printf("\n%s\n", text);
}

/* `path` below which the list of the model's lies; each item by print(). */
static int list(const char *state, const char *path, const char *model,
                void (*print)(const struct json *item), struct err *err)
{
    struct client_reply reply;
    char whole[512];
    snprintf(whole, sizeof(whole), "%s/%s", path, model);
    int error = client_call(state, "GET", whole, STR_NONE, &reply, err);
    if (error)
        return error;
    const struct json *items = json_get(reply.body, STR("items"));
    if (!items || !items->count)
        printf("  none\n");
    for (const struct json *item = items ? items->first : NULL; item; item = item->next)
        print(item);
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

static int describe(const char *state, const char *model, struct err *err)
{
    struct client_reply reply;
    char path[512];
    snprintf(path, sizeof(path), "/apis/fairway.dev/v1/models/%s", model);
    int error = client_call(state, "GET", path, STR_NONE, &reply, err);
    if (error)
        return error;
    cli_print_tree(reply.body, CLI_YAML);
    client_reply_fini(&reply);
    heading("Replicas:");
    error = list(state, "/v1/replicas", model, print_replica, err);
    heading("Events:");
    return error ? error : list(state, "/v1/events", model, print_event, err);
}

static int run(int argc, char **argv)
{
    const char *arguments[2], *state_option = NULL;
    const struct cli_option options[] = {{"--state", 0, &state_option, NULL}};
    int count;
    int done =
        cli_parse(&verb_describe, argc, argv, options, ARRAY_LEN(options), arguments, 2, &count);
    if (done)
        return MAX(done, 0);
    if (count == 0)
        return cli_usage(&verb_describe, "say which model");
    char state[PATH_MAX];
    struct err err;
    const char *name = arguments[count - 1], *slash = strchr(name, '/');
    if (cli_state_dir(state_option, state, &err) || describe(state, slash ? slash + 1 : name, &err))
        return cli_fail(&err);
    return CLI_OK;
}

const struct verb verb_describe = {
    .name = "describe",
    .arguments = "[model] NAME",
    .summary = "Show a model with its replicas and what happened to them",
    .help = "      --state FOLDER    of the Fairway to ask\n",
    .run = run,
};
