/* SPDX-License-Identifier: Apache-2.0 */
#include "net/stream.h"

#include <linux/sockios.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <uv.h>

#include "base/mem.h"
#include "net/tls.h"
#include "net/tls_client.h"

enum { READ_SIZE = 64 * 1024, DIRECT_SIZE = 16 * 1024, TLS_READ_SIZE = 16 * 1024 };

struct stream {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    struct loop *loop;
    struct stream_events events;
    SSL *ssl;             /* own; NULL: plain */
    char *tls_failure;    /* own; NULL: none */
    struct buf out;       /* gathered, not yet offered to the kernel */
    struct buf in_kernel; /* being written by `write` */
    uv_write_t write;
    uv_shutdown_t shutdown;
    uv_connect_t connect;
    struct mail flush; /* deferred */
    bool flush_pending, writing, end_wanted, closing, ended;
    bool connecting; /* until `connected` */
};

static void on_flush(struct mail *task);
static void start_handshake(struct stream *s);

static int from_uv(int status)
{
    switch (status) {
    case UV_ECANCELED:
        return ERR_CANCELLED;
    case UV_ETIMEDOUT:
        return ERR_TIMEOUT;
    case UV_EOF:
    case UV_EPIPE:
    case UV_ECONNRESET:
    case UV_ECONNREFUSED:
        return ERR_CLOSED;
    default:
        return ERR_IO;
    }
}

/* ---- life ---- */

static struct stream *make(struct loop *loop, const struct stream_events *events)
{
    struct stream *s = NEW(struct stream);
    s->loop = loop;
    s->events = *events;
    s->flush.deliver = on_flush;
    buf_init(&s->out, SIZE_MAX / 2);
    buf_init(&s->in_kernel, SIZE_MAX / 2);
    return s;
}

static void release(struct stream *s)
{
    if (s->flush_pending) /* its task comes once more and frees */
        return;
    SSL_free(s->ssl);
    mem_free(s->tls_failure);
    buf_fini(&s->out);
    buf_fini(&s->in_kernel);
    mem_free(s);
}

static void on_closed(uv_handle_t *handle)
{
    struct stream *s = handle->data;
    handle->data = NULL;
    release(s);
}

void stream_close(struct stream *s)
{
    if (!s || s->closing)
        return;
    s->closing = true;
    uv_close(&s->uv.handle, on_closed);
}

static void end(struct stream *s, int error)
{
    if (s->ended || s->closing)
        return;
    s->ended = true;
    uv_read_stop(&s->uv.stream);
    s->events.ended(s->events.ctx, error);
}

int stream_accept(struct loop *loop, struct uv_stream_s *listener,
                  const struct stream_events *events, struct stream **ret_stream)
{
    struct stream *s = make(loop, events);
    bool pipe = listener->type == UV_NAMED_PIPE;
    int error =
        pipe ? uv_pipe_init(loop_uv(loop), &s->uv.pipe, 0) : uv_tcp_init(loop_uv(loop), &s->uv.tcp);
    CHECK(error == 0);
    s->uv.handle.data = s;
    error = uv_accept(listener, &s->uv.stream);
    if (error) {
        stream_close(s);
        return from_uv(error);
    }
    if (!pipe)
        uv_tcp_nodelay(&s->uv.tcp, 1);
    *ret_stream = s;
    return 0;
}

static void on_connected(uv_connect_t *connect, int status)
{
    struct stream *s = container_of(connect, struct stream, connect);
    if (s->closing)
        return;
    if (status) {
        end(s, from_uv(status));
        return;
    }
    uv_tcp_nodelay(&s->uv.tcp, 1);
    if (s->ssl) {
        start_handshake(s);
        return;
    }
    s->connecting = false;
    s->events.connected(s->events.ctx);
}

static void on_connect_failed(struct mail *task)
{
    struct stream *s = container_of(task, struct stream, flush);
    s->flush_pending = false;
    s->flush.deliver = on_flush;
    if (s->closing)
        release(s);
    else
        end(s, ERR_INVALID);
}

struct stream *stream_connect(struct loop *loop, struct str host, uint16_t port,
                              struct tls_client *tls, struct str server_name,
                              const struct stream_events *events)
{
    struct stream *s = make(loop, events);
    s->connecting = true;
    s->ssl = tls ? tls_client_connect(tls, server_name) : NULL;
    struct sockaddr_storage address;
    char text[64];
    int error = uv_tcp_init(loop_uv(loop), &s->uv.tcp);
    CHECK(error == 0);
    s->uv.handle.data = s;
    snprintf(text, sizeof(text), "%.*s", STR_ARG(host));
    error = uv_ip4_addr(text, port, (struct sockaddr_in *)&address);
    if (error)
        error = uv_ip6_addr(text, port, (struct sockaddr_in6 *)&address);
    if (!error)
        error = uv_tcp_connect(&s->connect, &s->uv.tcp, (struct sockaddr *)&address, on_connected);
    if (error) { /* said later: no event comes inside this call */
        s->flush_pending = true;
        s->flush.deliver = on_connect_failed;
        loop_defer(loop, &s->flush);
    }
    return s;
}

void stream_set_events(struct stream *s, const struct stream_events *events)
{
    s->events = *events;
}

/* ---- writing ---- */

static void flush(struct stream *s);

static void on_written(uv_write_t *write, int status)
{
    struct stream *s = container_of(write, struct stream, write);
    s->writing = false;
    buf_fini(&s->in_kernel);
    if (s->closing)
        return;
    if (status)
        end(s, from_uv(status));
    else
        flush(s);
}

static void on_shutdown(uv_shutdown_t *shutdown, int status)
{
    /* Nothing to do: the peer's end or our close comes next. */
}

/* What the kernel does not take at once is moved to in_kernel and written as it drains. */
static void flush(struct stream *s)
{
    if (s->writing || s->closing)
        return;
    if (s->out.len) {
        uv_buf_t piece = uv_buf_init(s->out.ptr, (unsigned)MIN(s->out.len, (size_t)INT32_MAX));
        int taken = uv_try_write(&s->uv.stream, &piece, 1);
        if (taken == (int)s->out.len) {
            buf_clear(&s->out);
        } else if (taken >= 0 || taken == UV_EAGAIN) {
            buf_drop_front(&s->out, (size_t)MAX(taken, 0));
            struct buf rest = s->out;
            s->out = s->in_kernel;
            s->in_kernel = rest;
            piece = uv_buf_init(rest.ptr, (unsigned)MIN(rest.len, (size_t)INT32_MAX));
            s->writing = true;
            if (uv_write(&s->write, &s->uv.stream, &piece, 1, on_written))
                end(s, ERR_IO);
            return;
        } else {
            end(s, from_uv(taken));
            return;
        }
    }
    if (s->end_wanted) {
        s->end_wanted = false;
        uv_shutdown(&s->shutdown, &s->uv.stream, on_shutdown);
    }
    if (s->out.cap > READ_SIZE) /* an idle stream holds no big buffer */
        buf_fini(&s->out);
    if (s->events.drained)
        s->events.drained(s->events.ctx);
}

static void on_flush(struct mail *task)
{
    struct stream *s = container_of(task, struct stream, flush);
    s->flush_pending = false;
    if (s->closing) {
        if (!s->uv.handle.data)
            release(s);
        return;
    }
    flush(s);
}

static void flush_later(struct stream *s)
{
    if (s->flush_pending || s->writing || s->closing)
        return;
    s->flush_pending = true;
    loop_defer(s->loop, &s->flush);
}

/* Moves what OpenSSL has produced to `out`. */
static void take_tls_output(struct stream *s)
{
    BIO *bio = SSL_get_wbio(s->ssl);
    size_t size = BIO_ctrl_pending(bio);
    char *room = size ? buf_reserve(&s->out, size) : NULL;
    if (!room)
        return;
    int got = BIO_read(bio, room, (int)size);
    CHECK(got == (int)size);
    buf_commit(&s->out, size);
    flush_later(s);
}

/* A big piece goes to the kernel from where it lies, behind what was gathered. Returns what is left of it. */
static struct str write_directly(struct stream *s, struct str bytes)
{
    const uv_buf_t pieces[] = {
        uv_buf_init(s->out.ptr, (unsigned)s->out.len),
        uv_buf_init((char *)bytes.ptr, (unsigned)MIN(bytes.len, (size_t)INT32_MAX)),
    };
    unsigned first = s->out.len == 0;
    int taken = uv_try_write(&s->uv.stream, pieces + first, 2 - first);
    if (taken <= 0) /* what is wrong shows when the rest is flushed */
        return bytes;
    size_t gathered = MIN((size_t)taken, s->out.len);
    buf_drop_front(&s->out, gathered);
    return str_sub(bytes, (size_t)taken - gathered, bytes.len);
}

void stream_write(struct stream *s, struct str bytes)
{
    if (s->closing || s->ended || bytes.len == 0)
        return;
    if (s->ssl) {
        int written = SSL_write(s->ssl, bytes.ptr, (int)MIN(bytes.len, (size_t)INT32_MAX));
        ERR_clear_error();
        CHECK(written == (int)bytes.len ||
              written <= 0); /* a memory BIO takes all; <= 0: TLS is broken, reading says so */
        take_tls_output(s);
        return;
    }
    if (bytes.len >= DIRECT_SIZE && !s->writing && s->out.len < DIRECT_SIZE)
        bytes = write_directly(s, bytes);
    buf_put(&s->out, bytes);
    flush_later(s);
}

size_t stream_unsent(const struct stream *s)
{
    return s->out.len + uv_stream_get_write_queue_size(&s->uv.stream);
}

size_t stream_untaken(const struct stream *s)
{
    int fd, queued = 0;
    if (uv_fileno(&s->uv.handle, &fd) || ioctl(fd, SIOCOUTQ, &queued))
        queued = 0;
    return stream_unsent(s) + (size_t)queued;
}

void stream_end(struct stream *s)
{
    if (s->closing || s->ended)
        return;
    if (s->ssl) {
        SSL_shutdown(s->ssl);
        ERR_clear_error();
        take_tls_output(s);
    }
    s->end_wanted = true;
    flush_later(s);
}

/* ---- reading ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *ret_buf)
{
    static _Thread_local char shared[READ_SIZE];
    *ret_buf = uv_buf_init(shared, sizeof(shared));
}

/* Why a client's TLS has failed. */
static void keep_failure(struct stream *s)
{
    if (SSL_is_server(s->ssl) || s->tls_failure)
        return;
    s->tls_failure = mem_alloc(TLS_FAILURE_MAX);
    tls_client_explain(s->ssl, s->tls_failure);
}

/* A client's. True once it is through. */
static bool shake_hands(struct stream *s)
{
    int done = SSL_do_handshake(s->ssl);
    int reason = SSL_get_error(s->ssl, done);
    take_tls_output(s); /* an alert, too */
    if (done == 1) {
        uv_read_stop(&s->uv.stream); /* off at first */
        s->connecting = false;
        s->events.connected(s->events.ctx);
    } else if (reason != SSL_ERROR_WANT_READ) {
        keep_failure(s);
        flush(s); /* the owner closes now: the alert would not leave */
        end(s, ERR_PROTOCOL);
    }
    ERR_clear_error();
    return done == 1;
}

static void read_tls(struct stream *s, struct str bytes)
{
    char plain[TLS_READ_SIZE];
    int got = BIO_write(SSL_get_rbio(s->ssl), bytes.ptr, (int)bytes.len);
    CHECK(got == (int)bytes.len);
    if (s->connecting && !shake_hands(s))
        return;
    while (!s->closing && !s->ended && (got = SSL_read(s->ssl, plain, sizeof(plain))) > 0)
        s->events.bytes(s->events.ctx, (struct str){plain, (size_t)got});
    if (s->closing || s->ended)
        return;
    int reason = SSL_get_error(s->ssl, got);
    if (reason == SSL_ERROR_SSL)
        keep_failure(s);
    ERR_clear_error();
    take_tls_output(s); /* of the handshake */
    if (reason == SSL_ERROR_ZERO_RETURN)
        end(s, 0);
    else if (reason != SSL_ERROR_WANT_READ)
        end(s, ERR_PROTOCOL);
}

void stream_start_tls(struct stream *s, struct tls_server *tls, bool offers_h2, struct str received)
{
    CHECK(!s->ssl && s->out.len == 0);
    s->ssl = tls_server_accept(tls, offers_h2);
    if (received.len)
        read_tls(s, received);
}

bool stream_chose_h2(const struct stream *s)
{
    const unsigned char *name = NULL;
    unsigned length = 0;
    if (s->ssl)
        SSL_get0_alpn_selected(s->ssl, &name, &length);
    return str_eq((struct str){(const char *)name, length}, STR("h2"));
}

char *stream_peer_subject(const struct stream *s)
{
    return s->ssl ? tls_peer_subject(s->ssl) : NULL;
}

/* Without the server's word, under TLS, that nothing more comes, somebody else may have cut it off. */
static bool is_cut_off(const struct stream *s)
{
    return s->ssl && !SSL_is_server(s->ssl) && !(SSL_get_shutdown(s->ssl) & SSL_RECEIVED_SHUTDOWN);
}

static void on_read(uv_stream_t *uv, ssize_t got, const uv_buf_t *buf)
{
    struct stream *s = uv->data;
    if (got == UV_EOF)
        end(s, is_cut_off(s) ? ERR_CLOSED : 0);
    else if (got < 0)
        end(s, from_uv((int)got));
    else if (got > 0 && s->ssl)
        read_tls(s, (struct str){buf->base, (size_t)got});
    else if (got > 0)
        s->events.bytes(s->events.ctx, (struct str){buf->base, (size_t)got});
}

static void start_handshake(struct stream *s)
{
    uv_read_start(&s->uv.stream, on_alloc, on_read);
    shake_hands(s);
}

const char *stream_tls_failure(const struct stream *s)
{
    return s->tls_failure ? s->tls_failure : "";
}

void stream_read(struct stream *s, bool on)
{
    if (s->closing || s->ended)
        return;
    if (on)
        uv_read_start(&s->uv.stream, on_alloc, on_read);
    else
        uv_read_stop(&s->uv.stream);
}

void stream_peer(const struct stream *s, char text[STREAM_PEER_MAX])
{
    struct sockaddr_storage address;
    int size = sizeof(address);
    char name[48] = "";
    if (s->uv.handle.type != UV_TCP ||
        uv_tcp_getpeername(&s->uv.tcp, (struct sockaddr *)&address, &size)) {
        snprintf(text, STREAM_PEER_MAX, "unix");
        return;
    }
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)&address;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&address;
    if (address.ss_family == AF_INET)
        uv_ip4_name(v4, name, sizeof(name));
    else
        uv_ip6_name(v6, name, sizeof(name));
    snprintf(text, STREAM_PEER_MAX, address.ss_family == AF_INET ? "%s:%u" : "[%s]:%u", name,
             ntohs(address.ss_family == AF_INET ? v4->sin_port : v6->sin6_port));
}
