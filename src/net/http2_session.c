/* SPDX-License-Identifier: Apache-2.0 */
/* An HTTP/2 connection without its socket: settings, limits on what the peer may do, its end. */
#include "net/http2_internal.h"

/* Bytes of the PING between the two GOAWAYs of a drain: its answer says that the first was read. */
static const uint8_t last_call_ping[8] = "lastcall";

static nsec now(const struct http2 *h)
{
    return loop_now(h->server->loop);
}

/* ---- what the peer may do, and how often ---- */

static void calm(struct http2 *h, struct http2_bucket *bucket)
{
    if (!h->ended && !http2_bucket_take(bucket, now(h)))
        http2_end(h, NGHTTP2_ENHANCE_YOUR_CALM);
}

static int on_begin_frame(nghttp2_session *session, const nghttp2_frame_hd *hd, void *user)
{
    struct http2 *h = user;
    switch (hd->type) {
    case NGHTTP2_DATA:         /* see on_frame: empty or not shows at its end */
    case NGHTTP2_CONTINUATION: /* limited by nghttp2, see make_options */
        break;
    case NGHTTP2_HEADERS:
        http2_bucket_give(&h->control, HTTP2_CONTROL_PER_FRAME);
        break;
    case NGHTTP2_RST_STREAM:
        calm(h, &h->resets);
        break;
    default:
        calm(h, &h->control);
    }
    return 0;
}

static void on_ping_answered(struct http2 *h);

static void on_data_frame(struct http2 *h, const nghttp2_frame *frame)
{
    struct http2_stream *s = nghttp2_session_get_stream_user_data(h->session, frame->hd.stream_id);
    bool last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    if (frame->hd.length == frame->data.padlen && !last)
        calm(h, &h->control);
    if (s && last)
        http2_body_done(s);
}

static void on_headers_frame(struct http2 *h, const nghttp2_frame *frame)
{
    bool last = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    struct http2_stream *s = nghttp2_session_get_stream_user_data(h->session, frame->hd.stream_id);
    if (frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        http2_head_done(h, frame->hd.stream_id, last);
    else if (s && last)
        http2_body_done(s);
    h->head_began = 0;
}

/* A whole frame. */
static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2 *h = user;
    switch (frame->hd.type) {
    case NGHTTP2_DATA:
        on_data_frame(h, frame);
        break;
    case NGHTTP2_HEADERS:
        on_headers_frame(h, frame);
        break;
    case NGHTTP2_PING:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) &&
            memcmp(frame->ping.opaque_data, last_call_ping, sizeof(last_call_ping)) == 0)
            on_ping_answered(h);
        break;
    case NGHTTP2_GOAWAY: /* without an error it only sends no more requests */
        if (frame->goaway.error_code != NGHTTP2_NO_ERROR)
            http2_end(h, NGHTTP2_NO_ERROR);
        break;
    default:
        break;
    }
    return 0;
}

/* A stream that nghttp2 resets for what the peer did counts as one that the peer reset: it costs the same. */
static void count_reset(struct http2 *h, uint32_t error_code)
{
    switch (error_code) {
    case NGHTTP2_NO_ERROR:
    case NGHTTP2_CANCEL:
    case NGHTTP2_INTERNAL_ERROR:
        break; /* ours */
    case NGHTTP2_REFUSED_STREAM:
        calm(h, &h->control);
        break;
    default:
        calm(h, &h->resets);
    }
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct http2 *h = user;
    int32_t id = frame->hd.stream_id;
    bool ends_stream = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (frame->hd.type == NGHTTP2_RST_STREAM)
        count_reset(h, frame->rst_stream.error_code);
    if (frame->hd.type == NGHTTP2_DATA)
        http2_bucket_give(&h->control, HTTP2_CONTROL_PER_FRAME);
    if (frame->hd.type == NGHTTP2_GOAWAY && h->draining && !h->goaway_sent)
        nghttp2_submit_ping(session, NGHTTP2_FLAG_NONE, last_call_ping); /* behind it */
    /* Answered before the request was whole: its rest is not wanted (RFC 9113 8.1). */
    if (ends_stream && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) &&
        nghttp2_session_get_stream_remote_close(session, id) == 0)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, id, NGHTTP2_NO_ERROR);
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error_code, void *user)
{
    struct http2 *h = user;
    struct http2_stream *s = nghttp2_session_get_stream_user_data(session, id);
    if (h->head_stream == id)
        h->head_began = 0;
    if (!s)
        return 0;
    http2_depart(s);
    http2_stream_free(s);
    return 0;
}

/* Frames of unknown types are ignored (RFC 9113 5.5), but they are counted: see make_options. */
static int on_unknown_frame(nghttp2_session *session, void **ret_payload,
                            const nghttp2_frame_hd *hd, void *user)
{
    return NGHTTP2_ERR_CANCEL;
}

/* ---- life ---- */

static nghttp2_option *make_options(void)
{
    nghttp2_option *options;
    CHECK(nghttp2_option_new(&options) == 0);
    nghttp2_option_set_no_auto_window_update(options, 1); /* see http2_request.c */
    nghttp2_option_set_max_settings(options, HTTP2_SETTINGS_MAX);
    nghttp2_option_set_max_continuations(options, HTTP2_CONTINUATIONS_MAX);
    for (unsigned type = NGHTTP2_CONTINUATION + 1; type <= UINT8_MAX;
         type++) /* or none is told of */
        nghttp2_option_set_user_recv_extension_type(options, (uint8_t)type);
    return options;
}

static nghttp2_session_callbacks *make_callbacks(void)
{
    nghttp2_session_callbacks *c;
    CHECK(nghttp2_session_callbacks_new(&c) == 0);
    nghttp2_session_callbacks_set_on_begin_frame_callback(c, on_begin_frame);
    nghttp2_session_callbacks_set_on_frame_recv_callback(c, on_frame);
    nghttp2_session_callbacks_set_on_frame_send_callback(c, on_frame_sent);
    nghttp2_session_callbacks_set_on_stream_close_callback(c, on_stream_close);
    nghttp2_session_callbacks_set_unpack_extension_callback(c, on_unknown_frame);
    http2_set_request_callbacks(c);
    return c;
}

static void submit_settings(struct http2 *h)
{
    const struct http_limits *limits = &h->server->options.limits;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_WINDOW},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)limits->head_max},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1}, /* no tree for the peer to grow */
    };
    CHECK(nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings, ARRAY_LEN(settings)) ==
          0);
    CHECK(nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                HTTP2_WINDOW_CONNECTION) == 0);
}

static void on_last_call_over(struct loop_timer *timer);

void http2_init(struct http2 *h, struct conn *conn, void (*wake)(struct http2 *h))
{
    const struct http_limits *limits = &conn->server->options.limits;
    *h = (struct http2){.conn = conn, .server = conn->server, .wake = wake};
    list_init(&h->streams);
    list_init(&h->waiting);
    list_init(&h->relieved);
    http2_head_init(&h->head, limits);
    h->resets = http2_bucket(limits->resets_burst, limits->resets_per_sec);
    h->control = http2_bucket(HTTP2_CONTROL_BURST, HTTP2_CONTROL_PER_SEC);
    h->last_call.fire = on_last_call_over;
    nghttp2_option *options = make_options();
    nghttp2_session_callbacks *callbacks = make_callbacks();
    CHECK(nghttp2_session_server_new2(&h->session, callbacks, h, options) == 0);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_option_del(options);
    submit_settings(h);
}

void http2_abandon(struct http2 *h)
{
    h->broken = true;
    loop_timer_stop(&h->last_call);
    list_each(s, &h->streams, struct http2_stream, link) http2_depart(s);
}

void http2_fini(struct http2 *h)
{
    http2_abandon(h);
    while (!list_empty(&h->streams))
        http2_stream_free(list_first(&h->streams, struct http2_stream, link));
    nghttp2_session_del(h->session);
    http2_head_fini(&h->head);
}

/* ---- bytes ---- */

void http2_receive(struct http2 *h, struct str bytes)
{
    if (h->broken || h->ended)
        return;
    ssize_t used = nghttp2_session_mem_recv(h->session, (const uint8_t *)bytes.ptr, bytes.len);
    if (used == NGHTTP2_ERR_FLOODED ||
        nghttp2_session_get_outbound_queue_size(h->session) > HTTP2_QUEUED_MAX)
        http2_end(h, NGHTTP2_ENHANCE_YOUR_CALM);
    else if (used < 0)
        h->broken = true;
}

struct str http2_pull(struct http2 *h)
{
    const uint8_t *bytes;
    if (h->broken)
        return STR_NONE;
    ssize_t size = nghttp2_session_mem_send(h->session, &bytes);
    if (size < 0)
        h->broken = true;
    return size > 0 ? (struct str){(const char *)bytes, (size_t)size} : STR_NONE;
}

bool http2_wants_pull(const struct http2 *h)
{
    return !h->broken && nghttp2_session_want_write(h->session);
}

void http2_tell_relieved(struct http2 *h)
{
    const struct http_service *service = &h->server->options.service;
    while (!list_empty(&h->relieved)) {
        struct http2_stream *s = list_first(&h->relieved, struct http2_stream, relieved);
        list_remove(&s->relieved);
        if (s->state != HTTP2_BUSY)
            continue;
        s->exchange->over_high_water = false;
        if (service->writable)
            service->writable(service->ctx, s->exchange);
    }
}

/* ---- the end ---- */

bool http2_is_over(const struct http2 *h)
{
    if (h->broken)
        return true;
    if (h->draining && !h->goaway_sent) /* a request may be on its way */
        return false;
    return !nghttp2_session_want_read(h->session) && !nghttp2_session_want_write(h->session);
}

void http2_end(struct http2 *h, uint32_t error_code)
{
    h->ended = true;
    nghttp2_session_terminate_session(h->session, error_code);
    h->wake(h);
}

void http2_reset(struct http2_stream *s, uint32_t error_code)
{
    nghttp2_submit_rst_stream(s->http2->session, NGHTTP2_FLAG_NONE, s->id, error_code);
    s->http2->wake(s->http2);
}

/* The second GOAWAY: streams that begin from here on were not read, and may be tried elsewhere. */
static void send_goaway(struct http2 *h)
{
    if (h->goaway_sent)
        return;
    h->goaway_sent = true;
    loop_timer_stop(&h->last_call);
    nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(h->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
    h->wake(h);
}

static void on_ping_answered(struct http2 *h)
{
    if (h->draining)
        send_goaway(h);
}

static void on_last_call_over(struct loop_timer *timer)
{
    send_goaway(container_of(timer, struct http2, last_call));
}

void http2_drain(struct http2 *h)
{
    if (h->draining || h->broken)
        return;
    h->draining = true;
    nghttp2_submit_shutdown_notice(h->session); /* a PING follows it, see on_frame_sent */
    loop_timer_start(h->server->loop, &h->last_call, HTTP2_LAST_CALL);
    h->wake(h);
}
