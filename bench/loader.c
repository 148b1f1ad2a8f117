/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads a server and checks every answer, for bench/gateway: one thread on raw epoll, closed loop (a connection sends its
 * next request when it has the whole answer), every latency kept, so that percentiles are exact.
 *
 *   loader --port N [--connections N] [--seconds N] [--requests N] [--key KEY] [--prompt BYTES]
 *          [--stream PACE_US [--events N]] [--ramp SECONDS] [--hold] [--rewritten] [--patience SECONDS]
 *
 * Ends after --seconds (2) or --requests, whichever comes first, and prints one JSON object. --stream asks for a stream
 * of --events (64) that are PACE_US microseconds apart (0: back to back). --ramp spreads the connections' first requests
 * over that time. --hold: each connection has one answer and is then kept open and idle; when all are, "held" is printed,
 * and at the end of stdin they are counted that the server has not closed. No answer for --patience (30) is an error.
 *
 * An answer is right if, without its chunking, it is the text of answers.h; the connection of a wrong one is made anew.
 * --rewritten is for servers that write the JSON anew: there the texts of "content", one after another, must be those.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "answers.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/mem.h"

enum { RAW_MAX = 2 * STREAM_BODY_MAX, HEAD_MAX = 4096, CONNECTIONS_MAX = 16384 };
enum { ERRORS_MOST = 100 };

struct conn {
    int fd;
    size_t sent;
    nsec started, first; /* of the answer: its first byte of body */
    char raw[RAW_MAX + 1];
    size_t raw_len, at; /* up to `at` the answer is understood */
    bool asked, finished, in_body, chunked;
    size_t length; /* without chunks: of the body */
    char body[STREAM_BODY_MAX + 1];
    size_t body_len;
};

enum progress { MORE, WHOLE, WRONG };

static struct {
    uint16_t port;
    unsigned connections;
    double seconds, ramp;
    int patience;      /* s */
    uint64_t requests; /* 0: no limit */
    unsigned events;   /* of a stream */
    bool hold, rewritten;
    char *request;
    size_t request_len;
    char expected[STREAM_BODY_MAX + 1];
    size_t expected_len;
} plan = {.connections = 1, .seconds = 2, .patience = 30, .events = STREAM_EVENTS};

static struct {
    nsec *latencies, *firsts;
    size_t count, capacity;
    uint64_t begun, errors;
    unsigned running, still_open;
    nsec started, last_event, stop, ended;
    char first_error[256];
} result;

static int epoll_fd;

__attribute__((noreturn)) static void die(const char *what)
{
    perror(what);
    exit(1);
}

/* ---- answers ---- */

static enum progress wrong(struct conn *c, const char *why)
{
    if (result.errors++ == 0)
        snprintf(result.first_error, sizeof(result.first_error), "%s: %.150s", why, c->raw);
    return WRONG;
}

static enum progress read_head(struct conn *c)
{
    char *end = strstr(c->raw, "\r\n\r\n");
    if (!end)
        return c->raw_len < HEAD_MAX ? MORE : wrong(c, "endless head");
    if (strncmp(c->raw, "HTTP/1.1 200 ", 13) != 0)
        return wrong(c, "not 200");
    end[2] = 0; /* the fields are searched, not the body */
    const char *length = strcasestr(c->raw, "\r\ncontent-length:");
    c->chunked = strcasestr(c->raw, "\r\ntransfer-encoding: chunked\r\n");
    if (!length == !c->chunked)
        return wrong(c, "neither length nor chunks, or both");
    c->length = length ? strtoul(length + 17, NULL, 10) : 0;
    c->at = (size_t)(end - c->raw) + 4;
    c->in_body = true;
    return MORE;
}

static bool keep(struct conn *c, size_t from, size_t len)
{
    if (len > STREAM_BODY_MAX - c->body_len)
        return false;
    memcpy(c->body + c->body_len, c->raw + from, len);
    c->body_len += len;
    if (c->first == 0)
        c->first = clock_now();
    return true;
}

/* Takes whole chunks only: their framing is checked in full. */
static enum progress read_chunks(struct conn *c)
{
    for (;;) {
        char *line = c->raw + c->at, *end = strstr(line, "\r\n"), *digits;
        if (!end)
            return MORE;
        size_t size = strtoul(line, &digits, 16), from = (size_t)(end - c->raw) + 2;
        if (digits != end || size > STREAM_BODY_MAX)
            return wrong(c, "bad chunk");
        if (c->raw_len < from + size + 2)
            return MORE;
        if (memcmp(c->raw + from + size, "\r\n", 2) != 0 || !keep(c, from, size))
            return wrong(c, "bad chunk");
        c->at = from + size + 2;
        if (size == 0)
            return c->at == c->raw_len ? WHOLE : wrong(c, "bytes after the end");
    }
}

static enum progress read_plain(struct conn *c)
{
    if (c->raw_len - c->at < c->length)
        return MORE;
    if (c->raw_len - c->at > c->length || !keep(c, c->at, c->length))
        return wrong(c, "bytes after the end");
    return WHOLE;
}

/* Keeps of an answer only the strings of "content", which have no escapes. Returns their length. */
static size_t only_content(char *text, size_t len)
{
    static const char key[] = "\"content\":\"";
    size_t kept = 0;
    text[len] = 0;
    for (char *from = text; (from = strstr(from, key));) {
        from += sizeof(key) - 1;
        size_t run = strcspn(from, "\"");
        memmove(text + kept, from, run);
        kept += run;
        from += run;
    }
    return kept;
}

static enum progress read_answer(struct conn *c)
{
    enum progress progress = c->in_body ? MORE : read_head(c);
    if (progress == MORE && c->in_body)
        progress = c->chunked ? read_chunks(c) : read_plain(c);
    if (progress != WHOLE)
        return progress;
    if (plan.rewritten)
        c->body_len = only_content(c->body, c->body_len);
    if (c->body_len != plan.expected_len || memcmp(c->body, plan.expected, c->body_len) != 0)
        return wrong(c, "another answer");
    return WHOLE;
}

/* ---- connections ---- */

static void watch(struct conn *c, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(epoll_fd, operation, c->fd, &event))
        die("epoll_ctl");
}

static void conn_connect(struct conn *c)
{
    int on = 1;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(plan.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&address, sizeof(address)))
        die("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    watch(c, EPOLL_CTL_ADD, EPOLLIN);
}

static void conn_write(struct conn *c)
{
    bool was_partial = c->sent > 0;
    ssize_t len = send(c->fd, plan.request + c->sent, plan.request_len - c->sent,
                       MSG_NOSIGNAL | MSG_DONTWAIT);
    if (len > 0)
        c->sent += (size_t)len; /* an error shows when reading */
    bool is_partial = len >= 0 ? c->sent < plan.request_len : errno == EAGAIN;
    if (was_partial || is_partial)
        watch(c, EPOLL_CTL_MOD, is_partial ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Sends the next request, unless there is none. */
static void conn_next(struct conn *c, nsec now)
{
    c->sent = c->raw_len = c->at = c->body_len = 0;
    c->in_body = false;
    c->first = 0;
    c->started = now;
    if (now >= result.stop || (plan.hold && c->asked) ||
        (plan.requests && result.begun == plan.requests) || result.errors >= ERRORS_MOST) {
        c->finished = true;
        result.running--;
        return;
    }
    result.begun++;
    c->asked = true;
    conn_write(c);
}

static void note(struct conn *c, nsec now)
{
    if (result.count == result.capacity) {
        result.capacity = result.capacity ? 2 * result.capacity : 65536;
        result.latencies = mem_resize(result.latencies, result.capacity * sizeof(nsec));
        result.firsts = mem_resize(result.firsts, result.capacity * sizeof(nsec));
    }
    result.latencies[result.count] = now - c->started;
    result.firsts[result.count++] = c->first - c->started;
}

static void conn_readable(struct conn *c)
{
    if (c->finished) { /* the server closes it: hold() will see that */
        (void)epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
        return;
    }
    ssize_t len = recv(c->fd, c->raw + c->raw_len, RAW_MAX - c->raw_len, MSG_DONTWAIT);
    enum progress progress;
    if (len < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (len <= 0) {
        progress = wrong(c, "connection closed");
    } else {
        c->raw_len += (size_t)len;
        c->raw[c->raw_len] = 0;
        progress = read_answer(c);
    }
    if (progress == MORE)
        return;
    nsec now = clock_now();
    if (progress == WHOLE) {
        note(c, now);
    } else {
        close(c->fd);
        conn_connect(c);
    }
    conn_next(c, now);
}

/* ---- the run ---- */

/* Starts the connections that are due. Returns the milliseconds until the next one is. */
static int start_due(struct conn *conns, unsigned *started)
{
    for (; *started < plan.connections; (*started)++) {
        double share = (double)*started / plan.connections;
        nsec now = clock_now(),
             due = result.started + (nsec)(share * plan.ramp * (double)NSEC_PER_SEC);
        if (due > now)
            return (int)((due - now) / NSEC_PER_MSEC) + 1;
        conn_next(&conns[*started], now);
    }
    return plan.patience * 1000;
}

static void take_events(int timeout_ms)
{
    struct epoll_event events[256];
    int count = epoll_wait(epoll_fd, events, ARRAY_LEN(events), timeout_ms);
    for (int i = 0; i < count; i++) {
        if (events[i].events & EPOLLOUT)
            conn_write(events[i].data.ptr);
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            conn_readable(events[i].data.ptr);
        result.last_event = clock_now();
    }
}

static bool is_stuck(void)
{
    nsec now = clock_now(), patience = SEC(plan.patience);
    return now > result.last_event + patience || now > result.stop + patience;
}

/* Until the one who started us has seen enough. */
static void hold(struct conn *conns)
{
    char c;
    puts("held");
    fflush(stdout);
    while (read(STDIN_FILENO, &c, 1) > 0)
        ;
    for (unsigned i = 0; i < plan.connections; i++)
        result.still_open += recv(conns[i].fd, &c, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static void run(void)
{
    struct conn *conns = mem_array(plan.connections, sizeof(struct conn));
    unsigned started = 0;
    for (unsigned i = 0; i < plan.connections; i++)
        conn_connect(&conns[i]);
    result.started = result.last_event = clock_now();
    result.stop = result.started + (nsec)(plan.seconds * (double)NSEC_PER_SEC);
    result.running = plan.connections;
    while (result.running > 0) {
        take_events(start_due(conns, &started));
        if (is_stuck()) {
            result.errors += result.running;
            snprintf(result.first_error, sizeof(result.first_error), "no answer");
            break;
        }
    }
    result.ended = clock_now();
    if (plan.hold)
        hold(conns);
    mem_free(conns);
}

static int compare(const void *a, const void *b)
{
    nsec x = *(const nsec *)a, y = *(const nsec *)b;
    return (x > y) - (x < y);
}

static double percentile_us(const nsec *sorted, double share)
{
    if (result.count == 0)
        return 0;
    return (double)sorted[(size_t)(share * (double)(result.count - 1))] / (double)NSEC_PER_USEC;
}

static void report(void)
{
    double seconds = nsec_to_seconds(result.ended - result.started);
    qsort(result.latencies, result.count, sizeof(nsec), compare);
    qsort(result.firsts, result.count, sizeof(nsec), compare);
    for (char *c = result.first_error; *c; c++)
        if (*c < ' ' || *c > '~' || *c == '"' || *c == '\\')
            *c = ' ';
    printf("{\"answers\":%zu,\"errors\":%llu,\"seconds\":%.6f,\"per_second\":%.1f,"
           "\"p50_us\":%.1f,\"p99_us\":%.1f,\"first_p50_us\":%.1f,\"first_p99_us\":%.1f,"
           "\"still_open\":%u,\"first_error\":\"%s\"}\n",
           result.count, (unsigned long long)result.errors, seconds, (double)result.count / seconds,
           percentile_us(result.latencies, 0.5), percentile_us(result.latencies, 0.99),
           percentile_us(result.firsts, 0.5), percentile_us(result.firsts, 0.99), result.still_open,
           result.first_error);
}

/* ---- options ---- */

/* What the fake upstream looks for stands at the beginning of the body. */
static void make_request(const char *key, size_t prompt_len, const char *pace)
{
    size_t size = prompt_len + 1024;
    char *prompt = mem_alloc(prompt_len + 1), *body = mem_alloc(size), stream[96] = "";
    for (size_t i = 0; i < prompt_len; i++)
        prompt[i] = i % 7 == 6 ? ' ' : (char)('a' + i % 26);
    if (pace)
        snprintf(stream, sizeof(stream), ",\"stream\":true,\"pace_us\":%.20s,\"events\":%u", pace,
                 plan.events);
    snprintf(body, size,
             "{\"model\":\"bench\"%s,\"max_tokens\":64,\"messages\":[{\"role\":\"user\","
             "\"content\":\"%s\"}]}",
             stream, prompt);
    plan.request = mem_alloc(2 * size);
    plan.request_len = (size_t)snprintf(
        plan.request, 2 * size,
        "POST /v1/chat/completions HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nUser-Agent: loader\r\n"
        "Accept: */*\r\nAuthorization: Bearer %.200s\r\nContent-Type: application/json\r\n"
        "Content-Length: %zu\r\n\r\n%s",
        plan.port, key, strlen(body), body);
    mem_free(prompt);
    mem_free(body);
}

static void make_expected(bool is_stream)
{
    if (!is_stream) {
        plan.expected_len = sizeof(plain_answer) - 1;
        memcpy(plan.expected, plain_answer, plan.expected_len);
    }
    for (unsigned i = 0; is_stream && i < plan.events; i++)
        plan.expected_len += stream_event(i, plan.events, plan.expected + plan.expected_len);
    if (plan.rewritten)
        plan.expected_len = only_content(plan.expected, plan.expected_len);
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"port", required_argument, NULL, 'p'},
        {"connections", required_argument, NULL, 'c'},
        {"seconds", required_argument, NULL, 't'},
        {"requests", required_argument, NULL, 'n'},
        {"key", required_argument, NULL, 'k'},
        {"prompt", required_argument, NULL, 'b'},
        {"stream", required_argument, NULL, 's'},
        {"events", required_argument, NULL, 'e'},
        {"ramp", required_argument, NULL, 'r'},
        {"hold", no_argument, NULL, 'h'},
        {"rewritten", no_argument, NULL, 'w'},
        {"patience", required_argument, NULL, 'i'},
        {0},
    };
    const char *key = "none", *pace = NULL;
    size_t prompt_len = 100;
    for (int o; (o = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        switch (o) {
        case 'p':
            plan.port = (uint16_t)atoi(optarg);
            break;
        case 'c':
            plan.connections = (unsigned)atoi(optarg);
            break;
        case 't':
            plan.seconds = atof(optarg);
            break;
        case 'n':
            plan.requests = strtoul(optarg, NULL, 10);
            break;
        case 'k':
            key = optarg;
            break;
        case 'b':
            prompt_len = strtoul(optarg, NULL, 10);
            break;
        case 's':
            pace = optarg;
            break;
        case 'e':
            plan.events = (unsigned)atoi(optarg);
            break;
        case 'r':
            plan.ramp = atof(optarg);
            break;
        case 'h':
            plan.hold = true;
            break;
        case 'w':
            plan.rewritten = true;
            break;
        case 'i':
            plan.patience = atoi(optarg);
            break;
        default:
            return 2;
        }
    }
    if (plan.port == 0 || plan.connections == 0 || plan.connections > CONNECTIONS_MAX) {
        fprintf(stderr, "loader: --port N and --connections 1 to %d\n", CONNECTIONS_MAX);
        return 2;
    }
    if (plan.events == 0 || plan.events > STREAM_EVENTS) {
        fprintf(stderr, "loader: --events 1 to %d\n", STREAM_EVENTS);
        return 2;
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    make_request(key, prompt_len, pace);
    make_expected(pace != NULL);
    run();
    report();
    return result.errors > 0;
}
