/* SPDX-License-Identifier: Apache-2.0 */
/* Responses over HTTP/2. */
#include "net/http2_internal.h"

enum {
    OUT_KEPT_MAX = 64 * 1024, /* sent bytes that may stay before they are dropped */
    DIGITS_MAX = 20,
};

/* ---- bytes of a body ---- */

size_t http2_stream_unsent(const struct http2_stream *s)
{
    return s->out.len - s->out_sent;
}

void http2_stream_watch(struct http2_stream *s)
{
    s->framed_at_check = s->framed;
    loop_timer_start(s->http2->server->loop, &s->timer,
                     s->http2->server->options.limits.write_timeout);
}

/* Moves bytes seldom: at most once each, in the mean. */
static void drop_sent(struct http2_stream *s)
{
    if (s->out_sent == s->out.len && s->out.cap <= OUT_KEPT_MAX)
        buf_clear(&s->out);
    else if (s->out_sent == s->out.len)
        buf_fini(&s->out);
    else if (s->out_sent > OUT_KEPT_MAX && s->out_sent > s->out.len / 2)
        buf_drop_front(&s->out, s->out_sent);
    else
        return;
    s->out_sent = 0;
}

/* The service is told after pulling: it must not write from inside nghttp2. */
static void note_relief(struct http2_stream *s)
{
    const struct http_limits *limits = &s->http2->server->options.limits;
    if (s->exchange && s->exchange->over_high_water && list_empty(&s->relieved) &&
        http2_stream_unsent(s) <= limits->write_high_water / 2)
        list_append(&s->http2->relieved, &s->relieved);
}

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *room, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct http2_stream *s = source->ptr;
    size_t taken = MIN(size, http2_stream_unsent(s));
    if (taken == 0 && !s->out_ended) {
        s->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (taken)
        memcpy(room, s->out.ptr + s->out_sent, taken);
    s->out_sent += taken;
    s->framed += taken;
    s->http2->unsent -= taken;
    drop_sent(s);
    note_relief(s);
    if (s->out_ended && http2_stream_unsent(s) == 0)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)taken;
}

static void resume(struct http2_stream *s)
{
    if (s->deferred)
        nghttp2_session_resume_data(s->http2->session, s->id);
    s->deferred = false;
    s->http2->wake(s->http2);
}

static void put(struct http2_stream *s, struct str bytes)
{
    if (bytes.len == 0 || s->bodyless)
        return;
    buf_put(&s->out, bytes);
    s->http2->unsent += bytes.len;
    if (!loop_timer_running(&s->timer))
        http2_stream_watch(s);
}

/* ---- heads ---- */

static struct str decimal(uint64_t value, char room[DIGITS_MAX])
{
    char *at = room + DIGITS_MAX;
    do
        *--at = (char)('0' + value % 10);
    while (value /= 10);
    return (struct str){at, (size_t)(room + DIGITS_MAX - at)};
}

static nghttp2_nv field(struct str name, struct str value)
{
    return (nghttp2_nv){
        .name = (uint8_t *)name.ptr,
        .namelen = name.len,
        .value = (uint8_t *)value.ptr,
        .valuelen = value.len,
    };
}

/* RFC 9113 8.2.2: HTTP/2 has frames for what these say. */
static bool is_connection_specific(struct str name)
{
    static const struct str names[] = {STR("connection"), STR("keep-alive"),
                                       STR("proxy-connection"), STR("transfer-encoding"),
                                       STR("upgrade")};
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_eq_nocase(name, names[i]))
            return true;
    return false;
}

/* length: of the body, where it is known; ptr NULL: unknown or none. nghttp2 copies all and writes names in lower case. */
static void submit_head(struct http2_stream *s, int status, const struct http_header *headers,
                        size_t count, struct str length, bool has_data)
{
    nghttp2_nv fields[HTTP_HEADERS_MAX + 3];
    char digits[DIGITS_MAX];
    size_t n = 0;
    nghttp2_data_provider data = {.source.ptr = s, .read_callback = read_body};
    CHECK(count <= HTTP_HEADERS_MAX);
    fields[n++] = field(STR(":status"), decimal((uint64_t)status, digits));
    struct str date = server_date(s->http2->server);
    fields[n++] = field(STR("date"), str_sub(date, 6, date.len - 2)); /* "date: ...\r\n" */
    for (size_t i = 0; i < count; i++)
        if (!is_connection_specific(headers[i].name))
            fields[n++] = field(headers[i].name, headers[i].value);
    if (length.ptr)
        fields[n++] = field(STR("content-length"), length);
    nghttp2_submit_response(s->http2->session, s->id, fields, n, has_data ? &data : NULL);
}

void http2_send_continue(struct http2_stream *s)
{
    const nghttp2_nv fields[] = {field(STR(":status"), STR("100"))};
    nghttp2_submit_headers(s->http2->session, NGHTTP2_FLAG_NONE, s->id, NULL, fields,
                           ARRAY_LEN(fields), NULL);
    s->http2->wake(s->http2);
}

/* ---- exchanges ---- */

/* The service is done with it; what is unsent goes on by itself. */
static void release(struct http2_stream *s)
{
    exchange_release(s->exchange);
    s->exchange = NULL;
    s->state = HTTP2_ANSWERED;
    http2_give_back_room(s);
}

static void respond(struct http_exchange *x, int status, const struct http_header *headers,
                    size_t count, struct str body)
{
    struct http2_stream *s = x->carrier;
    bool bodyless = status_has_no_body(status);
    char digits[DIGITS_MAX];
    loop_timer_stop(&s->timer); /* of the request's body, if this is a refusal */
    s->bodyless = bodyless || x->is_head;
    s->out_ended = true;
    submit_head(s, status, headers, count, bodyless ? STR_NONE : decimal(body.len, digits),
                !s->bodyless && body.len);
    put(s, body);
    release(s);
    s->http2->wake(s->http2);
}

/* The end of the stream comes with its last DATA frame, even of a response that has no body: until then it runs. */
static void begin(struct http_exchange *x, int status, const struct http_header *headers,
                  size_t count)
{
    struct http2_stream *s = x->carrier;
    s->bodyless = status_has_no_body(status) || x->is_head;
    submit_head(s, status, headers, count, STR_NONE, true);
    s->http2->wake(s->http2);
}

static int write_bytes(struct http_exchange *x, struct str bytes)
{
    struct http2_stream *s = x->carrier;
    put(s, bytes);
    resume(s);
    if (http2_stream_unsent(s) > x->server->options.limits.write_high_water)
        x->over_high_water = true;
    return x->over_high_water ? ERR_FULL : 0;
}

static void end(struct http_exchange *x)
{
    struct http2_stream *s = x->carrier;
    s->out_ended = true;
    resume(s);
    release(s);
}

static void abort_exchange(struct http_exchange *x)
{
    struct http2_stream *s = x->carrier;
    release(s);
    http2_reset(s, NGHTTP2_INTERNAL_ERROR);
}

const struct exchange_ops http2_exchange_ops = {
    .respond = respond,
    .begin = begin,
    .write = write_bytes,
    .end = end,
    .abort = abort_exchange,
};

void http2_refuse(struct http2_stream *s, int status)
{
    struct buf body;
    struct str type;
    buf_init(&body, REFUSAL_BODY_MAX);
    server_error_body(s->http2->server, status, &body, &type);
    const struct http_header headers[] = {{STR("content-type"), type}};
    respond(s->exchange, status, headers, ARRAY_LEN(headers), buf_str(&body));
    buf_fini(&body);
}
