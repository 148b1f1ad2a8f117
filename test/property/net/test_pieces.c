/* SPDX-License-Identifier: Apache-2.0 */
/* Messages made at random and cut at random mean the same, whole or in pieces. */
#include "fuzz/net/pieces.h"
#include "test.h"

enum { ROUNDS = 3000 };

static struct str pick(uint64_t *seed, const struct str *from, size_t count)
{
    return from[test_below(seed, count)];
}

static void put_random_headers(uint64_t *seed, struct buf *out)
{
    static const struct str lines[] = {
        STR("Accept: */*"),       STR("X:"),
        STR("Connection: close"), STR("Connection: x, keep-alive"),
        STR("A: \xff b"),         STR("Cookie:  a=b;\tc "),
    };
    for (uint64_t n = test_below(seed, 6); n > 0; n--) {
        buf_put(out, pick(seed, lines, ARRAY_LEN(lines)));
        buf_put(out, STR("\r\n"));
    }
}

/* A body of random bytes in random chunks; *body is what it says. */
static void put_random_chunks(uint64_t *seed, struct buf *out, struct buf *body)
{
    static const struct str extensions[] = {STR(""), STR(""), STR(";a"), STR(";b=\"c d\"")};
    for (uint64_t n = test_below(seed, 8); n > 0; n--) {
        uint64_t size = 1 + test_below(seed, test_below(seed, 4) ? 20 : 2000);
        buf_printf(out, test_below(seed, 2) ? "%llx" : "00%llX", (unsigned long long)size);
        buf_put(out, pick(seed, extensions, ARRAY_LEN(extensions)));
        buf_put(out, STR("\r\n"));
        for (uint64_t i = 0; i < size; i++) {
            char byte = "\r\n0a;\x00\xff"[test_below(seed, 7)];
            buf_put_char(out, byte);
            buf_put_char(body, byte);
        }
        buf_put(out, STR("\r\n"));
    }
    buf_put(out, STR("0\r\n"));
    buf_put(out, test_below(seed, 3) ? STR("") : STR("Trailer: x\r\nb:\r\n"));
    buf_put(out, STR("\r\n"));
}

static void check_chunks(uint64_t first, int step, struct str bytes, const struct buf *body,
                         uint64_t seed)
{
    struct chunked_result r = pieces_chunked(bytes, seed);
    PROPERTY(!r.error && r.done, first, step);
    PROPERTY(str_eq(buf_str(&r.body), buf_str(body)), first, step);
    PROPERTY(str_eq(str_sub(bytes, r.used, bytes.len), STR("GET /next")), first, step);
    buf_fini(&r.body);
}

/* Both kinds of message: a head of `line`, chunks, and bytes that follow. */
static void check_message(uint64_t first, int step, bool request)
{
    static const struct str requests[] = {STR("POST /a?b HTTP/1.1\r\nHost: x\r\n"),
                                          STR("PUT http://x:1/a HTTP/1.1\r\nhost:\r\n")};
    static const struct str responses[] = {STR("HTTP/1.1 200 OK\r\n"), STR("HTTP/1.1 404\r\n")};
    uint64_t seed = first + (uint64_t)step * 1000003;
    struct buf bytes, body;
    struct http_head h;
    size_t length = 0;
    buf_init(&bytes, 1 << 20);
    buf_init(&body, 1 << 20);
    buf_put(&bytes, pick(&seed, request ? requests : responses, 2));
    put_random_headers(&seed, &bytes);
    buf_put(&bytes, STR("Transfer-Encoding: chunked\r\n\r\n"));
    size_t head_length = bytes.len;
    put_random_chunks(&seed, &bytes, &body);
    buf_put(&bytes, STR("GET /next"));

    PROPERTY(pieces_head_end(buf_str(&bytes), seed, &length) == 0, first, step);
    PROPERTY(length == head_length, first, step);
    struct str head = str_sub(buf_str(&bytes), 0, length);
    PROPERTY((request ? http_parse_request(head, 100, &h)
                      : http_parse_response(head, STR("GET"), &h)) == 0,
             first, step);
    PROPERTY(h.body == HTTP_BODY_CHUNKED, first, step);
    check_head(head, &h);
    check_chunks(first, step, str_sub(buf_str(&bytes), length, bytes.len), &body, seed | 1);
    check_chunks(first, step, str_sub(buf_str(&bytes), length, bytes.len), &body, 0);
    buf_fini(&bytes);
    buf_fini(&body);
}

static void test_requests(void **state)
{
    uint64_t first = test_seed(20260101);
    for (int step = 0; step < ROUNDS; step++)
        check_message(first, step, true);
}

static void test_responses(void **state)
{
    uint64_t first = test_seed(20260102);
    for (int step = 0; step < ROUNDS; step++)
        check_message(first, step, false);
}

/* A broken message is broken in the same way in any pieces. */
static void test_broken_chunks(void **state)
{
    uint64_t first = test_seed(20260103);
    for (int step = 0; step < ROUNDS; step++) {
        uint64_t seed = first + (uint64_t)step * 1000003;
        struct buf bytes, body;
        buf_init(&bytes, 1 << 20);
        buf_init(&body, 1 << 20);
        put_random_chunks(&seed, &bytes, &body);
        bytes.ptr[test_below(&seed, bytes.len)] = "\r\n0f;: \x00\xff"[test_below(&seed, 9)];
        struct chunked_result whole = pieces_chunked(buf_str(&bytes), 0);
        struct chunked_result cut = pieces_chunked(buf_str(&bytes), seed | 1);
        PROPERTY(whole.error == cut.error && whole.done == cut.done, first, step);
        PROPERTY(str_eq(buf_str(&whole.body), buf_str(&cut.body)), first, step);
        buf_fini(&whole.body);
        buf_fini(&cut.body);
        buf_fini(&bytes);
        buf_fini(&body);
    }
}

static void test_events(void **state)
{
    uint64_t first = test_seed(20260104);
    for (int step = 0; step < ROUNDS * 10; step++) {
        uint64_t seed = first + (uint64_t)step * 1000003;
        char text[60];
        size_t len = 1 + test_below(&seed, sizeof(text));
        for (size_t i = 0; i < len; i++)
            text[i] = "\n\n\r\r\n:ad"[test_below(&seed, 8)];
        struct str bytes = {text, len};
        size_t whole = oracle_events(bytes);
        PROPERTY(sse_whole_events(bytes, 0) == whole, first, step);
        PROPERTY(pieces_events(bytes, seed) == whole, first, step);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_responses),
        cmocka_unit_test(test_broken_chunks),
        cmocka_unit_test(test_events),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
