/* SPDX-License-Identifier: Apache-2.0 */
/* One connection of a server: bytes to requests, limits and time-outs. */
#include "base/mem.h"
#include "net/http_server_internal.h"

enum { BODY_RESERVED_MAX = 1024 * 1024 };

#define LINGER_TIME SEC(2)

static void parse(struct conn *c);

/* ---- timer: what it means depends on the state ---- */

static void set_timer(struct conn *c, nsec delay)
{
    loop_timer_start(c->server->loop, &c->timer, delay);
}

static uint64_t taken(const struct conn *c)
{
    return c->written - stream_untaken(c->stream);
}

/* True when the peer has taken bytes since the last look. */
static bool check_progress(struct conn *c)
{
    bool moved = taken(c) != c->taken_at_check;
    c->taken_at_check = taken(c);
    return moved;
}

static void watch_write(struct conn *c)
{
    c->taken_at_check = taken(c);
    set_timer(c, c->server->options.limits.write_timeout);
}

static void on_timer(struct loop_timer *timer)
{
    struct conn *c = container_of(timer, struct conn, timer);
    bool unsent = stream_unsent(c->stream) > 0;
    switch (c->state) {
    case CONN_HEAD:
        if (c->head_began)
            conn_refuse(c, 408);
        else if (unsent && check_progress(c))
            set_timer(c, c->server->options.limits.write_timeout);
        else
            conn_close(c);
        break;
    case CONN_BODY:
        conn_refuse(c, 408);
        break;
    case CONN_BUSY:
        if (unsent && !check_progress(c))
            conn_close(c);
        else if (unsent)
            set_timer(c, c->server->options.limits.write_timeout);
        break;
    case CONN_LINGER:
        if (unsent && check_progress(c))
            set_timer(c, c->server->options.limits.write_timeout);
        else
            conn_close(c);
        break;
    }
}

/* ---- life ---- */

static void free_conn(struct conn *c)
{
    buf_fini(&c->in);
    mem_free(c);
}

void conn_close(struct conn *c)
{
    if (c->closed)
        return;
    struct http_server *server = c->server;
    struct http_exchange *x = c->exchange;
    c->closed = true;
    loop_timer_stop(&c->timer);
    if (x && c->state == CONN_BUSY && server->options.service.departed)
        server->options.service.departed(server->options.service.ctx, x);
    if (x)
        exchange_release(x);
    c->exchange = NULL;
    stream_close(c->stream);
    list_remove(&c->link);
    server->conn_count--;
    server_conn_closed(server);
    if (!c->parsing && !c->resume_pending)
        free_conn(c);
}

static void set_reading(struct conn *c, bool on)
{
    if (c->reading != on)
        stream_read(c->stream, on);
    c->reading = on;
}

static void linger(struct conn *c)
{
    c->state = CONN_LINGER;
    buf_fini(&c->in);
    stream_end(c->stream);
    set_reading(c, true);
    watch_write(c); /* on_drained shortens it */
}

void conn_write(struct conn *c, struct str bytes)
{
    c->written += bytes.len;
    stream_write(c->stream, bytes);
    if (c->state == CONN_BUSY && !loop_timer_running(&c->timer))
        watch_write(c);
}

void conn_refuse(struct conn *c, int status)
{
    struct buf body, out;
    struct str type = STR("text/plain");
    const struct http_service *service = &c->server->options.service;
    buf_init(&body, 16 * 1024);
    buf_init(&out, 32 * 1024);
    if (service->error_body)
        service->error_body(service->ctx, status, http_reason(status), &body, &type);
    else
        buf_printf(&body, "%d %s\n", status, http_reason(status));
    const struct http_header headers[] = {{STR("content-type"), type},
                                          {STR("connection"), STR("close")}};
    exchange_put_head(&out, c->server, status, headers, ARRAY_LEN(headers));
    buf_printf(&out, "content-length: %zu\r\n\r\n", body.len);
    buf_put(&out, buf_str(&body));
    if (c->exchange)
        exchange_release(c->exchange);
    c->exchange = NULL;
    conn_write(c, buf_str(&out));
    buf_fini(&out);
    buf_fini(&body);
    linger(c);
}

void conn_drain(struct conn *c)
{
    if (c->state != CONN_HEAD || c->head_began)
        return;
    if (stream_unsent(c->stream) > 0) /* the end of its last answer */
        linger(c);
    else
        conn_close(c);
}

static void on_resume(struct mail *task)
{
    struct conn *c = container_of(task, struct conn, resume);
    c->resume_pending = false;
    if (c->closed)
        free_conn(c);
    else
        parse(c);
}

void conn_answered(struct conn *c, bool keep)
{
    exchange_release(c->exchange);
    c->exchange = NULL;
    if (!keep || c->server->draining) {
        linger(c);
        return;
    }
    c->state = CONN_HEAD;
    c->head_began = 0;
    set_timer(c, c->server->options.limits.idle_timeout);
    set_reading(c, true);
    if (c->in.len && !c->parsing && !c->resume_pending) {
        c->resume_pending = true;
        loop_defer(c->server->loop, &c->resume);
    }
}

/* ---- reading ---- */

static void hand_over(struct conn *c)
{
    struct http_exchange *x = c->exchange;
    const struct http_service *service = &c->server->options.service;
    loop_timer_stop(&c->timer);
    c->state = CONN_BUSY;
    x->request.body = buf_str(&x->body);
    service->request(service->ctx, x);
}

static size_t skip_blank_lines(struct conn *c, struct str bytes)
{
    size_t at = 0;
    while (at + 1 < bytes.len && bytes.ptr[at] == '\r' && bytes.ptr[at + 1] == '\n' &&
           c->blank_lines < BLANK_LINES_MAX) {
        at += 2;
        c->blank_lines++;
    }
    return at;
}

static void begin_body(struct conn *c, bool more_is_here)
{
    struct http_exchange *x = c->exchange;
    if (x->head.body == HTTP_BODY_LENGTH && x->head.content_length > x->body.max) {
        conn_refuse(c, 413);
        return;
    }
    c->chunked = (struct chunked){0};
    c->state = CONN_BODY;
    if (x->head.body == HTTP_BODY_NONE) {
        hand_over(c);
        return;
    }
    if (x->head.body == HTTP_BODY_LENGTH) /* all at once, within reason, rather than by doubling */
        (void)!buf_reserve(&x->body, MIN(x->head.content_length, (uint64_t)BODY_RESERVED_MAX));
    if (x->head.expect_continue && !more_is_here)
        conn_write(c, STR("HTTP/1.1 100 Continue\r\n\r\n"));
    set_timer(c, c->server->options.limits.body_timeout);
}

static void begin_exchange(struct conn *c, struct str head, bool more_is_here)
{
    const struct http_limits *limits = &c->server->options.limits;
    struct http_exchange *x = c->exchange = exchange_new(c);
    x->started = c->head_began;
    c->head_began = 0;
    c->blank_lines = 0;
    c->scanned = 0;
    buf_put(&x->head_bytes, head);
    int status = http_parse_request(buf_str(&x->head_bytes), limits->target_max, &x->head);
    if (status) {
        conn_refuse(c, status);
        return;
    }
    x->request = (struct http_request){
        .method = x->head.method,
        .target = x->head.target,
        .path = x->head.path,
        .query = x->head.query,
        .headers = x->head.headers,
        .peer = str_from(c->peer),
    };
    x->is_head = str_eq(x->head.method, STR("HEAD"));
    begin_body(c, more_is_here);
}

/* Too long without an end: is it the target or the rest? */
static int oversize_status(const struct conn *c, struct str bytes)
{
    struct str line = str_sub(bytes, 0, str_find_char(bytes, '\n'));
    return line.len > c->server->options.limits.target_max ? 414 : 431;
}

/* Returns how many bytes it used; 0: needs more (or the connection is over). */
static size_t read_head(struct conn *c, struct str bytes)
{
    size_t length, blank = c->scanned ? 0 : skip_blank_lines(c, bytes);
    if (blank)
        return blank;
    if (c->head_began == 0) {
        c->head_began = loop_now(c->server->loop);
        set_timer(c, c->server->options.limits.head_timeout);
    }
    int error = http_head_end(bytes, &c->scanned, &length);
    size_t size = error ? bytes.len : length;
    if (error == ERR_PARSE) {
        conn_refuse(c, 400);
        return 0;
    }
    if (size > c->server->options.limits.head_max) {
        conn_refuse(c, oversize_status(c, bytes));
        return 0;
    }
    if (error)
        return 0;
    begin_exchange(c, str_sub(bytes, 0, length), bytes.len > length);
    return length;
}

static size_t read_sized_body(struct conn *c, struct str bytes)
{
    struct http_exchange *x = c->exchange;
    size_t size = MIN(bytes.len, x->head.content_length - x->body.len);
    buf_put(&x->body, str_sub(bytes, 0, size));
    if (x->body.len == x->head.content_length)
        hand_over(c);
    return size;
}

static size_t read_chunked_body(struct conn *c, struct str bytes)
{
    struct http_exchange *x = c->exchange;
    struct str data;
    size_t used;
    if (chunked_feed(&c->chunked, bytes, &used, &data)) {
        conn_refuse(c, 400);
        return 0;
    }
    buf_put(&x->body, data);
    if (x->body.error || c->chunked.left > x->body.max - x->body.len)
        conn_refuse(c, 413);
    else if (c->chunked.state == CHUNKED_DONE)
        hand_over(c);
    return used;
}

static size_t read_body(struct conn *c, struct str bytes)
{
    set_timer(c, c->server->options.limits.body_timeout);
    return c->exchange->head.body == HTTP_BODY_CHUNKED ? read_chunked_body(c, bytes)
                                                       : read_sized_body(c, bytes);
}

/* Who sends requests and does not read the answers would fill our memory with them. */
static bool is_stuffed(struct conn *c)
{
    if (c->stuffed || stream_unsent(c->stream) <= c->server->options.limits.write_high_water)
        return c->stuffed;
    c->stuffed = true;
    watch_write(c);
    return true;
}

/* Parses as far as it goes; returns how many bytes were used. */
static size_t consume(struct conn *c, struct str bytes)
{
    size_t used = 0;
    while (used < bytes.len && !c->closed) {
        struct str rest = str_sub(bytes, used, bytes.len);
        size_t step = 0;
        if (c->state == CONN_HEAD && !is_stuffed(c))
            step = read_head(c, rest);
        else if (c->state == CONN_BODY)
            step = read_body(c, rest);
        else if (c->state == CONN_LINGER)
            return bytes.len;
        used += step;
        if (step == 0)
            break;
    }
    return c->state == CONN_LINGER ? bytes.len : used;
}

/* `consume` on bytes that the connection keeps or that come fresh; false when it is over. */
static bool parse_bytes(struct conn *c, struct str bytes, size_t *ret_used)
{
    c->parsing = true;
    *ret_used = consume(c, bytes);
    c->parsing = false;
    if (c->closed && !c->resume_pending)
        free_conn(c);
    else if (!c->closed)
        return true;
    return false;
}

/* While a request runs or answers pile up, what follows waits in the kernel once we hold a head's worth of it. */
static void bound_reading(struct conn *c)
{
    bool waits = c->state == CONN_BUSY || c->stuffed;
    set_reading(c, !waits || c->in.len < c->server->options.limits.head_max);
}

/* Goes on with what was kept. */
static void parse(struct conn *c)
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
    struct conn *c = ctx;
    size_t used;
    if (c->state == CONN_LINGER)
        return;
    if (c->in.len || c->state == CONN_BUSY) {
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
    struct conn *c = ctx;
    const struct http_service *service = &c->server->options.service;
    if (c->state == CONN_LINGER) {
        set_timer(c, LINGER_TIME);
    } else if (c->stuffed) {
        c->stuffed = false;
        set_timer(c, c->server->options.limits.idle_timeout);
        parse(c);
    } else if (c->state == CONN_BUSY) {
        loop_timer_stop(&c->timer);
        if (c->exchange->over_high_water) {
            c->exchange->over_high_water = false;
            if (service->writable)
                service->writable(service->ctx, c->exchange);
        }
    }
}

static void on_ended(void *ctx, int error)
{
    conn_close(ctx);
}

void conn_open(struct http_server *server, struct stream *take_stream)
{
    struct conn *c = NEW(struct conn);
    c->server = server;
    c->stream = take_stream;
    c->timer.fire = on_timer;
    c->resume.deliver = on_resume;
    /* Bounded by reading: see parse(). One read may come on top. */
    buf_init(&c->in, server->options.limits.head_max + 128 * 1024);
    stream_peer(take_stream, c->peer);
    list_append(&server->conns, &c->link);
    server->conn_count++;
    const struct stream_events events = {
        .bytes = on_bytes, .drained = on_drained, .ended = on_ended, .ctx = c};
    stream_set_events(take_stream, &events);
    set_timer(c, server->options.limits.idle_timeout);
    set_reading(c, true);
}
