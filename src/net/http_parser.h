/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.x message heads, strictly by RFC 9112 and 9110: bytes in, facts out. No input or output.
 *
 * A head is parsed in one go once it is whole (http_head_end says when). What could be read in two
 * ways by two programs is refused: bare CR or LF, obs-fold, space before a colon, control bytes,
 * Content-Length with Transfer-Encoding or twice, any transfer coding but one "chunked", a Host or
 * an authority that is more than a host and a port.
 *
 * Ownership: the facts borrow the bytes of the head. Thread rule: none.
 */
#ifndef FAIRWAY_NET_HTTP_PARSER_H
#define FAIRWAY_NET_HTTP_PARSER_H

#include "net/http.h"

/*
 * Looks for the end of a head in `bytes`, whose first *scanned bytes it has seen before (0 at
 * first). 0 and the length of the head, blank line included; ERR_AGAIN when it is not whole yet;
 * ERR_PARSE when a line does not end with CRLF or a byte is not allowed.
 */
[[nodiscard]] int http_head_end(struct str bytes, size_t *scanned, size_t *ret_length);

enum http_body { HTTP_BODY_NONE, HTTP_BODY_LENGTH, HTTP_BODY_CHUNKED, HTTP_BODY_UNTIL_CLOSE };

struct http_head {
    /* a request's */
    struct str method, target, path, query;
    bool expect_continue;
    /* a response's */
    int status;
    /* both */
    int minor; /* HTTP/1.minor: 0 or 1 */
    struct http_header items[HTTP_HEADERS_MAX];
    struct http_headers headers; /* of items */
    enum http_body body;
    uint64_t content_length; /* HTTP_BODY_LENGTH */
    bool keep_alive;
};

/* 0, or the status to refuse it with: 400, 414, 417, 431 (too many headers), 501, 505. */
[[nodiscard]] int http_parse_request(struct str head, size_t target_max,
                                     struct http_head *ret_head);

/* The path and the query of h->target, by h->method. 0, or the status to refuse it with: 400, 414, 501. */
[[nodiscard]] int http_split_target(struct http_head *h, size_t target_max);

/* "host[:port]", as in Host and in absolute targets; may be empty. */
bool http_is_authority(struct str s);

/* method: of the request that it answers (HEAD has no body). 0 or ERR_PROTOCOL. */
[[nodiscard]] int http_parse_response(struct str head, struct str method,
                                      struct http_head *ret_head);

#endif
