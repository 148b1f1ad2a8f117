/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/client.h"
#include "cli/converse.h"

static int gateway_url(const char *state, char url[256], struct err *err)
{
    struct client_reply reply;
    int error = client_call(state, "GET", "/v1/status", STR_NONE, &reply, err);
    if (error)
        return error;
    snprintf(url, 256, "%s", cli_text(json_get(reply.body, STR("gateway")), ""));
    client_reply_fini(&reply);
    return 0;
}

/* Reads lines until the end of input. On a terminal with a prompt. */
static int talk(struct conversation *c)
{
    bool terminal = isatty(STDIN_FILENO) && isatty(STDOUT_FILENO);
    char *line = NULL;
    size_t size = 0;
    ssize_t len;
    int result = CLI_OK;
    if (terminal)
        fprintf(stderr, "You are talking to %s. Ctrl-D ends it.\n", c->model);
    for (;;) {
        struct err err;
        if (terminal)
            fprintf(stderr, "\033[1m>\033[0m ");
        len = getline(&line, &size, stdin);
        if (len < 0)
            break;
        struct str said = str_trim((struct str){line, (size_t)len});
        if (said.len == 0)
            continue;
        if (converse(c, said, &err))
            result = cli_fail(&err);
    }
    free(line);
    return result;
}

static int run(int argc, char **argv)
{
    const char *arguments[2], *state_option = NULL, *url_option = getenv("FAIRWAY_URL");
    const char *key = getenv("FAIRWAY_API_KEY");
    const struct cli_option options[] = {{"--url", 0, &url_option, NULL},
                                         {"--key", 0, &key, NULL},
                                         {"--state", 0, &state_option, NULL}};
    int count;
    int done = cli_parse(&verb_chat, argc, argv, options, ARRAY_LEN(options), arguments, 2, &count);
    if (done)
        return MAX(done, 0);
    char state[PATH_MAX], url[256];
    struct err err;
    if (url_option)
        snprintf(url, sizeof(url), "%s", url_option);
    else if (cli_state_dir(state_option, state, &err) || gateway_url(state, url, &err))
        return cli_fail(&err);
    struct conversation c = {
        .base_url = url, .api_key = key, .model = count > 0 ? arguments[0] : "chat"};
    buf_init(&c.messages, CONVERSATION_MAX);
    int result = CLI_OK;
    if (count < 2)
        result = talk(&c);
    else if (converse(&c, str_from(arguments[1]), &err))
        result = cli_fail(&err);
    buf_fini(&c.messages);
    return result;
}

const struct verb verb_chat = {
    .name = "chat",
    .arguments = "[MODEL [PROMPT]]",
    .summary = "Talk to a model in the terminal",
    .help = "Without a prompt it goes on until Ctrl-D. MODEL is `chat` if none is named.\n\n"
            "      --url URL         of the gateway (FAIRWAY_URL; the running one)\n"
            "      --key KEY         API key (FAIRWAY_API_KEY)\n"
            "      --state FOLDER    of the Fairway to ask for its URL\n",
    .run = run,
};
