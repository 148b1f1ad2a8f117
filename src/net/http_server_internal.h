/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by http_server.c (listening, draining), http_conn.c (reading) and http_exchange.c (answering). */
#ifndef FAIRWAY_NET_HTTP_SERVER_INTERNAL_H
#define FAIRWAY_NET_HTTP_SERVER_INTERNAL_H

#include "base/list.h"
#include "net/chunked.h"
#include "net/http_parser.h"
#include "net/http_server.h"
#include "net/stream.h"

enum {
    EXCHANGE_ARENA_MAX = 256 * 1024,
    SPARE_EXCHANGES_MAX = 64,    /* kept for reuse */
    KEPT_BUFFER_MAX = 16 * 1024, /* a spare exchange keeps buffers up to this size */
    BLANK_LINES_MAX = 8,         /* CRLFs before a request line (RFC 9112 2.2) */
};

enum conn_state {
    CONN_HEAD, /* waits for a request, or for the rest of its head */
    CONN_BODY, /* reads a body */
    CONN_BUSY, /* the service has the exchange */
    CONN_LINGER, /* everything is said; reads on until the peer ends, so that it can read our last words */
};

struct conn {
    struct list link; /* in server->conns */
    struct http_server *server;
    struct stream *stream;
    struct http_exchange *exchange; /* from the end of a head to the end of the response */
    enum conn_state state;
    struct buf in;  /* read but not yet parsed: part of a head, or pipelined requests */
    size_t scanned; /* of `in`, by http_head_end */
    unsigned blank_lines;
    struct chunked chunked;
    struct loop_timer timer;
    nsec head_began;         /* first byte of the present head; 0: none yet */
    uint64_t written;        /* bytes given to the stream, ever */
    uint64_t taken_at_check; /* of those, how many were gone when the timer last looked */
    char peer[STREAM_PEER_MAX];
    struct mail resume; /* deferred: go on with `in` */
    bool resume_pending, parsing, closed, reading;
    bool stuffed; /* it does not read its answers: no further request is read until it does */
};

struct http_exchange {
    struct conn *conn;
    struct list spare; /* in server->spare */
    struct http_head head;
    struct http_request request;
    struct buf head_bytes, body;
    struct arena arena;
    void *data;
    nsec started;
    bool begun, chunked, is_head, over_high_water;
};

struct http_server {
    struct loop *loop;
    struct http_server_options options;
    struct listener *listener; /* own */
    struct list conns, spare;
    size_t conn_count, spare_count;
    bool draining, accept_waiting;
    struct loop_timer grace;
    struct mail drained; /* deferred: tells `done` */
    bool drained_pending;
    void (*done)(void *arg);
    void *done_arg;
    char date[40]; /* "Date: ...\r\n" of the present second */
    int64_t date_second;
};

/* ---- http_server.c ---- */
const char *server_date(struct http_server *server);
void server_conn_closed(struct http_server *server); /* count already down */

/* ---- http_conn.c ---- */
void conn_open(struct http_server *server, struct stream *take_stream);
void conn_close(struct conn *c);               /* at once; a running exchange departs */
void conn_answered(struct conn *c, bool keep); /* the exchange's response is written */
void conn_write(struct conn *c, struct str bytes);
void conn_refuse(struct conn *c, int status);
void conn_drain(struct conn *c); /* idle: closes */

/* ---- http_exchange.c ---- */
struct http_exchange *exchange_new(struct conn *c);
void exchange_release(struct http_exchange *x);
void server_free_spares(struct http_server *server);
/* The head and the start of a response of the server's own. */
void exchange_put_head(struct buf *out, struct http_server *server, int status,
                       const struct http_header *headers, size_t count);

#endif
