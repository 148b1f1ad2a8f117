/* SPDX-License-Identifier: Apache-2.0 */
/* `fairway gpus`: one row per GPU of this node, with a bar of its memory, and who sits there; what is not known is "-". Or who should move. */
#include <langinfo.h>
#include <locale.h>
#include <stdio.h>
#include <unistd.h>

#include "cli/client.h"

enum { BAR_CELLS = 20, CELL_PARTS = 8, BAR_MAX = BAR_CELLS * 3 + 1, USERS_MAX = 256 };

/* A terminal whose locale says so. */
static bool shows_unicode(void)
{
    if (!isatty(STDOUT_FILENO))
        return false;
    locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
    bool utf8 = locale && strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
    if (locale)
        freelocale(locale);
    return utf8;
}

/* Cells are filled in eighths where Unicode is shown, else as a whole. */
static void put_bar(double share, bool unicode, char ret_bar[BAR_MAX])
{
    static const char *const eighths[] = {"░", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"};
    int filled = (int)(MIN(MAX(share, 0), 1) * BAR_CELLS * CELL_PARTS + 0.5);
    char *end = ret_bar;
    for (int i = 0; i < BAR_CELLS; i++) {
        int parts = MIN(MAX(filled - i * CELL_PARTS, 0), CELL_PARTS);
        const char *ascii = parts >= CELL_PARTS / 2 ? "#" : ".";
        end = stpcpy(end, unicode ? eighths[parts] : ascii);
    }
}

static void put_amount(struct cli_table *t, const struct json *gpu, struct str key,
                       const char *unit)
{
    if (json_get(gpu, key))
        cli_table_cell(t, "%.0f %s", cli_number(gpu, key), unit);
    else
        cli_table_cell(t, "-");
}

static void put_memory(struct cli_table *t, const struct json *gpu, bool unicode)
{
    const double gib = 1 << 30;
    double total = cli_number(gpu, STR("memory")), used = cli_number(gpu, STR("memoryUsed"));
    bool known = json_get(gpu, STR("memoryUsed")) && total > 0;
    char bar[BAR_MAX];
    put_bar(known ? used / total : 0, unicode, bar);
    cli_table_cell(t, "%s", known ? bar : "-");
    if (known)
        cli_table_cell(t, "%.1f / %.1f GiB", used / gib, total / gib);
    else if (total > 0)
        cli_table_cell(t, "- / %.1f GiB", total / gib);
    else
        cli_table_cell(t, "-");
}

static void put_health(struct cli_table *t, const struct json *gpu)
{
    const char *reason = cli_text(json_get(gpu, STR("reason")), "");
    cli_table_cell(t, "%s%s%s", cli_text(json_get(gpu, STR("health")), ""), *reason ? ": " : "",
                   reason);
}

/* "model/chat, job/train #2 (500/1000)": members of jobs by their rank, shares with their size. */
static void put_users(struct cli_table *t, const struct json *gpu)
{
    char text[USERS_MAX] = "-";
    size_t len = 0;
    json_each(user, json_get(gpu, STR("users")))
    {
        const char *name = cli_text(json_get(user, STR("name")), "");
        int share = (int)cli_number(user, STR("share"));
        if (len < sizeof(text))
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", len ? ", " : "", name);
        if (len < sizeof(text) && strncmp(name, "job/", 4) == 0)
            len += (size_t)snprintf(text + len, sizeof(text) - len, " #%.0f",
                                    cli_number(user, STR("member")));
        if (len < sizeof(text) && share < 1000)
            len += (size_t)snprintf(text + len, sizeof(text) - len, " (%d/1000)", share);
    }
    cli_table_cell(t, "%s", text);
}

static void print(const struct json *body)
{
    static const char *const headings[] = {"GPU",   "MODEL",       "MEMORY",
                                           "USED",  "UTILISATION", "TEMPERATURE",
                                           "POWER", "HEALTH",      "USED BY"};
    const char *state = cli_text(json_get(body, STR("state")), "");
    bool unicode = shows_unicode();
    struct cli_table *t = cli_table_new(headings, ARRAY_LEN(headings));
    json_each(gpu, json_get(body, STR("items")))
    {
        cli_table_cell(t, "%.0f", cli_number(gpu, STR("index")));
        cli_table_cell(t, "%s", cli_text(json_get(gpu, STR("model")), "-"));
        put_memory(t, gpu, unicode);
        put_amount(t, gpu, STR("utilisation"), "%");
        put_amount(t, gpu, STR("temperature"), "C");
        put_amount(t, gpu, STR("power"), "W");
        put_health(t, gpu);
        put_users(t, gpu);
    }
    cli_table_print(t);
    if (strcmp(state, "ready") != 0)
        fprintf(stderr, "GPUs: %s\n", state);
}

/* ---- proposals ---- */

/* "GPU 2", "GPUs 2, 3" */
static void print_gpus(const struct json *gpus)
{
    const char *between = " ";
    int count = 0;
    json_each(gpu, gpus) count++;
    printf("GPU%s", count == 1 ? "" : "s");
    json_each(gpu, gpus)
    {
        int64_t index = 0;
        if (json_i64(gpu, &index) == 0)
            printf("%s%lld", between, (long long)index);
        between = ", ";
    }
}

static void print_move(const struct json *move)
{
    bool replica = json_get(move, STR("replica"));
    printf("%s %s %.0f: ", cli_text(json_get(move, STR("name")), ""),
           replica ? "replica" : "member",
           cli_number(move, replica ? STR("replica") : STR("member")));
    print_gpus(json_get(move, STR("from")));
    printf(" -> ");
    print_gpus(json_get(move, STR("to")));
    printf(" (%s); ", cli_text(json_get(move, STR("how")), ""));
}

static void print_proposal(const struct json *proposal)
{
    const struct json *starts = json_get(proposal, STR("starts"));
    double gain = cli_number(proposal, STR("gain"));
    json_each(move, json_get(proposal, STR("moves"))) print_move(move);
    if (starts) {
        printf("frees ");
        print_gpus(json_get(starts, STR("gpus")));
        printf(" for %s; ", cli_text(json_get(starts, STR("name")), ""));
    }
    printf("gain %.3g GPU%s, cost %.0f GPU-seconds\n", gain, gain == 1 ? "" : "s",
           cli_number(proposal, STR("cost")));
}

/* One a line, in the order in which they are possible. */
static void print_proposals(const struct json *body)
{
    bool any = false;
    json_each(proposal, json_get(body, STR("items")))
    {
        print_proposal(proposal);
        any = true;
    }
    if (!any)
        fprintf(stderr, "no move would gain more than it costs\n");
}

static int run(int argc, char **argv)
{
    const char *state_option = NULL, *output_option = NULL;
    bool proposals = false;
    const struct cli_option options[] = {{"--output", 'o', &output_option, NULL},
                                         {"--proposals", 0, NULL, &proposals},
                                         {"--state", 0, &state_option, NULL}};
    enum cli_output output;
    int count;
    int done = cli_parse(&verb_gpus, argc, argv, options, ARRAY_LEN(options), NULL, 0, &count);
    if (done)
        return MAX(done, 0);
    if (cli_output_parse(output_option, &output))
        return cli_usage(&verb_gpus, "-o takes table, json or yaml, not %s", output_option);
    if (proposals)
        return client_show(state_option, "/v1/defragmentation", output, print_proposals);
    return client_show(state_option, "/v1/gpus", output, print);
}

const struct verb verb_gpus = {
    .name = "gpus",
    .arguments = "[--proposals] [-o table|json|yaml]",
    .summary = "Show this machine's GPUs: memory, load, health, users",
    .help = "  -o, --output FORMAT   table (default), json or yaml\n"
            "      --proposals       who should move so that more of the GPUs can be used, what "
            "that gains, and\n"
            "                        what it costs; nothing is moved\n"
            "      --state FOLDER    of the Fairway to ask\n",
    .run = run,
};
