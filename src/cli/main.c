/* SPDX-License-Identifier: Apache-2.0 */
#include <signal.h>
#include <stdio.h>
#include <sys/random.h>

#include "base/map.h"
#include "cli/cli.h"
#include "runtime/local/shim.h"

const struct verb *const cli_verbs[] = {
    &verb_up,      &verb_gateway,    &verb_down, &verb_apply, &verb_get,     &verb_describe,
    &verb_scale,   &verb_delete,     &verb_logs, &verb_chat,  &verb_run,     &verb_key,
    &verb_usage,   &verb_why,        &verb_top,  &verb_gpus,  &verb_explain, &verb_simulate,
    &verb_version, &verb_completion, NULL,
};

static void overview(FILE *out)
{
    fprintf(out, "Fairway serves AI models.\n\nusage: fairway VERB [arguments] [options]\n\n");
    for (const struct verb *const *v = cli_verbs; *v; v++)
        fprintf(out, "  %-12s %s\n", (*v)->name, (*v)->summary);
    fprintf(out, "\n`fairway VERB --help` tells more of each.\n");
}

static const struct verb *find(struct str name)
{
    for (const struct verb *const *v = cli_verbs; *v; v++)
        if (str_eq(name, str_from((*v)->name)))
            return *v;
    return NULL;
}

static const char *nearest(struct str name)
{
    const char *best = NULL;
    size_t least = 3; /* farther is no typing error */
    for (const struct verb *const *v = cli_verbs; *v; v++) {
        size_t distance = str_distance(name, str_from((*v)->name));
        if (distance < least) {
            least = distance;
            best = (*v)->name;
        }
    }
    return best;
}

int main(int argc, char **argv)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof(seed), 0) == sizeof(seed))
        map_seed(seed);
    signal(SIGPIPE, SIG_IGN);
    struct str name = argc > 1 ? str_from(argv[1]) : STR("--help");
    if (str_eq(name, STR("--help")) || str_eq(name, STR("-h")) || str_eq(name, STR("help"))) {
        overview(argc > 1 ? stdout : stderr);
        return argc > 1 ? CLI_OK : CLI_USAGE;
    }
    if (str_eq(name, STR("shim"))) /* for Fairway itself */
        return shim_run(argv + 2);
    if (str_eq(name, STR("--version")))
        name = STR("version");
    const struct verb *v = find(name);
    if (v)
        return v->run(argc - 1, argv + 1);
    const char *hint = nearest(name);
    fprintf(stderr, "fairway: unknown verb '%.*s'%s%s%s (see fairway --help)\n", STR_ARG(name),
            hint ? "; did you mean '" : "", hint ? hint : "", hint ? "'?" : "");
    return CLI_USAGE;
}
