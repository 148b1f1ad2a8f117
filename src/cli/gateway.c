/* SPDX-License-Identifier: Apache-2.0 */
/* `fairway gateway`: one of several gateways before the models of a Fairway that runs elsewhere. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/front.h"
#include "cli/join.h"

#define DRAIN_GRACE SEC(30)

static void wait_for_the_end(struct front *f, int signals)
{
    while (front_next_signal(signals) == SIGHUP)
        front_reload(f, NULL);
}

static int serve(struct front *f, const struct client_options *controller, int signals,
                 struct err *err)
{
    struct join *join;
    const struct join_options options = {
        .controller = *controller, .gateway = f->gateway, .address = f->url, .metrics = f->metrics};
    int error = join_begin(&options, &join, err);
    if (!error) {
        fprintf(stderr, "The gateway listens on %s\n", f->url);
        wait_for_the_end(f, signals);
        if (!f->o.quiet)
            fprintf(stderr, "Stopping: running requests end first; again to cut them off.\n");
        front_hurry_on_signal(f);
    }
    gateway_drain(f->gateway, error ? 0 : DRAIN_GRACE);
    if (!error)
        join_end(join);
    gateway_free(f->gateway);
    return error;
}

static int run_here(const struct front_options *o, const struct client_options *controller)
{
    struct err err;
    struct front f = {.o = *o};
    int signals = front_open_signals();
    int error = front_init(&f, &err);
    if (!error)
        error = front_start(&f, NULL, 0, &err);
    if (!error)
        error = serve(&f, controller, signals, &err);
    front_fini(&f);
    close(signals);
    return error ? cli_fail(&err) : CLI_OK;
}

static int run(int argc, char **argv)
{
    char state[PATH_MAX], url[PATH_MAX + 32], token[CLIENT_TOKEN_MAX];
    struct front_options o = {0};
    struct client_options controller = {0};
    const char *state_option = NULL, *token_file = NULL;
    const struct cli_option options[] = {
        {"--join", 'j', &controller.url, NULL},
        {"--join-token-file", 0, &token_file, NULL},
        {"--join-ca", 0, &controller.ca_file, NULL},
        {"--state", 0, &state_option, NULL},
        FRONT_CLI_OPTIONS(o),
    };
    struct err err;
    int count;
    int done = cli_parse(&verb_gateway, argc, argv, options, ARRAY_LEN(options), NULL, 0, &count);
    if (done)
        return MAX(done, 0);
    done = front_parse(&verb_gateway, &o);
    if (done)
        return done;
    if (!controller.url && cli_state_dir(state_option, state, &err))
        return cli_fail(&err);
    if (!controller.url) {
        snprintf(url, sizeof(url), "unix:%s/admin.sock", state);
        controller.url = url;
    }
    if (token_file && client_read_token(token_file, token, &err))
        return cli_fail(&err);
    if (token_file)
        controller.token = token;
    if (front_setup_log(&o, STDERR_FILENO, &err))
        return cli_fail(&err);
    return run_here(&o, &controller);
}

const struct verb verb_gateway = {
    .name = "gateway",
    .arguments = "--join URL [--listen ADDRESS:PORT]",
    .summary = "Run one more gateway before the models of a running Fairway",
    .help =
        "  -j, --join URL             where its controller is: unix:STATE/admin.sock, or what its\n"
        "                             --join-listen serves: http://HOST:PORT or "
        "https://HOST:PORT.\n"
        "                             Left out: the Fairway of the state folder\n"
        "      --join-token-file FILE the token that --join-listen wants (STATE/join.token there)\n"
        "      --join-ca FILE         who signed its certificate (the system's authorities)\n"
        "      --state FOLDER         of the Fairway to join, without --join\n" FRONT_HELP_LISTEN
            FRONT_HELP "\nLimits, keys and slots of the replicas are shared with all gateways. "
        "Ctrl-C lets running "
        "requests end;\ntwice cuts them off.\n",
    .run = run,
};
