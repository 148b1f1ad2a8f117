/* SPDX-License-Identifier: Apache-2.0 */
/* Listening and draining. */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/http_server_internal.h"

enum { BACKLOG = 1024 };

struct listener {
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    char *socket_path; /* own; NULL: TCP */
    bool shared;       /* another process goes on with it */
};

struct str server_date(struct http_server *server)
{
    int64_t second = clock_wall() / NSEC_PER_SEC;
    if (second != server->date_second) {
        struct tm utc;
        time_t t = (time_t)second;
        gmtime_r(&t, &utc);
        server->date_len = strftime(server->date, sizeof(server->date),
                                    "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
        server->date_second = second;
    }
    return (struct str){server->date, server->date_len};
}

/* ---- accepting ---- */

static void take_waiting(struct http_server *server)
{
    const struct stream_events none = {0};
    struct stream *stream;
    server->accept_waiting = false;
    if (stream_accept(server->loop, &server->listener->uv.stream, &none, &stream) == 0)
        conn_open(server, stream);
}

static void accept_waiting(struct http_server *server)
{
    if (server->conn_count >= server->options.limits.connections_max)
        server->accept_waiting = true; /* taken when one ends; libuv does not listen meanwhile */
    else
        take_waiting(server);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct http_server *server = listener->data;
    if (status == 0)
        accept_waiting(server);
}

/* ---- listening ---- */

static int listen_error(struct err *err, const struct http_server_options *o, int uv_error)
{
    int code = uv_error == UV_EADDRINUSE ? ERR_CONFLICT : ERR_IO;
    if (str_starts(o->host, STR("unix:")))
        return err_set(err, code, "cannot listen on %.*s: %s", STR_ARG(o->host),
                       uv_strerror(uv_error));
    return err_set(err, code, "cannot listen on %.*s port %u: %s%s", STR_ARG(o->host), o->port,
                   uv_strerror(uv_error),
                   uv_error == UV_EADDRINUSE ? "; another program has it, choose another port"
                                             : "");
}

static int begin_to_listen(struct http_server *server)
{
    return uv_listen(&server->listener->uv.stream, BACKLOG, on_connection);
}

static int take_tcp(struct http_server *server, struct err *err)
{
    struct listener *l = server->listener;
    int error = uv_tcp_init(loop_uv(server->loop), &l->uv.tcp);
    CHECK(error == 0);
    error = uv_tcp_open(&l->uv.tcp, server->options.take_listener);
    if (!error && !server->options.waits)
        error = begin_to_listen(server);
    return error ? listen_error(err, &server->options, error) : 0;
}

static int open_tcp(struct http_server *server, struct err *err)
{
    const struct http_server_options *o = &server->options;
    struct sockaddr_storage address;
    char host[64];
    int on = 1, fd;
    snprintf(host, sizeof(host), "%.*s", STR_ARG(o->host));
    int error = uv_ip4_addr(host, o->port, (struct sockaddr_in *)&address);
    if (error)
        error = uv_ip6_addr(host, o->port, (struct sockaddr_in6 *)&address);
    if (error)
        return err_set(err, ERR_INVALID,
                       "'%s' is no address to listen on: give a number such as 127.0.0.1", host);
    error = uv_tcp_init_ex(loop_uv(server->loop), &server->listener->uv.tcp, address.ss_family);
    CHECK(error == 0);
    uv_fileno(&server->listener->uv.handle, &fd);
    if (o->share_port)
        setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
    error = uv_tcp_bind(&server->listener->uv.tcp, (struct sockaddr *)&address, 0);
    if (!error && !o->waits)
        error = begin_to_listen(server);
    return error ? listen_error(err, o, error) : 0;
}

/* Not by uv_pipe_bind: libuv would delete the file at the end, also when another process goes on with it. */
static int bind_unix(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len >= sizeof(address.sun_path))
        return UV_ENAMETOOLONG;
    memcpy(address.sun_path, path, len);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    unlink(path); /* of an earlier process; the caller holds a lock on the folder */
    mode_t mask = umask(0177);
    int error = bind(fd, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
    umask(mask);
    if (error)
        close(fd);
    return error ? error : fd;
}

static int open_unix(struct http_server *server, struct err *err)
{
    const struct http_server_options *o = &server->options;
    struct str path = str_sub(o->host, 5, o->host.len);
    server->listener->socket_path = mem_alloc(path.len + 1);
    memcpy(server->listener->socket_path, path.ptr, path.len);
    int fd = o->take_listener ? o->take_listener : bind_unix(server->listener->socket_path);
    int error = uv_pipe_init(loop_uv(server->loop), &server->listener->uv.pipe, 0);
    CHECK(error == 0);
    error = fd < 0 ? fd : uv_pipe_open(&server->listener->uv.pipe, fd);
    if (!error && !o->waits)
        error = begin_to_listen(server);
    return error ? listen_error(err, o, error) : 0;
}

static void on_listener_closed(uv_handle_t *handle)
{
    struct listener *l = container_of(handle, struct listener, uv.handle);
    mem_free(l->socket_path);
    mem_free(l);
}

static void close_listener(struct http_server *server)
{
    struct listener *l = server->listener;
    if (!l)
        return;
    server->listener = NULL;
    if (l->socket_path && !l->shared)
        unlink(l->socket_path);
    uv_close(&l->uv.handle, on_listener_closed);
}

static void on_grace_over(struct loop_timer *timer);
static void on_drained(struct mail *task);

int http_server_new(struct loop *loop, const struct http_server_options *options,
                    struct http_server **ret_server, struct err *err)
{
    struct http_server *server = NEW(struct http_server);
    server->loop = loop;
    server->options = *options;
    server->listener = NEW(struct listener);
    server->grace.fire = on_grace_over;
    server->drained.deliver = on_drained;
    list_init(&server->conns);
    list_init(&server->spare);
    bool unix_socket = str_starts(options->host, STR("unix:"));
    int error = unix_socket              ? open_unix(server, err)
                : options->take_listener ? take_tcp(server, err)
                                         : open_tcp(server, err);
    if (error) {
        if (server->listener->uv.handle.type)
            close_listener(server);
        else
            mem_free(server->listener);
        mem_free(server);
        return error;
    }
    server->listener->uv.handle.data = server;
    *ret_server = server;
    return 0;
}

void http_server_accept(struct http_server *server)
{
    int error = begin_to_listen(server);
    CHECK(error == 0); /* it is bound: nothing is left that could fail */
}

int http_server_listener(struct http_server *server)
{
    int fd = -1;
    uv_fileno(&server->listener->uv.handle, &fd);
    server->listener->shared = true;
    return fd;
}

uint16_t http_server_port(const struct http_server *server)
{
    struct sockaddr_storage address;
    int size = sizeof(address);
    if (!server->listener || server->listener->socket_path ||
        uv_tcp_getsockname(&server->listener->uv.tcp, (struct sockaddr *)&address, &size))
        return 0;
    return ntohs(address.ss_family == AF_INET ? ((struct sockaddr_in *)&address)->sin_port
                                              : ((struct sockaddr_in6 *)&address)->sin6_port);
}

size_t http_server_connections(const struct http_server *server)
{
    return server->conn_count;
}

/* ---- draining ---- */

static void on_drained(struct mail *task)
{
    struct http_server *server = container_of(task, struct http_server, drained);
    loop_timer_stop(&server->grace);
    server->drained_pending = false; /* who drains once more is told again */
    server->done(server->done_arg);
}

static void tell_if_drained(struct http_server *server)
{
    if (!server->draining || server->conn_count || server->drained_pending)
        return;
    server->drained_pending = true;
    loop_defer(server->loop, &server->drained);
}

/* ---- connections ---- */

void conn_init(struct conn *c, const struct conn_ops *ops, struct http_server *server,
               struct stream *take_stream)
{
    c->ops = ops;
    c->server = server;
    c->stream = take_stream;
    stream_peer(take_stream, c->peer);
    list_append(&server->conns, &c->link);
    server->conn_count++;
}

void conn_take_over(struct conn *c, const struct conn_ops *ops, struct conn *from)
{
    *c = *from;
    c->ops = ops;
    list_insert_before(&from->link, &c->link);
    list_remove(&from->link);
}

void conn_fini(struct conn *c)
{
    struct http_server *server = c->server;
    stream_close(c->stream);
    mem_free(c->peer_subject);
    list_remove(&c->link);
    server->conn_count--;
    if (server->accept_waiting && server->listener)
        accept_waiting(server);
    tell_if_drained(server);
}

static void close_all(struct http_server *server)
{
    while (!list_empty(&server->conns)) {
        struct conn *c = list_first(&server->conns, struct conn, link);
        c->ops->close(c);
    }
}

/* ---- draining, from outside ---- */

static void on_grace_over(struct loop_timer *timer)
{
    struct http_server *server = container_of(timer, struct http_server, grace);
    close_all(server);
}

void http_server_drain(struct http_server *server, nsec grace, void (*done)(void *arg), void *arg)
{
    bool first = !server->draining;
    server->draining = true;
    server->done = done;
    server->done_arg = arg;
    if (first) {
        server->last_call = MAX(MIN(grace / LAST_CALL_SHARE, LAST_CALL_MOST), LAST_CALL_LEAST);
        if (server->accept_waiting) /* taken off the socket's queue already */
            take_waiting(server);
        close_listener(server);
        list_each(c, &server->conns, struct conn, link) c->ops->drain(c);
    }
    loop_timer_start(server->loop, &server->grace, grace);
    tell_if_drained(server);
}

void http_server_free(struct http_server *server)
{
    if (!server)
        return;
    close_listener(server);
    loop_timer_stop(&server->grace);
    close_all(server);
    server_free_spares(server);
    mem_free(server);
}
