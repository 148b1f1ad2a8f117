/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/rate_headers.h"

#include <inttypes.h>
#include <stdio.h>

static char *add(struct rate_headers *r, struct str name)
{
    r->names[r->count] = name;
    return r->values[r->count++];
}

static void add_rate(struct rate_headers *r, const struct limit_rate *rate,
                     const struct str names[3])
{
    if (!rate->limit)
        return;
    snprintf(add(r, names[0]), RATE_HEADER_TEXT_MAX, "%" PRIu64, rate->limit);
    snprintf(add(r, names[1]), RATE_HEADER_TEXT_MAX, "%" PRIu64, rate->remaining);
    /* Whole milliseconds, as clients read them: "1m30s", "250ms". */
    nsec_format((rate->reset + NSEC_PER_MSEC - 1) / NSEC_PER_MSEC * NSEC_PER_MSEC,
                add(r, names[2]));
}

void rate_headers_init(struct rate_headers *r, const struct limit_snapshot *left)
{
    static const struct str requests[] = {STR("x-ratelimit-limit-requests"),
                                          STR("x-ratelimit-remaining-requests"),
                                          STR("x-ratelimit-reset-requests")};
    static const struct str tokens[] = {STR("x-ratelimit-limit-tokens"),
                                        STR("x-ratelimit-remaining-tokens"),
                                        STR("x-ratelimit-reset-tokens")};
    r->count = 0;
    add_rate(r, &left->requests, requests);
    add_rate(r, &left->tokens, tokens);
}

size_t rate_headers_put(const struct rate_headers *r, struct http_header *ret_headers)
{
    for (size_t i = 0; i < r->count; i++)
        ret_headers[i] = (struct http_header){r->names[i], str_from(r->values[i])};
    return r->count;
}
