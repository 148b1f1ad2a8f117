/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/endpoint.h"

#include <stdio.h>

#include "base/json.h"
#include "gateway/flight.h"
#include "gateway/reply.h"
#include "gateway/worker.h"
#include "store/keys.h"

enum {
    METRICS_MAX = 16 * 1024 * 1024,
    MODELS_MAX = 16 * 1024 * 1024,
    BYTES_PER_TOKEN = 4,         /* of a request's text, for the estimate only */
    OUTPUT_TOKENS_ASSUMED = 256, /* when the request names no maximum */
};

static void fail(struct http_exchange *x, int status, struct str code, struct str param,
                 struct str message)
{
    const struct api_error e = {.status = status, .message = message, .param = param, .code = code};
    reply_error(x, &e, 0, STR_NONE);
}

/* ---- simple answers ---- */

static void get_health(struct worker *w, struct http_exchange *x)
{
    reply_text(x, 200, STR("text/plain"), STR("ok\n"));
}

static void get_ready(struct worker *w, struct http_exchange *x)
{
    bool ready = w->table && !w->draining;
    reply_text(x, ready ? 200 : 503, STR("text/plain"),
               ready ? STR("ready\n") : STR("not ready\n"));
}

static void get_metrics(struct worker *w, struct http_exchange *x)
{
    struct buf out;
    buf_init(&out, METRICS_MAX);
    gateway_write_metrics(w->gateway, &out);
    if (out.error)
        fail(x, 500, STR("metrics_too_big"), STR_NONE, STR("The metrics are over 16 MiB."));
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

static void get_models(struct worker *w, struct http_exchange *x)
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
        write_model(&j, m->name, m);
        for (const struct routes_alias *a = m->aliases; a; a = a->next)
            write_model(&j, a->name, m);
    }
    json_end(&j);
    json_end(&j);
    reply_json(x, 200, buf_str(&out));
    buf_fini(&out);
}

static void unknown_model(struct http_exchange *x, struct str name)
{
    char message[256];
    snprintf(message, sizeof(message),
             "The model '%.*s' does not exist. GET /v1/models lists those that do.",
             (int)MIN(name.len, (size_t)100), name.ptr);
    fail(x, 404, STR("model_not_found"), STR("model"), str_from(message));
}

static void get_model(struct worker *w, struct http_exchange *x, struct str name)
{
    const struct table_entry *entry = table_find(w->table, name);
    if (!entry) {
        unknown_model(x, name);
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

/* ---- requests to a model ---- */

enum { SPAN_MODEL, SPAN_STREAM, SPAN_MAX_TOKENS, SPAN_MAX_COMPLETION_TOKENS, SPANS };

static bool scan(struct http_exchange *x, struct json_span spans[SPANS])
{
    static const struct str keys[SPANS] = {
        [SPAN_MODEL] = STR("model"),
        [SPAN_STREAM] = STR("stream"),
        [SPAN_MAX_TOKENS] = STR("max_tokens"),
        [SPAN_MAX_COMPLETION_TOKENS] = STR("max_completion_tokens"),
    };
    for (size_t i = 0; i < SPANS; i++)
        spans[i] = (struct json_span){.key = keys[i]};
    size_t offset;
    if (json_scan(http_exchange_request(x)->body, spans, SPANS, &offset) == 0)
        return true;
    char message[128];
    snprintf(message, sizeof(message), "The body is not a JSON object: wrong at byte %zu.", offset);
    fail(x, 400, STR("invalid_json"), STR_NONE, str_from(message));
    return false;
}

/* The model that the body names; without a name, the only one there is (for /generate). */
static const struct table_entry *find_target(struct worker *w, struct http_exchange *x,
                                             struct str raw_model, struct str *ret_name)
{
    const struct routes_model *only = w->table ? w->table->routes->models : NULL;
    if (!raw_model.ptr && only && !only->next) {
        *ret_name = only->name;
        return table_find(w->table, only->name);
    }
    if (!raw_model.ptr || json_raw_str(http_exchange_arena(x), raw_model, ret_name)) {
        fail(x, 400, STR("missing_model"), STR("model"),
             STR("The body must name a model: {\"model\": \"...\"}."));
        return NULL;
    }
    const struct table_entry *entry = table_find(w->table, *ret_name);
    if (!entry)
        unknown_model(x, *ret_name);
    return entry;
}

/* The body with the model's own name in the place of an alias; every other byte as it came. */
static struct buf splice_model(struct str body, struct str raw_model, struct str name)
{
    struct buf edited;
    size_t at = (size_t)(raw_model.ptr - body.ptr);
    buf_init(&edited, body.len + name.len + 16);
    buf_put(&edited, str_sub(body, 0, at));
    json_put_str(&edited, name);
    buf_put(&edited, str_sub(body, at + raw_model.len, body.len));
    CHECK(!edited.error);
    return edited;
}

static uint64_t estimate_output(const struct json_span *spans)
{
    uint64_t output = OUTPUT_TOKENS_ASSUMED;
    if (spans[SPAN_MAX_TOKENS].value.ptr)
        (void)!json_raw_u64(spans[SPAN_MAX_TOKENS].value, &output);
    if (spans[SPAN_MAX_COMPLETION_TOKENS].value.ptr)
        (void)!json_raw_u64(spans[SPAN_MAX_COMPLETION_TOKENS].value, &output);
    /* A client may ask for any number; the estimate must not overflow sums of them. */
    return MIN(output, (uint64_t)1 << 24);
}

static void post_to_model(struct worker *w, struct http_exchange *x, bool stream_by_default)
{
    const struct http_request *r = http_exchange_request(x);
    struct json_span spans[SPANS];
    struct str name;
    if (!scan(x, spans))
        return;
    const struct table_entry *target = find_target(w, x, spans[SPAN_MODEL].value, &name);
    if (!target)
        return;
    struct flight_request request = {
        .exchange = x,
        .target = target,
        .upstream_path = r->path,
        .stream = stream_by_default,
        .input_tokens = r->body.len / BYTES_PER_TOKEN,
        .output_tokens = estimate_output(spans),
    };
    if (spans[SPAN_STREAM].value.ptr && json_raw_bool(spans[SPAN_STREAM].value, &request.stream)) {
        fail(x, 400, STR("invalid_type"), STR("stream"), STR("'stream' must be true or false."));
        return;
    }
    if (!str_eq(name, target->model->name))
        request.take_body = splice_model(r->body, spans[SPAN_MODEL].value, target->model->name);
    flight_start(w, &request);
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

/* False when the request was refused. */
static bool authenticate(struct worker *w, struct http_exchange *x)
{
    const struct key_ring *ring = w->table ? w->table->keys : NULL;
    size_t count = ring ? key_table_count(ring->keys) : 0;
    struct str name, key = presented_key(http_exchange_request(x));
    if (count == 0 && !w->options->keys_required)
        return true;
    if (count && key.len && key_table_find(ring->keys, key, &name))
        return true;
    fail(x, 401, STR("invalid_api_key"), STR_NONE,
         key.len ? STR("The API key is not valid. `fairway key create NAME` makes one.")
                 : STR("No API key was sent: use the header Authorization: Bearer KEY."));
    return false;
}

/* ---- the table of URLs ---- */

static const struct {
    struct str path;
    void (*get)(struct worker *w, struct http_exchange *x);
    bool to_model, stream_by_default, open; /* open: needs no key */
} endpoints[] = {
    {STR("/v1/chat/completions"), NULL, true, false, false},
    {STR("/v1/completions"), NULL, true, false, false},
    {STR("/v1/embeddings"), NULL, true, false, false},
    {STR("/tokenize"), NULL, true, false, false},
    {STR("/detokenize"), NULL, true, false, false},
    {STR("/generate"), NULL, true, true, false},
    {STR("/v1/models"), get_models, false, false, false},
    {STR("/healthz"), get_health, false, false, true},
    {STR("/readyz"), get_ready, false, false, true},
    {STR("/metrics"), get_metrics, false, false, true},
};

static void wrong_method(struct http_exchange *x, struct str allowed)
{
    char message[128];
    snprintf(message, sizeof(message), "This URL answers %.*s only.", STR_ARG(allowed));
    fail(x, 405, STR("method_not_allowed"), STR_NONE, str_from(message));
}

static void dispatch(struct worker *w, struct http_exchange *x)
{
    const struct http_request *r = http_exchange_request(x);
    bool is_get = str_eq(r->method, STR("GET")) || str_eq(r->method, STR("HEAD"));
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
        if (!str_eq(r->path, endpoints[i].path))
            continue;
        if (!endpoints[i].open && !authenticate(w, x))
            return;
        if (endpoints[i].to_model && str_eq(r->method, STR("POST")))
            post_to_model(w, x, endpoints[i].stream_by_default);
        else if (endpoints[i].get && is_get)
            endpoints[i].get(w, x);
        else
            wrong_method(x, endpoints[i].to_model ? STR("POST") : STR("GET"));
        return;
    }
    if (is_get && str_starts(r->path, STR("/v1/models/"))) {
        if (!authenticate(w, x))
            return;
        get_model(w, x, str_sub(r->path, 11, r->path.len));
        return;
    }
    char message[256];
    snprintf(message, sizeof(message), "There is nothing at %.*s.",
             (int)MIN(r->path.len, (size_t)100), r->path.ptr);
    fail(x, 404, STR("unknown_url"), STR_NONE, str_from(message));
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
