/* SPDX-License-Identifier: Apache-2.0 */
/* Calls: a request is sent, its answer read. */
#include "base/buf.h"
#include "base/mem.h"
#include "net/chunked.h"
#include "net/http_client_internal.h"
#include "net/http_parser.h"

enum call_state { CALL_CONNECTING, CALL_HEAD, CALL_BODY, CALL_OVER };

struct http_call {
    struct http_client *client;
    struct endpoint *endpoint;
    struct link *link;
    struct http_call_events events;
    enum call_state state;
    struct buf request; /* own: its head, kept for a second try */
    struct str body;    /* borrow */
    bool is_head;       /* the method is HEAD */
    nsec connect_timeout, head_timeout, idle_timeout;
    struct loop_timer timer;
    struct buf in; /* own: an incomplete head */
    size_t scanned;
    struct http_head head;
    struct buf head_bytes; /* own: what `head` borrows */
    struct chunked chunked;
    uint64_t body_left;
    char *tls_failure; /* own; NULL: none */
    bool answered;     /* a byte of the response has come */
    bool paused, in_callback, cancelled;
};

static void on_call_timer(struct loop_timer *timer);

/* ---- begin and end ---- */

/* The time-out of the state that the call is in. While it is paused it is not the peer who is slow. */
static void arm_timer(struct http_call *call)
{
    const nsec delays[] = {
        [CALL_CONNECTING] = call->connect_timeout,
        [CALL_HEAD] = call->paused ? 0 : call->head_timeout,
        [CALL_BODY] = call->paused ? 0 : call->idle_timeout,
        [CALL_OVER] = 0,
    };
    if (delays[call->state]) /* moves one that runs: cheaper than to stop it first */
        loop_timer_start(call->client->loop, &call->timer, delays[call->state]);
    else
        loop_timer_stop(&call->timer);
}

static void connect_call(struct http_call *call)
{
    call->state = CALL_CONNECTING;
    arm_timer(call);
    call->link = link_open(call->endpoint, call);
}

static void send_request(struct http_call *call)
{
    call->state = CALL_HEAD;
    call->scanned = 0;
    arm_timer(call);
    stream_write(call->link->stream, buf_str(&call->request));
    stream_write(call->link->stream, call->body);
    stream_read(call->link->stream, !call->paused);
}

static void put_authority(struct buf *out, const struct http_call_request *r)
{
    if (r->authority.len) {
        buf_put(out, r->authority);
        return;
    }
    bool v6 = str_find_char(r->host, ':') < r->host.len;
    buf_put(out, v6 ? STR("[") : STR_NONE);
    buf_put(out, r->host);
    buf_put(out, v6 ? STR("]:") : STR(":"));
    buf_put_u64(out, r->port);
}

static void put_request_head(struct http_call *call, const struct http_call_request *r)
{
    struct buf *out = &call->request;
    buf_put(out, r->method);
    buf_put_char(out, ' ');
    buf_put(out, r->base_path);
    buf_put(out, r->target);
    buf_put(out, STR(" HTTP/1.1\r\nhost: "));
    put_authority(out, r);
    buf_put(out, STR("\r\n"));
    for (size_t i = 0; i < r->header_count; i++) {
        buf_put(out, r->headers[i].name);
        buf_put(out, STR(": "));
        buf_put(out, r->headers[i].value);
        buf_put(out, STR("\r\n"));
    }
    if (r->body.len || str_eq(r->method, STR("POST")) || str_eq(r->method, STR("PUT"))) {
        buf_put(out, STR("content-length: "));
        buf_put_u64(out, r->body.len);
        buf_put(out, STR("\r\n"));
    }
    buf_put(out, STR("\r\n"));
}

struct http_call *http_call_start(struct http_client *client,
                                  const struct http_call_request *request,
                                  const struct http_call_events *events)
{
    struct http_call *call = NEW(struct http_call);
    client->calls++;
    call->client = client;
    call->events = *events;
    call->endpoint = endpoint_get(client, request);
    call->body = request->body;
    call->is_head = str_eq(request->method, STR("HEAD"));
    call->connect_timeout = request->connect_timeout;
    call->head_timeout = request->head_timeout;
    call->idle_timeout = request->idle_timeout;
    call->timer.fire = on_call_timer;
    buf_init(&call->request, SIZE_MAX / 2);
    /* A read may come on top of an incomplete head. */
    buf_init(&call->in, client->options.head_max + 128 * 1024);
    buf_init(&call->head_bytes, SIZE_MAX / 2);
    put_request_head(call, request);
    call->link = link_take_idle(call->endpoint, call);
    if (call->link)
        send_request(call);
    else
        connect_call(call);
    return call;
}

static void free_call(struct http_call *call)
{
    call->client->calls--;
    endpoint_release(call->endpoint);
    loop_timer_stop(&call->timer);
    buf_fini(&call->request);
    buf_fini(&call->in);
    buf_fini(&call->head_bytes);
    mem_free(call->tls_failure);
    mem_free(call);
}

void http_call_cancel(struct http_call *call)
{
    if (call->link)
        link_close(call->link);
    call->link = NULL;
    loop_timer_stop(&call->timer);
    if (call->in_callback)
        call->cancelled = true; /* freed when the callback has returned */
    else
        free_call(call);
}

/* The end: the link is free for the next call before the caller hears of it. */
static void finish(struct http_call *call, int error)
{
    struct link *link = call->link;
    call->link = NULL;
    call->state = CALL_OVER;
    loop_timer_stop(&call->timer);
    if (link && error)
        call->tls_failure = mem_strdup(stream_tls_failure(link->stream));
    if (link && !error && call->head.keep_alive)
        link_park(link);
    else if (link)
        link_close(link);
    call->in_callback = true;
    call->events.done(call->events.ctx, error);
    free_call(call);
}

static void on_call_timer(struct loop_timer *timer)
{
    finish(container_of(timer, struct http_call, timer), ERR_TIMEOUT);
}

void http_call_pause(struct http_call *call)
{
    call->paused = true;
    if (!call->link || call->state == CALL_CONNECTING)
        return;
    arm_timer(call);
    stream_read(call->link->stream, false);
}

void http_call_resume(struct http_call *call)
{
    bool paused = call->paused;
    call->paused = false;
    if (!paused || !call->link || call->state == CALL_CONNECTING)
        return;
    arm_timer(call);
    stream_read(call->link->stream, true);
}

/* ---- the response ---- */

/* The events below return false when the call is gone. */

static bool tell_head(struct http_call *call)
{
    call->in_callback = true;
    call->events.head(call->events.ctx, call->head.status, &call->head.headers);
    call->in_callback = false;
    if (call->cancelled)
        free_call(call);
    else
        return true;
    return false;
}

static bool tell_body(struct http_call *call, struct str bytes)
{
    if (bytes.len == 0)
        return true;
    call->in_callback = true;
    call->events.body(call->events.ctx, bytes);
    call->in_callback = false;
    if (!call->cancelled)
        return true;
    free_call(call);
    return false;
}

static bool begin_body(struct http_call *call)
{
    call->chunked = (struct chunked){0};
    call->body_left = call->head.content_length;
    call->state = CALL_BODY;
    arm_timer(call);
    if (!tell_head(call))
        return false;
    if (call->head.body != HTTP_BODY_NONE)
        return true;
    finish(call, 0);
    return false;
}

/* False when the call is gone; *ret_used is what a head took of the bytes, 0 if it is not whole yet. */
static bool read_head(struct http_call *call, struct str bytes, size_t *ret_used)
{
    size_t length;
    int error = http_head_end(bytes, &call->scanned, &length);
    *ret_used = 0;
    if (error == ERR_AGAIN && bytes.len <= call->client->options.head_max)
        return true;
    if (!error && length > call->client->options.head_max)
        error = ERR_AGAIN;
    if (!error) {
        buf_clear(&call->head_bytes);
        buf_put(&call->head_bytes, str_sub(bytes, 0, length));
        error = http_parse_response(buf_str(&call->head_bytes),
                                    call->is_head ? STR("HEAD") : STR("GET"), &call->head);
    }
    if (!error && call->head.status == 101)
        error = ERR_PROTOCOL; /* nobody asked for another protocol */
    if (error) {
        finish(call, error == ERR_AGAIN ? ERR_TOO_BIG : ERR_PROTOCOL);
        return false;
    }
    call->scanned = 0;
    *ret_used = length;
    if (call->head.body == HTTP_BODY_NONE && call->head.status >= 200 && length < bytes.len)
        call->head.keep_alive = false; /* bytes that nobody asked for */
    return call->head.status < 200 || begin_body(call);
}

/* False when the call is gone. */
static bool read_body(struct http_call *call, struct str bytes, size_t *ret_used)
{
    struct str data = bytes;
    size_t used = bytes.len;
    bool over = false;
    if (call->head.body == HTTP_BODY_CHUNKED) {
        if (chunked_feed(&call->chunked, bytes, &used, &data)) {
            finish(call, ERR_PROTOCOL);
            return false;
        }
        over = call->chunked.state == CHUNKED_DONE;
    } else if (call->head.body == HTTP_BODY_LENGTH) {
        used = MIN(bytes.len, call->body_left);
        data = str_sub(bytes, 0, used);
        call->body_left -= used;
        over = call->body_left == 0;
    }
    *ret_used = used;
    if (over && used < bytes.len)
        call->head.keep_alive = false; /* bytes that nobody asked for */
    if (!tell_body(call, data))
        return false;
    if (over)
        finish(call, 0);
    return !over;
}

static void read_response(struct http_call *call, struct str bytes)
{
    size_t used = 0, step = 1;
    while (used < bytes.len && step > 0) {
        struct str rest = str_sub(bytes, used, bytes.len);
        bool alive =
            call->state == CALL_HEAD ? read_head(call, rest, &step) : read_body(call, rest, &step);
        if (!alive)
            return;
        used += step;
    }
    if (call->in.len) {
        buf_drop_front(&call->in, used);
    } else {
        buf_put(&call->in, str_sub(bytes, used, bytes.len));
    }
}

void call_on_bytes(struct http_call *call, struct str bytes)
{
    call->answered = true;
    if (call->state == CALL_BODY)
        arm_timer(call);
    if (call->in.len == 0) {
        read_response(call, bytes);
        return;
    }
    buf_put(&call->in, bytes);
    read_response(call, buf_str(&call->in));
}

void call_on_connected(struct http_call *call)
{
    send_request(call);
}

void call_on_ended(struct http_call *call, int error)
{
    if (call->link->reused && !call->answered) { /* it was closed while it lay idle */
        link_close(call->link);
        connect_call(call);
        return;
    }
    bool whole = !error && call->state == CALL_BODY && call->head.body == HTTP_BODY_UNTIL_CLOSE;
    finish(call, whole ? 0 : error ? error : ERR_CLOSED);
}

const char *http_call_tls_failure(const struct http_call *call)
{
    return call->tls_failure ? call->tls_failure : "";
}
