/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/endpoint.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/json.h"
#include "gateway/admission.h"
#include "gateway/ask.h"
#include "gateway/reply.h"
#include "gateway/worker.h"
#include "store/keys.h"

enum {
    METRICS_MAX = 16 * 1024 * 1024,
    MODELS_MAX = 16 * 1024 * 1024,
};

/* ---- simple answers ---- */

static void get_health(struct worker *w, struct http_exchange *x, const struct table_tenant *tenant)
{
    reply_text(x, 200, STR("text/plain"), STR("ok\n"));
}

static void get_ready(struct worker *w, struct http_exchange *x, const struct table_tenant *tenant)
{
    bool ready = w->table && !w->draining;
    reply_text(x, ready ? 200 : 503, STR("text/plain"),
               ready ? STR("ready\n") : STR("not ready\n"));
}

static void get_metrics(struct worker *w, struct http_exchange *x,
                        const struct table_tenant *tenant)
{
    struct buf out;
    buf_init(&out, METRICS_MAX);
    gateway_write_metrics(w->gateway, &out);
    if (out.error)
        reply_refusal(x, 500, STR("metrics_too_big"), STR_NONE,
                      STR("The metrics are over 16 MiB."));
    else
        reply_text(x, 200, STR("text/plain; version=0.0.4; charset=utf-8"), buf_str(&out));
    buf_fini(&out);
}

static void write_model(struct json_writer *j, struct str id, const struct routes_model *m)
{
    json_object(j);
    json_key(j, STR("id"));
    json_str(j, id);
    json_key(j, STR("object"));
    json_str(j, STR("model"));
    json_key(j, STR("created"));
    json_int(j, m->created);
    json_key(j, STR("owned_by"));
    json_str(j, STR("fairway"));
    json_end(j);
}

/* An alias of several models once, with the first. */
static void write_if_allowed(struct json_writer *j, const struct table *t, struct str name,
                             const struct routes_model *of, const struct table_tenant *tenant)
{
    const struct table_entry *entry = table_find(t, name);
    if (entry && entry->model == of && table_pick(t, name, tenant, 0))
        write_model(j, name, entry->model);
}

static void get_models(struct worker *w, struct http_exchange *x, const struct table_tenant *tenant)
{
    struct buf out;
    struct json_writer j;
    buf_init(&out, MODELS_MAX);
    json_writer_init(&j, &out, 0);
    json_object(&j);
    json_key(&j, STR("object"));
    json_str(&j, STR("list"));
    json_key(&j, STR("data"));
    json_array(&j);
    for (const struct routes_model *m = w->table ? w->table->routes->models : NULL; m;
         m = m->next) {
        write_if_allowed(&j, w->table, m->name, m, tenant);
        for (const struct routes_alias *a = m->aliases; a; a = a->next)
            write_if_allowed(&j, w->table, a->name, m, tenant);
    }
    json_end(&j);
    json_end(&j);
    reply_json(x, 200, buf_str(&out));
    buf_fini(&out);
}

static void get_model(struct worker *w, struct http_exchange *x, struct str name,
                      const struct table_tenant *tenant)
{
    const struct table_entry *entry = table_pick(w->table, name, tenant, 0);
    if (!entry) {
        reply_unknown_model(x, name);
        return;
    }
    struct buf out;
    struct json_writer j;
    buf_init(&out, MODELS_MAX);
    json_writer_init(&j, &out, 0);
    write_model(&j, name, entry->model);
    reply_json(x, 200, buf_str(&out));
    buf_fini(&out);
}

/* ---- who asks ---- */

/* "Authorization: Bearer KEY" or "x-api-key: KEY". */
static struct str presented_key(const struct http_request *r)
{
    struct str bearer = http_header_get(&r->headers, STR("authorization"));
    if (str_eq_nocase(str_sub(bearer, 0, 7), STR("bearer ")))
        return str_trim(str_sub(bearer, 7, bearer.len));
    return http_header_get(&r->headers, STR("x-api-key"));
}

/* NULL when the request was refused. */
static const struct table_tenant *authenticate(struct worker *w, struct http_exchange *x)
{
    const struct key_ring *ring = w->table ? w->table->keys : NULL;
    size_t count = ring ? key_table_count(ring->keys) : 0;
    struct str key = presented_key(http_exchange_request(x));
    if (count == 0 && !w->options->keys_required)
        return table_tenant(w->table, TENANT_NOBODY);
    const struct key_info *info = count && key.len ? key_table_find(ring->keys, key) : NULL;
    if (info && info->expires > clock_wall())
        return table_tenant(w->table, info->tenant);
    reply_refusal(x, 401, STR("invalid_api_key"), STR_NONE,
                  info ? STR("The API key has expired. `fairway key create NAME` makes a new one.")
                  : key.len
                      ? STR("The API key is not valid. `fairway key create NAME` makes one.")
                      : STR("No API key was sent: use the header Authorization: Bearer KEY."));
    return NULL;
}

/* ---- the table of URLs ---- */

static const struct {
    struct str path;
    void (*get)(struct worker *w, struct http_exchange *x, const struct table_tenant *tenant);
    bool to_model; /* POST: a request to the model that the body names */
    enum ask_kind kind;
    bool open; /* needs no key */
} endpoints[] = {
    {STR("/v1/chat/completions"), NULL, true, ASK_STREAM_OPTIONS, false},
    {STR("/v1/completions"), NULL, true, ASK_STREAM_OPTIONS, false},
    {STR("/v1/responses"), NULL, true, ASK_STREAM_OPTIONS, false},
    {STR("/v1/messages"), NULL, true, ASK_STREAM_OPTIONS, false},
    {STR("/v1/messages/count_tokens"), NULL, true, ASK_COUNT, false},
    {STR("/v1/embeddings"), NULL, true, ASK_PLAIN, false},
    {STR("/rerank"), NULL, true, ASK_OTHER, false},
    {STR("/tokenize"), NULL, true, ASK_COUNT, false},
    {STR("/detokenize"), NULL, true, ASK_COUNT, false},
    {STR("/generate"), NULL, true, ASK_GENERATE, false},
    {STR("/v1/models"), get_models, false, ASK_PLAIN, false},
    {STR("/healthz"), get_health, false, ASK_PLAIN, true},
    {STR("/readyz"), get_ready, false, ASK_PLAIN, true},
    {STR("/metrics"), get_metrics, false, ASK_PLAIN, true},
};

static void post_to_model(struct worker *w, struct http_exchange *x, enum ask_kind kind,
                          const struct table_tenant *tenant)
{
    struct flight_request request;
    if (ask_read(w, x, kind, tenant, &request) && admission_reserve(&request))
        flight_start(w, &request);
}

static void wrong_method(struct http_exchange *x, struct str allowed)
{
    char message[128];
    snprintf(message, sizeof(message), "This URL answers %.*s only.", STR_ARG(allowed));
    reply_refusal(x, 405, STR("method_not_allowed"), STR_NONE, str_from(message));
}

/* What is below the dialects' own URLs needs a store of answers, which no engine has. */
static bool is_passed_through(const struct http_request *r)
{
    return str_eq(r->method, STR("POST")) && str_starts(r->path, STR("/v1/")) &&
           !str_starts(r->path, STR("/v1/messages/")) &&
           !str_starts(r->path, STR("/v1/responses/"));
}

static void dispatch(struct worker *w, struct http_exchange *x)
{
    const struct http_request *r = http_exchange_request(x);
    bool is_get = str_eq(r->method, STR("GET")) || str_eq(r->method, STR("HEAD"));
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
        if (!str_eq(r->path, endpoints[i].path))
            continue;
        const struct table_tenant *tenant = endpoints[i].open ? NULL : authenticate(w, x);
        if (!tenant && !endpoints[i].open)
            return;
        if (endpoints[i].to_model && str_eq(r->method, STR("POST")))
            post_to_model(w, x, endpoints[i].kind, tenant);
        else if (endpoints[i].get && is_get)
            endpoints[i].get(w, x, tenant);
        else
            wrong_method(x, endpoints[i].to_model ? STR("POST") : STR("GET"));
        return;
    }
    if (is_get && str_starts(r->path, STR("/v1/models/"))) {
        const struct table_tenant *tenant = authenticate(w, x);
        if (tenant)
            get_model(w, x, str_sub(r->path, 11, r->path.len), tenant);
        return;
    }
    if (is_passed_through(r)) {
        const struct table_tenant *tenant = authenticate(w, x);
        if (tenant)
            post_to_model(w, x, ASK_OTHER, tenant);
        return;
    }
    char message[256];
    snprintf(message, sizeof(message), "There is nothing at %.*s.",
             (int)MIN(r->path.len, (size_t)100), r->path.ptr);
    reply_refusal(x, 404, STR("unknown_url"), STR_NONE, str_from(message));
}

/* ---- the HTTP service ---- */

static void on_request(void *ctx, struct http_exchange *x)
{
    dispatch(ctx, x);
}

static void on_departed(void *ctx, struct http_exchange *x)
{
    struct flight *f = http_exchange_data(x);
    if (f)
        flight_departed(f);
}

static void on_writable(void *ctx, struct http_exchange *x)
{
    struct flight *f = http_exchange_data(x);
    if (f)
        flight_writable(f);
}

static void on_error_body(void *ctx, int status, const char *reason, struct buf *out,
                          struct str *ret_content_type)
{
    const struct api_error e = {
        .status = status, .message = str_from(reason), .code = STR("bad_http_message")};
    api_error_write(&e, out);
    *ret_content_type = STR("application/json");
}

struct http_service endpoint_service(struct worker *w)
{
    return (struct http_service){
        .request = on_request,
        .departed = on_departed,
        .writable = on_writable,
        .error_body = on_error_body,
        .ctx = w,
    };
}
