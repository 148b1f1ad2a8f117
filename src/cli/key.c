/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli/client.h"

static void put_member(struct buf *body, const char *name, const char *value)
{
    if (!value)
        return;
    buf_printf(body, "%s\"%s\": ", body->len > 1 ? ", " : "", name);
    json_put_str(body, str_from(value));
}

static int create(const char *state, const char *name, const char *tenant, const char *expires)
{
    struct err err;
    struct client_reply reply;
    struct buf body;
    buf_init(&body, 4096);
    buf_put_char(&body, '{');
    put_member(&body, "name", name);
    put_member(&body, "tenant", tenant);
    put_member(&body, "expiresIn", expires);
    buf_put_char(&body, '}');
    int error = client_call(state, "POST", "/v1/keys", buf_str(&body), &reply, &err);
    buf_fini(&body);
    if (error)
        return cli_fail(&err);
    fprintf(stderr, "The key is shown this once:\n");
    printf("%s\n", cli_text(json_get(reply.body, STR("key")), ""));
    client_reply_fini(&reply);
    return CLI_OK;
}

static void print(const struct json *body)
{
    const struct json *items = json_get(body, STR("items"));
    static const char *const headings[] = {"NAME", "TENANT", "CREATED", "EXPIRES"};
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    json_each(item, items)
    {
        cli_table_cell(t, "%s", cli_text(json_get(item, STR("name")), ""));
        cli_table_cell(t, "%s", cli_text(json_get(item, STR("tenant")), ""));
        cli_table_cell(t, "%s", cli_text(json_get(item, STR("created")), ""));
        cli_table_cell(t, "%s", cli_text(json_get(item, STR("expires")), "never"));
    }
    cli_table_print(t);
}

static int delete (const char *state, const char *name)
{
    struct err err;
    struct client_reply reply;
    char path[512];
    snprintf(path, sizeof(path), "/v1/keys/%s", name);
    if (client_call(state, "DELETE", path, STR_NONE, &reply, &err))
        return cli_fail(&err);
    client_reply_fini(&reply);
    printf("key/%s deleted\n", name);
    return CLI_OK;
}

static int run(int argc, char **argv)
{
    const char *arguments[2], *state_option = NULL, *tenant = NULL, *expires = NULL,
                              *output_option = NULL;
    const struct cli_option options[] = {{"--tenant", 't', &tenant, NULL},
                                         {"--expires", 0, &expires, NULL},
                                         {"--output", 'o', &output_option, NULL},
                                         {"--state", 0, &state_option, NULL}};
    enum cli_output output;
    char state[PATH_MAX];
    struct err err;
    int count;
    int done = cli_parse(&verb_key, argc, argv, options, ARRAY_LEN(options), arguments, 2, &count);
    if (done)
        return MAX(done, 0);
    if (cli_output_parse(output_option, &output))
        return cli_usage(&verb_key, "-o takes table, json or yaml, not %s", output_option);
    if (cli_state_dir(state_option, state, &err))
        return cli_fail(&err);
    if (count == 2 && strcmp(arguments[0], "create") == 0)
        return create(state, arguments[1], tenant, expires);
    if (count == 1 && strcmp(arguments[0], "list") == 0)
        return client_show(state_option, "/v1/keys", output, print);
    if (count == 2 && strcmp(arguments[0], "delete") == 0)
        return delete (state, arguments[1]);
    return cli_usage(&verb_key, "say create NAME, list or delete NAME");
}

const struct verb verb_key = {
    .name = "key",
    .arguments = "create NAME [--tenant TENANT] [--expires 30d] | list | delete NAME",
    .summary = "Manage the API keys that clients send",
    .help = "On loopback no key is asked for until the first one is made. A deleted key is refused "
            "at once.\n\n"
            "  -t, --tenant TENANT   whose it is; several keys may be one tenant's (NAME)\n"
            "      --expires TIME    how long it is good: 12h, 30d (for ever)\n"
            "  -o, --output FORMAT   of list: table (default), json or yaml\n"
            "      --state FOLDER    of the Fairway to ask\n",
    .run = run,
};
