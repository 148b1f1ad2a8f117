/* SPDX-License-Identifier: Apache-2.0 */
/* Responses in HTTP/1.x. */
#include <stdio.h>

#include "net/http1_internal.h"

static void put_head(struct buf *out, struct http_server *server, int status,
                     const struct http_header *headers, size_t count)
{
    buf_put(out, STR("HTTP/1.1 "));
    buf_put_u64(out, (uint64_t)status);
    buf_put_char(out, ' ');
    buf_put(out, str_from(http_reason(status)));
    buf_put(out, STR("\r\n"));
    buf_put(out, server_date(server));
    for (size_t i = 0; i < count; i++) {
        buf_put(out, headers[i].name);
        buf_put(out, STR(": "));
        buf_put(out, headers[i].value);
        buf_put(out, STR("\r\n"));
    }
}

static bool keeps(const struct http_exchange *x)
{
    return x->head.keep_alive && !x->server->draining;
}

static void put_connection(struct http_exchange *x, struct buf *out)
{
    x->closes = !keeps(x);
    if (x->closes)
        buf_put(out, STR("connection: close\r\n"));
    else if (x->head.minor == 0)
        buf_put(out, STR("connection: keep-alive\r\n"));
}

static void respond(struct http_exchange *x, int status, const struct http_header *headers,
                    size_t count, struct str body)
{
    struct http1 *c = x->carrier;
    struct buf out;
    bool bodyless = status_has_no_body(status);
    CHECK(c->state == HTTP1_BUSY);
    buf_init(&out, SIZE_MAX / 2);
    put_head(&out, x->server, status, headers, count);
    put_connection(x, &out);
    if (!bodyless) {
        buf_put(&out, STR("content-length: "));
        buf_put_u64(&out, body.len);
        buf_put(&out, STR("\r\n"));
    }
    buf_put(&out, STR("\r\n"));
    if (!x->is_head && !bodyless)
        buf_put(&out, body);
    http1_write(c, buf_str(&out));
    buf_fini(&out);
    http1_answered(c, !x->closes);
}

static void begin(struct http_exchange *x, int status, const struct http_header *headers,
                  size_t count)
{
    struct http1 *c = x->carrier;
    struct buf out;
    CHECK(c->state == HTTP1_BUSY);
    x->chunked = x->head.minor == 1;
    if (!x->chunked) /* its end is the end of the connection */
        x->head.keep_alive = false;
    buf_init(&out, SIZE_MAX / 2);
    put_head(&out, x->server, status, headers, count);
    put_connection(x, &out);
    if (x->chunked)
        buf_put(&out, STR("transfer-encoding: chunked\r\n"));
    buf_put(&out, STR("\r\n"));
    http1_write(c, buf_str(&out));
    buf_fini(&out);
}

static int write_bytes(struct http_exchange *x, struct str bytes)
{
    struct http1 *c = x->carrier;
    char size[20];
    if (bytes.len && !x->is_head) {
        if (x->chunked) {
            int len = snprintf(size, sizeof(size), "%zx\r\n", bytes.len);
            http1_write(c, (struct str){size, (size_t)len});
        }
        http1_write(c, bytes);
        if (x->chunked)
            http1_write(c, STR("\r\n"));
    }
    if (stream_unsent(c->conn.stream) > x->server->options.limits.write_high_water)
        x->over_high_water = true;
    return x->over_high_water ? ERR_FULL : 0;
}

static void end(struct http_exchange *x)
{
    struct http1 *c = x->carrier;
    if (x->chunked && !x->is_head)
        http1_write(c, STR("0\r\n\r\n"));
    http1_answered(c, !x->closes);
}

static void abort_exchange(struct http_exchange *x)
{
    struct http1 *c = x->carrier;
    exchange_release(x);
    c->exchange = NULL;
    http1_close(&c->conn);
}

const struct exchange_ops http1_exchange_ops = {
    .respond = respond,
    .begin = begin,
    .write = write_bytes,
    .end = end,
    .abort = abort_exchange,
};

void http1_refuse(struct http1 *c, int status)
{
    struct http_server *server = c->conn.server;
    struct buf body, out;
    struct str type;
    buf_init(&body, REFUSAL_BODY_MAX);
    buf_init(&out, 2 * REFUSAL_BODY_MAX);
    server_error_body(server, status, &body, &type);
    const struct http_header headers[] = {{STR("content-type"), type},
                                          {STR("connection"), STR("close")}};
    put_head(&out, server, status, headers, ARRAY_LEN(headers));
    buf_printf(&out, "content-length: %zu\r\n\r\n", body.len);
    buf_put(&out, buf_str(&body));
    if (c->exchange)
        exchange_release(c->exchange);
    c->exchange = NULL;
    http1_write(c, buf_str(&out));
    buf_fini(&out);
    buf_fini(&body);
    http1_linger(c);
}
