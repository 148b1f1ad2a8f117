/* SPDX-License-Identifier: Apache-2.0 */
/* A connection before its first byte. */
#include "base/mem.h"
#include "net/http_server_internal.h"

struct opening {
    struct conn conn;
    struct loop_timer timer;
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
    close_opening(conn);
}

static void on_bytes(void *ctx, struct str bytes)
{
    struct opening *o = ctx;
    http1_open(&o->conn, bytes, 0);
    free_opening(o);
}

static void on_ended(void *ctx, int error)
{
    close_opening(ctx);
}

static void on_timer(struct loop_timer *timer)
{
    close_opening(&container_of(timer, struct opening, timer)->conn);
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
        stream_start_tls(take_stream, server->options.tls, false, STR_NONE);
    stream_read(take_stream, true);
}
