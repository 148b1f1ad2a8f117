/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/client.h"

static const char *text(const struct json *object, struct str key)
{
    return cli_text(json_get(object, key), "");
}

/* Seconds as people write them. */
static const char *seconds(const struct json *object, struct str key, char room[NSEC_TEXT_MAX])
{
    return nsec_format((nsec)(cli_number(object, key) * 1e9), room);
}

static void print_wait(const struct json *r)
{
    char room[NSEC_TEXT_MAX];
    const struct json *queue = json_get(r, STR("queue"));
    if (strcmp(text(r, STR("state")), "waiting") == 0) {
        printf("waits      priority %s, %.0f before it", text(r, STR("priority")),
               cli_number(queue, STR("position")));
        if (json_get(queue, STR("expectedWait")))
            printf(", about %s more", seconds(queue, STR("expectedWait"), room));
        printf("\n");
        return;
    }
    printf("waited     %s (priority %s)\n", seconds(r, STR("waited"), room),
           text(r, STR("priority")));
    if (queue)
        printf("           %.0f stood before it when it came; %.0f requests of other tenants were "
               "served meanwhile;\n           its tenant was the next of %.0f that waited\n",
               cli_number(queue, STR("positionAtArrival")), cli_number(queue, STR("othersServed")),
               cli_number(queue, STR("tenantsWaiting")));
}

static void print_attempts(const struct json *attempts)
{
    char from[NSEC_TEXT_MAX], to[NSEC_TEXT_MAX];
    json_each(a, attempts)
    {
        printf("replica    %.0f, one of %.0f that could take it, after %s%s",
               cli_number(a, STR("replica")), cli_number(a, STR("candidates")),
               seconds(a, STR("dispatched"), from),
               json_get(a, STR("hedge")) ? " (a hedge: the first was late)" : "");
        if (json_get(a, STR("outcome")))
            printf(": %s after %s", text(a, STR("outcome")), seconds(a, STR("ended"), to));
        if (json_get(a, STR("status")))
            printf(", status %.0f", cli_number(a, STR("status")));
        printf("\n");
    }
}

static void print_end(const struct json *r)
{
    char room[NSEC_TEXT_MAX];
    const struct json *usage = json_get(r, STR("usage"));
    if (json_get(r, STR("firstChunk")))
        printf("first      chunk after %s\n", seconds(r, STR("firstChunk"), room));
    if (!json_get(r, STR("took")))
        return;
    printf("ended      %.0f after %s %s\n", cli_number(r, STR("status")),
           seconds(r, STR("took"), room), text(r, STR("reason")));
    printf("used       %.0f tokens of prompt (%.0f cached), %.0f generated, cost %.6f%s\n",
           cli_number(usage, STR("inputTokens")), cli_number(usage, STR("cachedTokens")),
           cli_number(usage, STR("outputTokens")), cli_number(usage, STR("cost")),
           json_get(usage, STR("reported")) && json_get(usage, STR("reported"))->boolean
               ? ""
               : " (estimated)");
}

static void print(const struct json *r)
{
    printf("request    %s, arrived %s\n", text(r, STR("id")), text(r, STR("arrived")));
    printf("tenant     %s\nmodel      %s", text(r, STR("tenant")), text(r, STR("model")));
    if (json_get(r, STR("askedModel")))
        printf(" (asked for %s, which could not take it)", text(r, STR("askedModel")));
    printf("\n");
    print_wait(r);
    print_attempts(json_get(r, STR("attempts")));
    print_end(r);
}

static int run(int argc, char **argv)
{
    const char *arguments[1], *state_option = NULL, *output_option = NULL;
    const struct cli_option options[] = {{"--output", 'o', &output_option, NULL},
                                         {"--state", 0, &state_option, NULL}};
    enum cli_output output;
    char path[512];
    int count;
    int done = cli_parse(&verb_why, argc, argv, options, ARRAY_LEN(options), arguments, 1, &count);
    if (done)
        return MAX(done, 0);
    if (cli_output_parse(output_option, &output))
        return cli_usage(&verb_why, "-o takes table, json or yaml, not %s", output_option);
    if (count == 0)
        return cli_usage(&verb_why, "say which request: its id is in the answer's x-request-id");
    snprintf(path, sizeof(path), "/v1/requests/%s", arguments[0]);
    return client_show(state_option, path, output, print);
}

const struct verb verb_why = {
    .name = "why",
    .arguments = "REQUEST [-o table|json|yaml]",
    .summary = "Explain a request: who it waited for, which replica it got and why, what it used",
    .help = "REQUEST is the x-request-id of the answer; `fairway top` shows the newest ones.\n\n"
            "  -o, --output FORMAT   table (default), json or yaml\n"
            "      --state FOLDER    of the Fairway to ask\n",
    .run = run,
};
