/* SPDX-License-Identifier: Apache-2.0 */
/*
 * x-ratelimit-* headers, named as OpenAI's: what is left of a minute's requests and tokens.
 * Ownership: the texts lie in the struct. Thread rule: none.
 */
#ifndef FAIRWAY_GATEWAY_RATE_HEADERS_H
#define FAIRWAY_GATEWAY_RATE_HEADERS_H

#include "core/limit/limit.h"
#include "net/http.h"

enum { RATE_HEADERS_MAX = 6, RATE_HEADER_TEXT_MAX = 32 };

struct rate_headers {
    struct str names[RATE_HEADERS_MAX]; /* static */
    char values[RATE_HEADERS_MAX][RATE_HEADER_TEXT_MAX];
    size_t count; /* 0: no limit by the minute */
};

void rate_headers_init(struct rate_headers *r, const struct limit_snapshot *left);
/* Writes them behind others; how many. */
size_t rate_headers_put(const struct rate_headers *r, struct http_header *ret_headers);

#endif
