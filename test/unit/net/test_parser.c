/* SPDX-License-Identifier: Apache-2.0 */
/* The facts that come out of heads; what is refused stands in test/data/http. */
#include "net/http_parser.h"
#include "test.h"

static struct http_head h;

static int parse(const char *text)
{
    return http_parse_request(str_from(text), 50, &h);
}

static void assert_str(struct str s, const char *expected)
{
    if (!str_eq(s, str_from(expected)))
        fail_msg("'%.*s', not '%s'", STR_ARG(s), expected);
}

static void test_targets(void **state)
{
    static const struct {
        const char *line, *path, *query;
    } cases[] = {
        {"GET / HTTP/1.1", "/", ""},
        {"GET /a?b=c HTTP/1.1", "/a", "b=c"},
        {"GET /a?b?c HTTP/1.1", "/a", "b?c"},
        {"GET /? HTTP/1.1", "/", ""},
        {"GET //a//b HTTP/1.1", "//a//b", ""},
        {"GET /%2e%2E/ HTTP/1.1", "/%2e%2E/", ""},
        {"GET http://x HTTP/1.1", "/", ""},
        {"GET http://x?a HTTP/1.1", "/", "a"},
        {"GET HTTP://x:80/a/b?c HTTP/1.1", "/a/b", "c"},
        {"GET https://[::1]:8/a HTTP/1.1", "/a", ""},
        {"OPTIONS * HTTP/1.1", "*", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[200];
        snprintf(text, sizeof(text), "%s\r\nHost: x\r\n\r\n", cases[i].line);
        assert_int_equal(parse(text), 0);
        assert_str(h.path, cases[i].path);
        assert_str(h.query, cases[i].query);
    }
    assert_int_equal(
        parse("GET /1234567890123456789012345678901234567890123456789 HTTP/1.1\r\nHost: x\r\n\r\n"),
        0);
    assert_int_equal(
        parse(
            "GET /12345678901234567890123456789012345678901234567890 HTTP/1.1\r\nHost: x\r\n\r\n"),
        414);
}

static void test_headers(void **state)
{
    assert_int_equal(parse("PUT /a HTTP/1.1\r\nhOST:x\r\nA: \t b c\t \r\nB:\r\n\r\n"), 0);
    assert_str(h.method, "PUT");
    assert_str(h.target, "/a");
    assert_int_equal(h.headers.count, 3);
    assert_str(h.items[0].name, "hOST");
    assert_str(http_header_get(&h.headers, STR("Host")), "x");
    assert_str(http_header_get(&h.headers, STR("a")), "b c");
    assert_non_null(http_header_get(&h.headers, STR("b")).ptr);
    assert_null(http_header_get(&h.headers, STR("c")).ptr);
}

static void test_request_framing(void **state)
{
    static const struct {
        const char *line, *headers;
        enum http_body body;
        uint64_t length;
        bool keep_alive, expect_continue;
    } cases[] = {
        {"GET / HTTP/1.1", "", HTTP_BODY_NONE, 0, true, false},
        {"GET / HTTP/1.0", "", HTTP_BODY_NONE, 0, false, false},
        {"GET / HTTP/1.0", "Connection: Keep-Alive\r\n", HTTP_BODY_NONE, 0, true, false},
        {"GET / HTTP/1.1", "Connection: a, CLOSE\r\n", HTTP_BODY_NONE, 0, false, false},
        {"GET / HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n", HTTP_BODY_NONE, 0,
         false, false},
        {"GET / HTTP/1.9", "", HTTP_BODY_NONE, 0, true, false},
        {"PUT / HTTP/1.1", "Content-Length: 0\r\n", HTTP_BODY_NONE, 0, true, false},
        {"PUT / HTTP/1.1", "Content-Length: 12\r\n", HTTP_BODY_LENGTH, 12, true, false},
        {"PUT / HTTP/1.1", "Content-Length: 18446744073709551615\r\n", HTTP_BODY_LENGTH, UINT64_MAX,
         true, false},
        {"PUT / HTTP/1.1", "Transfer-Encoding: Chunked\r\n", HTTP_BODY_CHUNKED, 0, true, false},
        {"PUT / HTTP/1.1", "Expect: 100-Continue\r\nContent-Length: 1\r\n", HTTP_BODY_LENGTH, 1,
         true, true},
        {"PUT / HTTP/1.0", "Expect: 100-continue\r\nContent-Length: 1\r\n", HTTP_BODY_LENGTH, 1,
         false, false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char text[300];
        snprintf(text, sizeof(text), "%s\r\nHost: x\r\n%s\r\n", cases[i].line, cases[i].headers);
        assert_int_equal(parse(text), 0);
        assert_int_equal(h.body, cases[i].body);
        assert_int_equal(h.content_length, cases[i].length);
        assert_int_equal(h.keep_alive, cases[i].keep_alive);
        assert_int_equal(h.expect_continue, cases[i].expect_continue);
    }
}

static void test_response_framing(void **state)
{
    static const struct {
        const char *text, *method;
        int error, status;
        enum http_body body;
        bool keep_alive;
    } cases[] = {
        {"HTTP/1.1 200 OK\r\n\r\n", "GET", 0, 200, HTTP_BODY_UNTIL_CLOSE, false},
        {"HTTP/1.1 200\r\nContent-Length: 3\r\n\r\n", "GET", 0, 200, HTTP_BODY_LENGTH, true},
        {"HTTP/1.1 200 \r\nContent-Length: 0\r\n\r\n", "GET", 0, 200, HTTP_BODY_NONE, true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "HEAD", 0, 200, HTTP_BODY_NONE, true},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "GET", 0, 200, HTTP_BODY_CHUNKED,
         true},
        {"HTTP/1.1 204 None\r\n\r\n", "GET", 0, 204, HTTP_BODY_NONE, true},
        {"HTTP/1.1 304 Same\r\nContent-Length: 9\r\n\r\n", "GET", 0, 304, HTTP_BODY_NONE, true},
        {"HTTP/1.1 100 Continue\r\n\r\n", "GET", 0, 100, HTTP_BODY_NONE, true},
        {"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\n", "GET", 0, 200, HTTP_BODY_LENGTH, false},
        {"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 3\r\n\r\n", "GET", 0, 200,
         HTTP_BODY_LENGTH, false},
        {"HTTP/1.1 2000 OK\r\n\r\n", "GET", ERR_PROTOCOL, 0, 0, 0},
        {"HTTP/1.1 20 OK\r\n\r\n", "GET", ERR_PROTOCOL, 0, 0, 0},
        {"HTTP/1.1 099 OK\r\n\r\n", "GET", ERR_PROTOCOL, 0, 0, 0},
        {"HTTP/1.1 600 OK\r\n\r\n", "GET", ERR_PROTOCOL, 0, 0, 0},
        {"HTTP/2.0 200 OK\r\n\r\n", "GET", ERR_PROTOCOL, 0, 0, 0},
        {"HTTP/1.1  200 OK\r\n\r\n", "GET", ERR_PROTOCOL, 0, 0, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\n", "GET", ERR_PROTOCOL,
         0, 0, 0},
        {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", "GET",
         ERR_PROTOCOL, 0, 0, 0},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "GET", ERR_PROTOCOL, 0, 0, 0},
        {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "GET", ERR_PROTOCOL, 0, 0, 0},
        {"HTTP/1.1 200 OK\r\n a\r\n\r\n", "GET", ERR_PROTOCOL, 0, 0, 0},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int error = http_parse_response(str_from(cases[i].text), str_from(cases[i].method), &h);
        if (error != cases[i].error)
            fail_msg("%s: %d", cases[i].text, error);
        if (error)
            continue;
        assert_int_equal(h.status, cases[i].status);
        assert_int_equal(h.body, cases[i].body);
        assert_int_equal(h.keep_alive, cases[i].keep_alive);
    }
}

static void test_head_end(void **state)
{
    size_t scanned = 0, length = 0;
    struct str text = STR("GET / HTTP/1.1\r\nA: b\r\n\r\nrest");
    for (size_t have = 0; have < text.len - 4; have++)
        assert_int_equal(http_head_end(str_sub(text, 0, have), &scanned, &length), ERR_AGAIN);
    assert_int_equal(http_head_end(text, &scanned, &length), 0);
    assert_int_equal(length, text.len - 4);
    scanned = 0;
    assert_int_equal(http_head_end(STR("GET /\n"), &scanned, &length), ERR_PARSE);
    assert_int_equal(http_head_end(STR("GET /\rx"), &scanned, &length), ERR_PARSE);
    assert_int_equal(http_head_end(STR("a\0b"), &scanned, &length), ERR_PARSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_targets),         cmocka_unit_test(test_headers),
        cmocka_unit_test(test_request_framing), cmocka_unit_test(test_response_framing),
        cmocka_unit_test(test_head_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
