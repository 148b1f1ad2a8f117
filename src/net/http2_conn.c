/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP/2 connection on its stream: all that a turn of the loop produces goes out at its end; time-outs; the end. */
#include "base/mem.h"
#include "net/http2_internal.h"

enum {
    GATHER_SIZE = 64 * 1024,
    OUTPUT_AHEAD =
        256 * 1024, /* unsent frames; more stays in the streams, where each may be held up alone */
};

enum quiet {
    QUIET_NONE, /* streams run, each with its own time-outs */
    QUIET_IDLE, /* no streams */
    QUIET_HEAD, /* a head is not whole */
};

struct http2_conn {
    struct conn conn;
    struct http2 http2;
    struct loop_timer timer; /* of `quiet`; then for the peer to end */
    struct loop_timer write_timer;
    enum quiet quiet;
    uint64_t written,
        taken_at_check; /* bytes given to the stream, ever; of those, how many were gone */
    struct mail output; /* deferred */
    bool output_pending, inside, closed, lingers;
};

static struct loop *loop_of(const struct http2_conn *c)
{
    return c->conn.server->loop;
}

static const struct http_limits *limits_of(const struct http2_conn *c)
{
    return &c->conn.server->options.limits;
}

/* ---- life ---- */

/* Not from inside the protocol, and not before a task that is on its way. */
static void free_if_done(struct http2_conn *c)
{
    if (!c->closed || c->inside || c->output_pending)
        return;
    http2_fini(&c->http2);
    mem_free(c);
}

static void close_conn(struct conn *conn)
{
    struct http2_conn *c = container_of(conn, struct http2_conn, conn);
    if (c->closed)
        return;
    c->closed = true;
    loop_timer_stop(&c->timer);
    loop_timer_stop(&c->write_timer);
    http2_abandon(&c->http2);
    conn_fini(conn);
    free_if_done(c);
}

static void linger(struct http2_conn *c)
{
    c->lingers = true;
    http2_abandon(&c->http2);
    loop_timer_stop(&c->write_timer);
    stream_end(c->conn.stream);
    loop_timer_start(loop_of(c), &c->timer,
                     limits_of(c)->write_timeout); /* on_drained shortens it */
}

/* ---- time-outs ---- */

static void on_timer(struct loop_timer *timer)
{
    struct http2_conn *c = container_of(timer, struct http2_conn, timer);
    nsec due = c->http2.head_began + limits_of(c)->head_timeout, now = loop_now(loop_of(c));
    if (c->lingers)
        close_conn(&c->conn);
    else if (c->quiet == QUIET_HEAD && now < due) /* another head than the one it was set for */
        loop_timer_start(loop_of(c), timer, due - now);
    else
        http2_end(&c->http2, c->quiet == QUIET_HEAD ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_NO_ERROR);
}

static void watch_quiet(struct http2_conn *c)
{
    enum quiet quiet = c->http2.head_began             ? QUIET_HEAD
                       : list_empty(&c->http2.streams) ? QUIET_IDLE
                                                       : QUIET_NONE;
    if (quiet == c->quiet)
        return;
    c->quiet = quiet;
    if (quiet == QUIET_NONE)
        loop_timer_stop(&c->timer);
    else
        loop_timer_start(loop_of(c), &c->timer,
                         quiet == QUIET_IDLE ? limits_of(c)->idle_timeout
                                             : limits_of(c)->head_timeout);
}

static uint64_t taken(const struct http2_conn *c)
{
    return c->written - stream_untaken(c->conn.stream);
}

static void watch_write(struct http2_conn *c)
{
    c->taken_at_check = taken(c);
    loop_timer_start(loop_of(c), &c->write_timer, limits_of(c)->write_timeout);
}

static void on_write_timer(struct loop_timer *timer)
{
    struct http2_conn *c = container_of(timer, struct http2_conn, write_timer);
    if (stream_unsent(c->conn.stream) == 0)
        return;
    if (taken(c) == c->taken_at_check)
        close_conn(&c->conn);
    else
        watch_write(c);
}

/* ---- output ---- */

static void write_bytes(struct http2_conn *c, struct str bytes)
{
    c->written += bytes.len;
    stream_write(c->conn.stream, bytes);
}

/* Frames are gathered, so that TLS makes few records of them and the kernel is called once. */
static void pull(struct http2_conn *c)
{
    static _Thread_local char gathered[GATHER_SIZE];
    size_t len = 0;
    while (len + stream_unsent(c->conn.stream) < OUTPUT_AHEAD) {
        struct str frame = http2_pull(&c->http2);
        if (frame.len == 0)
            break;
        if (frame.len > sizeof(gathered) - len) {
            write_bytes(c, (struct str){gathered, len});
            len = 0;
        }
        CHECK(frame.len <= sizeof(gathered)); /* nghttp2's frames are at most 16 KiB */
        memcpy(gathered + len, frame.ptr, frame.len);
        len += frame.len;
    }
    write_bytes(c, (struct str){gathered, len});
    if (len && !loop_timer_running(&c->write_timer))
        watch_write(c);
}

static void send_output(struct http2_conn *c)
{
    c->inside = true;
    pull(c);
    http2_tell_relieved(&c->http2);
    c->inside = false;
    if (c->closed)
        return;
    if (http2_is_over(&c->http2))
        linger(c);
    else
        watch_quiet(c);
}

static void on_output(struct mail *task)
{
    struct http2_conn *c = container_of(task, struct http2_conn, output);
    c->output_pending = false;
    if (!c->closed && !c->lingers)
        send_output(c);
    free_if_done(c);
}

static void wake(struct http2 *h)
{
    struct http2_conn *c = container_of(h, struct http2_conn, http2);
    if (c->output_pending || c->closed || c->lingers)
        return;
    c->output_pending = true;
    loop_defer(loop_of(c), &c->output);
}

static void on_drained(void *ctx)
{
    struct http2_conn *c = ctx;
    if (c->lingers)
        loop_timer_start(loop_of(c), &c->timer, LINGER_TIME);
    else if (http2_wants_pull(&c->http2))
        wake(&c->http2);
}

/* ---- input ---- */

static void on_bytes(void *ctx, struct str bytes)
{
    struct http2_conn *c = ctx;
    if (c->lingers)
        return;
    c->inside = true;
    http2_receive(&c->http2, bytes);
    c->inside = false;
    if (!c->closed) {
        watch_quiet(c);
        if (http2_wants_pull(&c->http2) || http2_is_over(&c->http2))
            wake(&c->http2);
    }
    free_if_done(c);
}

static void on_ended(void *ctx, int error)
{
    close_conn(ctx);
}

static void drain(struct conn *conn)
{
    struct http2_conn *c = container_of(conn, struct http2_conn, conn);
    if (!c->lingers)
        http2_drain(&c->http2);
}

void http2_open(struct conn *from, struct str first)
{
    static const struct conn_ops ops = {.close = close_conn, .drain = drain};
    struct http2_conn *c = NEW(struct http2_conn);
    conn_take_over(&c->conn, &ops, from);
    c->timer.fire = on_timer;
    c->write_timer.fire = on_write_timer;
    c->output.deliver = on_output;
    http2_init(&c->http2, &c->conn, wake);
    const struct stream_events events = {
        .bytes = on_bytes, .drained = on_drained, .ended = on_ended, .ctx = c};
    stream_set_events(c->conn.stream, &events);
    if (c->conn.server->draining)
        http2_drain(&c->http2);
    wake(&c->http2);
    on_bytes(c, first);
}
