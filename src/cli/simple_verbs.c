/* SPDX-License-Identifier: Apache-2.0 */
/* Verbs that are one call of the admin API and one line of result. */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "cli/client.h"

static int parse_state_only(const struct verb *v, int argc, char **argv, const char **arguments,
                            int max, int *ret_count, char state[PATH_MAX])
{
    const char *state_option = NULL;
    const struct cli_option options[] = {{"--state", 0, &state_option, NULL}};
    int done = cli_parse(v, argc, argv, options, ARRAY_LEN(options), arguments, max, ret_count);
    if (done)
        return done;
    struct err err;
    return cli_state_dir(state_option, state, &err) ? cli_fail(&err) : 0;
}

/* ---- scale ---- */

static int run_scale(int argc, char **argv)
{
    static const char *const kinds[] = {"model", NULL};
    const char *arguments[1], *state_option = NULL, *replicas = NULL;
    struct cli_object object;
    const struct cli_option options[] = {{"--replicas", 'r', &replicas, NULL},
                                         {"--state", 0, &state_option, NULL}};
    int count;
    int done =
        cli_parse(&verb_scale, argc, argv, options, ARRAY_LEN(options), arguments, 1, &count);
    if (done)
        return MAX(done, 0);
    uint64_t wanted;
    if (count == 0 || !replicas)
        return cli_usage(&verb_scale, "give a model and --replicas N");
    if (str_to_u64(str_from(replicas), &wanted))
        return cli_usage(&verb_scale, "--replicas takes a number, not %s", replicas);
    if (cli_object_parse(&verb_scale, arguments, count, kinds, &object))
        return CLI_USAGE;
    char state[PATH_MAX], path[512], body[64];
    struct err err;
    struct client_reply reply;
    snprintf(path, sizeof(path), "/apis/fairway.dev/v1/models/%s/scale", object.name);
    snprintf(body, sizeof(body), "{\"replicas\": %llu}", (unsigned long long)wanted);
    if (cli_state_dir(state_option, state, &err) ||
        client_call(state, "PUT", path, str_from(body), &reply, &err))
        return cli_fail(&err);
    printf("model/%s scaled to %llu\n", object.name, (unsigned long long)wanted);
    client_reply_fini(&reply);
    return CLI_OK;
}

const struct verb verb_scale = {
    .name = "scale",
    .arguments = "MODEL --replicas N",
    .summary = "Change how many replicas a model has",
    .help = "  -r, --replicas N      0 and more\n"
            "      --state FOLDER    of the Fairway to ask\n",
    .run = run_scale,
};

/* ---- delete ---- */

static int run_delete(int argc, char **argv)
{
    static const char *const kinds[] = {"model", "job", "tenant", NULL};
    const char *arguments[2];
    char state[PATH_MAX], path[512];
    struct cli_object object;
    int count;
    int done = parse_state_only(&verb_delete, argc, argv, arguments, 2, &count, state);
    if (done)
        return MAX(done, 0);
    if (count == 0)
        return cli_usage(&verb_delete, "say what: MODEL, job NAME or tenant NAME");
    if (cli_object_parse(&verb_delete, arguments, count, kinds, &object))
        return CLI_USAGE;
    struct err err;
    struct client_reply reply;
    snprintf(path, sizeof(path), "/apis/fairway.dev/v1/%ss/%s", object.kind, object.name);
    if (client_call(state, "DELETE", path, STR_NONE, &reply, &err))
        return cli_fail(&err);
    printf("%s/%s deleted\n", object.kind, object.name);
    client_reply_fini(&reply);
    return CLI_OK;
}

const struct verb verb_delete = {
    .name = "delete",
    .arguments = "[model|job|tenant] NAME",
    .summary =
        "Delete a model, whose running requests end first, a job, or a tenant's weight and limits",
    .help = "      --state FOLDER    of the Fairway to ask\n",
    .run = run_delete,
};

/* ---- down ---- */

static int wait_for_end(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd < 0)
        return errno == ESRCH ? 0 : -1;
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    int result = kill(pid, SIGTERM) == 0 ? poll(&poll_fd, 1, 120 * 1000) : -1;
    close(fd);
    return result == 1 ? 0 : -1;
}

static int run_down(int argc, char **argv)
{
    char state[PATH_MAX];
    int count;
    int done = parse_state_only(&verb_down, argc, argv, NULL, 0, &count, state);
    if (done)
        return MAX(done, 0);
    struct err err;
    struct client_reply reply;
    int64_t pid = 0;
    if (client_call(state, "GET", "/v1/status", STR_NONE, &reply, &err))
        return cli_fail(&err);
    int error = json_i64(json_get(reply.body, STR("pid")), &pid);
    client_reply_fini(&reply);
    if (error || pid <= 1 || wait_for_end((pid_t)pid)) {
        fprintf(stderr, "fairway: process %lld did not end within two minutes\n", (long long)pid);
        return CLI_FAILED;
    }
    printf("Fairway has stopped\n");
    return CLI_OK;
}

const struct verb verb_down = {
    .name = "down",
    .arguments = "",
    .summary = "Stop a running Fairway and its models",
    .help = "Running requests end first.\n\n      --state FOLDER    of the Fairway to stop\n",
    .run = run_down,
};

/* ---- version ---- */

static int run_version(int argc, char **argv)
{
    int count;
    int done = cli_parse(&verb_version, argc, argv, NULL, 0, NULL, 0, &count);
    if (done)
        return MAX(done, 0);
    printf("fairway %s\n", FAIRWAY_VERSION);
    return CLI_OK;
}

const struct verb verb_version = {
    .name = "version",
    .arguments = "",
    .summary = "Print the version",
    .help = "",
    .run = run_version,
};
