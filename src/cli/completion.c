/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "core/place/policy.h"

static void print_verbs(const char *before, const char *between, const char *after)
{
    for (const struct verb *const *v = cli_verbs; *v; v++)
        printf("%s%s%s%s%s", before, (*v)->name, between, between[0] ? (*v)->summary : "", after);
}

static void print_policies(const char *after)
{
    for (const struct place_policy *const *policy = place_policies; *policy; policy++)
        printf("%s%s", (*policy)->name, after);
}

static void bash(void)
{
    printf("_fairway() {\n  local word=${COMP_WORDS[COMP_CWORD]}\n  COMPREPLY=()\n"
           "  if [ \"$COMP_CWORD\" = 1 ]; then\n    COMPREPLY=($(compgen -W \"");
    print_verbs("", "", " ");
    printf("\" -- \"$word\"))\n    return\n  fi\n"
           "  case ${COMP_WORDS[1]} in\n"
           "  get) COMPREPLY=($(compgen -W 'models jobs tenants nodes replicas gateways events' -- "
           "\"$word\")) ;;\n"
           "  delete | describe | logs)\n"
           "    COMPREPLY=($(compgen -W \"$(fairway get models 2>/dev/null | awk 'NR > 1 {print "
           "$1}') $(fairway get jobs 2>/dev/null | awk 'NR > 1 {print \"job/\" $1}')\" "
           "-- \"$word\")) ;;\n"
           "  chat | scale)\n"
           "    COMPREPLY=($(compgen -W \"$(fairway get models 2>/dev/null | awk 'NR > 1 {print "
           "$1}')\" "
           "-- \"$word\")) ;;\n"
           "  simulate)\n"
           "    case ${COMP_WORDS[COMP_CWORD - 1]} in\n"
           "    simulate) COMPREPLY=($(compgen -W \"run snapshot openb\" -- \"$word\")) ;;\n"
           "    --policy | -p) COMPREPLY=($(compgen -W '");
    print_policies(" ");
    printf("' -- \"$word\")) ;;\n"
           "    *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n    esac ;;\n"
           "  *) COMPREPLY=($(compgen -f -- \"$word\")) ;;\n  esac\n}\n"
           "complete -F _fairway fairway\n");
}

static void zsh(void)
{
    printf("#compdef fairway\n_fairway() {\n  local -a verbs\n  verbs=(\n");
    print_verbs("    '", ":", "'\n");
    printf("  )\n  if (( CURRENT == 2 )); then _describe verb verbs; else _files; fi\n}\n"
           "compdef _fairway fairway\n");
}

static void fish(void)
{
    printf("complete -c fairway -f\n");
    print_verbs("complete -c fairway -n __fish_use_subcommand -a ", " -d '", "'\n");
}

static int run(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*print)(void);
    } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    const char *arguments[1];
    int count;
    int done = cli_parse(&verb_completion, argc, argv, NULL, 0, arguments, 1, &count);
    if (done)
        return MAX(done, 0);
    for (size_t i = 0; count == 1 && i < ARRAY_LEN(shells); i++) {
        if (strcmp(arguments[0], shells[i].name) == 0) {
            shells[i].print();
            return CLI_OK;
        }
    }
    return cli_usage(&verb_completion, "say for which shell: bash, zsh or fish");
}

const struct verb verb_completion = {
    .name = "completion",
    .arguments = "bash|zsh|fish",
    .summary = "Print the completion script of a shell",
    .help = "bash: source <(fairway completion bash)\n"
            "zsh:  source <(fairway completion zsh)\n"
            "fish: fairway completion fish | source\n",
    .run = run,
};
