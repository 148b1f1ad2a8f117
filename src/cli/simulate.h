/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `fairway simulate` share. */
#ifndef FAIRWAY_CLI_SIMULATE_H
#define FAIRWAY_CLI_SIMULATE_H

#include "cli/cli.h"

/* argv[0] is "run". The exit code. */
int simulate_run(int argc, char **argv);

/* Says which policies there are. Returns CLI_USAGE. */
int simulate_policy_usage(const char *given);

#endif
