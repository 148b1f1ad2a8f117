/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include "cli/client.h"

static void print(const struct json *body)
{
    const struct json *items = json_get(body, STR("items"));
    static const char *const headings[] = {"DAY",   "TENANT", "MODEL",  "REQUESTS",
                                           "INPUT", "CACHED", "OUTPUT", "COST"};
    static const struct str numbers[] = {STR("requests"), STR("inputTokens"), STR("cachedTokens"),
                                         STR("outputTokens")};
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    json_each(item, items)
    {
        cli_table_cell(t, "%s", cli_text(json_get(item, STR("day")), ""));
        cli_table_cell(t, "%s", cli_text(json_get(item, STR("tenant")), ""));
        cli_table_cell(t, "%s", cli_text(json_get(item, STR("model")), ""));
        for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
            cli_table_cell(t, "%.0f", cli_number(item, numbers[i]));
        cli_table_cell(t, "%.6f", cli_number(item, STR("cost")));
    }
    cli_table_print(t);
}

static int run(int argc, char **argv)
{
    const char *from = NULL, *to = NULL, *tenant = NULL, *model = NULL, *state_option = NULL,
               *output_option = NULL;
    const struct cli_option options[] = {
        {"--from", 0, &from, NULL},
        {"--to", 0, &to, NULL},
        {"--tenant", 't', &tenant, NULL},
        {"--model", 'm', &model, NULL},
        {"--output", 'o', &output_option, NULL},
        {"--state", 0, &state_option, NULL},
    };
    const struct {
        const char *name, *value;
    } given[] = {{"from", from}, {"to", to}, {"tenant", tenant}, {"model", model}};
    enum cli_output output;
    char path[1024] = "/v1/usage";
    int count;
    int done = cli_parse(&verb_usage, argc, argv, options, ARRAY_LEN(options), NULL, 0, &count);
    if (done)
        return MAX(done, 0);
    if (cli_output_parse(output_option, &output))
        return cli_usage(&verb_usage, "-o takes table, json or yaml, not %s", output_option);
    for (size_t i = 0; i < ARRAY_LEN(given); i++)
        if (given[i].value)
            snprintf(path + strlen(path), sizeof(path) - strlen(path), "%c%s=%s",
                     strchr(path, '?') ? '&' : '?', given[i].name, given[i].value);
    return client_show(state_option, path, output, print);
}

const struct verb verb_usage = {
    .name = "usage",
    .arguments = "[--from DAY] [--to DAY] [--tenant NAME] [--model NAME]",
    .summary = "Show what tenants used: requests, tokens and cost by day and model",
    .help = "Days are UTC, like 2026-01-31. What the last second brought may still be missing.\n\n"
            "      --from DAY        the first day (30 days ago)\n"
            "      --to DAY          the last day (today)\n"
            "  -t, --tenant NAME     of this tenant only\n"
            "  -m, --model NAME      of this model only\n"
            "  -o, --output FORMAT   table (default), json or yaml\n"
            "      --state FOLDER    of the Fairway to ask\n",
    .run = run,
};
