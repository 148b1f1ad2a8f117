/* SPDX-License-Identifier: Apache-2.0 */
/* Requests over HTTP/2: what a service sees of them and what its answers become. */
#include "http2_client.h"

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

/* One request and its whole answer. */
static struct h2_stream *ask(struct h2_client *c, const char *method, const char *path,
                             const char *const *more, struct str body)
{
    struct h2_stream *s = h2_submit(c, method, path, more, body, false);
    h2_wait(c, s);
    assert_true(s->closed);
    return s;
}

static void test_get(void **state)
{
    struct h2_client *c = h2_connect(&f);
    struct h2_stream *s = ask(c, "GET", "/a?b=c", NULL, STR_NONE);
    assert_int_equal(s->status, 200);
    assert_body(s, "GET /a b=c ");
    assert_true(h2_head_has(s, "content-length: 11\n"));
    assert_true(h2_head_has(s, "\ndate: "));
    assert_int_equal(c->streams_max, 100);
    h2_free(c);
}

static void test_bodies(void **state)
{
    struct h2_client *c = h2_connect(&f);
    static const char *const length[] = {"content-length", "5", NULL};
    static const char *const expect[] = {"expect", "100-continue", NULL};
    assert_body(ask(c, "POST", "/", NULL, STR("hello")), "POST /  hello");
    assert_body(ask(c, "POST", "/", length, STR("world")), "POST /  world");
    assert_body(ask(c, "POST", "/", NULL, STR("")), "POST /  ");
    struct h2_stream *s = ask(c, "POST", "/", expect, STR("later"));
    assert_true(s->continued);
    assert_int_equal(s->status, 200);
    assert_body(s, "POST /  later");
    h2_free(c);
}

static void test_headers_reach_the_service(void **state)
{
    struct h2_client *c = h2_connect(&f);
    static const char *const crumbs[] = {"cookie", "a=1", "x-one", "1", "cookie", "b=2", NULL};
    static const char *const same[] = {"host", "H2.test", NULL};
    assert_body(ask(c, "GET", "/header/host", NULL, STR_NONE), "h2.test");
    assert_body(ask(c, "GET", "/header/host", same, STR_NONE), "H2.test");
    assert_body(ask(c, "GET", "/header/cookie", crumbs, STR_NONE), "a=1; b=2");
    assert_body(ask(c, "GET", "/header/x-one", crumbs, STR_NONE), "1");
    struct h2_stream *s = ask(c, "GET", "/peer", NULL, STR_NONE);
    assert_true(str_starts(buf_str(&s->body), STR("127.0.0.1:")));
    h2_free(c);
}

static void test_head_and_empty_answers(void **state)
{
    struct h2_client *c = h2_connect(&f);
    struct h2_stream *s = ask(c, "HEAD", "/x", NULL, STR_NONE);
    assert_int_equal(s->status, 200);
    assert_true(h2_head_has(s, "content-length: 9\n"));
    assert_body(s, "");
    s = ask(c, "HEAD", "/stream/500", NULL, STR_NONE);
    assert_int_equal(s->status, 200);
    assert_body(s, "");
    s = ask(c, "GET", "/empty", NULL, STR_NONE);
    assert_int_equal(s->status, 204);
    assert_false(h2_head_has(s, "content-length"));
    s = ask(c, "GET", "/big/0", NULL, STR_NONE);
    assert_true(h2_head_has(s, "content-length: 0\n"));
    assert_int_equal(s->error, 0);
    h2_free(c);
}

static void test_response_fields(void **state)
{
    struct h2_client *c = h2_connect(&f);
    struct h2_stream *s = ask(c, "GET", "/fields", NULL, STR_NONE);
    assert_int_equal(s->status, 200);
    assert_true(h2_head_has(s, "x-upper: Value\n"));
    assert_false(h2_head_has(s, "connection"));
    assert_false(h2_head_has(s, "keep-alive"));
    assert_false(h2_head_has(s, "transfer-encoding"));
    h2_free(c);
}

static void test_big_download(void **state)
{
    struct h2_client *c = h2_connect(&f);
    struct h2_stream *whole = h2_get(c, "/big/20000000"), *stream = h2_get(c, "/stream/20000");
    h2_wait_all(c);
    assert_int_equal(whole->body.len, 20000000);
    assert_int_equal(stream->body.len, 20000 * 1000);
    h2_free(c);
}

static void test_big_upload(void **state)
{
    enum { SIZE = 32 << 20 };
    struct h2_client *c = h2_connect(&f);
    static const char *const length[] = {"content-length", "33554432", NULL};
    char *bytes = malloc(SIZE);
    memset(bytes, 'u', SIZE);
    assert_body(ask(c, "POST", "/length", length, (struct str){bytes, SIZE}), "33554432");
    assert_body(ask(c, "POST", "/length", NULL, (struct str){bytes, SIZE}), "33554432");
    /* Together they want more than the connection has room for: one after the other. */
    for (int i = 0; i < 5; i++)
        h2_submit(c, "POST", "/length", i % 2 ? length : NULL, (struct str){bytes, SIZE}, false);
    h2_wait_all(c);
    for (size_t i = 0; i < c->count; i++)
        assert_body(&c->streams[i], "33554432");
    free(bytes);
    h2_free(c);
}

static void test_interleaved(void **state)
{
    struct h2_client *c = h2_connect(&f);
    char path[32];
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof(path), i % 3 ? "/n/%d" : "/stream/%d", i);
        h2_get(c, path);
    }
    h2_wait_all(c);
    for (int i = 0; i < 100; i++) {
        snprintf(path, sizeof(path), "GET /n/%d  ", i);
        if (i % 3)
            assert_body(&c->streams[i], path);
        else
            assert_int_equal(c->streams[i].body.len, i * 1000);
    }
    h2_free(c);
}

/* Streams whose client opens no window hold nobody else, and are not read ahead without end. */
static void test_a_slow_stream_beside_fast_ones(void **state)
{
    struct h2_client *c = h2_start(fixture_connect(&f), NULL, true, 100);
    struct h2_stream *slow = h2_get(c, "/stream/100000");
    while (slow->body.len < 100)
        assert_true(h2_turn(c));
    for (int i = 0; i < 50; i++) {
        struct h2_stream *fast = ask(c, "GET", "/fast", NULL, STR_NONE);
        assert_body(fast, "GET /fast  ");
    }
    assert_int_equal(slow->body.len, 100);
    assert_false(slow->closed);
    h2_free(c);
    while (atomic_load(&f.departed) == 0)
        usleep(1000);
}

static void test_abort_resets(void **state)
{
    struct h2_client *c = h2_connect(&f);
    struct h2_stream *s = ask(c, "GET", "/abort", NULL, STR_NONE);
    assert_int_equal(s->error, NGHTTP2_INTERNAL_ERROR);
    assert_body(ask(c, "GET", "/x", NULL, STR_NONE), "GET /x  "); /* the connection lives on */
    assert_int_equal(atomic_load(&f.departed), 0);
    h2_free(c);
}

static void await(atomic_int *count, int value)
{
    while (atomic_load(count) < value)
        usleep(1000);
}

static void test_departed(void **state)
{
    struct h2_client *c = h2_connect(&f);
    struct h2_stream *s = h2_get(c, "/hold");
    h2_flush(c);
    await(&f.requests, 1);
    nghttp2_submit_rst_stream(c->session, 0, s->id, NGHTTP2_CANCEL);
    h2_flush(c);
    await(&f.departed, 1);
    assert_body(ask(c, "GET", "/x", NULL, STR_NONE), "GET /x  ");
    h2_get(c, "/hold");
    h2_get(c, "/hold");
    h2_flush(c);
    await(&f.requests, 4);
    h2_free(c); /* closes */
    await(&f.departed, 3);
}

static void test_goaway_of_the_client(void **state)
{
    struct h2_client *c = h2_connect(&f);
    struct h2_stream *s = h2_get(c, "/stream/1000");
    h2_flush(c);
    nghttp2_submit_goaway(c->session, 0, 0, NGHTTP2_NO_ERROR, NULL, 0);
    h2_wait(c, s);
    assert_int_equal(s->body.len, 1000000); /* it asks no more, but wants what it asked for */
    h2_free(c);
    c = h2_connect(&f);
    h2_get(c, "/hold");
    h2_flush(c);
    await(&f.requests, 2);
    nghttp2_submit_goaway(c->session, 0, 0, NGHTTP2_INTERNAL_ERROR, NULL, 0);
    h2_flush(c);
    await(&f.departed, 1);
    h2_wait_end(c);
    h2_free(c);
}

/* The preface and all frames byte by byte; and what looks like a preface but is not. */
static void test_single_bytes(void **state)
{
    struct h2_client *c = h2_connect(&f);
    const uint8_t *bytes;
    ssize_t size;
    h2_post(c, "/length", STR("0123456789"));
    while ((size = nghttp2_session_mem_send(c->session, &bytes)) > 0)
        for (ssize_t i = 0; i < size; i++)
            assert_int_equal(send(c->fd, bytes + i, 1, MSG_NOSIGNAL), 1);
    h2_wait_all(c);
    assert_body(&c->streams[0], "10");
    h2_free(c);
    int fd = fixture_connect(&f);
    struct buf answer;
    buf_init(&answer, 1 << 16);
    struct str request = STR("PRI /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    for (size_t i = 0; i < request.len; i++) {
        fixture_send(fd, str_sub(request, i, i + 1));
        usleep(200);
    }
    fixture_read_all(fd, &answer);
    assert_int_equal(fixture_status(buf_str(&answer)), 200);
    assert_true(str_ends(buf_str(&answer), STR("PRI /x  ")));
    close(fd);
    buf_fini(&answer);
}

static void test_switched_off(void **state)
{
    fixture_finish(&f);
    f = (struct fixture){.limits = http_limits_default(), .http1_only = true};
    fixture_start(&f);
    struct buf answer;
    int fd = fixture_connect(&f);
    buf_init(&answer, 1 << 16);
    fixture_send(fd, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
    fixture_read_all(fd, &answer);
    assert_int_equal(fixture_status(buf_str(&answer)), 505);
    close(fd);
    buf_fini(&answer);
}

/* ---- draining ---- */

static atomic_bool drained;

static void on_drained(void *arg)
{
    atomic_store(&drained, true);
}

static void drain(struct mail *mail)
{
    http_server_drain(f.server, SEC(60), on_drained, NULL);
}

static void answer_held(struct mail *mail)
{
    http_respond(f.held, 200, NULL, 0, STR("late"));
}

static void test_drain(void **state)
{
    static struct mail to_drain = {.deliver = drain}, to_answer = {.deliver = answer_held};
    struct h2_client *idle = h2_connect(&f), *busy = h2_connect(&f);
    ask(idle, "GET", "/", NULL, STR_NONE);
    struct h2_stream *held = h2_get(busy, "/hold");
    h2_flush(busy);
    await(&f.requests, 2);
    atomic_store(&drained, false);
    loop_post(f.loop, &to_drain);
    h2_wait_end(idle);
    assert_true(idle->goaways > 0); /* nghttp2's client stops listening at the first */
    while (busy->goaways < 2)
        assert_true(h2_turn(busy));
    assert_int_equal(busy->goaway_last, held->id);
    assert_int_equal(busy->goaway_error, NGHTTP2_NO_ERROR);
    loop_post(f.loop, &to_answer);
    h2_wait_end(busy);
    assert_body(held, "late");
    h2_free(idle);
    h2_free(busy);
    while (!atomic_load(&drained))
        usleep(1000);
    assert_int_equal(atomic_load(&f.departed), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_get),
        TEST(test_bodies),
        TEST(test_headers_reach_the_service),
        TEST(test_head_and_empty_answers),
        TEST(test_response_fields),
        TEST(test_big_download),
        TEST(test_big_upload),
        TEST(test_interleaved),
        TEST(test_a_slow_stream_beside_fast_ones),
        TEST(test_abort_resets),
        TEST(test_departed),
        TEST(test_goaway_of_the_client),
        TEST(test_single_bytes),
        TEST(test_switched_off),
        TEST(test_drain),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
