/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges: the request as the service sees it, and its response. */
#include <stdio.h>

#include "base/mem.h"
#include "net/http_server_internal.h"

struct http_exchange *exchange_new(struct conn *c)
{
    struct http_server *server = c->server;
    struct http_exchange *x = list_first(&server->spare, struct http_exchange, spare);
    if (x) {
        list_remove(&x->spare);
        server->spare_count--;
    } else {
        x = NEW(struct http_exchange);
        list_init(&x->spare);
        buf_init(&x->head_bytes, SIZE_MAX / 2);
        arena_init(&x->arena, EXCHANGE_ARENA_MAX);
    }
    buf_init(&x->body, server->options.limits.body_max);
    x->conn = c;
    x->data = NULL;
    x->begun = x->chunked = x->is_head = x->over_high_water = false;
    return x;
}

static void exchange_free(struct http_exchange *x)
{
    buf_fini(&x->head_bytes);
    mem_free(x);
}

void exchange_release(struct http_exchange *x)
{
    struct http_server *server = x->conn->server;
    arena_reset(&x->arena);
    buf_fini(&x->body);
    x->conn = NULL;
    if (server->spare_count >= SPARE_EXCHANGES_MAX || x->head_bytes.cap > KEPT_BUFFER_MAX) {
        exchange_free(x);
        return;
    }
    buf_clear(&x->head_bytes);
    list_prepend(&server->spare, &x->spare);
    server->spare_count++;
}

void server_free_spares(struct http_server *server)
{
    list_each(x, &server->spare, struct http_exchange, spare) exchange_free(x);
}

/* ---- what the service may ask ---- */

const struct http_request *http_exchange_request(const struct http_exchange *x)
{
    return &x->request;
}

struct arena *http_exchange_arena(struct http_exchange *x)
{
    return &x->arena;
}

void http_exchange_set_data(struct http_exchange *x, void *data)
{
    x->data = data;
}

void *http_exchange_data(const struct http_exchange *x)
{
    return x->data;
}

nsec http_exchange_started(const struct http_exchange *x)
{
    return x->started;
}

bool http_exchange_begun(const struct http_exchange *x)
{
    return x->begun;
}

/* ---- responses ---- */

void exchange_put_head(struct buf *out, struct http_server *server, int status,
                       const struct http_header *headers, size_t count)
{
    buf_put(out, STR("HTTP/1.1 "));
    buf_put_u64(out, (uint64_t)status);
    buf_put_char(out, ' ');
    buf_put(out, str_from(http_reason(status)));
    buf_put(out, STR("\r\n"));
    buf_put(out, str_from(server_date(server)));
    for (size_t i = 0; i < count; i++) {
        buf_put(out, headers[i].name);
        buf_put(out, STR(": "));
        buf_put(out, headers[i].value);
        buf_put(out, STR("\r\n"));
    }
}

static bool keeps(const struct http_exchange *x)
{
    return x->head.keep_alive && !x->conn->server->draining;
}

static void put_connection(const struct http_exchange *x, struct buf *out)
{
    if (!keeps(x))
        buf_put(out, STR("connection: close\r\n"));
    else if (x->head.minor == 0)
        buf_put(out, STR("connection: keep-alive\r\n"));
}

static bool has_no_body(int status)
{
    return status < 200 || status == 204 || status == 304;
}

void http_respond(struct http_exchange *x, int status, const struct http_header *headers,
                  size_t count, struct str body)
{
    struct conn *c = x->conn;
    struct buf out;
    bool keep = keeps(x);
    CHECK(!x->begun && c->state == CONN_BUSY);
    buf_init(&out, SIZE_MAX / 2);
    exchange_put_head(&out, c->server, status, headers, count);
    put_connection(x, &out);
    if (!has_no_body(status)) {
        buf_put(&out, STR("content-length: "));
        buf_put_u64(&out, body.len);
        buf_put(&out, STR("\r\n"));
    }
    buf_put(&out, STR("\r\n"));
    if (!x->is_head && !has_no_body(status))
        buf_put(&out, body);
    conn_write(c, buf_str(&out));
    buf_fini(&out);
    conn_answered(c, keep);
}

void http_respond_begin(struct http_exchange *x, int status, const struct http_header *headers,
                        size_t count)
{
    struct buf out;
    CHECK(!x->begun && x->conn->state == CONN_BUSY);
    x->begun = true;
    x->chunked = x->head.minor == 1;
    if (!x->chunked) /* its end is the end of the connection */
        x->head.keep_alive = false;
    buf_init(&out, SIZE_MAX / 2);
    exchange_put_head(&out, x->conn->server, status, headers, count);
    put_connection(x, &out);
    if (x->chunked)
        buf_put(&out, STR("transfer-encoding: chunked\r\n"));
    buf_put(&out, STR("\r\n"));
    conn_write(x->conn, buf_str(&out));
    buf_fini(&out);
}

int http_respond_write(struct http_exchange *x, struct str bytes)
{
    struct conn *c = x->conn;
    char size[20];
    CHECK(x->begun);
    if (bytes.len && !x->is_head) {
        if (x->chunked) {
            int len = snprintf(size, sizeof(size), "%zx\r\n", bytes.len);
            conn_write(c, (struct str){size, (size_t)len});
        }
        conn_write(c, bytes);
        if (x->chunked)
            conn_write(c, STR("\r\n"));
    }
    if (stream_unsent(c->stream) > c->server->options.limits.write_high_water)
        x->over_high_water = true;
    return x->over_high_water ? ERR_FULL : 0;
}

void http_respond_end(struct http_exchange *x)
{
    struct conn *c = x->conn;
    CHECK(x->begun);
    if (x->chunked && !x->is_head)
        conn_write(c, STR("0\r\n\r\n"));
    conn_answered(c, keeps(x));
}

void http_respond_abort(struct http_exchange *x)
{
    struct conn *c = x->conn;
    exchange_release(x);
    c->exchange = NULL;
    conn_close(c);
}
