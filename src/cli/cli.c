/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void cli_help(const struct verb *v)
{
    printf("usage: fairway %s %s\n\n%s.\n%s%s", v->name, v->arguments, v->summary,
           v->help[0] ? "\n" : "", v->help);
}

int cli_usage(const struct verb *v, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "fairway %s: ", v->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (see fairway %s --help)\n", v->name);
    return CLI_USAGE;
}

int cli_fail(const struct err *err)
{
    fprintf(stderr, "fairway: %s\n", err->message);
    switch (err->code) {
    case ERR_NOT_FOUND:
        return CLI_NOT_FOUND;
    case ERR_UNAVAILABLE:
        return CLI_NOT_RUNNING;
    default:
        return CLI_FAILED;
    }
}

static const struct cli_option *find_option(const struct cli_option *options, size_t count,
                                            struct str word)
{
    struct str name = str_sub(word, 0, str_find_char(word, '='));
    for (size_t i = 0; i < count; i++) {
        char letter[] = {'-', options[i].letter, 0};
        if (str_eq(name, str_from(options[i].name)) ||
            (options[i].letter && str_eq(word, str_from(letter))))
            return &options[i];
    }
    return NULL;
}

int cli_parse(const struct verb *v, int argc, char **argv, const struct cli_option *options,
              size_t option_count, const char **ret_arguments, int max, int *ret_count)
{
    bool only_arguments = false;
    *ret_count = 0;
    for (int i = 1; i < argc; i++) {
        struct str word = str_from(argv[i]);
        if (only_arguments || word.len < 2 || word.ptr[0] != '-') {
            if (*ret_count == max)
                return cli_usage(v, "one argument too many: %s", argv[i]);
            ret_arguments[(*ret_count)++] = argv[i];
            continue;
        }
        if (str_eq(word, STR("--"))) {
            only_arguments = true;
            continue;
        }
        if (str_eq(word, STR("--help")) || str_eq(word, STR("-h"))) {
            cli_help(v);
            return -1;
        }
        const struct cli_option *option = find_option(options, option_count, word);
        size_t equals = str_find_char(word, '=');
        if (!option)
            return cli_usage(v, "unknown option %s", argv[i]);
        if (option->flag && equals < word.len)
            return cli_usage(v, "%s takes no value", option->name);
        if (option->flag)
            *option->flag = true;
        else if (equals < word.len)
            *option->text = argv[i] + equals + 1;
        else if (i + 1 == argc)
            return cli_usage(v, "%s needs a value", argv[i]);
        else
            *option->text = argv[++i];
    }
    return 0;
}

int cli_state_dir(const char *option, char ret_path[PATH_MAX], struct err *err)
{
    const char *given = option ? option : getenv("FAIRWAY_STATE");
    const char *xdg = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int len;
    if (given)
        len = snprintf(ret_path, PATH_MAX, "%s", given);
    else if (xdg && *xdg)
        len = snprintf(ret_path, PATH_MAX, "%s/fairway", xdg);
    else if (home && *home)
        len = snprintf(ret_path, PATH_MAX, "%s/.local/state/fairway", home);
    else
        return err_set(err, ERR_INVALID,
                       "neither HOME nor XDG_STATE_HOME is set: give --state FOLDER");
    if (len >= PATH_MAX)
        return err_set(err, ERR_TOO_BIG, "the path of the state folder is too long");
    return 0;
}

/* Splits "job/train" into `kind` and what is returned. */
static const char *split(const char *argument, struct str *kind)
{
    const char *slash = strchr(argument, '/');
    if (slash)
        *kind = (struct str){argument, (size_t)(slash - argument)};
    return slash ? slash + 1 : argument;
}

int cli_object_parse(const struct verb *v, const char *const *arguments, int count,
                     const char *const *kinds, struct cli_object *ret_object)
{
    char known[128] = "";
    struct str kind = count == 2 ? str_from(arguments[0]) : str_from(kinds[0]);
    const char *name = count == 2 ? arguments[1] : split(arguments[0], &kind);
    for (size_t i = 0; kinds[i]; i++) {
        if (str_eq(kind, str_from(kinds[i]))) {
            *ret_object = (struct cli_object){kinds[i], name};
            return 0;
        }
        size_t len = strlen(known);
        snprintf(known + len, sizeof(known) - len, "%s%s", i ? " or " : "", kinds[i]);
    }
    return cli_usage(v, "this is for a %s, not a %.*s", known, STR_ARG(kind));
}
