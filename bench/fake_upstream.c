/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model server that computes nothing, for bench/gateway: one thread on raw epoll, so that it costs as little as can be.
 *
 *   fake_upstream --port N
 *
 * Answers chat completions with the texts of answers.h: a body whose beginning has "stream":true with a stream of
 * "events":N (64), one send each, "pace_us":N microseconds apart (0: back to back). GET /ready, /health and /v1/models say
 * that it is well and serves "bench"; anything else that a gateway may ask its workers gets 404, and no HTTP/1 (a preface of
 * HTTP/2) the connection's end. One request at a time per connection, with Content-Length. Ends by itself after an hour.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "answers.h"
#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"

enum { SEEN_MAX = 8192, BODY_SEEN = 256, LIFETIME_SECONDS = 3600 };

/* The head of a request and the beginning of its body are kept; the rest of the body is only counted. */
struct conn {
    int fd;
    char seen[SEEN_MAX + 1];
    size_t seen_len;
    size_t received, wanted;     /* bytes of this request; wanted is 0 until its head is complete */
    unsigned next_event, events; /* of the stream */
    nsec pace, due;
    struct list paced; /* while a stream goes on, by due */
};

static int epoll_fd;
static struct list paced;

__attribute__((noreturn)) static void die(const char *what)
{
    perror(what);
    exit(1);
}

static void conn_close(struct conn *c)
{
    list_remove(&c->paced);
    close(c->fd);
    mem_free(c);
}

/* The answers fit any socket buffer, unless the reader has gone: then the connection goes too. */
static bool conn_send(struct conn *c, const char *text, size_t len)
{
    return send(c->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)len;
}

/* ---- answers ---- */

static bool answer_plain(struct conn *c, const char *status, const char *body)
{
    char text[1024];
    int len = snprintf(text, sizeof(text),
                       "HTTP/1.1 %s\r\nContent-Type: application/json\r\n"
                       "Content-Length: %zu\r\n\r\n%s",
                       status, strlen(body), body);
    return conn_send(c, text, (size_t)len);
}

/* Gateways ask whether a worker is well and what it serves, and how else they might speak to it (404). */
static bool answer_probe(struct conn *c)
{
    if (strncmp(c->seen, "GET /ready ", 11) == 0 || strncmp(c->seen, "GET /health ", 12) == 0)
        return answer_plain(c, "200 OK", "{\"status\":\"ready\"}");
    if (strncmp(c->seen, "GET /v1/models ", 15) == 0)
        return answer_plain(c, "200 OK",
                            "{\"object\":\"list\",\"data\":[{\"id\":\"bench\",\"object\":"
                            "\"model\",\"created\":1767225600,\"owned_by\":\"bench\"}]}");
    return answer_plain(c, "404 Not Found", "{\"error\":{\"message\":\"not here\"}}");
}

/* One event as one chunk in one send; the head goes with the first, the last chunk with the last. */
static bool send_event(struct conn *c)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n";
    unsigned i = c->next_event++;
    char event[EVENT_MAX], text[EVENT_MAX + 256];
    size_t event_len = stream_event(i, c->events, event);
    int len = snprintf(text, sizeof(text), "%s%zx\r\n%.*s\r\n%s", i == 0 ? head : "", event_len,
                       (int)event_len, event, c->next_event == c->events ? "0\r\n\r\n" : "");
    return conn_send(c, text, (size_t)len);
}

static void schedule(struct conn *c, nsec now)
{
    struct list *where = &paced;
    c->due = now + c->pace;
    while (where->previous != &paced &&
           container_of(where->previous, struct conn, paced)->due > c->due)
        where = where->previous;
    list_insert_before(where, &c->paced);
}

/* A number of the body, or what stands in for it. */
static long member(const char *body, const char *key, long otherwise)
{
    const char *at = strstr(body, key);
    return at ? strtol(at + strlen(key), NULL, 10) : otherwise;
}

static bool start_stream(struct conn *c, const char *body)
{
    c->next_event = 0;
    c->events = (unsigned)MIN(MAX(member(body, "\"events\":", STREAM_EVENTS), 1), STREAM_EVENTS);
    c->pace = member(body, "\"pace_us\":", 0) * NSEC_PER_USEC;
    do {
        if (!send_event(c))
            return false;
    } while (c->pace == 0 && c->next_event < c->events);
    if (c->pace > 0)
        schedule(c, clock_now());
    return true;
}

static void send_due(nsec now)
{
    while (!list_empty(&paced)) {
        struct conn *c = list_first(&paced, struct conn, paced);
        if (c->due > now)
            return;
        list_remove(&c->paced);
        if (!send_event(c))
            conn_close(c);
        else if (c->next_event < c->events)
            schedule(c, now);
    }
}

static bool answer(struct conn *c, const char *body)
{
    if (strncmp(c->seen, "POST /v1/chat/completions ", 26) != 0)
        return answer_probe(c);
    if (!strstr(body, "\"stream\":true"))
        return answer_plain(c, "200 OK", plain_answer);
    return start_stream(c, body);
}

/* ---- requests ---- */

/* Learns the length of the request once its head and the beginning of its body are there. */
static bool read_head(struct conn *c)
{
    char *end = strstr(c->seen, "\r\n\r\n");
    if (!end)
        return c->received < SEEN_MAX;
    const char *length = strcasestr(c->seen, "\r\ncontent-length:");
    size_t head_len = (size_t)(end - c->seen) + 4;
    size_t body_len = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
    c->wanted = head_len + body_len;
    return head_len + BODY_SEEN <= SEEN_MAX;
}

static bool conn_take(struct conn *c, const char *bytes, size_t len)
{
    size_t kept = MIN(len, SEEN_MAX - c->seen_len);
    memcpy(c->seen + c->seen_len, bytes, kept);
    c->seen_len += kept;
    c->seen[c->seen_len] = 0;
    c->received += len;
    if (c->wanted == 0 && !read_head(c))
        return false;
    if (c->wanted == 0 || c->received < c->wanted)
        return true;
    bool fine = c->received == c->wanted && answer(c, strstr(c->seen, "\r\n\r\n") + 4);
    c->seen_len = c->received = c->wanted = 0;
    return fine;
}

static void conn_readable(struct conn *c)
{
    static char bytes[256 * 1024];
    ssize_t len = recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len <= 0 || !conn_take(c, bytes, (size_t)len))
        conn_close(c);
}

static void accept_one(int listener)
{
    int on = 1, fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    struct conn *c = NEW(struct conn);
    c->fd = fd;
    list_init(&c->paced);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
        die("epoll_ctl");
}

/* ---- main ---- */

static int listen_on(uint16_t port)
{
    int on = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 4096))
        die("listen");
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event))
        die("epoll_ctl");
    return fd;
}

static void turn(int listener)
{
    struct epoll_event events[256];
    struct timespec wait = {0};
    if (!list_empty(&paced)) {
        nsec now = clock_now(), left = MAX(now, list_first(&paced, struct conn, paced)->due) - now;
        wait = (struct timespec){.tv_sec = left / NSEC_PER_SEC, .tv_nsec = left % NSEC_PER_SEC};
    }
    int count =
        epoll_pwait2(epoll_fd, events, ARRAY_LEN(events), list_empty(&paced) ? NULL : &wait, NULL);
    if (count < 0 && errno != EINTR)
        die("epoll_pwait2");
    for (int i = 0; i < count; i++) {
        if (events[i].data.ptr)
            conn_readable(events[i].data.ptr);
        else
            accept_one(listener);
    }
    if (!list_empty(&paced))
        send_due(clock_now());
}

int main(int argc, char **argv)
{
    if (argc != 3 || strcmp(argv[1], "--port") != 0) {
        fprintf(stderr, "usage: fake_upstream --port N\n");
        return 2;
    }
    alarm(LIFETIME_SECONDS);
    list_init(&paced);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on((uint16_t)atoi(argv[2]));
    for (;;)
        turn(listener);
}
