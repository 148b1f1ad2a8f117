/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Log files of replicas: rotated while their writer keeps them open for appending, and read from the end.
 * Thread rule: none.
 */
#ifndef FAIRWAY_RUNTIME_LOG_FILE_H
#define FAIRWAY_RUNTIME_LOG_FILE_H

#include "base/buf.h"
#include "base/err.h"

/*
 * If the file is over max_size: its content goes to PATH.1 (which is replaced) and the file is emptied. Lines written between
 * the copy and the emptying are lost: the price of a writer that need not know.
 */
[[nodiscard]] int log_file_rotate(const char *path, uint64_t max_size);

/* Appends the last `lines` lines (as many of them as fit) to out. */
[[nodiscard]] int log_file_tail(const char *path, size_t lines, struct buf *out);

#endif
