/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Request heads of HTTP/2 (RFC 9113 8.3): fields in, one by one, the facts of http_parser.h out. No input or output.
 *
 * What nghttp2 checks before a field comes here is not checked again: the bytes of names and values, pseudo fields
 * known, once and first, no connection-specific fields. Here: limits, the target and the authority as HTTP/1 takes
 * them, cookies joined, `:authority` as `host`.
 *
 * Ownership: the struct is the caller's, the bytes are its own until http2_head_fini. One per connection: heads do not interleave.
 */
#ifndef FAIRWAY_NET_HTTP2_HEAD_H
#define FAIRWAY_NET_HTTP2_HEAD_H

#include "base/buf.h"
#include "net/http_parser.h"

/* Offsets: the bytes move while they grow. */
struct http2_field {
    size_t name, name_len, value, value_len;
};

struct http2_head {
    const struct http_limits *limits; /* borrow */
    struct buf bytes, cookie;
    struct http2_field method, scheme, path, authority, host;
    struct http2_field items[HTTP_HEADERS_MAX];
    size_t count;
    unsigned hosts;
    size_t size; /* of all fields, as RFC 9113 6.5.2 counts: also what was not kept */
    int status;  /* the first limit that was passed; 0: none */
};

void http2_head_init(struct http2_head *h, const struct http_limits *limits);
void http2_head_fini(struct http2_head *h);

void http2_head_begin(struct http2_head *h);
/* Past a limit nothing more is kept. */
void http2_head_add(struct http2_head *h, struct str name, struct str value);
/*
 * The facts; they borrow `bytes`, into which what is needed is copied. whole: no body follows. 0, or the status to refuse
 * the request with: 400, 414, 417, 431, 501; then ret_head has the method, if there was one.
 */
[[nodiscard]] int http2_head_finish(struct http2_head *h, bool whole, struct buf *bytes,
                                    struct http_head *ret_head);

#endif
