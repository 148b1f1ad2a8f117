/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first bytes of a connection: they say what it speaks.
 *
 * Under TLS the client has chosen by ALPN. On a plain connection HTTP/2 begins with a preface that no HTTP/1 request begins
 * with (RFC 9113 3.4); bytes are held only as long as they may become one.
 */
#include "base/mem.h"
#include "net/http2_internal.h"
#include "net/http_server_internal.h"

enum opening_verdict { OPENING_UNSURE, OPENING_HTTP1, OPENING_HTTP2 };

struct opening {
    struct conn conn;
    struct loop_timer timer;
    nsec began; /* when the first byte that is held came */
    size_t len;
    char held[HTTP2_PREFACE_LENGTH];
};

static void free_opening(struct opening *o)
{
    loop_timer_stop(&o->timer);
    mem_free(o);
}

static void close_opening(struct conn *conn)
{
    struct opening *o = container_of(conn, struct opening, conn);
    conn_fini(conn);
    free_opening(o);
}

static void drain_opening(struct conn *conn)
{
    const struct opening *o = container_of(conn, struct opening, conn);
    if (o->len == 0)
        close_opening(conn);
}

static enum opening_verdict judge(const struct opening *o, struct str bytes)
{
    struct str preface = STR(HTTP2_PREFACE);
    size_t size = MIN(bytes.len, preface.len);
    if (o->conn.server->options.http1_only)
        return OPENING_HTTP1;
    if (o->conn.server->options.tls)
        return stream_chose_h2(o->conn.stream) ? OPENING_HTTP2 : OPENING_HTTP1;
    if (memcmp(bytes.ptr, preface.ptr, size) != 0)
        return OPENING_HTTP1;
    return size == preface.len ? OPENING_HTTP2 : OPENING_UNSURE;
}

static void hand_over(struct opening *o, enum opening_verdict verdict, struct str bytes, nsec began)
{
    if (verdict == OPENING_HTTP2)
        http2_open(&o->conn, bytes);
    else
        http1_open(&o->conn, bytes, began);
    free_opening(o);
}

/* Bytes that may be the start of a preface wait here for the rest of it. */
static void hold(struct opening *o, struct str bytes)
{
    struct http_server *server = o->conn.server;
    memcpy(o->held + o->len, bytes.ptr, bytes.len);
    o->len += bytes.len;
    if (o->began)
        return;
    o->began = loop_now(server->loop);
    loop_timer_start(server->loop, &o->timer, server->options.limits.head_timeout);
}

static void on_bytes(void *ctx, struct str bytes)
{
    struct opening *o = ctx;
    if (o->len == 0) {
        enum opening_verdict verdict = judge(o, bytes);
        if (verdict == OPENING_UNSURE)
            hold(o, bytes);
        else
            hand_over(o, verdict, bytes, 0);
        return;
    }
    struct buf all;
    buf_init(&all, SIZE_MAX / 2);
    buf_put(&all, (struct str){o->held, o->len});
    buf_put(&all, bytes);
    enum opening_verdict verdict = judge(o, buf_str(&all));
    if (verdict == OPENING_UNSURE)
        hold(o, bytes);
    else
        hand_over(o, verdict, buf_str(&all), o->began);
    buf_fini(&all);
}

static void on_ended(void *ctx, int error)
{
    close_opening(ctx);
}

/* Silent for too long; or stuck in what may be a preface: a head that is not whole either way. */
static void on_timer(struct loop_timer *timer)
{
    struct opening *o = container_of(timer, struct opening, timer);
    if (o->len)
        hand_over(o, OPENING_HTTP1, (struct str){o->held, o->len}, o->began);
    else
        close_opening(&o->conn);
}

void conn_open(struct http_server *server, struct stream *take_stream)
{
    static const struct conn_ops ops = {.close = close_opening, .drain = drain_opening};
    struct opening *o = NEW(struct opening);
    const struct stream_events events = {.bytes = on_bytes, .ended = on_ended, .ctx = o};
    conn_init(&o->conn, &ops, server, take_stream);
    o->timer.fire = on_timer;
    loop_timer_start(server->loop, &o->timer, server->options.limits.idle_timeout);
    stream_set_events(take_stream, &events);
    if (server->options.tls)
        stream_start_tls(take_stream, server->options.tls, !server->options.http1_only, STR_NONE);
    stream_read(take_stream, true);
}
