/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/client.h"

static bool print(void *ctx, struct str bytes)
{
    fwrite(bytes.ptr, 1, bytes.len, stdout);
    fflush(stdout);
    return !ferror(stdout);
}

static int run(int argc, char **argv)
{
    static const char *const kinds[] = {"model", "job", NULL};
    const char *arguments[2], *state_option = NULL, *lines = "200", *replica = NULL, *rank = NULL;
    bool follow = false;
    const struct cli_option options[] = {{"--follow", 'f', NULL, &follow},
                                         {"--lines", 'n', &lines, NULL},
                                         {"--replica", 'r', &replica, NULL},
                                         {"--rank", 0, &rank, NULL},
                                         {"--state", 0, &state_option, NULL}};
    struct cli_object object;
    int count, status;
    int done = cli_parse(&verb_logs, argc, argv, options, ARRAY_LEN(options), arguments, 2, &count);
    if (done)
        return MAX(done, 0);
    if (count == 0)
        return cli_usage(&verb_logs, "say of which model or job");
    if (cli_object_parse(&verb_logs, arguments, count, kinds, &object))
        return CLI_USAGE;
    bool job = strcmp(object.kind, "job") == 0;
    if (job ? replica != NULL : rank != NULL)
        return cli_usage(&verb_logs, "--replica is of a model, and --rank of a job");
    const char *which = job ? rank : replica;
    char state[PATH_MAX], path[512];
    struct err err;
    snprintf(path, sizeof(path), "/v1/logs/%s%s?lines=%s%s%s%s", job ? "job/" : "", object.name,
             lines, which ? (job ? "&rank=" : "&replica=") : "", which ? which : "",
             follow ? "&follow=1" : "");
    const struct client_stream stream = {.state_dir = state, .path = path, .chunk = print};
    if (cli_state_dir(state_option, state, &err) || client_stream(&stream, &status, &err))
        return cli_fail(&err);
    return status == 200 ? CLI_OK : status == 404 ? CLI_NOT_FOUND : CLI_FAILED;
}

const struct verb verb_logs = {
    .name = "logs",
    .arguments = "[model|job] NAME [--follow]",
    .summary = "Show what a model's engine or a job's member wrote",
    .help = "  -f, --follow          go on as it writes\n"
            "  -n, --lines N         from the end (200)\n"
            "  -r, --replica ID      of this one (the first)\n"
            "      --rank N          of this member of a job (0)\n"
            "      --state FOLDER    of the Fairway to ask\n",
    .run = run,
};
