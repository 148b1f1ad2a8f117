/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP server on one loop: HTTP/1.1 and HTTP/2, by ALPN or by the client's first bytes; a service
 * sees no difference. Several servers (one per worker) share a port by SO_REUSEPORT.
 *
 * The server reads a request whole (head, then body up to body_max; Expect: 100-continue answered),
 * hands it over as an exchange, and writes the response that the service gives, at once or as a
 * stream. Pipelined requests are answered in order: the service sees the next one only after it
 * ended the one before; the streams of an HTTP/2 connection run side by side. HEAD responses lose
 * their body here. Bad messages are refused by the server itself, by service.error_body if given.
 *
 * Ownership: an exchange belongs to the server. It lives from `request` until the service ends it
 * (http_respond, http_respond_end, http_respond_abort) or until `departed` has returned, whichever
 * is first. Request bytes (method, target, headers, body) live as long as the exchange. Thread
 * rule: all calls and callbacks on the server's loop.
 */
#ifndef FAIRWAY_NET_HTTP_SERVER_H
#define FAIRWAY_NET_HTTP_SERVER_H

#include "base/arena.h"
#include "base/buf.h"
#include "net/http.h"
#include "net/loop.h"

struct http_server;
struct http_exchange;
struct tls_server; /* net/tls.h */

struct http_request {
    struct str method; /* "GET", "POST" ... */
    struct str target; /* as sent */
    struct str path;   /* decoded only as far as needed for routing: not at all; of an absolute-form
                          target its path */
    struct str query;  /* after '?', without it; empty if none */
    struct http_headers headers;
    struct str body;
    struct str peer; /* "127.0.0.1:54321", or "unix"; what the balancer says, with proxy_protocol */
    struct str
        peer_subject; /* of the client's certificate, "CN=agent,O=Example" (RFC 2253); empty if none */
};

struct http_service {
    /* A complete request. Must lead to an end of the exchange now or later. */
    void (*request)(void *ctx, struct http_exchange *x);
    /* The client left before the response ended. The exchange is gone when this returns. May be
     * NULL. */
    void (*departed)(void *ctx, struct http_exchange *x);
    /* The bytes queued fell under the high-water mark after http_respond_write said ERR_FULL. May
     * be NULL. */
    void (*writable)(void *ctx, struct http_exchange *x);
    /* Body and content type for a response that the server makes itself (400, 408, 413 ...). NULL:
     * plain text. */
    void (*error_body)(void *ctx, int status, const char *reason, struct buf *out,
                       struct str *ret_content_type);
    void *ctx;
};

struct http_server_options {
    struct str
        host; /* "127.0.0.1", "::1", "0.0.0.0"; or "unix:/path" for a socket file (mode 0600) */
    uint16_t port;     /* 0: any free one, see http_server_port */
    bool share_port;   /* SO_REUSEPORT */
    int take_listener; /* a socket that listens already, from another process; 0: none, open one */
    bool waits;        /* accepts nothing before http_server_accept */
    struct tls_server *tls; /* borrow; NULL for plain */
    bool http1_only;        /* neither ALPN h2 nor the HTTP/2 preface is taken */
    bool
        proxy_protocol; /* every connection begins with a PROXY header (version 1 or 2), or is closed: only
                               for a port that nobody but the balancer reaches */
    struct http_limits limits;
    struct http_service service;
};

[[nodiscard]] int http_server_new(struct loop *loop, const struct http_server_options *options,
                                  struct http_server **ret_server, struct err *err);
uint16_t http_server_port(const struct http_server *server);
size_t http_server_connections(const struct http_server *server);

void http_server_accept(struct http_server *server); /* from now on, with options.waits */
/* The listening socket, for another process to go on with (a copy keeps what waits in its queue); the socket file is left then.
 * Any thread, before the drain. */
int http_server_listener(struct http_server *server);

/*
 * Stops accepting, lets running exchanges end, calls done(arg) once no connection is left. Clients are told before their
 * connection ends (Connection: close, GOAWAY): a request that is on its way as the drain begins is answered. A second call
 * with grace 0 hurries: what still runs after `grace` departs and is cut.
 */
void http_server_drain(struct http_server *server, nsec grace, void (*done)(void *arg), void *arg);
void http_server_free(struct http_server *server); /* after done() of a drain, not inside it */

/* ---- exchange ---- */

const struct http_request *http_exchange_request(const struct http_exchange *x);
struct arena *http_exchange_arena(
    struct http_exchange *x); /* dies with the exchange; cap 256 KiB */
void http_exchange_set_data(struct http_exchange *x, void *data);
void *http_exchange_data(const struct http_exchange *x);
nsec http_exchange_started(
    const struct http_exchange *x); /* loop time of the request's first byte */

/* A whole response; adds Content-Length, Date and Connection. The strings are copied. Ends the
 * exchange. */
void http_respond(struct http_exchange *x, int status, const struct http_header *headers,
                  size_t count, struct str body);

/* A streamed response: chunked (HTTP/1.0 clients: until close). */
void http_respond_begin(struct http_exchange *x, int status, const struct http_header *headers,
                        size_t count);
/* Takes the bytes always. ERR_FULL: over the high-water mark, write no more until `writable`. Sent
 * at the end of the loop's turn. */
[[nodiscard]] int http_respond_write(struct http_exchange *x, struct str bytes);
void http_respond_end(struct http_exchange *x);
/* Cuts the connection without the final chunk (HTTP/2: resets the stream), so that the client knows the response is not
 * whole. */
void http_respond_abort(struct http_exchange *x);
bool http_exchange_begun(const struct http_exchange *x); /* has a response head been written? */

#endif
