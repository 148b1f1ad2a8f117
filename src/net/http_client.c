/* SPDX-License-Identifier: Apache-2.0 */
#include "net/http_client.h"

#include "base/buf.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "net/chunked.h"
#include "net/http_parser.h"
#include "net/stream.h"

enum { ENDPOINT_NAME_MAX = 80 };

/* Idle connections to one host and port, the latest used first. Lives as long as a call or a connection uses it. */
struct endpoint {
    struct map_node node;
    char name[ENDPOINT_NAME_MAX]; /* port and host */
    struct list idle;             /* of link */
    unsigned idle_count;
    unsigned users; /* calls and links */
    struct http_client *client;
};

/* A connection: in an endpoint's idle list, or with a call. */
struct link {
    struct list in_idle;
    struct http_client *client;
    struct endpoint *endpoint;
    struct stream *stream;
    struct http_call *call; /* NULL: idle */
    struct loop_timer idle_timer;
    bool reused;
};

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
    char host[ENDPOINT_NAME_MAX];
    uint16_t port;
    nsec connect_timeout, head_timeout, idle_timeout;
    struct loop_timer timer;
    struct buf in; /* own: an incomplete head */
    size_t scanned;
    struct http_head head;
    struct buf head_bytes; /* own: what `head` borrows */
    struct chunked chunked;
    uint64_t body_left;
    bool answered; /* a byte of the response has come */
    bool paused, in_callback, cancelled;
};

struct http_client {
    struct loop *loop;
    struct http_client_options options;
    struct map endpoints;
    unsigned calls;
};

static void on_call_timer(struct loop_timer *timer);
static void on_idle_timer(struct loop_timer *timer);
static void on_bytes(void *ctx, struct str bytes);
static void on_ended(void *ctx, int error);
static void on_connected(void *ctx);

/* ---- endpoints and links ---- */

struct http_client *http_client_new(struct loop *loop, const struct http_client_options *options)
{
    struct http_client *client = NEW(struct http_client);
    client->loop = loop;
    client->options = *options;
    map_init(&client->endpoints);
    return client;
}

static struct endpoint *endpoint_of(struct http_client *client, struct str host, uint16_t port)
{
    /* The port in binary before the host: no formatting on the way of every call. */
    char name[ENDPOINT_NAME_MAX];
    size_t len = MIN(host.len, sizeof(name) - sizeof(port));
    memcpy(name, &port, sizeof(port));
    memcpy(name + sizeof(port), host.ptr, len);
    struct str key = {name, sizeof(port) + len};
    struct map_node *node = map_find(&client->endpoints, key);
    if (node)
        return container_of(node, struct endpoint, node);
    struct endpoint *e = NEW(struct endpoint);
    memcpy(e->name, name, key.len);
    list_init(&e->idle);
    e->client = client;
    map_insert(&client->endpoints, (struct str){e->name, key.len}, &e->node);
    return e;
}

static void release_endpoint(struct endpoint *e)
{
    if (--e->users > 0)
        return;
    map_remove(&e->client->endpoints, &e->node);
    mem_free(e);
}

static void close_link(struct link *link)
{
    loop_timer_stop(&link->idle_timer);
    if (!link->call)
        link->endpoint->idle_count--;
    list_remove(&link->in_idle);
    stream_close(link->stream);
    release_endpoint(link->endpoint);
    mem_free(link);
}

void http_client_free(struct http_client *client)
{
    if (!client)
        return;
    CHECK(client->calls == 0);
    /* The last link of an endpoint takes it along. */
    for (struct map_node *n; (n = map_next(&client->endpoints, NULL));) {
        struct endpoint *e = container_of(n, struct endpoint, node);
        close_link(list_first(&e->idle, struct link, in_idle));
    }
    map_fini(&client->endpoints);
    mem_free(client);
}

/* The time-out of the state that the call is in. While it is paused it is not the peer who is slow. */
static void arm_timer(struct http_call *call)
{
    const nsec delays[] = {
        [CALL_CONNECTING] = call->connect_timeout,
        [CALL_HEAD] = call->paused ? 0 : call->head_timeout,
        [CALL_BODY] = call->paused ? 0 : call->idle_timeout,
        [CALL_OVER] = 0,
    };
    loop_timer_stop(&call->timer);
    if (delays[call->state])
        loop_timer_start(call->client->loop, &call->timer, delays[call->state]);
}

static void open_link(struct http_call *call)
{
    struct link *link = NEW(struct link);
    list_init(&link->in_idle);
    link->client = call->client;
    link->endpoint = call->endpoint;
    link->endpoint->users++;
    link->call = call;
    link->idle_timer.fire = on_idle_timer;
    const struct stream_events events = {
        .connected = on_connected, .bytes = on_bytes, .ended = on_ended, .ctx = link};
    call->link = link;
    call->state = CALL_CONNECTING;
    arm_timer(call);
    link->stream = stream_connect(call->client->loop, str_from(call->host), call->port, &events);
}

static void park_link(struct link *link)
{
    struct endpoint *e = link->endpoint;
    struct http_client *client = link->client;
    if (e->idle_count >= client->options.idle_max) {
        close_link(link);
        return;
    }
    link->call = NULL;
    link->reused = true;
    list_prepend(&e->idle, &link->in_idle);
    e->idle_count++;
    stream_read(link->stream, true);
    loop_timer_start(client->loop, &link->idle_timer, client->options.idle_timeout);
}

static void on_idle_timer(struct loop_timer *timer)
{
    close_link(container_of(timer, struct link, idle_timer));
}

/* ---- calls: begin and end ---- */

static void send_request(struct http_call *call)
{
    call->state = CALL_HEAD;
    call->scanned = 0;
    arm_timer(call);
    stream_write(call->link->stream, buf_str(&call->request));
    stream_write(call->link->stream, call->body);
    stream_read(call->link->stream, !call->paused);
}

static void put_request_head(struct http_call *call, const struct http_call_request *r)
{
    struct buf *out = &call->request;
    bool v6 = str_find_char(r->host, ':') < r->host.len;
    buf_put(out, r->method);
    buf_put_char(out, ' ');
    buf_put(out, r->target);
    buf_put(out, v6 ? STR(" HTTP/1.1\r\nhost: [") : STR(" HTTP/1.1\r\nhost: "));
    buf_put(out, r->host);
    buf_put(out, v6 ? STR("]:") : STR(":"));
    buf_put_u64(out, r->port);
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
    call->endpoint = endpoint_of(client, request->host, request->port);
    call->endpoint->users++;
    memcpy(call->host, request->host.ptr, MIN(request->host.len, sizeof(call->host) - 1));
    call->port = request->port;
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
    struct link *link = list_first(&call->endpoint->idle, struct link, in_idle);
    if (!link) {
        open_link(call);
        return call;
    }
    list_remove(&link->in_idle);
    loop_timer_stop(&link->idle_timer);
    link->endpoint->idle_count--;
    link->call = call;
    call->link = link;
    send_request(call);
    return call;
}

static void free_call(struct http_call *call)
{
    call->client->calls--;
    release_endpoint(call->endpoint);
    loop_timer_stop(&call->timer);
    buf_fini(&call->request);
    buf_fini(&call->in);
    buf_fini(&call->head_bytes);
    mem_free(call);
}

void http_call_cancel(struct http_call *call)
{
    if (call->link)
        close_link(call->link);
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
    if (link && !error && call->head.keep_alive)
        park_link(link);
    else if (link)
        close_link(link);
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

/* ---- calls: the response ---- */

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

static void on_bytes(void *ctx, struct str bytes)
{
    struct link *link = ctx;
    struct http_call *call = link->call;
    if (!call) { /* nothing was asked */
        close_link(link);
        return;
    }
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

static void on_connected(void *ctx)
{
    send_request(((struct link *)ctx)->call);
}

static void on_ended(void *ctx, int error)
{
    struct link *link = ctx;
    struct http_call *call = link->call;
    if (!call) {
        close_link(link);
        return;
    }
    if (link->reused && !call->answered) { /* it was closed while it lay idle */
        close_link(link);
        open_link(call);
        return;
    }
    bool whole = !error && call->state == CALL_BODY && call->head.body == HTTP_BODY_UNTIL_CLOSE;
    finish(call, whole ? 0 : error ? error : ERR_CLOSED);
}
