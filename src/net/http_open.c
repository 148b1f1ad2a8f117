/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first bytes of a connection: who it is from, if a balancer says so, and what it speaks.
 *
 * Under TLS the client has chosen by ALPN. On a plain connection HTTP/2 begins with a preface that no HTTP/1 request begins
 * with (RFC 9113 3.4); bytes are held only as long as they may become one.
 */
#include <stdio.h>

#include "base/mem.h"
#include "net/http2_internal.h"
#include "net/http_server_internal.h"
#include "net/proxy_protocol.h"

enum opening_verdict { OPENING_UNSURE, OPENING_HTTP1, OPENING_HTTP2 };

struct opening {
    struct conn conn;
    struct loop_timer timer;
    struct buf
        held; /* read, but too few to say what they are; bounded by `judge` and PROXY_HEADER_MAX */
    nsec began; /* when the first of them came */
    bool awaits_proxy_header;
};

static void set_timer(struct opening *o, nsec delay)
{
    loop_timer_start(o->conn.server->loop, &o->timer, delay);
}

static void free_opening(struct opening *o)
{
    loop_timer_stop(&o->timer);
    buf_fini(&o->held);
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
    struct opening *o = container_of(conn, struct opening, conn);
    if (o->held.len == 0) /* its first request may be on its way */
        set_timer(o, conn->server->last_call);
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

static void hand_over(struct opening *o, enum opening_verdict verdict, struct str bytes)
{
    if (o->conn.server->options.tls)
        o->conn.peer_subject = stream_peer_subject(o->conn.stream);
    if (verdict == OPENING_HTTP2)
        http2_open(&o->conn, bytes);
    else
        http1_open(&o->conn, bytes, o->began);
    free_opening(o);
}

static void hold(struct opening *o, struct str bytes)
{
    buf_put(&o->held, bytes);
    if (o->began)
        return;
    o->began = loop_now(o->conn.server->loop);
    set_timer(o, o->conn.server->options.limits.head_timeout);
}

static void choose(struct opening *o, struct str bytes)
{
    enum opening_verdict verdict = judge(o, bytes);
    if (verdict == OPENING_UNSURE)
        hold(o, bytes);
    else
        hand_over(o, verdict, bytes);
}

/* What comes behind the balancer's header, which may be nothing yet. */
static void go_on(struct opening *o, struct str bytes)
{
    const struct http_server_options *options = &o->conn.server->options;
    o->began = 0;
    set_timer(o, options->limits.idle_timeout);
    if (options->tls) {
        stream_start_tls(o->conn.stream, options->tls, !options->http1_only, bytes);
        return; /* maybe with `o` gone: on_bytes is called from there */
    }
    if (bytes.len)
        choose(o, bytes);
}

static void read_proxy_header(struct opening *o, struct str bytes)
{
    struct proxy_header header;
    int error = proxy_parse(bytes, &header);
    if (error == ERR_AGAIN) {
        hold(o, bytes);
        return;
    }
    if (error) {
        close_opening(&o->conn);
        return;
    }
    o->awaits_proxy_header = false;
    if (header.peer[0])
        snprintf(o->conn.peer, sizeof(o->conn.peer), "%s", header.peer);
    go_on(o, str_sub(bytes, header.length, bytes.len));
}

static void look_at(struct opening *o, struct str bytes)
{
    if (o->awaits_proxy_header)
        read_proxy_header(o, bytes);
    else
        choose(o, bytes);
}

static void on_bytes(void *ctx, struct str bytes)
{
    struct opening *o = ctx;
    if (o->held.len == 0) {
        look_at(o, bytes);
        return;
    }
    struct buf all = o->held; /* out of it: `o` may be gone when they have been looked at */
    buf_init(&o->held, SIZE_MAX / 2);
    buf_put(&all, bytes);
    look_at(o, buf_str(&all));
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
    if (o->held.len == 0 || o->awaits_proxy_header)
        close_opening(&o->conn);
    else
        hand_over(o, OPENING_HTTP1, buf_str(&o->held));
}

void conn_open(struct http_server *server, struct stream *take_stream)
{
    static const struct conn_ops ops = {.close = close_opening, .drain = drain_opening};
    struct opening *o = NEW(struct opening);
    const struct stream_events events = {.bytes = on_bytes, .ended = on_ended, .ctx = o};
    conn_init(&o->conn, &ops, server, take_stream);
    o->timer.fire = on_timer;
    o->awaits_proxy_header = server->options.proxy_protocol;
    buf_init(&o->held, SIZE_MAX / 2);
    stream_set_events(take_stream, &events);
    stream_read(take_stream, true);
    if (o->awaits_proxy_header)
        set_timer(o, server->options.limits.idle_timeout);
    else
        go_on(o, STR_NONE);
}
