/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between us and a process whose end matters: `fairway shim FILE PROGRAM [ARGUMENT...]` runs the program, passes on the signals
 * that it gets, and writes into the file how the program ended. So that is known even if nobody was there when it did, or
 * somebody who is not its parent.
 *
 * Rules: if the shim is killed, so is the program. The shim's own exit code is that of the program, or 128 and the number of the
 * signal that ended it; 126 and 127: it could not be started.
 */
#ifndef FAIRWAY_RUNTIME_SHIM_H
#define FAIRWAY_RUNTIME_SHIM_H

#include <stdbool.h>

enum { SHIM_NOT_STARTED = 127, SHIM_SIGNAL = 128 };

/* Returns the exit code. argv: FILE, PROGRAM, ..., NULL. */
int shim_run(char **argv);

/* How the program ended; false: it has not, or nobody wrote it down. */
bool shim_read(const char *file, int *ret_exit_code);

#endif
