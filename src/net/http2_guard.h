/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token bucket: so many at once, so many a second for ever. Pure: time is given.
 *
 * The tokens are kept as the instant at which the bucket is full again, so that nothing is to be refilled.
 */
#ifndef FAIRWAY_NET_HTTP2_GUARD_H
#define FAIRWAY_NET_HTTP2_GUARD_H

#include <stdbool.h>

#include "base/time.h"

struct http2_bucket {
    nsec interval; /* between two tokens */
    nsec depth;    /* `burst` intervals */
    nsec full_at;
};

static inline struct http2_bucket http2_bucket(unsigned burst, unsigned per_second)
{
    nsec interval = NSEC_PER_SEC / (per_second ? per_second : 1);
    return (struct http2_bucket){.interval = interval, .depth = burst * interval};
}

/* False, and nothing taken, when it is empty. */
static inline bool http2_bucket_take(struct http2_bucket *b, nsec now)
{
    nsec next = (b->full_at > now ? b->full_at : now) + b->interval;
    if (next - now > b->depth)
        return false;
    b->full_at = next;
    return true;
}

/* Gives tokens for work that the peer may well have things to say about; never more than it holds. */
static inline void http2_bucket_give(struct http2_bucket *b, unsigned tokens)
{
    b->full_at -= b->full_at > 0 ? tokens * b->interval : 0;
}

#endif
