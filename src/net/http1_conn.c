/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP/1.x connection of a server: bytes to requests, limits and time-outs. */
#include "base/clock.h"
#include "base/mem.h"
#include "net/http1_internal.h"

static void parse(struct http1 *c);

/* ---- timer: what it means depends on the state ---- */

static void set_timer(struct http1 *c, nsec delay)
{
    loop_timer_start(c->conn.server->loop, &c->timer, delay);
}

static uint64_t taken(const struct http1 *c)
{
    return c->written - stream_untaken(c->conn.stream);
}

/* True when the peer has taken bytes since the last look, or this is the first one. */
static bool check_progress(struct http1 *c)
{
    bool moved = !c->looked || taken(c) != c->taken_at_check;
    c->taken_at_check = taken(c);
    c->looked = true;
    return moved;
}

/* To look costs a system call, and nearly all writes are gone at once: the first look comes later, if something is still there then.
 * The timer goes on meanwhile, for the next write. */
static void watch_write(struct http1 *c)
{
    c->looked = false;
    set_timer(c, c->conn.server->options.limits.write_timeout / FIRST_LOOK_SHARE);
}

static void on_timer(struct loop_timer *timer)
{
    struct http1 *c = container_of(timer, struct http1, timer);
    bool unsent = stream_unsent(c->conn.stream) > 0;
    switch (c->state) {
    case HTTP1_HEAD:
        if (c->head_began)
            http1_refuse(c, 408);
        else if (c->last_call)
            http1_linger(c);
        else if (unsent && check_progress(c))
            set_timer(c, c->conn.server->options.limits.write_timeout);
        else
            http1_close(&c->conn);
        break;
    case HTTP1_BODY:
        http1_refuse(c, 408);
        break;
    case HTTP1_BUSY:
        if (unsent && !check_progress(c))
            http1_close(&c->conn);
        else if (unsent)
            set_timer(c, c->conn.server->options.limits.write_timeout);
        break;
    case HTTP1_LINGER:
        if (unsent && check_progress(c))
            set_timer(c, c->conn.server->options.limits.write_timeout);
        else
            http1_close(&c->conn);
        break;
    }
}

/* ---- life ---- */

static void free_http1(struct http1 *c)
{
    buf_fini(&c->in);
    mem_free(c);
}

void http1_close(struct conn *conn)
{
    struct http1 *c = container_of(conn, struct http1, conn);
    if (c->closed)
        return;
    struct http_server *server = c->conn.server;
    struct http_exchange *x = c->exchange;
    c->closed = true;
    loop_timer_stop(&c->timer);
    if (x && c->state == HTTP1_BUSY && server->options.service.departed)
        server->options.service.departed(server->options.service.ctx, x);
    if (x)
        exchange_release(x);
    c->exchange = NULL;
    conn_fini(&c->conn);
    if (!c->parsing && !c->resume_pending)
        free_http1(c);
}

static void set_reading(struct http1 *c, bool on)
{
    if (c->reading != on)
        stream_read(c->conn.stream, on);
    c->reading = on;
}

void http1_linger(struct http1 *c)
{
    c->state = HTTP1_LINGER;
    buf_fini(&c->in);
    stream_end(c->conn.stream);
    set_reading(c, true);
    watch_write(c); /* on_drained shortens it */
}

void http1_write(struct http1 *c, struct str bytes)
{
    c->written += bytes.len;
    stream_write(c->conn.stream, bytes);
    if (c->state == HTTP1_BUSY && !loop_timer_running(&c->timer))
        watch_write(c);
}

/* The client does not know yet that the connection is to end: its next request is answered, and told so. */
static void give_last_call(struct http1 *c)
{
    c->last_call = true;
    set_timer(c, c->conn.server->last_call);
}

static void drain(struct conn *conn)
{
    struct http1 *c = container_of(conn, struct http1, conn);
    if (c->state == HTTP1_HEAD && !c->head_began)
        give_last_call(c);
}

static void on_resume(struct mail *task)
{
    struct http1 *c = container_of(task, struct http1, resume);
    c->resume_pending = false;
    if (c->closed)
        free_http1(c);
    else
        parse(c);
}

void http1_answered(struct http1 *c, bool keep)
{
    exchange_release(c->exchange);
    c->exchange = NULL;
    if (!keep) {
        http1_linger(c);
        return;
    }
    c->state = HTTP1_HEAD;
    c->head_began = 0;
    if (c->conn.server->draining)
        give_last_call(c);
    else
        set_timer(c, c->conn.server->options.limits.idle_timeout);
    set_reading(c, true);
    if (c->in.len && !c->parsing && !c->resume_pending) {
        c->resume_pending = true;
        loop_defer(c->conn.server->loop, &c->resume);
    }
}

/* ---- reading ---- */

static void hand_over(struct http1 *c)
{
    struct http_exchange *x = c->exchange;
    const struct http_service *service = &c->conn.server->options.service;
    loop_timer_stop(&c->timer);
    c->state = HTTP1_BUSY;
    x->request.body = buf_str(&x->body);
    service->request(service->ctx, x);
}

static size_t skip_blank_lines(struct http1 *c, struct str bytes)
{
    size_t at = 0;
    while (at + 1 < bytes.len && bytes.ptr[at] == '\r' && bytes.ptr[at + 1] == '\n' &&
           c->blank_lines < BLANK_LINES_MAX) {
        at += 2;
        c->blank_lines++;
    }
    return at;
}

static void begin_body(struct http1 *c, bool more_is_here)
{
    struct http_exchange *x = c->exchange;
    if (x->head.body == HTTP_BODY_LENGTH && x->head.content_length > x->body.max) {
        http1_refuse(c, 413);
        return;
    }
    c->chunked = (struct chunked){0};
    c->state = HTTP1_BODY;
    if (x->head.body == HTTP_BODY_NONE) {
        hand_over(c);
        return;
    }
    if (x->head.body == HTTP_BODY_LENGTH) /* all at once, within reason, rather than by doubling */
        (void)!buf_reserve(&x->body, MIN(x->head.content_length, (uint64_t)BODY_RESERVED_MAX));
    if (x->head.expect_continue && !more_is_here)
        http1_write(c, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    set_timer(c, c->conn.server->options.limits.body_timeout);
}

static void begin_exchange(struct http1 *c, struct str head, bool more_is_here)
{
    const struct http_limits *limits = &c->conn.server->options.limits;
    struct http_exchange *x = c->exchange = exchange_new(c->conn.server, &http1_exchange_ops, c);
    x->started = c->head_began;
    c->head_began = 0;
    c->blank_lines = 0;
    c->scanned = 0;
    buf_put(&x->head_bytes, head);
    int status = http_parse_request(buf_str(&x->head_bytes), limits->target_max, &x->head);
    if (status) {
        http1_refuse(c, status);
        return;
    }
    exchange_set_request(x, &c->conn);
    x->is_head = str_eq(x->head.method, STR("HEAD"));
    begin_body(c, more_is_here);
}

/* Too long without an end: is it the target or the rest? */
static int oversize_status(const struct http1 *c, struct str bytes)
{
    struct str line = str_sub(bytes, 0, str_find_char(bytes, '\n'));
    return line.len > c->conn.server->options.limits.target_max ? 414 : 431;
}

/* Returns how many bytes it used; 0: needs more (or the connection is over). */
static size_t read_head(struct http1 *c, struct str bytes)
{
    size_t length, blank = c->scanned ? 0 : skip_blank_lines(c, bytes);
    if (blank)
        return blank;
    if (c->head_began == 0) {
        c->head_began = loop_now(c->conn.server->loop);
        set_timer(c, c->conn.server->options.limits.head_timeout);
    }
    int error = http_head_end(bytes, &c->scanned, &length);
    size_t size = error ? bytes.len : length;
    if (error == ERR_PARSE) {
        http1_refuse(c, 400);
        return 0;
    }
    if (size > c->conn.server->options.limits.head_max) {
        http1_refuse(c, oversize_status(c, bytes));
        return 0;
    }
    if (error)
        return 0;
    begin_exchange(c, str_sub(bytes, 0, length), bytes.len > length);
    return length;
}

static size_t read_sized_body(struct http1 *c, struct str bytes)
{
    struct http_exchange *x = c->exchange;
    size_t size = MIN(bytes.len, x->head.content_length - x->body.len);
    buf_put(&x->body, str_sub(bytes, 0, size));
    if (x->body.len == x->head.content_length)
        hand_over(c);
    return size;
}

static size_t read_chunked_body(struct http1 *c, struct str bytes)
{
    struct http_exchange *x = c->exchange;
    struct str data;
    size_t used;
    if (chunked_feed(&c->chunked, bytes, &used, &data)) {
        http1_refuse(c, 400);
        return 0;
    }
    buf_put(&x->body, data);
    if (x->body.error || c->chunked.left > x->body.max - x->body.len)
        http1_refuse(c, 413);
    else if (c->chunked.state == CHUNKED_DONE)
        hand_over(c);
    return used;
}

static size_t read_body(struct http1 *c, struct str bytes)
{
    set_timer(c, c->conn.server->options.limits.body_timeout);
    return c->exchange->head.body == HTTP_BODY_CHUNKED ? read_chunked_body(c, bytes)
                                                       : read_sized_body(c, bytes);
}

/* Who sends requests and does not read the answers would fill our memory with them. */
static bool is_stuffed(struct http1 *c)
{
    if (c->stuffed ||
        stream_unsent(c->conn.stream) <= c->conn.server->options.limits.write_high_water)
        return c->stuffed;
    c->stuffed = true;
    watch_write(c);
    return true;
}

/* Goes on after the loop has looked at the other connections. */
static void yield(struct http1 *c)
{
    if (!c->resume_pending)
        loop_post(c->conn.server->loop, &c->resume);
    c->resume_pending = true;
}

/* Has it had its part of the loop's turn, after so many requests? The first is free. */
static bool turn_is_over(const struct http1 *c, int requests)
{
    return requests == TURN_REQUESTS_MAX ||
           (requests > 0 && clock_now() - loop_now(c->conn.server->loop) > TURN_TIME_MAX);
}

/* Parses as far as it goes; returns how many bytes were used. */
static size_t consume(struct http1 *c, struct str bytes)
{
    size_t used = 0;
    int requests = 0;
    while (used < bytes.len && !c->closed) {
        struct str rest = str_sub(bytes, used, bytes.len);
        size_t step = 0;
        if (c->state == HTTP1_HEAD && turn_is_over(c, requests++))
            yield(c);
        else if (c->state == HTTP1_HEAD && !is_stuffed(c))
            step = read_head(c, rest);
        else if (c->state == HTTP1_BODY)
            step = read_body(c, rest);
        else if (c->state == HTTP1_LINGER)
            return bytes.len;
        used += step;
        if (step == 0)
            break;
    }
    return c->state == HTTP1_LINGER ? bytes.len : used;
}

/* `consume` on bytes that the connection keeps or that come fresh; false when it is over. */
static bool parse_bytes(struct http1 *c, struct str bytes, size_t *ret_used)
{
    c->parsing = true;
    *ret_used = consume(c, bytes);
    c->parsing = false;
    if (c->closed && !c->resume_pending)
        free_http1(c);
    else if (!c->closed)
        return true;
    return false;
}

/* While a request runs or answers pile up, what follows waits in the kernel once we hold a head's worth of it. */
static void bound_reading(struct http1 *c)
{
    bool waits = c->state == HTTP1_BUSY || c->stuffed || c->resume_pending;
    set_reading(c, !waits || c->in.len < c->conn.server->options.limits.head_max);
}

/* Goes on with what was kept. */
static void parse(struct http1 *c)
{
    size_t used;
    if (!parse_bytes(c, buf_str(&c->in), &used))
        return;
    buf_drop_front(&c->in, MIN(used, c->in.len));
    if (c->in.len == 0)
        buf_fini(&c->in);
    bound_reading(c);
}

static void on_bytes(void *ctx, struct str bytes)
{
    struct http1 *c = ctx;
    size_t used;
    if (c->state == HTTP1_LINGER)
        return;
    if (c->in.len || c->state == HTTP1_BUSY) {
        buf_put(&c->in, bytes);
        parse(c);
    } else if (parse_bytes(c, bytes, &used)) { /* straight from the read buffer */
        buf_put(&c->in, str_sub(bytes, used, bytes.len));
        bound_reading(c);
    }
}

/* Everything written is with the kernel. */
static void on_drained(void *ctx)
{
    struct http1 *c = ctx;
    const struct http_service *service = &c->conn.server->options.service;
    if (c->state == HTTP1_LINGER) {
        set_timer(c, LINGER_TIME);
    } else if (c->stuffed) {
        c->stuffed = false;
        set_timer(c, c->last_call ? c->conn.server->last_call
                                  : c->conn.server->options.limits.idle_timeout);
        parse(c);
    } else if (c->state == HTTP1_BUSY && c->exchange->over_high_water) {
        c->exchange->over_high_water = false;
        if (service->writable)
            service->writable(service->ctx, c->exchange);
    }
}

static void on_ended(void *ctx, int error)
{
    http1_close(ctx);
}

static const struct conn_ops ops = {.close = http1_close, .drain = drain};

void http1_open(struct conn *from, struct str first, nsec began)
{
    struct http1 *c = NEW(struct http1);
    const struct http_limits *limits = &from->server->options.limits;
    conn_take_over(&c->conn, &ops, from);
    c->timer.fire = on_timer;
    c->resume.deliver = on_resume;
    c->head_began = began;
    /* Bounded by reading: see parse(). One read may come on top. */
    buf_init(&c->in, limits->head_max + 128 * 1024);
    const struct stream_events events = {
        .bytes = on_bytes, .drained = on_drained, .ended = on_ended, .ctx = c};
    stream_set_events(c->conn.stream, &events);
    set_timer(c, began ? began + limits->head_timeout - loop_now(c->conn.server->loop)
                       : limits->idle_timeout);
    c->reading = true;
    on_bytes(c, first);
}
