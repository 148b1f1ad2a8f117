/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors as clients of the OpenAI API expect them:
 *   {"error":{"message":"...","type":"invalid_request_error","param":"temperature","code":null}}
 * Thread rule: none.
 */
#ifndef FAIRWAY_API_ERROR_H
#define FAIRWAY_API_ERROR_H

#include "base/buf.h"

struct api_error {
    int status;         /* HTTP; decides `type` */
    struct str message; /* names the thing, the reason and the way out */
    struct str param;   /* the field at fault; ptr NULL: null */
    struct str code;    /* machine-readable, "model_not_found"; ptr NULL: null */
};

/* "invalid_request_error", "authentication_error", "rate_limit_error" ... as OpenAI's clients know them. */
const char *api_error_type(int status);

void api_error_write(const struct api_error *e, struct buf *out);

#endif
