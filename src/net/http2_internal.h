/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP/2 (RFC 9113) for the server, by nghttp2. Two layers:
 *
 * - struct http2 is the protocol: bytes in (http2_receive), bytes out (http2_pull), requests to the service. It knows the
 *   loop's timers but no socket, so that tests and fuzzers can drive it. http2_session.c holds the connection and its
 *   limits, http2_request.c reads requests, http2_answer.c writes responses.
 * - struct http2_conn (http2_conn.c) puts it on a stream: output once a turn, time-outs, the end.
 *
 * Invariants: nghttp2 is never sent into from inside itself: callbacks submit frames and `wake`, pulling happens later. A
 * stream is in http2.streams from the end of its head until nghttp2 closes it; its exchange may end before.
 *
 * Memory of a connection: bodies under HTTP2_WINDOW come as they are (streams_max of them); bigger ones are let in only
 * when their whole length fits into limits.buffered_max together with those that are in already.
 */
#ifndef FAIRWAY_NET_HTTP2_INTERNAL_H
#define FAIRWAY_NET_HTTP2_INTERNAL_H

#include <nghttp2/nghttp2.h>

#include "net/http2_guard.h"
#include "net/http2_head.h"
#include "net/http_server_internal.h"

#define HTTP2_PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

enum {
    HTTP2_PREFACE_LENGTH = 24,
    HTTP2_WINDOW = 64 * 1024,            /* of a stream at first: a body up to it needs no room */
    HTTP2_WINDOW_ADMITTED = 1024 * 1024, /* of a stream whose body has its room */
    HTTP2_WINDOW_CONNECTION = 1024 * 1024,
    HTTP2_HEAD_BOMB = 4,       /* times head_max: a head that unpacks to more ends the connection */
    HTTP2_TRAILERS_MAX = 8192, /* a stream with more is reset */
    HTTP2_CONTINUATIONS_MAX = 8,
    HTTP2_SETTINGS_MAX = 32, /* in one frame */
    HTTP2_QUEUED_MAX = 2000, /* frames besides DATA that the peer does not read */
    /* PING, SETTINGS, PRIORITY, WINDOW_UPDATE, empty DATA, unknown frames, refused streams: */
    HTTP2_CONTROL_BURST = 1000,
    HTTP2_CONTROL_PER_SEC = 100,
    HTTP2_CONTROL_PER_FRAME = 4, /* allowed on top for each DATA frame and each head */
};

#define HTTP2_LAST_CALL SEC(1) /* between the two GOAWAYs of a drain, at most */

enum http2_stream_state {
    HTTP2_BODY,     /* the request is not whole */
    HTTP2_BUSY,     /* the service has the exchange */
    HTTP2_ANSWERED, /* nothing is wanted from either side but that the rest is sent */
};

struct http2_stream {
    struct list link;     /* in http2->streams */
    struct list waiting;  /* in http2->waiting: its body wants room */
    struct list relieved; /* in http2->relieved: its service is to be told that it may write */
    struct http2 *http2;
    struct http_exchange *exchange; /* NULL once it has ended */
    int32_t id;
    enum http2_stream_state state;
    size_t room;     /* of buffered_max, taken by its body */
    struct buf out;  /* the response's body: from out_sent on, not yet in frames */
    size_t out_sent; /* kept short by drop_sent */
    bool out_ended;  /* nothing will be added */
    bool deferred;   /* nghttp2 waits to be told of more bytes */
    bool bodyless;   /* what the service writes is dropped */
    struct loop_timer timer;
    uint64_t framed, framed_at_check; /* bytes put into frames, ever */
};

struct http2 {
    struct conn *conn; /* borrow; of it only the server and the peer */
    struct http_server *server;
    void (*wake)(struct http2 *h); /* there may be something to pull */
    nghttp2_session *session;      /* own */
    struct list streams, waiting, relieved;
    struct http2_head head;
    int32_t head_stream; /* whose head is being read */
    nsec head_began;     /* 0: none is */
    size_t trailers;     /* bytes of those being read */
    struct http2_bucket resets, control;
    size_t room;   /* taken by bodies, of buffered_max */
    size_t unsent; /* in the streams' `out` */
    struct loop_timer last_call;
    bool draining, goaway_sent;
    bool ended;  /* no request is taken any more, GOAWAY is on its way */
    bool broken; /* nghttp2 is not asked any more */
};

/* ---- http2_session.c ---- */
void http2_init(struct http2 *h, struct conn *conn, void (*wake)(struct http2 *h));
void http2_abandon(struct http2 *h); /* running exchanges depart; no byte goes in or out any more */
void http2_fini(struct http2 *h); /* the same, and frees; not from inside a callback of nghttp2 */
void http2_receive(struct http2 *h, struct str bytes);
/* The next bytes to send, valid until the next call; empty: none now. */
struct str http2_pull(struct http2 *h);
bool http2_wants_pull(const struct http2 *h);
void http2_tell_relieved(struct http2 *h); /* after pulling */
bool http2_is_over(const struct http2 *h); /* nothing is to be read or sent any more */
void http2_drain(struct http2 *h);
/* GOAWAY; what still runs departs with the connection. */
void http2_end(struct http2 *h, uint32_t error_code);
void http2_reset(struct http2_stream *s, uint32_t error_code);

/* ---- http2_request.c ---- */
void http2_set_request_callbacks(nghttp2_session_callbacks *callbacks);
void http2_head_done(struct http2 *h, int32_t id, bool whole);
void http2_body_done(struct http2_stream *s);
void http2_depart(struct http2_stream *s); /* its exchange, if it has one, ends without an answer */
void http2_stream_free(struct http2_stream *s);
void http2_give_back_room(struct http2_stream *s);

/* ---- http2_answer.c ---- */
extern const struct exchange_ops http2_exchange_ops;
void http2_refuse(struct http2_stream *s, int status); /* the server's own answer */
void http2_send_continue(struct http2_stream *s);
size_t http2_stream_unsent(const struct http2_stream *s);
void http2_stream_watch(struct http2_stream *s); /* that the peer takes what is unsent */

#endif
