/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the verbs of the command line share. One file a verb; the table of verbs is in main.c.
 *
 * Exit codes: 0 done, 1 it failed, 2 wrong usage, 3 not found, 4 Fairway is not running.
 * Results go to stdout, everything else to stderr; colours and progress only on a terminal.
 */
#ifndef FAIRWAY_CLI_H
#define FAIRWAY_CLI_H

#include <limits.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/time.h"

enum cli_exit { CLI_OK = 0, CLI_FAILED = 1, CLI_USAGE = 2, CLI_NOT_FOUND = 3, CLI_NOT_RUNNING = 4 };

struct verb {
    const char *name;
    const char *arguments;             /* after the name, for the usage line */
    const char *summary;               /* one line */
    const char *help;                  /* the rest of --help: options and examples */
    int (*run)(int argc, char **argv); /* argv[0] is the verb */
};

extern const struct verb verb_up, verb_gateway, verb_down, verb_apply, verb_get, verb_describe,
    verb_scale, verb_delete, verb_logs, verb_chat, verb_run, verb_key, verb_usage, verb_why,
    verb_top, verb_gpus, verb_explain, verb_simulate, verb_version, verb_completion;

/* All verbs, ended by NULL. */
extern const struct verb *const cli_verbs[];

void cli_help(const struct verb *v);
int cli_usage(const struct verb *v, const char *format, ...)
    PRINTF_LIKE(2, 3);               /* returns CLI_USAGE */
int cli_fail(const struct err *err); /* prints it; the exit code */

/* ---- options: a table per verb ---- */

struct cli_option {
    const char *name;  /* "--state" */
    char letter;       /* 'o' for -o; 0: none */
    const char **text; /* takes a value, stored here; or */
    bool *flag;        /* takes none, set to true */
};

/*
 * Sorts argv into options and at most `max` arguments. 0, or CLI_USAGE when something was wrong and said, or -1 when --help was
 * asked for and given.
 */
int cli_parse(const struct verb *v, int argc, char **argv, const struct cli_option *options,
              size_t option_count, const char **ret_arguments, int max, int *ret_count);

/* ---- objects ---- */

struct cli_object {
    const char *kind, *name;
};
/* "NAME", "KIND NAME" or "KIND/NAME" of one or two arguments; the first of `kinds` (which end with NULL) if none is said.
 * CLI_USAGE, and said, when it is another kind. */
int cli_object_parse(const struct verb *v, const char *const *arguments, int count,
                     const char *const *kinds, struct cli_object *ret_object);

/* ---- where things are ---- */

/* --state, else FAIRWAY_STATE, else $XDG_STATE_HOME/fairway, else ~/.local/state/fairway. */
int cli_state_dir(const char *option, char ret_path[PATH_MAX], struct err *err);

/* ---- output ---- */

enum cli_output { CLI_TABLE, CLI_JSON, CLI_YAML };
int cli_output_parse(const char *text, enum cli_output *ret_output); /* NULL: CLI_TABLE */

/* A table for people: columns as wide as their widest cell. Cells are copied. */
struct cli_table;
struct cli_table *cli_table_new(const char *const *headings, size_t columns);
void cli_table_cell(struct cli_table *t, const char *format, ...)
    PRINTF_LIKE(2, 3);                     /* row by row */
void cli_table_print(struct cli_table *t); /* and frees it */

void cli_print_tree(const struct json *tree, enum cli_output output);
const char *cli_text(const struct json *node,
                     const char *fallback); /* of a string node; zero-terminated */
double cli_number(const struct json *object, struct str key); /* of a member; 0 when it is none */
struct str cli_age(struct arena *a, struct str rfc3339);

#endif
