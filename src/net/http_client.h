/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/1.1 client on one loop, plain or under TLS, with a keep-alive pool per endpoint (address, and
 * under TLS whom to trust and the server's name): the gateway's way to the engines.
 *
 * A call sends one request and reports its response by events as it arrives. `done` comes exactly
 * once, last, unless the call is cancelled: then nothing comes any more. A request that meets a
 * pooled connection which the peer just closed (no byte of an answer) is sent again once on a new
 * connection, inside the client.
 *
 * Ownership: a call belongs to the client from start until `done` returns or cancel. Request
 * strings are copied by http_call_start, except the body, which the caller keeps alive until `done`
 * or cancel. Thread rule: all calls and callbacks on the client's loop. No callback runs inside
 * http_call_start or http_call_cancel.
 */
#ifndef FAIRWAY_NET_HTTP_CLIENT_H
#define FAIRWAY_NET_HTTP_CLIENT_H

#include "net/http.h"
#include "net/loop.h"

struct http_client;
struct http_call;
struct tls_client;

struct http_client_options {
    unsigned idle_max; /* idle connections kept per endpoint (64) */
    nsec idle_timeout; /* an idle one is closed after (60 s) */
    size_t head_max;   /* of a response (32 KiB): ERR_TOO_BIG */
};

struct http_call_request {
    struct str host; /* numeric address: "127.0.0.1", "::1" */
    uint16_t port;
    struct tls_client *tls;    /* NULL: plain */
    struct str server_name;    /* under TLS: whom the certificate must be for */
    struct str authority;      /* what Host says; empty: host and port */
    struct str method, target; /* target with query */
    struct str base_path;      /* in front of the target; may be empty */
    const struct http_header *headers;
    size_t header_count; /* Host and Content-Length are added */
    struct str body;
    nsec connect_timeout; /* ERR_TIMEOUT; 0 = none, for each of the three */
    nsec head_timeout;    /* from sent to the response's head */
    nsec idle_timeout;    /* between two reads of the response's body */
};

struct http_call_events {
    void (*head)(void *ctx, int status, const struct http_headers *headers);
    void (*body)(void *ctx, struct str bytes); /* de-chunked */
    void (*done)(void *ctx, int error);        /* 0: the response was complete */
    void *ctx;
};

struct http_client *http_client_new(struct loop *loop, const struct http_client_options *options);
void http_client_free(struct http_client *client); /* no call may be running */

struct http_call *http_call_start(struct http_client *client,
                                  const struct http_call_request *request,
                                  const struct http_call_events *events);
void http_call_cancel(struct http_call *call);
/* In `done`: why there was no TLS with the server (the error is ERR_PROTOCOL); "" for any other end. */
const char *http_call_tls_failure(const struct http_call *call);
/* What one read has brought may still be delivered after it. */
void http_call_pause(struct http_call *call); /* reads no more: back-pressure to the peer */
void http_call_resume(struct http_call *call);

#endif
