/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking HTTP/2 client on nghttp2's client session, one connection each; and frames written by hand. */
#ifndef FAIRWAY_TEST_HTTP2_CLIENT_H
#define FAIRWAY_TEST_HTTP2_CLIENT_H

#include <nghttp2/nghttp2.h>
#include <openssl/ssl.h>
#include <poll.h>

#include "server_fixture.h"

enum { H2_STREAMS = 600 };

struct h2_stream {
    int32_t id;
    int status;
    struct buf head, body; /* head: "name: value\n" ... */
    bool continued;        /* 100 came */
    bool closed;
    uint32_t error;
    struct str upload; /* what is left of it */
    bool upload_held;  /* no END_STREAM behind it */
};

struct h2_client {
    int fd;
    SSL *ssl; /* borrow */
    nghttp2_session *session;
    struct h2_stream streams[H2_STREAMS];
    size_t count;
    unsigned goaways;
    uint32_t goaway_error;
    int32_t goaway_last;
    uint32_t streams_max, window;
    bool ended;
};

static inline struct h2_stream *h2_find(struct h2_client *c, int32_t id)
{
    for (size_t i = 0; i < c->count; i++)
        if (c->streams[i].id == id)
            return &c->streams[i];
    return NULL;
}

static inline int h2_on_header(nghttp2_session *session, const nghttp2_frame *frame,
                               const uint8_t *name, size_t name_len, const uint8_t *value,
                               size_t value_len, uint8_t flags, void *user)
{
    struct h2_stream *s = h2_find(user, frame->hd.stream_id);
    struct str n = {(const char *)name, name_len}, v = {(const char *)value, value_len};
    uint64_t status;
    if (str_eq(n, STR(":status")) && !str_to_u64(v, &status)) {
        s->continued |= status == 100;
        s->status = (int)status;
    }
    buf_put(&s->head, n);
    buf_put(&s->head, STR(": "));
    buf_put(&s->head, v);
    buf_put(&s->head, STR("\n"));
    return 0;
}

static inline int h2_on_data(nghttp2_session *session, uint8_t flags, int32_t id,
                             const uint8_t *data, size_t size, void *user)
{
    buf_put(&h2_find(user, id)->body, (struct str){(const char *)data, size});
    return 0;
}

static inline int h2_on_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    struct h2_stream *s = h2_find(user, id);
    s->closed = true;
    s->error = error;
    return 0;
}

static inline int h2_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
    struct h2_client *c = user;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        c->goaways++;
        c->goaway_error = frame->goaway.error_code;
        c->goaway_last = frame->goaway.last_stream_id;
    }
    if (frame->hd.type == NGHTTP2_SETTINGS && !(frame->hd.flags & NGHTTP2_FLAG_ACK)) {
        c->streams_max =
            nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS);
        c->window =
            nghttp2_session_get_remote_settings(session, NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE);
    }
    return 0;
}

/* manual: the client opens windows only when told to (h2_open_window). window: of a stream, at first. */
static inline struct h2_client *h2_start(int fd, SSL *ssl, bool manual, uint32_t window)
{
    struct h2_client *c = calloc(1, sizeof(*c));
    nghttp2_session_callbacks *callbacks;
    nghttp2_option *options;
    c->fd = fd;
    c->ssl = ssl;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, h2_on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, h2_on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, h2_on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, h2_on_frame);
    nghttp2_option_new(&options);
    nghttp2_option_set_no_auto_window_update(options, manual);
    assert_int_equal(nghttp2_session_client_new2(&c->session, callbacks, c, options), 0);
    nghttp2_option_del(options);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window},
    };
    nghttp2_submit_settings(c->session, 0, settings, ARRAY_LEN(settings));
    nghttp2_session_set_local_window_size(c->session, 0, 0, 1 << 24);
    return c;
}

static inline struct h2_client *h2_connect(const struct fixture *f)
{
    return h2_start(fixture_connect(f), NULL, false, 65535);
}

static inline void h2_free(struct h2_client *c)
{
    for (size_t i = 0; i < c->count; i++) {
        buf_fini(&c->streams[i].head);
        buf_fini(&c->streams[i].body);
    }
    nghttp2_session_del(c->session);
    if (!c->ssl)
        close(c->fd);
    free(c);
}

/* ---- bytes ---- */

static inline void h2_flush(struct h2_client *c)
{
    const uint8_t *bytes;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(c->session, &bytes)) > 0) {
        if (c->ssl)
            (void)!SSL_write(c->ssl, bytes, (int)size);
        else
            fixture_send(c->fd, (struct str){(const char *)bytes, (size_t)size});
    }
}

/* Sends what there is, reads once; false at the end of the connection. */
static inline bool h2_turn(struct h2_client *c)
{
    static char bytes[65536];
    h2_flush(c);
    ssize_t got =
        c->ssl ? SSL_read(c->ssl, bytes, sizeof(bytes)) : recv(c->fd, bytes, sizeof(bytes), 0);
    c->ended |= got <= 0;
    if (got > 0)
        assert_int_equal(nghttp2_session_mem_recv(c->session, (const uint8_t *)bytes, (size_t)got),
                         got);
    return got > 0;
}

/* Turns until the server has counted so far. Plain connections only. */
static inline void h2_await(struct h2_client *c, atomic_int *count, int value)
{
    while (atomic_load(count) < value) {
        struct pollfd p = {.fd = c->fd, .events = POLLIN};
        h2_flush(c);
        if (poll(&p, 1, 2) == 1 && !h2_turn(c))
            return;
    }
}

static inline void h2_wait(struct h2_client *c, struct h2_stream *s)
{
    while (!s->closed && h2_turn(c))
        continue;
}

static inline void h2_wait_all(struct h2_client *c)
{
    for (size_t i = 0; i < c->count; i++)
        h2_wait(c, &c->streams[i]);
}

static inline void h2_wait_end(struct h2_client *c)
{
    while (h2_turn(c))
        continue;
}

/* ---- requests ---- */

static inline ssize_t h2_read_upload(nghttp2_session *session, int32_t id, uint8_t *room,
                                     size_t size, uint32_t *flags, nghttp2_data_source *source,
                                     void *user)
{
    struct h2_stream *s = h2_find(user, id);
    size_t taken = MIN(size, s->upload.len);
    if (taken == 0 && s->upload_held)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(room, s->upload.ptr, taken);
    s->upload = str_sub(s->upload, taken, s->upload.len);
    if (s->upload.len == 0 && !s->upload_held)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)taken;
}

static inline nghttp2_nv h2_field(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value), 0};
}

/* more: name, value ... NULL. The body is borrowed until the stream closes; ptr NULL: none. */
static inline struct h2_stream *h2_submit(struct h2_client *c, const char *method, const char *path,
                                          const char *const *more, struct str body, bool held)
{
    nghttp2_nv fields[150] = {h2_field(":method", method), h2_field(":scheme", "http"),
                              h2_field(":path", path), h2_field(":authority", "h2.test")};
    size_t n = 4;
    nghttp2_data_provider data = {.read_callback = h2_read_upload};
    struct h2_stream *s = &c->streams[c->count++];
    assert_true(c->count <= H2_STREAMS);
    for (; more && more[0]; more += 2)
        fields[n++] = h2_field(more[0], more[1]);
    buf_init(&s->head, 1 << 20);
    buf_init(&s->body, 1 << 28);
    s->upload = body;
    s->upload_held = held;
    s->id =
        nghttp2_submit_request(c->session, NULL, fields, n, body.ptr || held ? &data : NULL, NULL);
    assert_true(s->id > 0);
    return s;
}

static inline struct h2_stream *h2_get(struct h2_client *c, const char *path)
{
    return h2_submit(c, "GET", path, NULL, STR_NONE, false);
}

static inline struct h2_stream *h2_post(struct h2_client *c, const char *path, struct str body)
{
    return h2_submit(c, "POST", path, NULL, body, false);
}

static inline bool h2_head_has(const struct h2_stream *s, const char *text)
{
    return str_find(buf_str(&s->head), str_from(text)) < s->head.len;
}

#define assert_body(s, text)                                                         \
    do {                                                                             \
        if (!str_eq(buf_str(&(s)->body), str_from(text)))                            \
            fail_msg("'%.*s' is not '%s' (status %d, error %u)", (int)(s)->body.len, \
                     (s)->body.ptr, (text), (s)->status, (s)->error);                \
    } while (0)

/* ---- frames by hand ---- */

static inline void raw_frame(struct buf *out, unsigned type, unsigned flags, uint32_t id,
                             struct str payload)
{
    const uint8_t head[9] = {(uint8_t)(payload.len >> 16),
                             (uint8_t)(payload.len >> 8),
                             (uint8_t)payload.len,
                             (uint8_t)type,
                             (uint8_t)flags,
                             (uint8_t)(id >> 24),
                             (uint8_t)(id >> 16),
                             (uint8_t)(id >> 8),
                             (uint8_t)id};
    buf_put(out, (struct str){(const char *)head, sizeof(head)});
    buf_put(out, payload);
}

static inline void raw_preface(struct buf *out)
{
    buf_put(out, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    raw_frame(out, NGHTTP2_SETTINGS, 0, 0, STR_NONE);
}

/* A field without indexing, name and value as they are (RFC 7541 6.2.2); names and values up to 16,000 bytes. */
static inline void raw_string(struct buf *out, struct str s)
{
    size_t rest = s.len;
    buf_put_char(out, (char)MIN(rest, (size_t)127));
    if (rest >= 127) {
        for (rest -= 127; rest >= 128; rest >>= 7)
            buf_put_char(out, (char)(0x80 | (rest & 0x7f)));
        buf_put_char(out, (char)rest);
    }
    buf_put(out, s);
}

static inline void raw_field(struct buf *out, const char *name, const char *value)
{
    buf_put_char(out, 0);
    raw_string(out, str_from(name));
    raw_string(out, str_from(value));
}

static inline void raw_get(struct buf *out, const char *path)
{
    raw_field(out, ":method", "GET");
    raw_field(out, ":scheme", "http");
    raw_field(out, ":path", path);
    raw_field(out, ":authority", "h2.test");
}

static inline uint32_t raw_u32(const char *at)
{
    const uint8_t *b = (const uint8_t *)at;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

/* What the frames of the server's bytes say in the end. */
struct raw_answer {
    bool goaway, reset, headers, data_end;
    uint32_t goaway_error, reset_error, reset_stream;
};

static inline struct raw_answer raw_read(struct str bytes)
{
    struct raw_answer a = {0};
    while (bytes.len >= 9) {
        size_t size = raw_u32(bytes.ptr) >> 8;
        unsigned type = (uint8_t)bytes.ptr[3], flags = (uint8_t)bytes.ptr[4];
        struct str payload = str_sub(bytes, 9, 9 + size);
        if (type == NGHTTP2_GOAWAY) {
            a.goaway = true;
            a.goaway_error = raw_u32(payload.ptr + 4);
        } else if (type == NGHTTP2_RST_STREAM) {
            a.reset = true;
            a.reset_stream = raw_u32(bytes.ptr + 5);
            a.reset_error = raw_u32(payload.ptr);
        }
        a.headers |= type == NGHTTP2_HEADERS;
        a.data_end |= type == NGHTTP2_DATA && (flags & NGHTTP2_FLAG_END_STREAM);
        bytes = str_sub(bytes, 9 + size, bytes.len);
    }
    return a;
}

#endif
