/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "cli/client.h"

enum { LINES = 20 };

static void print_models(const struct json *models)
{
    static const char *const headings[] = {"MODEL", "WAITING", "RUNNING", "SLOTS"};
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    json_each(m, models)
    {
        cli_table_cell(t, "%s", cli_text(json_get(m, STR("name")), ""));
        cli_table_cell(t, "%.0f", cli_number(m, STR("waiting")));
        cli_table_cell(t, "%.0f", cli_number(m, STR("running")));
        cli_table_cell(t, "%.0f", cli_number(m, STR("slots")));
    }
    cli_table_print(t);
}

static void put_seconds(struct cli_table *t, const struct json *r, struct str key)
{
    char text[NSEC_TEXT_MAX];
    if (json_get(r, key))
        cli_table_cell(t, "%s", nsec_format((nsec)(cli_number(r, key) * 1e9), text));
    else
        cli_table_cell(t, "-");
}

static void print_requests(const struct json *requests)
{
    static const char *const headings[] = {"REQUEST", "TENANT", "MODEL", "STATE",  "WAITED",
                                           "FIRST",   "TOOK",   "INPUT", "OUTPUT", "STATUS"};
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    json_each(r, requests)
    {
        const struct json *usage = json_get(r, STR("usage"));
        cli_table_cell(t, "%s", cli_text(json_get(r, STR("id")), ""));
        cli_table_cell(t, "%s", cli_text(json_get(r, STR("tenant")), ""));
        cli_table_cell(t, "%s", cli_text(json_get(r, STR("model")), ""));
        cli_table_cell(t, "%s", cli_text(json_get(r, STR("state")), ""));
        put_seconds(t, r, STR("waited"));
        put_seconds(t, r, STR("firstChunk"));
        put_seconds(t, r, STR("took"));
        cli_table_cell(t, "%.0f", cli_number(usage, STR("inputTokens")));
        cli_table_cell(t, "%.0f", cli_number(usage, STR("outputTokens")));
        cli_table_cell(t, "%.0f", cli_number(r, STR("status")));
    }
    cli_table_print(t);
}

static void print(const struct json *body)
{
    print_models(json_get(body, STR("models")));
    printf("\n");
    print_requests(json_get(body, STR("requests")));
}

static int run(int argc, char **argv)
{
    const char *state_option = NULL, *output_option = NULL, *lines_option = NULL;
    uint64_t lines = LINES;
    bool once = false;
    const struct cli_option options[] = {{"--lines", 'n', &lines_option, NULL},
                                         {"--once", '1', NULL, &once},
                                         {"--output", 'o', &output_option, NULL},
                                         {"--state", 0, &state_option, NULL}};
    enum cli_output output;
    char path[64];
    int count;
    int done = cli_parse(&verb_top, argc, argv, options, ARRAY_LEN(options), NULL, 0, &count);
    if (done)
        return MAX(done, 0);
    if (cli_output_parse(output_option, &output))
        return cli_usage(&verb_top, "-o takes table, json or yaml, not %s", output_option);
    if (lines_option && str_to_u64(str_from(lines_option), &lines))
        return cli_usage(&verb_top, "--lines takes a number, not %s", lines_option);
    once |= output != CLI_TABLE || !isatty(STDOUT_FILENO);
    snprintf(path, sizeof(path), "/v1/load?requests=%llu", (unsigned long long)lines);
    for (;;) {
        if (!once)
            printf("\033[H\033[2J");
        int code = client_show(state_option, path, output, print);
        fflush(stdout);
        if (code != CLI_OK || once)
            return code;
        nanosleep(&(struct timespec){1, 0}, NULL);
    }
}

const struct verb verb_top = {
    .name = "top",
    .arguments = "[--once] [--lines N] [-o table|json|yaml]",
    .summary = "Show what waits and runs, and the newest requests, every second",
    .help = "  -n, --lines N         requests shown (20)\n"
            "  -1, --once            once; so it is too when the output is no terminal\n"
            "  -o, --output FORMAT   table (default), json or yaml\n"
            "      --state FOLDER    of the Fairway to ask\n",
    .run = run,
};
