/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that speaks HTTP/1.x: shared by http1_conn.c (reading) and http1_answer.c (answering). */
#ifndef FAIRWAY_NET_HTTP1_INTERNAL_H
#define FAIRWAY_NET_HTTP1_INTERNAL_H

#include "net/chunked.h"
#include "net/http_server_internal.h"

enum {
    TURN_REQUESTS_MAX =
        16,              /* of one connection, before it is the others' turn; see TURN_TIME_MAX */
    BLANK_LINES_MAX = 8, /* CRLFs before a request line (RFC 9112 2.2) */
    FIRST_LOOK_SHARE =
        16, /* whether a peer takes bytes is first looked at after this part of write_timeout */
};

/* Nor does it begin another one when the turn is as old as that. */
#define TURN_TIME_MAX (NSEC_PER_MSEC / 5)

enum http1_state {
    HTTP1_HEAD, /* waits for a request, or for the rest of its head */
    HTTP1_BODY, /* reads a body */
    HTTP1_BUSY, /* the service has the exchange */
    HTTP1_LINGER, /* everything is said; reads on until the peer ends, so that it can read our last words */
};

struct http1 {
    struct conn conn;
    struct http_exchange *exchange; /* from the end of a head to the end of the response */
    enum http1_state state;
    struct buf in;  /* read but not yet parsed: part of a head, or pipelined requests */
    size_t scanned; /* of `in`, by http_head_end */
    unsigned blank_lines;
    struct chunked chunked;
    struct loop_timer timer;
    nsec head_began;         /* first byte of the present head; 0: none yet */
    uint64_t written;        /* bytes given to the stream, ever */
    uint64_t taken_at_check; /* of those, how many were gone when the timer last looked */
    struct mail resume;      /* deferred: go on with `in` */
    bool resume_pending, parsing, closed, reading;
    bool last_call; /* the server drains: silence ends the connection soon */
    bool looked;    /* taken_at_check is known */
    bool stuffed;   /* it does not read its answers: no further request is read until it does */
};

/* ---- http1_conn.c ---- */
void http1_close(struct conn *conn);             /* at once; a running exchange departs */
void http1_answered(struct http1 *c, bool keep); /* the exchange's response is written */
void http1_write(struct http1 *c, struct str bytes);
void http1_linger(struct http1 *c);

/* ---- http1_answer.c ---- */
extern const struct exchange_ops http1_exchange_ops;
/* The server's own answer, after which the connection ends. */
void http1_refuse(struct http1 *c, int status);

#endif
