/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct row {
    int code;
    const char *text;
    int status;
    bool retryable;
};

static const struct row table[] = {{0, "ok", 200, false},
#define X(name, code, text, status, retryable) {code, text, status, retryable},
                                   ERR_TABLE(X)
#undef X
};

static const struct row *find(int code)
{
    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (table[i].code == code)
            return &table[i];
    CHECK(!"an error code of the table");
    return NULL;
}

const char *err_text(int code)
{
    return find(code)->text;
}

int err_http_status(int code)
{
    return find(code)->status;
}

bool err_retryable(int code)
{
    return find(code)->retryable;
}

int err_set(struct err *err, int code, const char *format, ...)
{
    if (err) {
        va_list args;
        va_start(args, format);
        vsnprintf(err->message, sizeof(err->message), format, args);
        va_end(args);
        err->code = code;
    }
    return code;
}

int err_wrap(struct err *err, int code, const char *format, ...)
{
    if (!err)
        return code;
    char inner[ERR_MESSAGE_MAX];
    memcpy(inner, err->message, sizeof(inner));
    va_list args;
    va_start(args, format);
    int len = vsnprintf(err->message, sizeof(err->message), format, args);
    va_end(args);
    if (len >= 0 && len < ERR_MESSAGE_MAX)
        snprintf(err->message + len, sizeof(err->message) - (size_t)len, ": %s", inner);
    return err->code;
}

int err_from_errno(int error_number)
{
    switch (error_number) {
    case EINVAL:
        return ERR_INVALID;
    case ENOENT:
    case ESRCH:
        return ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
        return ERR_FORBIDDEN;
    case EEXIST:
    case EADDRINUSE:
        return ERR_CONFLICT;
    case EAGAIN:
        return ERR_AGAIN;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ENOMEM:
        return ERR_NO_MEMORY;
    case EPIPE:
    case ECONNRESET:
        return ERR_CLOSED;
    default:
        return ERR_IO;
    }
}
