/* SPDX-License-Identifier: Apache-2.0 */
/* PROXY protocol: the parser, then a server that asks for it. */
#include "http2_client.h"
#include "net/proxy_protocol.h"

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define IPV4      "\xc0\0\2\1\xc0\0\2\2\x12\x67\0\x50"

static const struct {
    struct str bytes;
    int error;
    const char *peer;
} headers[] = {
    {STR("PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n"), 0, "192.0.2.1:4711"},
    {STR("PROXY TCP6 2001:db8:0:0::1 ::1 65535 0\r\n"), 0, "[2001:db8::1]:65535"},
    {STR("PROXY UNKNOWN\r\n"), 0, ""},
    {STR("PROXY UNKNOWN ffff::1 ::1 1 2\r\n"), 0, ""},
    {STR("PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\n"), ERR_AGAIN, NULL},
    {STR("PROXY TCP4 192.0.2.1 192.0.2.2 4711\r\n"), ERR_PARSE, NULL},
    {STR("PROXY TCP4 192.0.2.1 192.0.2.2 4711 80 \r\n"), ERR_PARSE, NULL},
    {STR("PROXY TCP4 192.0.2.1 192.0.2.2 4711 80 x\r\n"), ERR_PARSE, NULL},
    {STR("PROXY TCP4  192.0.2.1 192.0.2.2 4711 80\r\n"), ERR_PARSE, NULL},
    {STR("PROXY TCP4 192.0.2.1 192.0.2.2 65536 80\r\n"), ERR_PARSE, NULL},
    {STR("PROXY TCP4 192.0.2.1 192.0.2.2 04711 80\r\n"), ERR_PARSE, NULL},
    {STR("PROXY TCP4 192.0.2.1 192.0.2.2 -1 80\r\n"), ERR_PARSE, NULL},
    {STR("PROXY TCP4 192.0.2 192.0.2.2 4711 80\r\n"), ERR_PARSE, NULL},
    {STR("PROXY TCP4 ::1 ::1 4711 80\r\n"), ERR_PARSE, NULL},
    {STR("PROXY TCP4 192.0.2.1\0 192.0.2.2 4711 80\r\n"), ERR_PARSE, NULL},
    {STR("PROXY UDP4 192.0.2.1 192.0.2.2 4711 80\r\n"), ERR_PARSE, NULL},
    {STR("PROXY \r\n"), ERR_PARSE, NULL},
    {STR("proxy TCP4 192.0.2.1 192.0.2.2 4711 80\r\n"), ERR_PARSE, NULL},
    {STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), ERR_PARSE, NULL},
    {STR(SIGNATURE "\x21\x11\0\x0c" IPV4), 0, "192.0.2.1:4711"},
    {STR(SIGNATURE "\x21\x11\0\x10" IPV4 "\4\0\1x"), 0, "192.0.2.1:4711"},
    {STR(SIGNATURE "\x20\0\0\0"), 0, ""},
    {STR(SIGNATURE "\x20\x11\0\x0c" IPV4), 0, ""},
    {STR(SIGNATURE "\x21\0\0\0"), 0, ""},
    {STR(SIGNATURE "\x21\x21\0\x24\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
                   "\x20\1\r\xb8\0\0\0\0\0\0\0\0\0\0\0\2\x12\x67\0\x50"),
     0, "[2001:db8::1]:4711"},
    {STR(SIGNATURE "\x21\x11\0\x0b" IPV4), ERR_PARSE, NULL},
    {STR(SIGNATURE "\x11\x11\0\x0c" IPV4), ERR_PARSE, NULL},
    {STR(SIGNATURE "\x22\x11\0\x0c" IPV4), ERR_PARSE, NULL},
    {STR(SIGNATURE "\x21\x41\0\x0c" IPV4), ERR_PARSE, NULL},
    {STR(SIGNATURE "\x21\x13\0\x0c" IPV4), ERR_PARSE, NULL},
    {STR(SIGNATURE "\x21\x11\xff\xff" IPV4), ERR_PARSE, NULL},
    {STR("\r\n\r\n\0\r\nQUIX\n\x21\x11\0\x0c" IPV4), ERR_PARSE, NULL},
    {STR(""), ERR_AGAIN, NULL},
};

static void test_parser(void **state)
{
    for (size_t i = 0; i < ARRAY_LEN(headers); i++) {
        struct proxy_header h;
        int error = proxy_parse(headers[i].bytes, &h);
        if (error != headers[i].error)
            fail_msg("header %zu: %d, not %d", i, error, headers[i].error);
        if (error)
            continue;
        assert_string_equal(h.peer, headers[i].peer);
        assert_int_equal(h.length, headers[i].bytes.len);
        for (size_t len = 0; len < h.length; len++) { /* every part of it asks for more */
            struct proxy_header part;
            assert_int_equal(proxy_parse(str_sub(headers[i].bytes, 0, len), &part), ERR_AGAIN);
        }
    }
    struct proxy_header h;
    char line[200];
    memset(line, 'a', sizeof(line));
    memcpy(line, "PROXY UNKNOWN ", 14);
    assert_int_equal(proxy_parse((struct str){line, sizeof(line)}, &h), ERR_PARSE);
}

/* ---- the server ---- */

static struct fixture f;

static int setup(void **state)
{
    f = (struct fixture){.limits = http_limits_default(), .proxy_protocol = true};
    f.limits.idle_timeout = f.limits.head_timeout = MSEC(300);
    fixture_start(&f);
    return 0;
}

static int teardown(void **state)
{
    fixture_finish(&f);
    return 0;
}

/* The body of the answer to both, sent in pieces of `size`. */
static void ask(struct str header, struct str request, size_t size, char *text, size_t text_size)
{
    struct buf bytes, answer;
    int fd = fixture_connect(&f);
    buf_init(&bytes, 1 << 16);
    buf_init(&answer, 1 << 16);
    buf_put(&bytes, header);
    buf_put(&bytes, request);
    for (size_t at = 0; at < bytes.len; at += size) {
        fixture_send(fd, str_sub(buf_str(&bytes), at, at + size));
        usleep(size < bytes.len ? 500 : 0);
    }
    fixture_read_all(fd, &answer);
    size_t end = str_find(buf_str(&answer), STR("\r\n\r\n"));
    struct str body = str_sub(buf_str(&answer), end + 4, answer.len);
    snprintf(text, text_size, "%.*s", STR_ARG(body));
    close(fd);
    buf_fini(&bytes);
    buf_fini(&answer);
}

static void test_server(void **state)
{
    static const struct str request =
        STR("GET /peer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    char text[100];
    for (size_t size = 1; size < 10000; size *= 100) {
        ask(STR("PROXY TCP4 192.0.2.1 192.0.2.2 4711 80\r\n"), request, size, text, sizeof(text));
        assert_string_equal(text, "192.0.2.1:4711");
        ask(headers[19].bytes, request, size, text, sizeof(text));
        assert_string_equal(text, "192.0.2.1:4711");
        ask(STR("PROXY UNKNOWN\r\n"), request, size, text, sizeof(text));
        assert_true(strncmp(text, "127.0.0.1:", 10) == 0);
        ask(STR_NONE, request, size, text, sizeof(text)); /* without one: closed */
        assert_string_equal(text, "");
    }
    ask(STR("PROXY TCP4 192.0."), STR_NONE, 100, text, sizeof(text)); /* stuck: closed */
    assert_string_equal(text, "");
    ask(STR_NONE, STR_NONE, 100, text, sizeof(text));
    assert_string_equal(text, "");
}

static void test_http2_behind_it(void **state)
{
    int fd = fixture_connect(&f);
    fixture_send(fd, STR("PROXY TCP6 2001:db8::1 ::1 4711 80\r\n"));
    struct h2_client *c = h2_start(fd, NULL, false, 65535);
    struct h2_stream *s = h2_get(c, "/peer");
    h2_wait(c, s);
    assert_body(s, "[2001:db8::1]:4711");
    h2_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parser),
        cmocka_unit_test_setup_teardown(test_server, setup, teardown),
        cmocka_unit_test_setup_teardown(test_http2_behind_it, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
