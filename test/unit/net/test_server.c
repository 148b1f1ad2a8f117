/* SPDX-License-Identifier: Apache-2.0 */
#include "server_fixture.h"

static struct fixture f;

static int setup(void **state)
{
    f = (struct fixture){.limits = http_limits_default()};
    fixture_start(&f);
    return 0;
}

static int teardown(void **state)
{
    fixture_finish(&f);
    return 0;
}

/* Sends, reads to the end. */
static struct buf ask(struct str bytes)
{
    struct buf answer;
    int fd = fixture_connect(&f);
    buf_init(&answer, 1 << 24);
    fixture_send(fd, bytes);
    fixture_read_all(fd, &answer);
    close(fd);
    return answer;
}

static void assert_has(const struct buf *answer, const char *text)
{
    if (str_find(buf_str(answer), str_from(text)) == answer->len)
        fail_msg("'%s' is not in: %.*s", text, (int)answer->len, answer->ptr);
}

static void test_get(void **state)
{
    struct buf answer = ask(STR("GET /a?b=c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert_int_equal(fixture_status(buf_str(&answer)), 200);
    assert_has(&answer, "GET /a b=c ");
    assert_has(&answer, "connection: close");
    buf_fini(&answer);
}

static void test_bodies(void **state)
{
    struct buf answer =
        ask(STR("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello"
                "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
                "Connection: close\r\n\r\n3;ext=1\r\nwor\r\n2\r\nld\r\n0\r\nT: v\r\n\r\n"));
    assert_has(&answer, "POST /  hello");
    assert_has(&answer, "POST /  world");
    buf_fini(&answer);
}

static void test_pipelined_in_order(void **state)
{
    struct buf requests, answer;
    buf_init(&requests, 1 << 20);
    for (int i = 0; i < 200; i++)
        buf_printf(&requests, "GET /%d HTTP/1.1\r\nHost: x\r\n%s\r\n", i,
                   i == 199 ? "Connection: close\r\n" : "");
    answer = ask(buf_str(&requests));
    size_t at = 0;
    for (int i = 0; i < 200; i++) {
        char expected[32];
        snprintf(expected, sizeof(expected), "GET /%d  ", i);
        struct str rest = str_sub(buf_str(&answer), at, answer.len);
        size_t found = str_find(rest, str_from(expected));
        assert_true(found < rest.len);
        at += found + strlen(expected);
    }
    buf_fini(&requests);
    buf_fini(&answer);
}

static struct buf next_answer(int fd, const char *until)
{
    struct buf answer;
    buf_init(&answer, 1 << 20);
    assert_true(fixture_read_until(fd, &answer, str_from(until)));
    return answer;
}

/* Requests on one connection, however many are there at once, leave room for those of others. */
static void test_a_pipeline_holds_nobody_up(void **state)
{
    enum { PIPELINED = 1000 };
    struct str count = STR("GET /count HTTP/1.1\r\nHost: x\r\n\r\n");
    int gate = fixture_connect(&f), greedy = fixture_connect(&f), modest = fixture_connect(&f);
    struct buf requests, answer;
    buf_init(&requests, 1 << 20);
    for (int i = 0; i < PIPELINED; i++)
        buf_put(&requests, STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    for (int i = 0; i < 2; i++) { /* both are accepted */
        fixture_send(i ? greedy : modest, count);
        answer = next_answer(i ? greedy : modest, i ? "\r\n\r\n2" : "\r\n\r\n1");
        buf_fini(&answer);
    }
    sem_init(&f.gate, 0, 0);
    fixture_send(gate, STR("GET /gate HTTP/1.1\r\nHost: x\r\n\r\n"));
    while (atomic_load(&f.requests) < 3)
        sched_yield();
    fixture_send(greedy, buf_str(&requests));
    fixture_send(modest, count);
    sem_post(&f.gate);
    answer = next_answer(modest, "\r\n\r\n");
    uint64_t before;
    size_t body = str_find(buf_str(&answer), STR("\r\n\r\n")) + 4;
    assert_int_equal(str_to_u64(str_sub(buf_str(&answer), body, answer.len), &before), 0);
    assert_true(before < PIPELINED / 2);
    buf_fini(&answer);
    buf_fini(&requests);
    close(gate);
    close(greedy);
    close(modest);
}

static void test_head_has_no_body(void **state)
{
    struct buf answer = ask(STR("HEAD /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert_has(&answer, "content-length: 9\r\n");
    assert_true(str_ends(buf_str(&answer), STR("\r\n\r\n")));
    buf_fini(&answer);
}

static void test_expect_continue(void **state)
{
    struct buf answer;
    int fd = fixture_connect(&f);
    buf_init(&answer, 1 << 20);
    fixture_send(fd, STR("POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                         "Content-Length: 2\r\nConnection: close\r\n\r\n"));
    assert_true(fixture_read_until(fd, &answer, STR("100 Continue\r\n\r\n")));
    fixture_send(fd, STR("ok"));
    fixture_read_all(fd, &answer);
    assert_has(&answer, "POST /  ok");
    close(fd);
    buf_fini(&answer);
}

static void test_http_1_0(void **state)
{
    struct buf answer = ask(STR("GET /stream/2 HTTP/1.0\r\n\r\n"));
    assert_int_equal(str_find(buf_str(&answer), STR("chunked")), answer.len);
    assert_true(answer.len > 2000);
    buf_fini(&answer);
}

static void test_stream_is_chunked_and_whole(void **state)
{
    struct buf answer =
        ask(STR("GET /stream/5000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
    assert_has(&answer, "transfer-encoding: chunked");
    assert_true(answer.len > 5000 * 1000);
    assert_true(str_ends(buf_str(&answer), STR("0\r\n\r\n")));
    buf_fini(&answer);
}

static void test_a_client_that_leaves_is_noticed(void **state)
{
    int fd = fixture_connect(&f);
    fixture_send(fd, STR("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"));
    fixture_send(fd, STR("GET /next HTTP/1.1\r\nHost: x\r\n\r\n"));
    close(fd);
    while (atomic_load(&f.departed) == 0)
        usleep(1000);
}

/* Everything over a limit gets its own answer. */
static void test_limits(void **state)
{
    static const struct {
        const char *prefix;
        size_t fill;
        const char *suffix;
        int status;
    } cases[] = {
        {"GET /", 9000, " HTTP/1.1\r\nHost: x\r\n\r\n", 414},
        {"GET /", 60000, "", 414},
        {"GET / HTTP/1.1\r\nHost: x\r\nA: ", 40000, "\r\n\r\n", 431},
        {"GET / HTTP/1.1\r\nHost: x\r\nA: ", 60000, "", 431},
        {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n", 0, "", 413},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf request, answer;
        buf_init(&request, 1 << 20);
        buf_put(&request, str_from(cases[i].prefix));
        for (size_t n = 0; n < cases[i].fill; n++)
            buf_put_char(&request, 'a');
        buf_put(&request, str_from(cases[i].suffix));
        answer = ask(buf_str(&request));
        assert_int_equal(fixture_status(buf_str(&answer)), cases[i].status);
        assert_has(&answer, "connection: close");
        buf_fini(&request);
        buf_fini(&answer);
    }
}

static void test_chunked_body_over_the_limit(void **state)
{
    struct buf request;
    buf_init(&request, 1 << 26);
    buf_put(&request, STR("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
    static char mebibyte[1 << 20];
    for (int i = 0; i < 33; i++) {
        buf_put(&request, STR("100000\r\n"));
        buf_put(&request, (struct str){mebibyte, sizeof(mebibyte)});
        buf_put(&request, STR("\r\n"));
    }
    struct buf answer = ask(buf_str(&request));
    assert_int_equal(fixture_status(buf_str(&answer)), 413);
    buf_fini(&request);
    buf_fini(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_get, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pipelined_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_pipeline_holds_nobody_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_head_has_no_body, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expect_continue, setup, teardown),
        cmocka_unit_test_setup_teardown(test_http_1_0, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stream_is_chunked_and_whole, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_client_that_leaves_is_noticed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_chunked_body_over_the_limit, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
