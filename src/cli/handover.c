/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/handover.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"

#define LINE_WITHIN    SEC(5)   /* from one end to the other */
#define RELEASE_WITHIN SEC(60)  /* replicas that drain end first */
#define FINISH_WITHIN  SEC(120) /* for the new one to find the replicas and to say that it serves */

enum {
    LINE_MAX_BYTES = 4096,
    TREE_MAX = 64 * 1024,
    SOCKETS_MAX = HANDOVER_LISTENERS_MAX + 1,
    BACKLOG = 4
};

/* ---- lines, with sockets beside them ---- */

union ancillary {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(SOCKETS_MAX * sizeof(int))];
};

static int lost(struct err *err, const char *what)
{
    return err_set(err, ERR_UNAVAILABLE, "the handover ended too early: %s", what);
}

static int send_line(int fd, struct str line, const int *sockets, unsigned count, struct err *err)
{
    union ancillary ancillary = {0};
    struct iovec bytes = {(char *)line.ptr, line.len};
    struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
    if (count) {
        message.msg_control = ancillary.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&message);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(c), sockets, count * sizeof(int));
    }
    ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    return sent == (ssize_t)line.len ? 0 : lost(err, sent < 0 ? strerror(errno) : "a line was cut");
}

static void take_sockets(struct msghdr *message, int *sockets, unsigned *count)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        unsigned came = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
        for (unsigned i = 0; i < came; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (*count < SOCKETS_MAX)
                sockets[(*count)++] = fd;
            else
                close(fd);
        }
    }
}

/* What came with this read; 0: the other end is gone. */
static ssize_t receive(int fd, char *room, size_t size, int *sockets, unsigned *count, nsec until)
{
    union ancillary ancillary;
    struct iovec bytes = {room, size};
    struct msghdr message = {.msg_iov = &bytes,
                             .msg_iovlen = 1,
                             .msg_control = ancillary.bytes,
                             .msg_controllen = sizeof(ancillary.bytes)};
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    nsec left = until - clock_now();
    if (left <= 0 || poll(&ready, 1, (int)(left / NSEC_PER_MSEC) + 1) != 1)
        return 0;
    ssize_t got = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    if (got > 0)
        take_sockets(&message, sockets, count);
    return got;
}

struct line {
    char text[LINE_MAX_BYTES]; /* the tree borrows from it */
    struct arena arena;        /* of the tree */
    const struct json *tree;
    int sockets[SOCKETS_MAX];
    unsigned socket_count;
};

static void line_fini(struct line *l)
{
    arena_fini(&l->arena);
}

static int parse(struct line *l, struct str text, struct err *err)
{
    struct json *tree;
    int error = json_parse(&l->arena, text, &tree, err);
    l->tree = tree;
    if (error)
        return error;
    const struct json *refusal = json_get(l->tree, STR("error"));
    return refusal && refusal->type == JSON_STRING
               ? err_set(err, ERR_CONFLICT, "%.*s", STR_ARG(refusal->text))
               : 0;
}

/* The conversation takes turns: behind a line nothing comes until it is answered. */
static int read_line(int fd, nsec within, struct line *l, struct err *err)
{
    size_t len = 0;
    nsec until = clock_now() + within;
    l->socket_count = 0;
    arena_init(&l->arena, TREE_MAX);
    while (len == 0 || l->text[len - 1] != '\n') {
        ssize_t got =
            receive(fd, l->text + len, sizeof(l->text) - len, l->sockets, &l->socket_count, until);
        if (got <= 0)
            return lost(err, "the other process ended or did not answer in time");
        len += (size_t)got;
    }
    return parse(l, (struct str){l->text, len}, err);
}

static uint64_t number(const struct json *tree, struct str key)
{
    int64_t value;
    return json_i64(json_get(tree, key), &value) || value < 0 ? 0 : (uint64_t)value;
}

static struct str text_of(const struct json *tree, struct str key)
{
    const struct json *node = json_get(tree, key);
    return node && node->type == JSON_STRING ? node->text : STR_NONE;
}

static bool is_true(const struct json *tree, struct str key)
{
    const struct json *node = json_get(tree, key);
    return node && node->type == JSON_BOOL && node->boolean;
}

/* ---- the socket file ---- */

static int address_of(const char *state_dir, struct sockaddr_un *ret_address, struct err *err)
{
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    int len = snprintf(ret_address->sun_path, sizeof(ret_address->sun_path), "%s/handover.sock",
                       state_dir);
    return len < (int)sizeof(ret_address->sun_path)
               ? 0
               : err_set(err, ERR_TOO_BIG,
                         "the path of the state folder %s is too long for sockets", state_dir);
}

static int open_socket(void)
{
    return socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

int handover_listen(const char *state_dir, int *ret_fd, struct err *err)
{
    struct sockaddr_un address;
    int error = address_of(state_dir, &address, err), fd = open_socket();
    if (error || fd < 0)
        return error ? error : err_set(err, err_from_errno(errno), "%s", strerror(errno));
    unlink(address.sun_path); /* of an earlier process: the folder's lock is ours */
    mode_t mask = umask(0177);
    error = bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, BACKLOG);
    umask(mask);
    *ret_fd = fd;
    if (!error)
        return 0;
    err_set(err, err_from_errno(errno), "%s: %s", address.sun_path, strerror(errno));
    close(fd);
    return err->code;
}

static int connect_old(const char *state_dir, int *ret_fd, struct err *err)
{
    struct sockaddr_un address;
    int error = address_of(state_dir, &address, err);
    if (error)
        return error;
    *ret_fd = open_socket();
    if (connect(*ret_fd, (struct sockaddr *)&address, sizeof(address)) == 0)
        return 0;
    int code = errno == ENOENT || errno == ECONNREFUSED ? ERR_NOT_FOUND : err_from_errno(errno);
    err_set(err, code, "%s: %s", address.sun_path, strerror(errno));
    close(*ret_fd);
    return code;
}

/* ---- the new one ---- */

static int say(int fd, const char *line, struct err *err)
{
    return send_line(fd, str_from(line), NULL, 0, err);
}

static int take_offer(const struct line *l, struct handover_offer *o, struct err *err)
{
    uint64_t version = number(l->tree, STR("handover")),
             listeners = number(l->tree, STR("listeners"));
    struct str host = text_of(l->tree, STR("host"));
    bool admin = is_true(l->tree, STR("admin"));
    if (version < 1 || version > HANDOVER_VERSION)
        return err_set(err, ERR_UNSUPPORTED,
                       "the running Fairway speaks version %llu of the handover and this one up to "
                       "%d: stop it with `fairway down` and start this one",
                       (unsigned long long)version, HANDOVER_VERSION);
    if (listeners < 1 || listeners > HANDOVER_LISTENERS_MAX ||
        l->socket_count != listeners + admin || host.len >= HANDOVER_HOST_MAX)
        return err_set(err, ERR_INVALID, "the running Fairway's offer makes no sense");
    memcpy(o->host, host.ptr, host.len);
    o->port = (uint16_t)number(l->tree, STR("port"));
    o->listener_count = (unsigned)listeners;
    memcpy(o->listeners, l->sockets, listeners * sizeof(int));
    o->admin = admin ? l->sockets[listeners] : 0;
    return 0;
}

static void close_sockets(const int *sockets, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        close(sockets[i]);
}

void handover_offer_close(struct handover_offer *offer)
{
    close_sockets(offer->listeners, offer->listener_count);
    if (offer->admin)
        close(offer->admin);
    *offer = (struct handover_offer){0};
}

static int receive_offer(int fd, struct handover_offer *ret_offer, struct err *err)
{
    struct line line;
    char ask[64];
    snprintf(ask, sizeof(ask), "{\"handover\":%d,\"ask\":\"offer\"}\n", HANDOVER_VERSION);
    int error = say(fd, ask, err);
    if (error)
        return error;
    error = read_line(fd, LINE_WITHIN, &line, err);
    if (!error)
        error = take_offer(&line, ret_offer, err);
    if (error)
        close_sockets(line.sockets, line.socket_count);
    line_fini(&line);
    return error;
}

int handover_ask(const char *state_dir, int *ret_fd, struct handover_offer *ret_offer,
                 struct err *err)
{
    *ret_offer = (struct handover_offer){0};
    int error = connect_old(state_dir, ret_fd, err);
    if (error)
        return error;
    error = receive_offer(*ret_fd, ret_offer, err);
    if (error)
        close(*ret_fd);
    return error;
}

static int read_answer(int fd, nsec within, struct str key, struct err *err)
{
    struct line line;
    int error = read_line(fd, within, &line, err);
    if (!error && !is_true(line.tree, key))
        error = lost(err, "the answer was another than expected");
    line_fini(&line);
    return error;
}

int handover_release(int fd, struct err *err)
{
    int error = say(fd, "{\"ask\":\"release\"}\n", err);
    return error ? error : read_answer(fd, RELEASE_WITHIN, STR("released"), err);
}

int handover_finish(int fd, struct err *err)
{
    return say(fd, "{\"ask\":\"drain\"}\n", err);
}

/* ---- the old one ---- */

static int read_ask(int fd, nsec within, struct str what, uint64_t *ret_version, struct err *err)
{
    struct line line;
    int error = read_line(fd, within, &line, err);
    if (!error && !str_eq(text_of(line.tree, STR("ask")), what))
        error = lost(err, "something else was asked than expected");
    if (!error && ret_version)
        *ret_version = number(line.tree, STR("handover"));
    close_sockets(line.sockets, line.socket_count);
    line_fini(&line);
    return error;
}

static int make_offer(int fd, const struct handover_offer *o, struct err *err)
{
    int sockets[SOCKETS_MAX];
    unsigned count = o->listener_count;
    char line[256];
    memcpy(sockets, o->listeners, count * sizeof(int));
    if (o->admin)
        sockets[count++] = o->admin;
    snprintf(line, sizeof(line),
             "{\"handover\":%d,\"host\":\"%s\",\"port\":%u,\"listeners\":%u,\"admin\":%s}\n",
             HANDOVER_VERSION, o->host, o->port, o->listener_count, o->admin ? "true" : "false");
    return send_line(fd, str_from(line), sockets, count, err);
}

static int refuse_version(int fd, uint64_t version, struct err *err)
{
    int error = err_set(err, ERR_UNSUPPORTED, "version %llu of the handover is not known here",
                        (unsigned long long)version);
    struct err ignored;
    (void)!say(
        fd, "{\"handover\":1,\"error\":\"the first line must say the version of the handover\"}\n",
        &ignored);
    return error;
}

int handover_answer(int listener, const struct handover_offer *offer, int *ret_fd, struct err *err)
{
    uint64_t version = 0;
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return err_set(err, err_from_errno(errno), "%s", strerror(errno));
    int error = read_ask(fd, LINE_WITHIN, STR("offer"), &version, err);
    if (!error && version < 1) /* a newer one speaks our version too */
        error = refuse_version(fd, version, err);
    if (!error)
        error = make_offer(fd, offer, err);
    *ret_fd = fd;
    if (error)
        close(fd);
    return error;
}

int handover_await_release(int fd, struct err *err)
{
    return read_ask(fd, LINE_WITHIN, STR("release"), NULL, err);
}

int handover_released(int fd, struct err *err)
{
    return say(fd, "{\"released\":true}\n", err);
}

int handover_await_finish(int fd, struct err *err)
{
    return read_ask(fd, FINISH_WITHIN, STR("drain"), NULL, err);
}
