/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an HTTP message is, for server and client alike: headers, limits, statuses. The codec is
 * http_parser.h.
 */
#ifndef FAIRWAY_NET_HTTP_H
#define FAIRWAY_NET_HTTP_H

#include "base/err.h"
#include "base/str.h"
#include "base/time.h"

enum { HTTP_HEADERS_MAX = 100 };

struct http_header {
    struct str name;  /* as sent; compare with str_eq_nocase */
    struct str value; /* without surrounding white space */
};

struct http_headers {
    struct http_header *items; /* borrow */
    size_t count;
};

/* The first header of that name; ptr NULL when absent. */
struct str http_header_get(const struct http_headers *headers, struct str name);

/* Every limit of a connection, with the answer when it is passed. */
struct http_limits {
    size_t head_max;    /* request line + headers: 431 (414 when the target alone is longer than
                           target_max) */
    size_t target_max;  /* 414 */
    size_t body_max;    /* 413 */
    nsec head_timeout;  /* from a request's first byte to the end of its head: 408 */
    nsec body_timeout;  /* between two reads of a body: 408 */
    nsec idle_timeout;  /* keep-alive without a request: closed silently */
    nsec write_timeout; /* no byte of the response taken by the peer: connection cut */
    size_t write_high_water;  /* bytes queued towards a slow reader before the writer is asked to
                                 wait */
    unsigned connections_max; /* per server; further ones are not accepted until one ends */
    /* of an HTTP/2 connection */
    unsigned streams_max; /* at once; further ones are refused (REFUSED_STREAM) */
    size_t
        buffered_max; /* bodies over 64 KiB wait for room in it; while more than this is unsent, new
                                streams are refused */
    unsigned resets_burst;   /* streams that the client may reset at once ... */
    unsigned resets_per_sec; /* ... and for ever: GOAWAY with ENHANCE_YOUR_CALM */
};

/* 32 KiB head, 8 KiB target, 32 MiB body, 10 s head, 30 s body, 75 s idle, 60 s write, 256 KiB, 20,000;
 * 100 streams, 64 MiB, 200 resets, 33 a second */
struct http_limits http_limits_default(void);

const char *http_reason(int status); /* "Not Found"; "Unknown" for a status without a name */

#endif
