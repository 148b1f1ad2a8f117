/* SPDX-License-Identifier: Apache-2.0 */
/* Requests over HTTP/2: heads, bodies and the room that bodies may take. */
#include "base/mem.h"
#include "net/http2_internal.h"

static const struct http_limits *limits_of(const struct http2 *h)
{
    return &h->server->options.limits;
}

/* ---- streams ---- */

static void on_timer(struct loop_timer *timer)
{
    struct http2_stream *s = container_of(timer, struct http2_stream, timer);
    if (s->state == HTTP2_BODY) {
        http2_refuse(s, 408);
    } else if (http2_stream_unsent(s) == 0) {
        return; /* started anew when there is something again */
    } else if (s->framed != s->framed_at_check) {
        http2_stream_watch(s);
    } else {
        http2_depart(s);
        http2_reset(s, NGHTTP2_CANCEL);
    }
}

/* Serves all streams in turn, whatever the client says of their order: none holds the others. */
static void serve_in_turn(struct http2_stream *s)
{
    nghttp2_extpri in_turn = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1};
    (void)nghttp2_session_change_extpri_stream_priority(s->http2->session, s->id, &in_turn, 1);
}

static struct http2_stream *stream_new(struct http2 *h, int32_t id)
{
    struct http2_stream *s = NEW(struct http2_stream);
    s->http2 = h;
    s->id = id;
    s->timer.fire = on_timer;
    list_init(&s->waiting);
    list_init(&s->relieved);
    list_append(&h->streams, &s->link);
    buf_init(&s->out, SIZE_MAX / 2);
    s->exchange = exchange_new(h->server, &http2_exchange_ops, s);
    nghttp2_session_set_stream_user_data(h->session, id, s);
    serve_in_turn(s);
    return s;
}

void http2_stream_free(struct http2_stream *s)
{
    CHECK(!s->exchange);
    s->http2->unsent -= http2_stream_unsent(s);
    loop_timer_stop(&s->timer);
    list_remove(&s->link);
    list_remove(&s->waiting);
    list_remove(&s->relieved);
    buf_fini(&s->out);
    mem_free(s);
}

void http2_depart(struct http2_stream *s)
{
    struct http_exchange *x = s->exchange;
    const struct http_service *service = &s->http2->server->options.service;
    bool busy = s->state == HTTP2_BUSY;
    if (!x)
        return;
    s->exchange = NULL;
    s->state = HTTP2_ANSWERED;
    loop_timer_stop(&s->timer);
    if (busy && service->departed)
        service->departed(service->ctx, x);
    exchange_release(x);
    http2_give_back_room(s);
}

static void hand_over(struct http2_stream *s)
{
    struct http_exchange *x = s->exchange;
    const struct http_service *service = &s->http2->server->options.service;
    loop_timer_stop(&s->timer);
    list_remove(&s->waiting);
    s->state = HTTP2_BUSY;
    x->request.body = buf_str(&x->body);
    service->request(service->ctx, x);
}

/* ---- room for bodies ---- */

/* What its body may grow to. */
static size_t wanted_room(const struct http2_stream *s)
{
    const struct http_exchange *x = s->exchange;
    return x->head.body == HTTP_BODY_LENGTH ? x->head.content_length : x->body.max;
}

static bool fits(const struct http2 *h, size_t size)
{
    size_t max = MAX(limits_of(h)->buffered_max, limits_of(h)->body_max); /* one body always does */
    return h->room <= max && size <= max - h->room;
}

static void watch_body(struct http2_stream *s)
{
    loop_timer_start(s->http2->server->loop, &s->timer, limits_of(s->http2)->body_timeout);
}

/* Lets the whole body in. */
static void admit(struct http2_stream *s)
{
    struct http2 *h = s->http2;
    struct buf *body = &s->exchange->body;
    s->room = wanted_room(s);
    h->room += s->room;
    (void)!buf_reserve(body, MIN(s->room, (size_t)BODY_RESERVED_MAX) - MIN(s->room, body->len));
    nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, s->id,
                                          HTTP2_WINDOW_ADMITTED);
    nghttp2_session_consume_stream(h->session, s->id, body->len);
    watch_body(s);
}

/* While it waits for room its window runs dry: what is stuck then is not its client's fault. */
static void ask_for_room(struct http2_stream *s)
{
    struct http2 *h = s->http2;
    if (list_empty(&h->waiting) && fits(h, wanted_room(s))) {
        admit(s);
        return;
    }
    loop_timer_stop(&s->timer);
    list_append(&h->waiting, &s->waiting);
}

void http2_give_back_room(struct http2_stream *s)
{
    struct http2 *h = s->http2;
    struct http2_stream *next;
    list_remove(&s->waiting);
    h->room -= s->room;
    s->room = 0;
    while (!h->broken && (next = list_first(&h->waiting, struct http2_stream, waiting)) &&
           fits(h, wanted_room(next))) {
        list_remove(&next->waiting);
        admit(next);
        h->wake(h);
    }
}

/* ---- heads ---- */

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2 *h = user;
    h->head_began = loop_now(h->server->loop);
    h->head_stream = frame->hd.stream_id;
    h->trailers = 0;
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        http2_head_begin(&h->head);
    return 0;
}

/* Dropped, within a limit. */
static int on_trailer(struct http2 *h, int32_t id, size_t size)
{
    h->trailers += size;
    if (h->trailers <= HTTP2_TRAILERS_MAX)
        return 0;
    nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_ENHANCE_YOUR_CALM);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct http2 *h = user;
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return on_trailer(h, frame->hd.stream_id, name_len + value_len);
    http2_head_add(&h->head, (struct str){(const char *)name, name_len},
                   (struct str){(const char *)value, value_len});
    if (h->head.size / HTTP2_HEAD_BOMB <= limits_of(h)->head_max)
        return 0;
    http2_end(h, NGHTTP2_ENHANCE_YOUR_CALM);
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* By default such a field is left out silently: another proxy may have read it. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_len, const uint8_t *value,
                             size_t value_len, uint8_t flags, void *user)
{
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

static void begin_body(struct http2_stream *s)
{
    struct http_exchange *x = s->exchange;
    bool known = x->head.body == HTTP_BODY_LENGTH;
    if (known && x->head.content_length > x->body.max) {
        http2_refuse(s, 413);
        return;
    }
    watch_body(s);
    if (known && x->head.content_length > HTTP2_WINDOW)
        ask_for_room(s);
    if (x->head.expect_continue)
        http2_send_continue(s);
}

void http2_head_done(struct http2 *h, int32_t id, bool whole)
{
    if (h->ended)
        return;
    if (h->unsent > limits_of(h)->buffered_max) { /* it asks and does not read the answers */
        nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, id, NGHTTP2_REFUSED_STREAM);
        return;
    }
    struct http2_stream *s = stream_new(h, id);
    struct http_exchange *x = s->exchange;
    int status = http2_head_finish(&h->head, whole, &x->head_bytes, &x->head);
    x->started = h->head_began;
    exchange_set_request(x, h->conn);
    if (status)
        http2_refuse(s, status);
    else if (whole)
        hand_over(s);
    else
        begin_body(s);
}

/* ---- bodies ---- */

/* The connection's window is for what is on its way only; what is kept is bounded by the streams' windows. */
static int on_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                   size_t size, void *user)
{
    struct http2 *h = user;
    struct http2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    nghttp2_session_consume_connection(session, size);
    if (!s || s->state != HTTP2_BODY)
        return 0;
    struct http_exchange *x = s->exchange;
    buf_put(&x->body, (struct str){(const char *)data, size});
    if (x->body.error) {
        http2_refuse(s, 413);
    } else if (s->room) {
        nghttp2_session_consume_stream(session, id, size);
        watch_body(s);
    } else if (list_empty(&s->waiting)) {
        watch_body(s);
        if (x->head.body == HTTP_BODY_CHUNKED && x->body.len > HTTP2_WINDOW / 2)
            ask_for_room(s);
    }
    h->wake(h);
    return 0;
}

void http2_body_done(struct http2_stream *s)
{
    if (s->state == HTTP2_BODY)
        hand_over(s);
}

void http2_set_request_callbacks(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
}
