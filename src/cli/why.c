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

/* ---- models and jobs ---- */

static void print_model(const struct json *model)
{
    const struct json *status = json_get(model, STR("status"));
    const struct json *conditions = json_get(status, STR("conditions"));
    const char *message =
        conditions && conditions->first ? text(conditions->first, STR("message")) : "";
    printf("model      %s\nphase      %s, %.0f of %.0f replicas ready\n",
           text(json_get(model, STR("metadata")), STR("name")), text(status, STR("phase")),
           cli_number(status, STR("readyReplicas")),
           cli_number(json_get(model, STR("spec")), STR("replicas")));
    if (message[0])
        printf("why        %s\n", message);
}

static void print_job(const struct json *job)
{
    const struct json *status = json_get(job, STR("status"));
    printf("job        %s\nphase      %s (%s)\nattempts   %.0f, evicted %.0f times, failed %.0f "
           "times\nwhy        %s\n",
           text(json_get(job, STR("metadata")), STR("name")), text(status, STR("phase")),
           text(status, STR("reason")), cli_number(status, STR("attempts")),
           cli_number(status, STR("evictions")), cli_number(status, STR("failures")),
           text(status, STR("message")));
}

/* "job/NAME" and "model/NAME": which no id of a request is like. */
static const struct {
    const char *prefix, *path;
    void (*print)(const struct json *object);
} objects[] = {
    {"model/", "/apis/fairway.dev/v1/models/", print_model},
    {"job/", "/apis/fairway.dev/v1/jobs/", print_job},
};

static int show(const char *state, const char *what, enum cli_output output)
{
    char path[512];
    for (size_t i = 0; i < ARRAY_LEN(objects); i++) {
        size_t len = strlen(objects[i].prefix);
        if (strncmp(what, objects[i].prefix, len) != 0)
            continue;
        snprintf(path, sizeof(path), "%s%s", objects[i].path, what + len);
        return client_show(state, path, output, objects[i].print);
    }
    snprintf(path, sizeof(path), "/v1/requests/%s", what);
    return client_show(state, path, output, print);
}

static int run(int argc, char **argv)
{
    const char *arguments[1], *state_option = NULL, *output_option = NULL;
    const struct cli_option options[] = {{"--output", 'o', &output_option, NULL},
                                         {"--state", 0, &state_option, NULL}};
    enum cli_output output;
    int count;
    int done = cli_parse(&verb_why, argc, argv, options, ARRAY_LEN(options), arguments, 1, &count);
    if (done)
        return MAX(done, 0);
    if (cli_output_parse(output_option, &output))
        return cli_usage(&verb_why, "-o takes table, json or yaml, not %s", output_option);
    if (count == 0)
        return cli_usage(&verb_why,
                         "say which: job/NAME, model/NAME, or a request by its id, which "
                         "is in the answer's x-request-id");
    return show(state_option, arguments[0], output);
}

const struct verb verb_why = {
    .name = "why",
    .arguments = "REQUEST|model/NAME|job/NAME [-o table|json|yaml]",
    .summary = "Explain why a request, a model or a job waits, and what became of it",
    .help = "REQUEST is the x-request-id of the answer; `fairway top` shows the newest ones: who "
            "it waited for, which replica\n"
            "it got and why, what it used. Of a model or job that waits: what is short, by how "
            "much, and who has it.\n\n"
            "  -o, --output FORMAT   table (default), json or yaml\n"
            "      --state FOLDER    of the Fairway to ask\n",
    .run = run,
};
