/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and heads that HTTP/2 does not allow, or that could be read in two ways, each with its answer. */
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

static void ask_raw(const struct buf *bytes, struct buf *ret_answer)
{
    int fd = fixture_connect(&f);
    buf_init(ret_answer, 1 << 20);
    fixture_send(fd, buf_str(bytes));
    shutdown(fd, SHUT_WR);
    fixture_read_all(fd, ret_answer);
    close(fd);
}

/* ---- heads ---- */

enum { RESET = 1000 }; /* instead of a status: RST_STREAM with PROTOCOL_ERROR */

#define GET_LINE ":method", "GET", ":scheme", "http", ":path", "/x"
#define HOST     ":authority", "h2.test"
#define GET      GET_LINE, HOST

static const struct {
    const char *name;
    int result;
    const char *fields[16];
} heads[] = {
    {"plain", 200, {GET}},
    {"no authority but host", 200, {GET_LINE, "host", "h2.test"}},
    {"authority and host alike", 200, {GET, "host", "h2.test"}},
    {"authority and host differ", 400, {GET, "host", "other.test"}},
    {"host twice", RESET, {GET_LINE, "host", "h2.test", "host", "h2.test"}},
    {"neither", RESET, {GET_LINE}},
    {"empty authority", RESET, {GET_LINE, ":authority", ""}},
    {"user information", 400, {GET_LINE, ":authority", "user@h2.test"}},
    {"bad port", 400, {GET_LINE, ":authority", "h2.test:x"}},
    {"authority list", 400, {GET_LINE, ":authority", "a,b"}},
    {"other scheme", RESET, {":method", "GET", ":scheme", "ftp", ":path", "", HOST}},
    {"unknown scheme", 400, {":method", "GET", ":scheme", "ftp", ":path", "/x", HOST}},
    {"https", 200, {":method", "GET", ":scheme", "https", ":path", "/x", HOST}},
    {"absolute path",
     RESET,
     {":method", "GET", ":scheme", "http", ":path", "http://h2.test/", HOST}},
    {"empty path", RESET, {":method", "GET", ":scheme", "http", ":path", "", HOST}},
    {"relative path", RESET, {":method", "GET", ":scheme", "http", ":path", "x", HOST}},
    {"fragment", 400, {":method", "GET", ":scheme", "http", ":path", "/x#y", HOST}},
    {"space in path", RESET, {":method", "GET", ":scheme", "http", ":path", "/x y", HOST}},
    {"byte over 0x7f in path",
     400,
     {":method", "GET", ":scheme", "http", ":path", "/\xc3\xa9", HOST}},
    {"star", RESET, {":method", "GET", ":scheme", "http", ":path", "*", HOST}},
    {"options star", 200, {":method", "OPTIONS", ":scheme", "http", ":path", "*", HOST}},
    {"connect", 501, {":method", "CONNECT", HOST}},
    {"extended connect",
     RESET,
     {":protocol", "websocket", ":method", "CONNECT", ":scheme", "http", ":path", "/x", HOST}},
    {"no method", RESET, {":scheme", "http", ":path", "/x", HOST}},
    {"no path", RESET, {":method", "GET", ":scheme", "http", HOST}},
    {"no scheme", RESET, {":method", "GET", ":path", "/x", HOST}},
    {"method twice", RESET, {":method", "GET", GET}},
    {"path twice", RESET, {GET, ":path", "/x"}},
    {"method not a token", RESET, {":method", "G T", ":scheme", "http", ":path", "/x", HOST}},
    {"unknown pseudo field", RESET, {GET, ":x", "1"}},
    {"status in a request", RESET, {GET, ":status", "200"}},
    {"pseudo field behind", RESET, {GET_LINE, "x-one", "1", ":authority", "h2.test"}},
    {"upper case", RESET, {GET, "X-One", "1"}},
    {"space in a name", RESET, {GET, "x one", "1"}},
    {"colon in a name", RESET, {GET, "x:one", "1"}},
    {"empty name", RESET, {GET, "", "1"}},
    {"line end in a value", RESET, {GET, "x-one", "1\r\nx-two: 2"}},
    {"space before a value", RESET, {GET, "x-one", " 1"}},
    {"space behind a value", RESET, {GET, "x-one", "1 "}},
    {"empty value", 200, {GET, "x-one", ""}},
    {"connection", RESET, {GET, "connection", "close"}},
    {"keep-alive", RESET, {GET, "keep-alive", "1"}},
    {"proxy-connection", RESET, {GET, "proxy-connection", "close"}},
    {"transfer-encoding", RESET, {GET, "transfer-encoding", "chunked"}},
    {"upgrade", RESET, {GET, "upgrade", "h2c"}},
    {"te", RESET, {GET, "te", "gzip"}},
    {"te trailers", 200, {GET, "te", "trailers"}},
    {"length without a body", RESET, {GET, "content-length", "5"}},
    {"length 0", 200, {GET, "content-length", "0"}},
    {"length twice", RESET, {GET, "content-length", "0", "content-length", "0"}},
    {"length of letters", RESET, {GET, "content-length", "0x0"}},
    {"negative length", RESET, {GET, "content-length", "-1"}},
    {"length list", RESET, {GET, "content-length", "0, 0"}},
    {"length without end", RESET, {GET, "content-length", "99999999999999999999"}},
    {"expectation", 417, {GET, "expect", "a miracle"}},
};

/* The status of the first HEADERS frame: as nghttp2 writes it. */
static int read_status(struct str bytes)
{
    nghttp2_hd_inflater *inflater;
    int status = 0;
    nghttp2_hd_inflate_new(&inflater);
    for (; bytes.len >= 9 && !status;
         bytes = str_sub(bytes, 9 + (raw_u32(bytes.ptr) >> 8), bytes.len)) {
        struct str block = str_sub(bytes, 9, 9 + (raw_u32(bytes.ptr) >> 8));
        nghttp2_nv field;
        int flags = 0;
        if (bytes.ptr[3] == NGHTTP2_HEADERS &&
            nghttp2_hd_inflate_hd2(inflater, &field, &flags, (const uint8_t *)block.ptr, block.len,
                                   1) > 0)
            status = atoi((const char *)field.value);
    }
    nghttp2_hd_inflate_del(inflater);
    return status;
}

static void test_heads(void **state)
{
    int wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
        struct buf bytes, block, answer;
        buf_init(&bytes, 1 << 16);
        buf_init(&block, 1 << 16);
        for (const char *const *field = heads[i].fields; field[0]; field += 2)
            raw_field(&block, field[0], field[1]);
        raw_preface(&bytes);
        raw_frame(&bytes, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
                  buf_str(&block));
        ask_raw(&bytes, &answer);
        struct raw_answer a = raw_read(buf_str(&answer));
        int result = a.reset && a.reset_error == NGHTTP2_PROTOCOL_ERROR
                         ? RESET
                         : read_status(buf_str(&answer));
        if (result != heads[i].result || a.goaway) {
            print_message("%s: %d, not %d (goaway %d)\n", heads[i].name, result, heads[i].result,
                          a.goaway);
            wrong++;
        }
        buf_fini(&bytes);
        buf_fini(&block);
        buf_fini(&answer);
    }
    assert_int_equal(wrong, 0);
}

/* ---- frames ---- */

static const struct {
    const char *name;
    uint32_t goaway; /* its error */
    unsigned type, flags;
    uint32_t stream;
    struct str payload;
} frames[] = {
    {"DATA on stream 0", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_DATA, 0, 0, STR("x")},
    {"DATA on an idle stream", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_DATA, 0, 7, STR("x")},
    {"DATA behind the end", NGHTTP2_STREAM_CLOSED, NGHTTP2_DATA, NGHTTP2_FLAG_PADDED, 1,
     STR("\x09x")},
    {"HEADERS on stream 0", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 0,
     STR("\x82")},
    {"HEADERS on an even stream", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS,
     2, STR("\x82")},
    {"HEADERS with a broken block", NGHTTP2_COMPRESSION_ERROR, NGHTTP2_HEADERS,
     NGHTTP2_FLAG_END_HEADERS, 3, STR("\xff\xff\xff\xff\xff\xff")},
    {"HEADERS with an index from nowhere", NGHTTP2_COMPRESSION_ERROR, NGHTTP2_HEADERS,
     NGHTTP2_FLAG_END_HEADERS, 3, STR("\xc5")},
    {"HEADERS with a table over the limit", NGHTTP2_COMPRESSION_ERROR, NGHTTP2_HEADERS,
     NGHTTP2_FLAG_END_HEADERS, 3, STR("\x3f\xe1\xff\x03")},
    {"CONTINUATION alone", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_CONTINUATION, NGHTTP2_FLAG_END_HEADERS,
     1, STR("\x82")},
    {"PRIORITY of a wrong size", NGHTTP2_FRAME_SIZE_ERROR, NGHTTP2_PRIORITY, 0, 1, STR("\0\0\0\0")},
    {"RST_STREAM on stream 0", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_RST_STREAM, 0, 0, STR("\0\0\0\x08")},
    {"RST_STREAM on an idle stream", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_RST_STREAM, 0, 9,
     STR("\0\0\0\x08")},
    {"RST_STREAM of a wrong size", NGHTTP2_FRAME_SIZE_ERROR, NGHTTP2_RST_STREAM, 0, 1,
     STR("\0\0\x08")},
    {"SETTINGS on a stream", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_SETTINGS, 0, 1, STR("")},
    {"SETTINGS of a wrong size", NGHTTP2_FRAME_SIZE_ERROR, NGHTTP2_SETTINGS, 0, 0,
     STR("\0\4\0\1\0")},
    {"SETTINGS acknowledged with a payload", NGHTTP2_FRAME_SIZE_ERROR, NGHTTP2_SETTINGS,
     NGHTTP2_FLAG_ACK, 0, STR("\0\4\0\1\0\0")},
    {"SETTINGS with a window too big", NGHTTP2_FLOW_CONTROL_ERROR, NGHTTP2_SETTINGS, 0, 0,
     STR("\0\4\xff\xff\xff\xff")},
    {"SETTINGS with a frame size too small", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_SETTINGS, 0, 0,
     STR("\0\5\0\0\0\1")},
    {"SETTINGS with a push of 2", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_SETTINGS, 0, 0,
     STR("\0\2\0\0\0\2")},
    {"PUSH_PROMISE by a client", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_PUSH_PROMISE,
     NGHTTP2_FLAG_END_HEADERS, 1, STR("\0\0\0\2\x82")},
    {"PING on a stream", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_PING, 0, 1, STR("12345678")},
    {"PING of a wrong size", NGHTTP2_FRAME_SIZE_ERROR, NGHTTP2_PING, 0, 0, STR("1234567")},
    {"GOAWAY on a stream", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_GOAWAY, 0, 1, STR("\0\0\0\0\0\0\0\0")},
    {"GOAWAY of a wrong size", NGHTTP2_FRAME_SIZE_ERROR, NGHTTP2_GOAWAY, 0, 0, STR("\0\0\0\0")},
    {"WINDOW_UPDATE of 0", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_WINDOW_UPDATE, 0, 0, STR("\0\0\0\0")},
    {"WINDOW_UPDATE over the maximum", NGHTTP2_FLOW_CONTROL_ERROR, NGHTTP2_WINDOW_UPDATE, 0, 0,
     STR("\x7f\xff\xff\xff")},
    {"WINDOW_UPDATE on an idle stream", NGHTTP2_PROTOCOL_ERROR, NGHTTP2_WINDOW_UPDATE, 0, 11,
     STR("\0\0\0\1")},
    {"WINDOW_UPDATE of a wrong size", NGHTTP2_FRAME_SIZE_ERROR, NGHTTP2_WINDOW_UPDATE, 0, 0,
     STR("\0\0\1")},
};

/* Behind a request that runs: it departs. */
static void test_frames(void **state)
{
    int wrong = 0;
    for (size_t i = 0; i < ARRAY_LEN(frames); i++) {
        struct buf bytes, block, answer;
        int departed = atomic_load(&f.departed);
        buf_init(&bytes, 1 << 16);
        buf_init(&block, 1 << 16);
        raw_preface(&bytes);
        raw_get(&block, "/hold");
        raw_frame(&bytes, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
                  buf_str(&block));
        raw_frame(&bytes, frames[i].type, frames[i].flags, frames[i].stream, frames[i].payload);
        ask_raw(&bytes, &answer);
        struct raw_answer a = raw_read(buf_str(&answer));
        if (!a.goaway || a.goaway_error != frames[i].goaway) {
            print_message("%s: goaway %d, error %u, not %u\n", frames[i].name, a.goaway,
                          a.goaway_error, frames[i].goaway);
            wrong++;
        }
        if (atomic_load(&f.departed) != departed + 1) {
            print_message("%s: its request did not depart\n", frames[i].name);
            wrong++;
        }
        buf_fini(&bytes);
        buf_fini(&block);
        buf_fini(&answer);
    }
    assert_int_equal(wrong, 0);
}

/* A frame over the size that we allow; another head inside of one; a first frame that is no SETTINGS. */
static void test_sequences(void **state)
{
    static char big[20000];
    struct buf bytes, block, answer;
    for (int kind = 0; kind < 4; kind++) {
        buf_init(&bytes, 1 << 16);
        buf_init(&block, 1 << 16);
        raw_get(&block, "/x");
        if (kind != 2)
            raw_preface(&bytes);
        if (kind == 0) {
            raw_frame(&bytes, NGHTTP2_DATA, 0, 1, (struct str){big, sizeof(big)});
        } else if (kind == 1) {
            raw_frame(&bytes, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_STREAM, 1, buf_str(&block));
            raw_frame(&bytes, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS, 3, buf_str(&block));
        } else if (kind == 2) {
            buf_put(&bytes, STR("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"));
            raw_frame(&bytes, NGHTTP2_PING, 0, 0, STR("12345678"));
        } else { /* ids must grow: of a stream closed before, at that */
            raw_frame(&bytes, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM,
                      5, buf_str(&block));
            raw_frame(&bytes, NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM,
                      5, buf_str(&block));
        }
        ask_raw(&bytes, &answer);
        struct raw_answer a = raw_read(buf_str(&answer));
        uint32_t expected = kind == 0   ? NGHTTP2_FRAME_SIZE_ERROR
                            : kind == 3 ? NGHTTP2_STREAM_CLOSED
                                        : NGHTTP2_PROTOCOL_ERROR;
        if (!a.goaway || a.goaway_error != expected)
            fail_msg("kind %d: goaway %d, error %u, not %u", kind, a.goaway, a.goaway_error,
                     expected);
        buf_fini(&bytes);
        buf_fini(&block);
        buf_fini(&answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_heads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_frames, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sequences, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
