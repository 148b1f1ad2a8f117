/* SPDX-License-Identifier: Apache-2.0 */
/* The client on a loop of this thread, against small scripts of a server in another. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/http_client.h"
#include "test.h"

/* ---- the server's side ---- */

static int listener;
static uint16_t port;
static atomic_int accepted;

static int take_connection(void)
{
    struct timeval patience = {.tv_sec = 20};
    int fd = accept(listener, NULL, NULL);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    atomic_fetch_add(&accepted, 1);
    return fd;
}

static void take_until(int fd, const char *end)
{
    char text[4096];
    size_t len = 0;
    do {
        ssize_t got = recv(fd, text + len, sizeof(text) - 1 - len, 0);
        if (got <= 0)
            return;
        len += (size_t)got;
        text[len] = 0;
    } while (!strstr(text, end));
}

static void take_request(int fd)
{
    take_until(fd, "\r\n\r\n");
}

static void say(int fd, const char *text)
{
    send(fd, text, strlen(text), MSG_NOSIGNAL);
}

/* Until the client has closed. */
static void wait_for_end(int fd)
{
    char text[4096];
    while (recv(fd, text, sizeof(text), 0) > 0)
        ;
    close(fd);
}

static void answer_once(const char *text)
{
    int fd = take_connection();
    take_request(fd);
    say(fd, text);
    wait_for_end(fd);
}

static void *run_script(void *script)
{
    ((void (*)(void))script)();
    return NULL;
}

/* ---- the client's side ---- */

struct asked {
    struct http_call *call;
    int heads, status, dones, error;
    struct buf body;
    enum { NOTHING, CANCEL_IN_HEAD, CANCEL_IN_BODY, PAUSE_IN_HEAD } special;
};

static struct loop *loop;
static struct http_client *client;
static struct asked asked;
static pthread_t script_thread;
static int calls_left;
static bool resumed;

static void on_head(void *ctx, int status, const struct http_headers *headers)
{
    asked.heads++;
    asked.status = status;
    if (asked.special == PAUSE_IN_HEAD)
        http_call_pause(asked.call);
    if (asked.special == CANCEL_IN_HEAD) {
        http_call_cancel(asked.call);
        loop_stop(loop);
    }
}

static void on_body(void *ctx, struct str bytes)
{
    assert_int_equal(asked.heads, 1);
    buf_put(&asked.body, bytes);
    if (asked.special == CANCEL_IN_BODY) {
        http_call_cancel(asked.call);
        loop_stop(loop);
    }
}

static struct http_call_request the_request(struct str method)
{
    return (struct http_call_request){.host = STR("127.0.0.1"),
                                      .port = port,
                                      .method = method,
                                      .target = STR("/x"),
                                      .connect_timeout = SEC(20),
                                      .head_timeout = SEC(20),
                                      .idle_timeout = SEC(20)};
}

static void on_done(void *ctx, int error);

static void start_call(const struct http_call_request *request)
{
    const struct http_call_events events = {on_head, on_body, on_done, NULL};
    buf_clear(&asked.body);
    asked.heads = asked.status = 0;
    asked.call = http_call_start(client, request, &events);
}

static void on_done(void *ctx, int error)
{
    asked.dones++;
    asked.error = error;
    if (error || --calls_left == 0) {
        loop_stop(loop);
        return;
    }
    const struct http_call_request again = the_request(STR("GET"));
    start_call(&again);
}

static int setup(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const struct http_client_options options = {
        .idle_max = 4, .idle_timeout = SEC(20), .head_max = 8192};
    listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 8), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    port = ntohs(address.sin_port);
    atomic_store(&accepted, 0);
    asked = (struct asked){0};
    buf_init(&asked.body, 1 << 26);
    calls_left = 1;
    resumed = false;
    loop = loop_new();
    client = http_client_new(loop, &options);
    return 0;
}

static int teardown(void **state)
{
    close(listener);
    buf_fini(&asked.body);
    return 0;
}

static void begin(void (*script)(void))
{
    pthread_create(&script_thread, NULL, run_script, (void *)script);
}

static void finish(void)
{
    http_client_free(client);
    loop_free(loop);
    pthread_join(script_thread, NULL);
}

/* One call (or calls_left) from beginning to end. */
static void ask(void (*script)(void), struct http_call_request request)
{
    begin(script);
    start_call(&request);
    loop_run(loop);
    finish();
}

static void assert_answer(int status, const char *body)
{
    assert_int_equal(asked.error, 0);
    assert_int_equal(asked.status, status);
    if (!str_eq(buf_str(&asked.body), str_from(body)))
        fail_msg("'%.*s', not '%s'", STR_ARG(buf_str(&asked.body)), body);
}

/* ---- answers ---- */

static void script_length(void)
{
    answer_once("HTTP/1.1 201 Created\r\nContent-Length: 5\r\n\r\nhello");
}

static void test_length(void **state)
{
    ask(script_length, the_request(STR("GET")));
    assert_answer(201, "hello");
}

static void script_chunked(void)
{
    answer_once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                "3\r\nhel\r\n2;a\r\nlo\r\n0\r\nT: v\r\n\r\n");
}

static void test_chunked(void **state)
{
    ask(script_chunked, the_request(STR("GET")));
    assert_answer(200, "hello");
}

static void script_bytewise(void)
{
    static const char text[] = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
                               "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
    int fd = take_connection(), on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    take_request(fd);
    for (size_t i = 0; i + 1 < sizeof(text); i++)
        send(fd, text + i, 1, MSG_NOSIGNAL);
    wait_for_end(fd);
}

static void test_bytewise(void **state)
{
    ask(script_bytewise, the_request(STR("GET")));
    assert_answer(200, "hello");
}

static void script_until_close(void)
{
    int fd = take_connection();
    take_request(fd);
    say(fd, "HTTP/1.1 200 OK\r\n\r\nto the end");
    close(fd);
}

static void test_until_close(void **state)
{
    ask(script_until_close, the_request(STR("GET")));
    assert_answer(200, "to the end");
}

static void script_interim(void)
{
    answer_once("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

static void test_interim_answers_are_skipped(void **state)
{
    ask(script_interim, the_request(STR("GET")));
    assert_answer(200, "ok");
    assert_int_equal(asked.heads, 1);
}

static void script_head(void)
{
    answer_once("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
}

static void test_head(void **state)
{
    ask(script_head, the_request(STR("HEAD")));
    assert_answer(200, "");
}

static void script_request(void)
{
    int fd = take_connection();
    take_until(fd, "\r\n\r\nbody of it");
    say(fd, "HTTP/1.1 204 No Content\r\n\r\n");
    wait_for_end(fd);
}

static void test_body_is_sent(void **state)
{
    struct http_call_request request = the_request(STR("POST"));
    const struct http_header header = {STR("x-a"), STR("b")};
    request.body = STR("body of it");
    request.headers = &header;
    request.header_count = 1;
    ask(script_request, request);
    assert_answer(204, "");
}

/* ---- connections ---- */

static void script_keep_alive(void)
{
    int fd = take_connection();
    for (int i = 0; i < 3; i++) {
        take_request(fd);
        say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
    }
    wait_for_end(fd);
}

static void test_connection_is_used_again(void **state)
{
    calls_left = 3;
    ask(script_keep_alive, the_request(STR("GET")));
    assert_answer(200, "a");
    assert_int_equal(asked.dones, 3);
    assert_int_equal(atomic_load(&accepted), 1);
}

static void script_close(void)
{
    for (int i = 0; i < 2; i++) {
        int fd = take_connection();
        take_request(fd);
        say(fd, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\na");
        wait_for_end(fd);
    }
}

static void test_connection_close_is_heeded(void **state)
{
    calls_left = 2;
    ask(script_close, the_request(STR("GET")));
    assert_answer(200, "a");
    assert_int_equal(atomic_load(&accepted), 2);
}

/* The second request meets a connection that ends without a byte. */
static void script_stale(void)
{
    int fd = take_connection();
    take_request(fd);
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
    take_request(fd);
    close(fd);
    fd = take_connection();
    take_request(fd);
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nb");
    wait_for_end(fd);
}

static void test_stale_connection_is_retried(void **state)
{
    calls_left = 2;
    ask(script_stale, the_request(STR("GET")));
    assert_answer(200, "b");
    assert_int_equal(asked.dones, 2);
}

static void script_stale_twice(void)
{
    int fd = take_connection();
    take_request(fd);
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\na");
    take_request(fd);
    close(fd);
    fd = take_connection();
    take_request(fd);
    close(fd);
}

static void test_only_once(void **state)
{
    calls_left = 2;
    ask(script_stale_twice, the_request(STR("GET")));
    assert_int_equal(asked.error, ERR_CLOSED);
    assert_int_equal(asked.dones, 2);
    assert_int_equal(atomic_load(&accepted), 2);
}

/* What a server sends beyond its answer must never become the answer to the next request. */
static void surplus(const char *first)
{
    int fd = take_connection();
    take_request(fd);
    say(fd, first);
    wait_for_end(fd);
    fd = take_connection();
    take_request(fd);
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood");
    wait_for_end(fd);
}

static void script_surplus_length(void)
{
    surplus("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naHTTP/1.1 200 OK\r\nContent-Length: "
            "3\r\n\r\nbad");
}

static void script_surplus_empty(void)
{
    surplus("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad");
}

static void script_surplus_chunked(void)
{
    surplus("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nbad");
}

static void test_surplus_after_a_body(void **state)
{
    calls_left = 2;
    ask(script_surplus_length, the_request(STR("GET")));
    assert_answer(200, "good");
}

static void test_surplus_after_no_body(void **state)
{
    calls_left = 2;
    ask(script_surplus_empty, the_request(STR("GET")));
    assert_answer(200, "good");
    assert_int_equal(atomic_load(&accepted), 2);
}

static void test_surplus_after_chunks(void **state)
{
    calls_left = 2;
    ask(script_surplus_chunked, the_request(STR("GET")));
    assert_answer(200, "good");
}

/* ---- failures ---- */

static void expect_error(void (*script)(void), int error)
{
    ask(script, the_request(STR("GET")));
    assert_int_equal(asked.error, error);
    assert_int_equal(asked.dones, 1);
}

static void end_after(const char *text)
{
    int fd = take_connection();
    take_request(fd);
    say(fd, text);
    close(fd);
}

static void script_cut_before(void)
{
    end_after("");
}

static void script_cut_head(void)
{
    end_after("HTTP/1.1 200 OK\r\nContent-Le");
}

static void script_cut_length(void)
{
    end_after("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell");
}

static void script_cut_chunked(void)
{
    end_after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
}

static void test_early_end_in_the_head(void **state)
{
    expect_error(script_cut_head, ERR_CLOSED);
}

static void test_early_end_of_a_length(void **state)
{
    expect_error(script_cut_length, ERR_CLOSED);
}

static void test_early_end_of_chunks(void **state)
{
    expect_error(script_cut_chunked, ERR_CLOSED);
}

static void test_no_answer(void **state)
{
    expect_error(script_cut_before, ERR_CLOSED);
}

static void script_garbage(void)
{
    answer_once("SSH-2.0-x\r\n\r\n");
}

static void script_bad_chunk(void)
{
    answer_once("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX");
}

static void script_switch(void)
{
    answer_once("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n");
}

static void script_bare_lf(void)
{
    answer_once("HTTP/1.1 200 OK\nContent-Length: 0\n\n");
}

static void script_big_head(void)
{
    static char text[20000] = "HTTP/1.1 200 OK\r\nA: ";
    memset(text + 20, 'a', sizeof(text) - 21);
    answer_once(text);
}

static void test_garbage(void **state)
{
    expect_error(script_garbage, ERR_PROTOCOL);
}

static void test_bad_chunk(void **state)
{
    expect_error(script_bad_chunk, ERR_PROTOCOL);
}

static void test_switched_protocol(void **state)
{
    expect_error(script_switch, ERR_PROTOCOL);
}

static void test_bare_lf(void **state)
{
    expect_error(script_bare_lf, ERR_PROTOCOL);
}

static void test_head_too_big(void **state)
{
    expect_error(script_big_head, ERR_TOO_BIG);
}

static void script_nothing(void)
{
}

static void test_refused(void **state)
{
    close(listener);
    expect_error(script_nothing, ERR_CLOSED);
}

static void test_not_an_address(void **state)
{
    struct http_call_request request = the_request(STR("GET"));
    request.host = STR("localhost");
    ask(script_nothing, request);
    assert_int_equal(asked.error, ERR_INVALID);
}

static void script_silent(void)
{
    answer_once("");
}

static void script_stuck_body(void)
{
    answer_once("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel");
}

static void test_head_timeout(void **state)
{
    struct http_call_request request = the_request(STR("GET"));
    request.head_timeout = MSEC(50);
    ask(script_silent, request);
    assert_int_equal(asked.error, ERR_TIMEOUT);
}

static void test_idle_timeout(void **state)
{
    struct http_call_request request = the_request(STR("GET"));
    request.idle_timeout = MSEC(50);
    ask(script_stuck_body, request);
    assert_int_equal(asked.error, ERR_TIMEOUT);
    assert_int_equal(asked.status, 200);
}

/* ---- pause and cancel ---- */

struct later {
    struct loop_timer timer;
    void (*what)(void);
};

static void on_later(struct loop_timer *timer)
{
    container_of(timer, struct later, timer)->what();
}

static void do_later(struct later *l, nsec delay, void (*what)(void))
{
    *l = (struct later){.timer.fire = on_later, .what = what};
    loop_timer_start(loop, &l->timer, delay);
}

static void resume(void)
{
    assert_int_equal(asked.dones, 0);
    asked.special = NOTHING;
    resumed = true;
    http_call_resume(asked.call);
}

enum { BIG = 8 << 20 };

static void script_big(void)
{
    static char piece[1 << 16];
    int fd = take_connection();
    take_request(fd);
    say(fd, "HTTP/1.1 200 OK\r\nContent-Length: 8388608\r\n\r\n");
    for (int sent = 0; sent < BIG; sent += (int)sizeof(piece))
        if (send(fd, piece, sizeof(piece), MSG_NOSIGNAL) <= 0)
            break;
    wait_for_end(fd);
}

/* While it is paused no more than what one read has brought comes, and no time-out runs. */
static void check_paused(void)
{
    assert_true(asked.body.len <= 128 * 1024);
    resume();
}

static void test_pause_in_the_body(void **state)
{
    struct http_call_request request = the_request(STR("GET"));
    struct later l;
    request.idle_timeout = MSEC(60);
    asked.special = PAUSE_IN_HEAD;
    begin(script_big);
    start_call(&request);
    do_later(&l, MSEC(150), check_paused);
    loop_run(loop);
    finish();
    assert_true(resumed);
    assert_int_equal(asked.error, 0);
    assert_int_equal(asked.body.len, BIG);
}

static void check_unheard(void)
{
    assert_int_equal(asked.heads, 0);
    resume();
}

/* Paused before it is connected: the answer waits too. */
static void test_pause_before_the_head(void **state)
{
    struct http_call_request request = the_request(STR("GET"));
    struct later l;
    request.head_timeout = MSEC(60);
    begin(script_length);
    start_call(&request);
    http_call_pause(asked.call);
    do_later(&l, MSEC(150), check_unheard);
    loop_run(loop);
    finish();
    assert_true(resumed);
    assert_answer(201, "hello");
}

/* The time-out of the head runs again after a pause. */
static void test_resume_without_an_answer(void **state)
{
    struct http_call_request request = the_request(STR("GET"));
    struct later l;
    request.head_timeout = MSEC(60);
    begin(script_silent);
    start_call(&request);
    http_call_pause(asked.call);
    do_later(&l, MSEC(100), resume);
    loop_run(loop);
    finish();
    assert_true(resumed);
    assert_int_equal(asked.error, ERR_TIMEOUT);
}

static void script_wait(void)
{
    wait_for_end(take_connection());
}

static void cancel(void)
{
    http_call_cancel(asked.call);
    loop_stop(loop);
}

static void test_cancel_at_once(void **state)
{
    const struct http_call_request request = the_request(STR("GET"));
    begin(script_nothing);
    start_call(&request);
    http_call_cancel(asked.call);
    finish();
    assert_int_equal(asked.dones, 0);
}

static void cancel_later(void (*script)(void))
{
    const struct http_call_request request = the_request(STR("GET"));
    struct later l;
    begin(script);
    start_call(&request);
    do_later(&l, MSEC(50), cancel);
    loop_run(loop);
    finish();
    assert_int_equal(asked.dones, 0);
}

static void test_cancel_while_waiting(void **state)
{
    cancel_later(script_wait);
    assert_int_equal(asked.heads, 0);
}

static void test_cancel_in_mid_body(void **state)
{
    cancel_later(script_stuck_body);
    assert_int_equal(asked.heads, 1);
}

static void test_cancel_in_the_head_event(void **state)
{
    asked.special = CANCEL_IN_HEAD;
    ask(script_chunked, the_request(STR("GET")));
    assert_int_equal(asked.dones, 0);
    assert_int_equal(asked.body.len, 0);
}

static void test_cancel_in_the_body_event(void **state)
{
    asked.special = CANCEL_IN_BODY;
    ask(script_chunked, the_request(STR("GET")));
    assert_int_equal(asked.dones, 0);
    assert_int_equal(asked.body.len, 3);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_length),
        TEST(test_chunked),
        TEST(test_bytewise),
        TEST(test_until_close),
        TEST(test_interim_answers_are_skipped),
        TEST(test_head),
        TEST(test_body_is_sent),
        TEST(test_connection_is_used_again),
        TEST(test_connection_close_is_heeded),
        TEST(test_stale_connection_is_retried),
        TEST(test_only_once),
        TEST(test_surplus_after_a_body),
        TEST(test_surplus_after_no_body),
        TEST(test_surplus_after_chunks),
        TEST(test_early_end_in_the_head),
        TEST(test_early_end_of_a_length),
        TEST(test_early_end_of_chunks),
        TEST(test_no_answer),
        TEST(test_garbage),
        TEST(test_bad_chunk),
        TEST(test_switched_protocol),
        TEST(test_bare_lf),
        TEST(test_head_too_big),
        TEST(test_refused),
        TEST(test_not_an_address),
        TEST(test_head_timeout),
        TEST(test_idle_timeout),
        TEST(test_pause_in_the_body),
        TEST(test_pause_before_the_head),
        TEST(test_resume_without_an_answer),
        TEST(test_cancel_at_once),
        TEST(test_cancel_while_waiting),
        TEST(test_cancel_in_mid_body),
        TEST(test_cancel_in_the_head_event),
        TEST(test_cancel_in_the_body_event),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
