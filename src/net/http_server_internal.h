/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared by the parts of the server: http_server.c (listening, draining), http_open.c (a connection's first bytes),
 * http_exchange.c (what a service sees) and the protocols: http1_*.c and http2_*.c.
 *
 * Two seams keep the protocols out of the rest: `struct conn` with its ops is a connection, as the server ends it;
 * `struct exchange_ops` is how an exchange answers.
 */
#ifndef FAIRWAY_NET_HTTP_SERVER_INTERNAL_H
#define FAIRWAY_NET_HTTP_SERVER_INTERNAL_H

#include "base/list.h"
#include "net/http_parser.h"
#include "net/http_server.h"
#include "net/stream.h"

enum {
    EXCHANGE_ARENA_MAX = 256 * 1024,
    SPARE_EXCHANGES_MAX = 64,        /* kept for reuse */
    KEPT_BUFFER_MAX = 16 * 1024,     /* a spare exchange keeps buffers up to this size */
    BODY_RESERVED_MAX = 1024 * 1024, /* of a body of known length, before it comes */
    REFUSAL_BODY_MAX = 16 * 1024,
};

#define LINGER_TIME SEC(2) /* after our last word, for the peer to read it */
/* Of a drain: a quiet HTTP/1 connection waits so long for a request that may be on its way, or whose sender has not read the last
 * answer yet: a thirtieth of the grace, within these bounds. */
#define LAST_CALL_LEAST SEC(1)
#define LAST_CALL_MOST  SEC(10)
enum { LAST_CALL_SHARE = 30 };

/* ---- connections ---- */

struct conn;

struct conn_ops {
    void (*close)(struct conn *c); /* at once; running exchanges depart */
    void (*drain)(struct conn *c); /* ends after a last call, or with its last exchange */
};

/* What the server knows of a connection, whatever it speaks. The first member of what the protocol knows. */
struct conn {
    struct list link; /* in server->conns */
    const struct conn_ops *ops;
    struct http_server *server;
    struct stream *stream; /* own */
    char *peer_subject;    /* own; NULL: no client certificate */
    char peer[STREAM_PEER_MAX];
};

/* ---- exchanges ---- */

/* What http_respond and its kin do once the generic part is done (http_exchange.c). respond, end and abort release the exchange. */
struct exchange_ops {
    void (*respond)(struct http_exchange *x, int status, const struct http_header *headers,
                    size_t count, struct str body);
    void (*begin)(struct http_exchange *x, int status, const struct http_header *headers,
                  size_t count);
    int (*write)(struct http_exchange *x, struct str bytes);
    void (*end)(struct http_exchange *x);
    void (*abort)(struct http_exchange *x);
};

struct http_exchange {
    const struct exchange_ops *ops;
    void *carrier; /* borrow: what `ops` answer through */
    struct http_server *server;
    struct list spare; /* in server->spare */
    struct http_head head;
    struct http_request request;
    struct buf head_bytes, body;
    struct arena arena;
    void *data;
    nsec started;
    bool begun, chunked, is_head, over_high_water;
    bool closes; /* its head has said that the connection ends with it */
};

/* ---- the server ---- */

struct http_server {
    struct loop *loop;
    struct http_server_options options;
    struct listener *listener; /* own */
    struct list conns, spare;
    size_t conn_count, spare_count;
    bool draining, accept_waiting;
    nsec last_call; /* of the drain */
    struct loop_timer grace;
    struct mail drained; /* deferred: tells `done` */
    bool drained_pending;
    void (*done)(void *arg);
    void *done_arg;
    char date[40]; /* "date: ...\r\n" of the present second */
    size_t date_len;
    int64_t date_second;
};

/* ---- http_server.c ---- */
struct str server_date(struct http_server *server); /* "date: ...\r\n" */
void conn_init(struct conn *c, const struct conn_ops *ops, struct http_server *server,
               struct stream *take_stream);
/* c stands for the connection from now on; `from` is to be freed by its owner. */
void conn_take_over(struct conn *c, const struct conn_ops *ops, struct conn *from);
void conn_fini(struct conn *c); /* closes the stream; the server may accept another connection */

/* ---- http_open.c ---- */
void conn_open(struct http_server *server, struct stream *take_stream);

/* ---- http1_conn.c ---- */
/* `first`: what was read so far; began: when its first byte came, if it has waited since, else 0. */
void http1_open(struct conn *from, struct str first, nsec began);

/* ---- http2_conn.c ---- */
void http2_open(struct conn *from, struct str first);

/* ---- http_exchange.c ---- */
struct http_exchange *exchange_new(struct http_server *server, const struct exchange_ops *ops,
                                   void *carrier);
void exchange_release(struct http_exchange *x);
/* Fills x->request from x->head. */
void exchange_set_request(struct http_exchange *x, const struct conn *c);
void server_free_spares(struct http_server *server);
bool status_has_no_body(int status);
/* The body of a response of the server's own. */
void server_error_body(struct http_server *server, int status, struct buf *out,
                       struct str *ret_content_type);

#endif
