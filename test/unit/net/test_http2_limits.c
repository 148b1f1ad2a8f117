/* SPDX-License-Identifier: Apache-2.0 */
/* Every limit of an HTTP/2 connection, with its answer. */
#include "http2_client.h"

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

static void await(atomic_int *count, int value)
{
    while (atomic_load(count) < value)
        usleep(1000);
}

/* Sends raw bytes behind the preface, reads until the server ends. */
static struct raw_answer ask_raw(const struct buf *bytes)
{
    struct buf answer;
    int fd = fixture_connect(&f);
    buf_init(&answer, 1 << 24);
    fixture_send(fd, buf_str(bytes));
    fixture_read_all(fd, &answer);
    struct raw_answer a = raw_read(buf_str(&answer));
    buf_fini(&answer);
    close(fd);
    return a;
}

static void assert_still_serves(void)
{
    struct h2_client *c = h2_connect(&f);
    struct h2_stream *s = h2_get(c, "/x");
    h2_wait(c, s);
    assert_body(s, "GET /x  ");
    h2_free(c);
}

/* ---- sizes ---- */

static void test_target_and_head(void **state)
{
    static char path[20000], value[40000];
    start(http_limits_default());
    memset(path, 'p', 9000);
    path[0] = '/';
    memset(value, 'v', 33000);
    const char *const more[] = {"x-long", value, NULL};
    struct h2_client *c = h2_connect(&f);
    struct h2_stream *s = h2_get(c, path);
    h2_wait(c, s);
    assert_int_equal(s->status, 414);
    assert_body(s, "414 URI Too Long\n");
    s = h2_submit(c, "GET", "/", more, STR_NONE, false);
    h2_wait(c, s);
    assert_int_equal(s->status, 431);
    const char *many[2 * 101 + 1] = {NULL};
    for (int i = 0; i < 101; i++) {
        many[2 * i] = "x-many";
        many[2 * i + 1] = "1";
    }
    s = h2_submit(c, "GET", "/", many, STR_NONE, false);
    h2_wait(c, s);
    assert_int_equal(s->status, 431);
    s = h2_get(c, "/x");
    h2_wait(c, s);
    assert_body(s, "GET /x  ");
    h2_free(c);
}

static void test_body(void **state)
{
    struct http_limits limits = http_limits_default();
    static char bytes[200000];
    static const char *const length[] = {"content-length", "200000", NULL};
    limits.body_max = 150000;
    start(limits);
    struct h2_client *c = h2_connect(&f);
    struct h2_stream *known =
        h2_submit(c, "POST", "/length", length, (struct str){bytes, sizeof(bytes)}, false);
    struct h2_stream *unknown = h2_post(c, "/length", (struct str){bytes, sizeof(bytes)});
    struct h2_stream *fits = h2_post(c, "/length", (struct str){bytes, 150000});
    h2_wait_all(c);
    assert_int_equal(known->status, 413);
    assert_int_equal(unknown->status, 413);
    assert_int_equal(known->error, 0); /* reset without an error: the answer counts */
    assert_body(fits, "150000");
    assert_int_equal(atomic_load(&f.requests), 1);
    h2_free(c);
}

static void test_length_mismatch(void **state)
{
    static const char *const length[] = {"content-length", "5", NULL};
    start(http_limits_default());
    struct h2_client *c = h2_connect(&f);
    struct h2_stream *s = h2_submit(c, "POST", "/", length, STR("four"), false);
    struct h2_stream *more = h2_submit(c, "POST", "/", length, STR("sixsix"), false);
    h2_wait_all(c);
    assert_int_equal(s->error, NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(more->error, NGHTTP2_PROTOCOL_ERROR);
    assert_int_equal(atomic_load(&f.requests), 0);
    h2_free(c);
}

/* Bodies that do not fit together wait for each other, without time running. */
static void test_room_for_bodies(void **state)
{
    struct http_limits limits = http_limits_default();
    enum { SIZE = 1000000 };
    limits.body_max = SIZE;
    limits.buffered_max = 2 * SIZE;
    limits.body_timeout = MSEC(100);
    start(limits);
    struct h2_client *c = h2_connect(&f);
    char *bytes = calloc(1, SIZE);
    struct h2_stream *held[2];
    for (int i = 0; i < 2; i++)
        held[i] = h2_post(c, "/hold", (struct str){bytes, SIZE});
    struct h2_stream *waits = h2_post(c, "/length", (struct str){bytes, SIZE});
    h2_await(c, &f.requests, 2);
    struct h2_stream *small = h2_post(c, "/length", (struct str){bytes, 60000});
    h2_wait(c, small);
    assert_body(small, "60000");
    usleep(300000); /* longer than body_timeout */
    assert_false(waits->closed);
    nghttp2_submit_rst_stream(c->session, 0, held[0]->id, NGHTTP2_CANCEL);
    h2_wait(c, waits);
    assert_body(waits, "1000000");
    free(bytes);
    h2_free(c);
}

/* Answers that are not read are no reason to make more of them. */
static void test_unread_answers(void **state)
{
    struct http_limits limits = http_limits_default();
    limits.buffered_max = 3000000;
    start(limits);
    struct h2_client *c = h2_start(fixture_connect(&f), NULL, true, 100);
    for (int i = 0; i < 10; i++)
        h2_get(c, "/big/1000000");
    while (!c->streams[9].closed)
        assert_true(h2_turn(c));
    assert_int_equal(c->streams[9].error, NGHTTP2_REFUSED_STREAM);
    assert_false(c->streams[0].closed);
    assert_in_range(atomic_load(&f.requests), 3, 5);
    h2_free(c);
}

static void test_trailers(void **state)
{
    start(http_limits_default());
    struct buf bytes, block;
    static char value[10001];
    memset(value, 't', 10000);
    for (int big = 0; big < 2; big++) {
        buf_init(&bytes, 1 << 20);
        buf_init(&block, 1 << 20);
        raw_preface(&bytes);
        raw_get(&block, "/x");
        raw_frame(&bytes, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, buf_str(&block));
        raw_frame(&bytes, NGHTTP2_DATA, 0, 1, STR("body"));
        buf_clear(&block);
        raw_field(&block, "x-trailer", big ? value : "small");
        raw_frame(&bytes, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
                  buf_str(&block));
        raw_frame(&bytes, NGHTTP2_GOAWAY, 0, 0, STR("\0\0\0\0\0\0\0\0"));
        struct raw_answer a = ask_raw(&bytes);
        assert_int_equal(a.data_end, !big);
        assert_int_equal(a.reset, big);
        assert_true(!big || a.reset_error == NGHTTP2_ENHANCE_YOUR_CALM);
        buf_fini(&bytes);
        buf_fini(&block);
    }
    assert_int_equal(atomic_load(&f.requests), 1);
}

/* ---- time ---- */

static void test_body_timeout(void **state)
{
    struct http_limits limits = http_limits_default();
    limits.body_timeout = MSEC(50);
    start(limits);
    struct h2_client *c = h2_connect(&f);
    for (int i = 0; i < 20; i++)
        h2_submit(c, "POST", "/", NULL, STR("part"), true);
    h2_wait_all(c);
    for (int i = 0; i < 20; i++)
        assert_int_equal(c->streams[i].status, 408);
    assert_int_equal(atomic_load(&f.requests), 0);
    h2_free(c);
}

static void test_head_timeout(void **state)
{
    struct http_limits limits = http_limits_default();
    struct buf bytes, block;
    limits.head_timeout = MSEC(50);
    start(limits);
    buf_init(&bytes, 1 << 16);
    buf_init(&block, 1 << 16);
    raw_preface(&bytes);
    raw_get(&block, "/x");
    raw_frame(&bytes, NGHTTP2_HEADERS, 0, 1, buf_str(&block)); /* no CONTINUATION follows */
    struct raw_answer a = ask_raw(&bytes);
    assert_true(a.goaway);
    assert_int_equal(a.goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
    buf_truncate(&bytes, bytes.len - 3);
    assert_true(ask_raw(&bytes).goaway);
    buf_clear(&bytes);
    buf_put(&bytes, STR("PRI * HTTP/2.0\r\n\r\nSM")); /* not even the preface */
    struct buf answer;
    int fd = fixture_connect(&f);
    buf_init(&answer, 1 << 16);
    fixture_send(fd, buf_str(&bytes));
    fixture_read_all(fd, &answer);
    assert_int_equal(fixture_status(buf_str(&answer)), 505);
    close(fd);
    buf_fini(&answer);
    buf_fini(&bytes);
    buf_fini(&block);
}

static void test_idle(void **state)
{
    struct http_limits limits = http_limits_default();
    limits.idle_timeout = MSEC(50);
    start(limits);
    struct h2_client *c = h2_connect(&f);
    struct h2_stream *s = h2_get(c, "/hold");
    h2_flush(c);
    await(&f.requests, 1);
    usleep(150000); /* a stream runs: not idle */
    assert_int_equal(atomic_load(&f.departed), 0);
    nghttp2_submit_rst_stream(c->session, 0, s->id, NGHTTP2_CANCEL);
    h2_wait_end(c);
    assert_int_equal(c->goaways, 1);
    assert_int_equal(c->goaway_error, NGHTTP2_NO_ERROR);
    h2_free(c);
}

/* A window that stays shut ends its stream, not the connection. */
static void test_write_timeout_of_a_stream(void **state)
{
    struct http_limits limits = http_limits_default();
    limits.write_timeout = MSEC(100);
    start(limits);
    struct h2_client *c = h2_start(fixture_connect(&f), NULL, true, 1000);
    struct h2_stream *s = h2_get(c, "/stream/100000"), *whole = h2_get(c, "/big/100000");
    h2_wait_all(c);
    assert_int_equal(s->error, NGHTTP2_CANCEL);
    assert_int_equal(whole->error, NGHTTP2_CANCEL);
    assert_int_equal(atomic_load(&f.departed), 1); /* the other one had its answer */
    s = h2_get(c, "/x");
    h2_wait(c, s);
    assert_body(s, "GET /x  ");
    h2_free(c);
}

static void test_write_timeout_of_a_connection(void **state)
{
    struct http_limits limits = http_limits_default();
    limits.write_timeout = MSEC(100);
    start(limits);
    struct h2_client *c = h2_start(fixture_connect(&f), NULL, false, 1 << 30);
    nghttp2_session_set_local_window_size(c->session, 0, 0, 1 << 30);
    h2_get(c, "/stream/100000");
    h2_get(c, "/stream/100000");
    h2_flush(c);
    await(&f.departed, 2);
    h2_free(c);
}

/* ---- floods ---- */

static void test_streams_at_once(void **state)
{
    struct http_limits limits = http_limits_default();
    limits.streams_max = 10;
    start(limits);
    struct h2_client *c = h2_connect(&f);
    for (int i = 0; i < 30; i++) /* all before the client has heard of the limit */
        h2_get(c, "/hold");
    h2_flush(c);
    while (!c->streams[29].closed)
        assert_true(h2_turn(c));
    for (int i = 10; i < 30; i++)
        assert_int_equal(c->streams[i].error, NGHTTP2_REFUSED_STREAM);
    await(&f.requests, 10);
    assert_int_equal(atomic_load(&f.requests), 10);
    h2_free(c);
    await(&f.departed, 10);
}

/* HEADERS and RST_STREAM in turn (CVE-2023-44487). */
static void put_rapid_resets(struct buf *bytes, int count)
{
    struct buf block;
    buf_init(&block, 1 << 16);
    raw_preface(bytes);
    raw_get(&block, "/hold");
    for (int i = 0; i < count; i++) {
        uint32_t id = 1 + 2 * (uint32_t)i;
        raw_frame(bytes, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id,
                  buf_str(&block));
        raw_frame(bytes, NGHTTP2_RST_STREAM, 0, id, STR("\0\0\0\x08"));
    }
    buf_fini(&block);
}

static void test_rapid_reset(void **state)
{
    struct http_limits limits = http_limits_default();
    struct buf bytes;
    limits.resets_burst = 50;
    limits.resets_per_sec = 1;
    start(limits);
    buf_init(&bytes, 1 << 24);
    put_rapid_resets(&bytes, 10000);
    struct raw_answer a = ask_raw(&bytes);
    assert_true(a.goaway);
    assert_int_equal(a.goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_in_range(atomic_load(&f.requests), 50, 53);
    assert_int_equal(atomic_load(&f.departed), atomic_load(&f.requests));
    buf_fini(&bytes);
    assert_still_serves();
}

/* The server is made to reset (CVE-2025-8671): it costs the peer the same. */
static void test_provoked_resets(void **state)
{
    struct buf bytes, block;
    start(http_limits_default());
    buf_init(&bytes, 1 << 24);
    buf_init(&block, 1 << 16);
    raw_preface(&bytes);
    raw_get(&block, "/hold");
    for (uint32_t id = 1; id < 20000; id += 2) {
        raw_frame(&bytes, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id,
                  buf_str(&block));
        raw_frame(&bytes, NGHTTP2_WINDOW_UPDATE, 0, id, STR("\x7f\xff\xff\xff"));
    }
    struct raw_answer a = ask_raw(&bytes);
    assert_true(a.goaway);
    assert_int_equal(a.goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_true(atomic_load(&f.requests) < 2500);
    buf_fini(&bytes);
    buf_fini(&block);
    assert_still_serves();
}

/* A burst that people make (a page with many requests is left) is no attack. */
static void test_resets_within_reason(void **state)
{
    start(http_limits_default());
    struct h2_client *c = h2_connect(&f);
    for (int i = 0; i < 100; i++)
        h2_get(c, "/hold");
    h2_flush(c);
    await(&f.requests, 100);
    for (int i = 0; i < 100; i++)
        nghttp2_submit_rst_stream(c->session, 0, c->streams[i].id, NGHTTP2_CANCEL);
    h2_flush(c);
    await(&f.departed, 100);
    struct h2_stream *s = h2_get(c, "/x");
    h2_wait(c, s);
    assert_body(s, "GET /x  ");
    assert_int_equal(c->goaways, 0);
    h2_free(c);
}

static void test_floods(void **state)
{
    static const struct {
        unsigned type, flags;
        uint32_t stream;
        struct str payload;
    } floods[] = {
        {NGHTTP2_PING, 0, 0, STR("12345678")},
        {NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, STR("12345678")},
        {NGHTTP2_SETTINGS, 0, 0, STR("")},
        {NGHTTP2_SETTINGS, 0, 0, STR("\0\4\0\1\0\0")},
        {NGHTTP2_PRIORITY, 0, 1, STR("\0\0\0\0\1")},
        {NGHTTP2_PRIORITY, 0, 5, STR("\0\0\0\3\1")},
        {NGHTTP2_WINDOW_UPDATE, 0, 0, STR("\0\0\0\1")},
        {NGHTTP2_WINDOW_UPDATE, 0, 1, STR("\0\0\0\1")},
        {NGHTTP2_DATA, 0, 1, STR("")},
        {NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1, STR("\1\0")},
        {NGHTTP2_PRIORITY_UPDATE, 0, 0, STR("\0\0\0\1u=1")},
        {0xbe, 0, 0, STR("unknown")},
    };
    start(http_limits_default());
    for (size_t i = 0; i < ARRAY_LEN(floods); i++) {
        struct buf bytes, block;
        buf_init(&bytes, 1 << 24);
        buf_init(&block, 1 << 16);
        raw_preface(&bytes);
        raw_get(&block, "/x");
        raw_frame(&bytes, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 1, buf_str(&block));
        for (int n = 0; n < 20000; n++)
            raw_frame(&bytes, floods[i].type, floods[i].flags, floods[i].stream, floods[i].payload);
        struct raw_answer a = ask_raw(&bytes);
        if (!a.goaway || a.goaway_error != NGHTTP2_ENHANCE_YOUR_CALM)
            fail_msg("flood %zu: goaway %d, error %u", i, a.goaway, a.goaway_error);
        buf_fini(&bytes);
        buf_fini(&block);
    }
    assert_still_serves();
}

static void test_continuations(void **state)
{
    struct buf bytes, block;
    start(http_limits_default());
    buf_init(&bytes, 1 << 24);
    buf_init(&block, 1 << 16);
    raw_preface(&bytes);
    raw_get(&block, "/x");
    raw_frame(&bytes, NGHTTP2_HEADERS, 0, 1, buf_str(&block));
    buf_clear(&block);
    raw_field(&block, "x", "y");
    for (int i = 0; i < 100000; i++)
        raw_frame(&bytes, NGHTTP2_CONTINUATION, 0, 1, buf_str(&block));
    ask_raw(&bytes); /* ends */
    assert_int_equal(atomic_load(&f.requests), 0);
    buf_fini(&bytes);
    buf_fini(&block);
    assert_still_serves();
}

/* One field of 4,000 bytes put into the table, then named by one byte each, over and over. */
static void test_hpack_bomb(void **state)
{
    static char value[4001];
    struct buf bytes, block;
    start(http_limits_default());
    buf_init(&bytes, 1 << 24);
    buf_init(&block, 1 << 20);
    memset(value, 'b', 4000);
    raw_preface(&bytes);
    raw_get(&block, "/x");
    buf_put_char(&block, 0x40); /* with indexing */
    raw_string(&block, STR("x"));
    raw_string(&block, str_from(value));
    for (int i = 0; i < 12000; i++)
        buf_put_char(&block, (char)(0x80 | 62)); /* the first of the dynamic table */
    raw_frame(&bytes, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
              buf_str(&block));
    struct raw_answer a = ask_raw(&bytes);
    assert_true(a.goaway);
    assert_int_equal(a.goaway_error, NGHTTP2_ENHANCE_YOUR_CALM);
    assert_int_equal(atomic_load(&f.requests), 0);
    buf_fini(&bytes);
    buf_fini(&block);
    assert_still_serves();
}

/* Frames that call for answers, which are never read. */
static void test_answers_to_frames_pile_up_nowhere(void **state)
{
    struct http_limits limits = http_limits_default();
    limits.write_timeout = MSEC(200);
    limits.resets_burst = 1000000;
    start(limits);
    struct buf bytes, answer;
    int fd = fixture_connect(&f), small = 4096;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    buf_init(&bytes, 1 << 26);
    raw_preface(&bytes);
    for (uint32_t id = 1; id < 400000; id += 2) /* each is malformed: RST_STREAM */
        raw_frame(&bytes, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, id,
                  STR("\x82"));
    fixture_send(fd, buf_str(&bytes)); /* returns when the server has cut, or taken all */
    usleep(300000);
    buf_init(&answer, 1 << 24);
    fixture_read_all(fd, &answer);
    assert_true(answer.len < 1000000);
    close(fd);
    buf_fini(&bytes);
    buf_fini(&answer);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_target_and_head),
        TEST(test_body),
        TEST(test_length_mismatch),
        TEST(test_room_for_bodies),
        TEST(test_unread_answers),
        TEST(test_trailers),
        TEST(test_body_timeout),
        TEST(test_head_timeout),
        TEST(test_idle),
        TEST(test_write_timeout_of_a_stream),
        TEST(test_write_timeout_of_a_connection),
        TEST(test_streams_at_once),
        TEST(test_rapid_reset),
        TEST(test_provoked_resets),
        TEST(test_resets_within_reason),
        TEST(test_floods),
        TEST(test_continuations),
        TEST(test_hpack_bomb),
        TEST(test_answers_to_frames_pile_up_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
