/* SPDX-License-Identifier: Apache-2.0 */
/* Time-outs, slow and greedy readers, draining, the cap on connections. */
#include <sys/stat.h>

#include "server_fixture.h"

static struct fixture f;

static void start(struct http_limits limits)
{
    f = (struct fixture){.limits = limits};
    fixture_start(&f);
}

static int teardown(void **state)
{
    fixture_finish(&f);
    return 0;
}

static void assert_ends_with_status(int fd, int status)
{
    struct buf answer;
    buf_init(&answer, 1 << 20);
    fixture_read_all(fd, &answer);
    assert_int_equal(fixture_status(buf_str(&answer)), status);
    assert_true(status == 0 || str_find(buf_str(&answer), STR("connection: close")) < answer.len);
    buf_fini(&answer);
    close(fd);
}

static void test_head_timeout(void **state)
{
    struct http_limits limits = http_limits_default();
    limits.head_timeout = MSEC(50);
    start(limits);
    int fd = fixture_connect(&f);
    fixture_send(fd, STR("GET / HTTP/1.1\r\nHo"));
    assert_ends_with_status(fd, 408);
}

static void test_body_timeout(void **state)
{
    struct http_limits limits = http_limits_default();
    limits.body_timeout = MSEC(50);
    start(limits);
    int fd = fixture_connect(&f);
    fixture_send(fd, STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhell"));
    assert_ends_with_status(fd, 408);
    fd = fixture_connect(&f);
    fixture_send(fd,
                 STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"));
    assert_ends_with_status(fd, 408);
}

static void test_idle_is_closed_silently(void **state)
{
    struct http_limits limits = http_limits_default();
    struct buf answer;
    limits.idle_timeout = MSEC(50);
    start(limits);
    assert_ends_with_status(fixture_connect(&f), 0);
    int fd = fixture_connect(&f);
    buf_init(&answer, 1 << 16);
    fixture_send(fd, STR("\r\n")); /* no request yet */
    fixture_send(fd, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    fixture_read_all(fd, &answer);
    assert_int_equal(fixture_status(buf_str(&answer)), 200);
    assert_true(str_ends(buf_str(&answer), STR("GET /  ")));
    buf_fini(&answer);
    close(fd);
}

static void test_a_reader_that_stops_is_cut(void **state)
{
    struct http_limits limits = http_limits_default();
    limits.write_timeout = MSEC(100);
    start(limits);
    int fd = fixture_connect(&f);
    fixture_send(fd, STR("GET /stream/100000 HTTP/1.1\r\nHost: x\r\n\r\n"));
    while (atomic_load(&f.departed) == 0)
        usleep(1000);
    close(fd);
}

enum { ECHO_SIZE = 20000 };

static struct str echo_request(void)
{
    static char text[ECHO_SIZE + 100];
    int head = snprintf(text, sizeof(text),
                        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", ECHO_SIZE);
    memset(text + head, 'e', ECHO_SIZE);
    return (struct str){text, (size_t)head + ECHO_SIZE};
}

/* Who sends requests without end and reads no answer must not fill the memory. */
static void test_a_pipeline_that_is_not_read_is_cut(void **state)
{
    struct http_limits limits = http_limits_default();
    size_t sent = 0;
    limits.write_timeout = MSEC(100);
    start(limits);
    int fd = fixture_connect(&f);
    struct str request = echo_request();
    for (ssize_t got; sent < (64 << 20); sent += (size_t)got) {
        size_t at = sent % request.len;
        got = send(fd, request.ptr + at, request.len - at, MSG_NOSIGNAL);
        if (got <= 0)
            break;
    }
    assert_true(sent < (64 << 20));
    close(fd);
}

enum { GREEDY_REQUESTS = 1000 };

static void *send_many(void *arg)
{
    int fd = *(int *)arg;
    for (int i = 0; i < GREEDY_REQUESTS; i++)
        fixture_send(fd, echo_request());
    fixture_send(fd, STR("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    return NULL;
}

/* A pipeline of 20 MB that is read in the end is answered whole. */
static void test_a_long_pipeline_is_answered(void **state)
{
    start(http_limits_default());
    pthread_t sender;
    struct buf answer;
    int fd = fixture_connect(&f);
    int answers = 0;
    echo_request();
    buf_init(&answer, 1 << 26);
    pthread_create(&sender, NULL, send_many, &fd);
    fixture_read_all(fd, &answer);
    struct str rest = buf_str(&answer);
    for (size_t at; (at = str_find(rest, STR("POST /"))) < rest.len; answers++)
        rest = str_sub(rest, at + 1, rest.len);
    pthread_join(sender, NULL);
    assert_int_equal(answers, GREEDY_REQUESTS);
    close(fd);
    buf_fini(&answer);
}

/* The last answer of a connection has as much time as any other. */
static void test_a_slow_reader_gets_its_last_answer(void **state)
{
    start(http_limits_default());
    struct buf answer;
    struct str request = echo_request();
    int fd = fixture_connect(&f);
    buf_init(&answer, 1 << 26);
    fixture_send(fd, STR("POST / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                         "Content-Length: 20000000\r\n\r\n"));
    for (int i = 0; i < 1000; i++)
        fixture_send(fd, str_sub(request, request.len - ECHO_SIZE, request.len));
    fixture_read_until(fd, &answer, STR("\r\n\r\n"));
    sleep(5); /* longer than a connection lingers without progress after its last word */
    fixture_read_all(fd, &answer);
    assert_true(answer.len > 20000000);
    close(fd);
    buf_fini(&answer);
}

/* ---- draining ---- */

static atomic_bool drained;

static void on_drained(void *arg)
{
    atomic_store(&drained, true);
}

static void drain_slowly(struct mail *mail)
{
    http_server_drain(f.server, SEC(60), on_drained, NULL);
}

static struct mail to_drain_slowly = {.deliver = drain_slowly};

static void drain_quickly(struct mail *mail)
{
    http_server_drain(f.server, MSEC(30), on_drained, NULL);
}

static struct mail to_drain_quickly = {.deliver = drain_quickly};

static void answer_held(struct mail *mail)
{
    http_respond(f.held, 200, NULL, 0, STR("late"));
}

static struct mail to_answer_held = {.deliver = answer_held};

static int hold(void)
{
    int fd = fixture_connect(&f);
    int requests = atomic_load(&f.requests);
    fixture_send(fd, STR("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"));
    while (atomic_load(&f.requests) == requests)
        usleep(1000);
    return fd;
}

static void test_drain_lets_running_requests_end(void **state)
{
    struct buf answer;
    start(http_limits_default());
    atomic_store(&drained, false);
    buf_init(&answer, 1 << 16);
    int idle = fixture_connect(&f), busy = hold();
    loop_post(f.loop, &to_drain_slowly);
    assert_ends_with_status(idle, 0);
    assert_false(atomic_load(&drained));
    loop_post(f.loop, &to_answer_held);
    fixture_read_all(busy, &answer);
    assert_int_equal(fixture_status(buf_str(&answer)), 200);
    assert_true(str_find(buf_str(&answer), STR("connection: close")) < answer.len);
    assert_true(str_ends(buf_str(&answer), STR("late")));
    close(busy);
    while (!atomic_load(&drained))
        usleep(1000);
    assert_int_equal(atomic_load(&f.departed), 0);
    buf_fini(&answer);
}

static void test_drain_cuts_after_the_grace(void **state)
{
    start(http_limits_default());
    atomic_store(&drained, false);
    int busy = hold();
    loop_post(f.loop, &to_drain_quickly);
    assert_ends_with_status(busy, 0);
    while (!atomic_load(&drained))
        usleep(1000);
    assert_int_equal(atomic_load(&f.departed), 1);
}

static void get(int fd, const char *path, struct buf *answer)
{
    char request[128];
    buf_clear(answer);
    snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
    fixture_send(fd, str_from(request));
    assert_true(fixture_read_until(fd, answer, STR("\r\n\r\n")));
    assert_int_equal(fixture_status(buf_str(answer)), 200);
}

static bool says_close(const struct buf *answer)
{
    return str_find(buf_str(answer), STR("connection: close")) < answer->len;
}

static void test_drain_answers_who_does_not_know_yet(void **state)
{
    struct buf answer;
    start(http_limits_default());
    buf_init(&answer, 1 << 16);
    int kept = fixture_connect(&f), fresh = fixture_connect(&f), busy = hold();
    get(kept, "/", &answer);
    assert_false(says_close(&answer));
    atomic_store(&drained, false);
    loop_post(f.loop, &to_drain_slowly);
    loop_post(f.loop, &to_answer_held);
    assert_ends_with_status(busy, 200); /* and the drain has begun */
    get(kept, "/", &answer);
    assert_true(says_close(&answer));
    get(fresh, "/", &answer);
    assert_true(says_close(&answer));
    fixture_read_all(kept, &answer);
    fixture_read_all(fresh, &answer);
    close(kept);
    close(fresh);
    while (!atomic_load(&drained))
        usleep(1000);
    buf_fini(&answer);
}

static void end_stream(struct mail *mail)
{
    http_respond_end(f.held);
}

static void begin_stream(struct mail *mail)
{
    http_respond_begin(f.held, 200, NULL, 0);
}

/* Its head said that the connection stays: a request that follows the last chunk is answered. */
static void test_a_stream_that_ends_in_a_drain_keeps_its_word(void **state)
{
    static struct mail to_begin = {.deliver = begin_stream}, to_end = {.deliver = end_stream};
    struct buf answer;
    start(http_limits_default());
    buf_init(&answer, 1 << 16);
    atomic_store(&drained, false);
    int fd = hold();
    loop_post(f.loop, &to_begin);
    assert_true(fixture_read_until(fd, &answer, STR("\r\n\r\n")));
    assert_false(says_close(&answer));
    loop_post(f.loop, &to_drain_slowly);
    loop_post(f.loop, &to_end);
    assert_true(fixture_read_until(fd, &answer, STR("0\r\n\r\n")));
    get(fd, "/", &answer);
    assert_true(says_close(&answer));
    close(fd);
    while (!atomic_load(&drained))
        usleep(1000);
    buf_fini(&answer);
}

/* ---- listening ---- */

static void test_another_server_takes_the_queue(void **state)
{
    struct fixture first;
    struct buf answer;
    start(http_limits_default());
    buf_init(&answer, 1 << 16);
    first = f;
    int listener = dup(http_server_listener(f.server)), fd;
    uint16_t port = http_server_port(f.server);
    fixture_finish(&f);
    f = (struct fixture){.limits = first.limits, .take_listener = listener, .waits = true};
    fixture_start(&f);
    assert_int_equal(http_server_port(f.server), port);
    fd = fixture_connect(&f); /* it waits in the socket's queue */
    loop_post(f.loop, &f.accept);
    get(fd, "/", &answer);
    close(fd);
    buf_fini(&answer);
}

static void test_connections_over_the_cap_wait(void **state)
{
    struct http_limits limits = http_limits_default();
    struct buf answer;
    limits.connections_max = 1;
    start(limits);
    buf_init(&answer, 1 << 16);
    int first = hold(), second = fixture_connect(&f);
    fixture_send(second, STR("GET /second HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert_int_equal(recv(second, (char[1]){0}, 1, MSG_DONTWAIT), -1);
    assert_int_equal(atomic_load(&f.requests), 1);
    close(first);
    fixture_read_all(second, &answer);
    assert_int_equal(fixture_status(buf_str(&answer)), 200);
    close(second);
    buf_fini(&answer);
}

static void test_addresses(void **state)
{
    start(http_limits_default());
    struct loop *loop = loop_new();
    struct http_server *server;
    struct err err;
    struct http_server_options options = {.host = STR("127.0.0.1"),
                                          .port = http_server_port(f.server),
                                          .limits = http_limits_default()};
    assert_int_equal(http_server_new(loop, &options, &server, &err), ERR_CONFLICT);
    options.host = STR("localhost");
    assert_int_equal(http_server_new(loop, &options, &server, &err), ERR_INVALID);
    options.host = STR("unix:/nonexistent/socket");
    assert_int_equal(http_server_new(loop, &options, &server, &err), ERR_IO);

    char folder[] = "/tmp/fairway-test-XXXXXX", host[64];
    assert_non_null(mkdtemp(folder));
    snprintf(host, sizeof(host), "unix:%s/socket", folder);
    options.host = str_from(host);
    assert_int_equal(http_server_new(loop, &options, &server, &err), 0);
    struct stat facts;
    assert_int_equal(stat(host + 5, &facts), 0);
    assert_true(S_ISSOCK(facts.st_mode));
    assert_int_equal(facts.st_mode & 0777, 0600);
    http_server_free(server);
    assert_int_equal(access(host + 5, F_OK), -1);
    rmdir(folder);
    loop_free(loop);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_head_timeout),
        TEST(test_body_timeout),
        TEST(test_idle_is_closed_silently),
        TEST(test_a_reader_that_stops_is_cut),
        TEST(test_a_pipeline_that_is_not_read_is_cut),
        TEST(test_a_long_pipeline_is_answered),
        TEST(test_a_slow_reader_gets_its_last_answer),
        TEST(test_drain_lets_running_requests_end),
        TEST(test_drain_cuts_after_the_grace),
        TEST(test_drain_answers_who_does_not_know_yet),
        TEST(test_a_stream_that_ends_in_a_drain_keeps_its_word),
        TEST(test_another_server_takes_the_queue),
        TEST(test_connections_over_the_cap_wait),
        TEST(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
