/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `fairway simulate` share. */
#ifndef FAIRWAY_CLI_SIMULATE_H
#define FAIRWAY_CLI_SIMULATE_H

#include "cli/cli.h"

/* argv[0] is "run". The exit code. */
int simulate_run(int argc, char **argv);
/* argv[0] is "snapshot". The exit code. */
int simulate_snapshot(int argc, char **argv);

/* What runs in a Fairway, as the text of a scenario. */
struct live_options {
    const char *state;    /* --state, or NULL */
    const char *add;      /* a manifest of Models and Jobs, or NULL */
    const char *duration; /* of a job that does not say how long it runs; NULL: an hour */
};
[[nodiscard]] int simulate_live(const struct live_options *options, struct buf *out,
                                struct err *err);

/* "-" is standard input. */
[[nodiscard]] int simulate_read_file(const char *path, struct buf *out, struct err *err);

/* Says which policies there are. Returns CLI_USAGE. */
int simulate_policy_usage(const char *given);

#endif
