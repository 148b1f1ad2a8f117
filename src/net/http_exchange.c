/* SPDX-License-Identifier: Apache-2.0 */
/* Exchanges: the request as the service sees it, and its response. */
#include "base/mem.h"
#include "net/http_server_internal.h"

struct http_exchange *exchange_new(struct http_server *server, const struct exchange_ops *ops,
                                   void *carrier)
{
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
    x->server = server;
    x->ops = ops;
    x->carrier = carrier;
    x->data = NULL;
    x->begun = x->chunked = x->is_head = x->over_high_water = x->closes = false;
    return x;
}

static void exchange_free(struct http_exchange *x)
{
    buf_fini(&x->head_bytes);
    mem_free(x);
}

void exchange_release(struct http_exchange *x)
{
    struct http_server *server = x->server;
    arena_reset(&x->arena);
    buf_fini(&x->body);
    x->carrier = NULL;
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

void exchange_set_request(struct http_exchange *x, const struct conn *c)
{
    x->request = (struct http_request){
        .method = x->head.method,
        .target = x->head.target,
        .path = x->head.path,
        .query = x->head.query,
        .headers = x->head.headers,
        .peer = str_from(c->peer),
        .peer_subject = str_from(c->peer_subject),
    };
    x->is_head = str_eq(x->head.method, STR("HEAD"));
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

bool status_has_no_body(int status)
{
    return status < 200 || status == 204 || status == 304;
}

void server_error_body(struct http_server *server, int status, struct buf *out,
                       struct str *ret_content_type)
{
    const struct http_service *service = &server->options.service;
    *ret_content_type = STR("text/plain");
    if (service->error_body)
        service->error_body(service->ctx, status, http_reason(status), out, ret_content_type);
    else
        buf_printf(out, "%d %s\n", status, http_reason(status));
}

void http_respond(struct http_exchange *x, int status, const struct http_header *headers,
                  size_t count, struct str body)
{
    CHECK(!x->begun);
    x->ops->respond(x, status, headers, count, body);
}

void http_respond_begin(struct http_exchange *x, int status, const struct http_header *headers,
                        size_t count)
{
    CHECK(!x->begun);
    x->begun = true;
    x->ops->begin(x, status, headers, count);
}

int http_respond_write(struct http_exchange *x, struct str bytes)
{
    CHECK(x->begun);
    return x->ops->write(x, bytes);
}

void http_respond_end(struct http_exchange *x)
{
    CHECK(x->begun);
    x->ops->end(x);
}

void http_respond_abort(struct http_exchange *x)
{
    x->ops->abort(x);
}
