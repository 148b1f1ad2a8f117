/* SPDX-License-Identifier: Apache-2.0 */
/* A server in a thread of its own that echoes, and blocking sockets to talk to it. */
#ifndef FAIRWAY_TEST_SERVER_FIXTURE_H
#define FAIRWAY_TEST_SERVER_FIXTURE_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_server.h"
#include "test.h"

struct fixture {
    struct loop *loop;
    struct http_server *server;
    pthread_t thread;
    struct mail stop;
    struct http_limits limits;
    struct tls_server *tls;
    bool http1_only, proxy_protocol, waits;
    int take_listener;
    struct mail accept; /* with `waits` */
    atomic_int requests, departed;
    struct http_exchange *held; /* of GET /hold */
    sem_t gate;                 /* of GET /gate; the test's business */
};

/*
 * GET /hold: no answer. /gate: the whole loop waits for the test. /count: requests so far. GET /stream/N: N chunks of 1,000 bytes as fast as the peer takes them. /abort: a stream that is cut.
 * /header/NAME: the request's. /length: of the body. /peer and /subject: who asks. /big/N: N bytes at once. /fields: headers that HTTP/2 has no use for.
 * /empty: 204. Anything else: 200 and "METHOD PATH QUERY BODY".
 */
static void fixture_stream_on(struct http_exchange *x)
{
    uintptr_t left = (uintptr_t)http_exchange_data(x);
    static char chunk[1000];
    memset(chunk, 'x', sizeof(chunk));
    while (left > 0) {
        left--;
        http_exchange_set_data(x, (void *)left);
        if (http_respond_write(x, (struct str){chunk, sizeof(chunk)}) && left)
            return;
    }
    http_respond_end(x);
}

static inline struct str fixture_rest(struct str path, const char *prefix)
{
    struct str p = str_from(prefix);
    return str_starts(path, p) ? str_sub(path, p.len, path.len) : STR_NONE;
}

static inline void fixture_say(struct http_exchange *x, struct str body)
{
    http_respond(x, 200, NULL, 0, body);
}

static inline void fixture_big(struct http_exchange *x, size_t size)
{
    char *bytes = malloc(size + 1);
    memset(bytes, 'b', size);
    fixture_say(x, (struct str){bytes, size});
    free(bytes);
}

/* The small ones; false when the path is another. */
static inline bool fixture_simple(struct fixture *f, struct http_exchange *x)
{
    const struct http_request *r = http_exchange_request(x);
    const struct http_header fields[] = {{STR("Connection"), STR("keep-alive")},
                                         {STR("Keep-Alive"), STR("timeout=5")},
                                         {STR("Transfer-Encoding"), STR("chunked")},
                                         {STR("X-Upper"), STR("Value")}};
    struct str name = fixture_rest(r->path, "/header/"), size = fixture_rest(r->path, "/big/");
    uint64_t count;
    char text[32];
    snprintf(text, sizeof(text), "%zu", r->body.len);
    if (name.ptr) {
        fixture_say(x, http_header_get(&r->headers, name));
    } else if (size.ptr && !str_to_u64(size, &count)) {
        fixture_big(x, count);
    } else if (str_eq(r->path, STR("/length"))) {
        fixture_say(x, str_from(text));
    } else if (str_eq(r->path, STR("/gate"))) {
        sem_wait(&f->gate);
        fixture_say(x, STR("gate"));
    } else if (str_eq(r->path, STR("/count"))) {
        snprintf(text, sizeof(text), "%d", atomic_load(&f->requests));
        fixture_say(x, str_from(text));
    } else if (str_eq(r->path, STR("/peer"))) {
        fixture_say(x, r->peer);
    } else if (str_eq(r->path, STR("/subject"))) {
        fixture_say(x, r->peer_subject);
    } else if (str_eq(r->path, STR("/fields"))) {
        http_respond(x, 200, fields, ARRAY_LEN(fields), STR("fields"));
    } else if (str_eq(r->path, STR("/empty"))) {
        http_respond(x, 204, NULL, 0, STR_NONE);
    } else if (str_eq(r->path, STR("/abort"))) {
        http_respond_begin(x, 200, NULL, 0);
        (void)!http_respond_write(x, STR("half"));
        http_respond_abort(x);
    } else {
        return false;
    }
    return true;
}

static void fixture_request(void *ctx, struct http_exchange *x)
{
    struct fixture *f = ctx;
    const struct http_request *r = http_exchange_request(x);
    uint64_t count;
    bool hold = str_eq(r->path, STR("/hold"));
    if (hold)
        f->held = x;
    atomic_fetch_add(&f->requests, 1);
    if (hold || fixture_simple(f, x))
        return;
    if (str_starts(r->path, STR("/stream/")) &&
        !str_to_u64(str_sub(r->path, 8, r->path.len), &count)) {
        http_exchange_set_data(x, (void *)(uintptr_t)count);
        http_respond_begin(x, 200, NULL, 0);
        fixture_stream_on(x);
        return;
    }
    struct buf body;
    buf_init(&body, SIZE_MAX / 2);
    buf_printf(&body, "%.*s %.*s %.*s ", STR_ARG(r->method), STR_ARG(r->path), STR_ARG(r->query));
    buf_put(&body, r->body);
    http_respond(x, 200, NULL, 0, buf_str(&body));
    buf_fini(&body);
}

static void fixture_departed(void *ctx, struct http_exchange *x)
{
    struct fixture *f = ctx;
    atomic_fetch_add(&f->departed, 1);
}

static void fixture_writable(void *ctx, struct http_exchange *x)
{
    fixture_stream_on(x);
}

static void *fixture_run(void *arg)
{
    struct fixture *f = arg;
    loop_run(f->loop);
    return NULL;
}

static void fixture_stopped(void *arg)
{
    struct fixture *f = arg;
    loop_stop(f->loop);
}

static void fixture_on_stop(struct mail *mail)
{
    struct fixture *f = container_of(mail, struct fixture, stop);
    http_server_drain(f->server, 0, fixture_stopped, f);
}

static void fixture_on_accept(struct mail *mail)
{
    struct fixture *f = container_of(mail, struct fixture, accept);
    http_server_accept(f->server);
}

static inline void fixture_start(struct fixture *f)
{
    struct err err;
    f->loop = loop_new();
    f->stop.deliver = fixture_on_stop;
    f->accept.deliver = fixture_on_accept;
    const struct http_server_options options = {
        .host = STR("127.0.0.1"),
        .limits = f->limits,
        .take_listener = f->take_listener,
        .waits = f->waits,
        .tls = f->tls,
        .http1_only = f->http1_only,
        .proxy_protocol = f->proxy_protocol,
        .service = {.request = fixture_request,
                    .departed = fixture_departed,
                    .writable = fixture_writable,
                    .ctx = f},
    };
    assert_int_equal(http_server_new(f->loop, &options, &f->server, &err), 0);
    assert_int_equal(pthread_create(&f->thread, NULL, fixture_run, f), 0);
}

static inline void fixture_finish(struct fixture *f)
{
    loop_post(f->loop, &f->stop);
    pthread_join(f->thread, NULL);
    http_server_free(f->server);
    loop_free(f->loop);
}

/* ---- the client side ---- */

static inline int fixture_connect(const struct fixture *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(http_server_port(f->server)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval patience = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static inline void fixture_send(int fd, struct str bytes)
{
    while (bytes.len > 0) {
        ssize_t sent = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);
        if (sent <= 0)
            return; /* the server refused in the middle: the answer tells */
        bytes = str_sub(bytes, (size_t)sent, bytes.len);
    }
}

/* Reads to the end of the connection. */
static inline void fixture_read_all(int fd, struct buf *out)
{
    char *room;
    ssize_t got;
    while ((room = buf_reserve(out, 65536)) && (got = recv(fd, room, 65536, 0)) > 0)
        buf_commit(out, (size_t)got);
}

/* Reads until `text` has come; false at the end of the connection. */
static inline bool fixture_read_until(int fd, struct buf *out, struct str text)
{
    while (str_find(buf_str(out), text) == out->len) {
        char *room = buf_reserve(out, 4096);
        ssize_t got = room ? recv(fd, room, 4096, 0) : 0;
        if (got <= 0)
            return false;
        buf_commit(out, (size_t)got);
    }
    return true;
}

static inline int fixture_status(struct str response)
{
    uint64_t status;
    if (!str_starts(response, STR("HTTP/1.1 ")) || str_to_u64(str_sub(response, 9, 12), &status))
        return 0;
    return (int)status;
}

#endif
