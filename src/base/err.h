/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The one table of errors, and `struct err` for errors that a person reads.
 *
 * Contract: a function that can fail returns 0 or a negative code of this table. At a boundary
 * (configuration, spawn, model load, network set-up) it also takes a `struct err *` as its last
 * argument, which may be NULL; on failure it is filled with a message that names the thing, the
 * reason and the way out; on success it is left alone. Outputs (`ret_x`) are untouched on failure.
 *
 * Thread rule: none; all functions work on their arguments only.
 */
#ifndef FAIRWAY_BASE_ERR_H
#define FAIRWAY_BASE_ERR_H

#include <stdbool.h>

#include "base/check.h"

/* X(name, code, text, HTTP status when it reaches a client, may a client try the same again) */
#define ERR_TABLE(X)                                                     \
    X(ERR_INVALID, -1, "invalid value", 400, false)                      \
    X(ERR_PARSE, -2, "cannot be parsed", 400, false)                     \
    X(ERR_UNAUTHORIZED, -3, "not authenticated", 401, false)             \
    X(ERR_FORBIDDEN, -4, "not allowed", 403, false)                      \
    X(ERR_NOT_FOUND, -5, "not found", 404, false)                        \
    X(ERR_METHOD, -6, "method not allowed", 405, false)                  \
    X(ERR_CONFLICT, -7, "conflicts with a concurrent change", 409, true) \
    X(ERR_TOO_BIG, -8, "exceeds a size limit", 413, false)               \
    X(ERR_FULL, -9, "limit reached", 429, true)                          \
    X(ERR_CANCELLED, -10, "cancelled by the caller", 499, true)          \
    X(ERR_INTERNAL, -11, "internal error", 500, true)                    \
    X(ERR_UNSUPPORTED, -12, "not supported", 501, false)                 \
    X(ERR_PROTOCOL, -13, "peer broke the protocol", 502, true)           \
    X(ERR_CLOSED, -14, "peer closed the connection", 502, true)          \
    X(ERR_IO, -15, "input/output error", 502, true)                      \
    X(ERR_UNAVAILABLE, -16, "no capacity", 503, true)                    \
    X(ERR_TIMEOUT, -17, "deadline passed", 504, true)                    \
    X(ERR_NO_MEMORY, -18, "memory budget used up", 503, true)            \
    X(ERR_AGAIN, -19, "not yet", 503, true)

enum err_code {
#define X(name, code, text, status, retryable) name = code,
    ERR_TABLE(X)
#undef X
};

enum { ERR_MESSAGE_MAX = 512 };

struct err {
    int code;
    char message[ERR_MESSAGE_MAX]; /* zero-terminated; a longer message is cut */
};

/* The table's columns. 0 is "ok", 200, not retryable. An unknown code is a broken invariant. */
const char *err_text(int code);
int err_http_status(int code);
bool err_retryable(int code);

/* Fills err (if not NULL) and returns code, so that `return err_set(err, ERR_X, ...)` is one line.
 */
int err_set(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Puts "context: " before the message that is there. Returns err's code (code if err is NULL). */
int err_wrap(struct err *err, int code, const char *format, ...) PRINTF_LIKE(3, 4);

/* Maps errno: ENOENT to ERR_NOT_FOUND, EACCES to ERR_FORBIDDEN ...; what has no match is ERR_IO. */
int err_from_errno(int error_number);

#endif
