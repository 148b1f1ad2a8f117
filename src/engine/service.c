/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/service.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "engine/service_internal.h"

enum { SCRATCH_MAX = ANSWER_MAX + (1 << 20), SCRATCH_KEEP = 1 << 20 };

void service_json(struct http_exchange *x, int status, const struct buf *body)
{
    const struct http_header headers[] = {
        {STR("Content-Type"), STR("application/json")},
        {STR("Retry-After"), STR("1")},
    };
    size_t count = status == 429 || status == 503 ? 2 : 1;
    http_respond(x, status, headers, count, buf_str(body));
}

void service_error(struct service *s, struct http_exchange *x, const struct api_error *error)
{
    buf_clear(&s->scratch);
    api_error_write(error, &s->scratch);
    service_json(x, error->status, &s->scratch);
    buf_clear(&s->scratch);
}

/* ---- small requests ---- */

static void respond_status(struct service *s, struct http_exchange *x, int status, const char *text)
{
    buf_clear(&s->scratch);
    buf_printf(&s->scratch, "{\"status\":\"%s\"}\n", text);
    service_json(x, status, &s->scratch);
}

static void get_health(struct service *s, struct http_exchange *x)
{
    respond_status(s, x, 200, "ok");
}

static void get_ready(struct service *s, struct http_exchange *x)
{
    static const char *const texts[] = {"loading", "ready", "draining"};
    respond_status(s, x, s->state == SERVICE_READY ? 200 : 503, texts[s->state]);
}

static void get_metrics(struct service *s, struct http_exchange *x)
{
    struct scheduler_stats stats;
    struct str accept = http_header_get(&http_exchange_request(x)->headers, STR("Accept"));
    enum metrics_format format = metrics_format_for(accept);
    scheduler_stats(s->options.scheduler, &stats);
    meters_update(&s->meters, &stats, clock_now());
    buf_clear(&s->scratch);
    metrics_write(s->options.metrics, format, &s->scratch);
    const struct http_header type = {STR("Content-Type"), str_from(metrics_content_type(format))};
    http_respond(x, 200, &type, 1, buf_str(&s->scratch));
}

static struct openai_model describe_model(const struct service *s)
{
    return (struct openai_model){
        .id = s->options.name,
        .created = s->created,
        .owner = STR("fairway"),
        .length_max = s->state == SERVICE_LOADING ? 0 : s->options.model->info.length_max};
}

static void get_models(struct service *s, struct http_exchange *x)
{
    struct openai_model model = describe_model(s);
    buf_clear(&s->scratch);
    openai_write_models(&model, 1, &s->scratch);
    service_json(x, 200, &s->scratch);
}

static void get_model(struct service *s, struct http_exchange *x, struct str id)
{
    struct openai_model model = describe_model(s);
    if (!str_eq(id, model.id)) {
        service_error(s, x,
                      &(struct api_error){.status = 404,
                                          .message = STR("There is no such model here."),
                                          .param = STR("model"),
                                          .code = STR("model_not_found")});
        return;
    }
    buf_clear(&s->scratch);
    openai_write_model(&model, &s->scratch);
    service_json(x, 200, &s->scratch);
}

/* ---- tokenize, detokenize ---- */

static int write_tokens(struct service *s, struct arena *arena,
                        const struct openai_request *request, struct api_error *error)
{
    const struct openai_prompt *prompt = request->message_count ? NULL : &request->prompts[0];
    int32_t *tokens;
    size_t count;
    struct json_writer w;
    int result = service_tokens(s, arena, request, prompt, prompt ? STR("prompt") : STR("messages"),
                                &tokens, &count, error);
    if (result)
        return result;
    json_writer_init(&w, &s->scratch, 0);
    json_object(&w);
    json_key(&w, STR("count"));
    json_u64(&w, count);
    json_key(&w, STR("max_model_len"));
    json_u64(&w, s->options.model->info.length_max);
    json_key(&w, STR("tokens"));
    json_array(&w);
    for (size_t i = 0; i < count; i++)
        json_int(&w, tokens[i]);
    json_end(&w);
    json_end(&w);
    return 0;
}

static int write_text(struct service *s, const struct openai_request *request,
                      struct api_error *error)
{
    const struct openai_prompt *prompt = &request->prompts[0];
    struct model *model = s->options.model;
    struct buf text;
    struct json_writer w;
    if (request->prompt_count != 1 || !prompt->tokens) {
        *error = (struct api_error){
            .status = 400,
            .message = STR("Invalid value for 'tokens': expected an array of token ids."),
            .param = STR("tokens"),
            .code = STR("invalid_type")};
        return ERR_INVALID;
    }
    buf_init(&text, ANSWER_MAX);
    for (size_t i = 0; i < prompt->count; i++) {
        char bytes[MODEL_PIECE_MAX];
        size_t len = model->ops->piece(model, prompt->tokens[i], bytes);
        buf_put(&text, (struct str){bytes, len});
    }
    json_writer_init(&w, &s->scratch, 0);
    json_object(&w);
    json_key(&w, STR("prompt"));
    json_str(&w, buf_str(&text));
    json_end(&w);
    buf_fini(&text);
    return 0;
}

static void post_tokens(struct service *s, struct http_exchange *x, enum openai_kind kind)
{
    struct arena arena;
    struct openai_request request;
    struct api_error error = {.status = 503, .message = STR("The model is being loaded.")};
    arena_init(&arena, CALL_ARENA_CAP);
    buf_clear(&s->scratch);
    int result = s->state == SERVICE_LOADING ? ERR_UNAVAILABLE : 0;
    if (!result)
        result = openai_parse(kind, http_exchange_request(x)->body, &arena, &request, &error);
    if (!result)
        result = kind == OPENAI_TOKENIZE ? write_tokens(s, &arena, &request, &error)
                                         : write_text(s, &request, &error);
    if (result)
        service_error(s, x, &error);
    else
        service_json(x, 200, &s->scratch);
    arena_fini(&arena);
}

/* ---- routes ---- */

struct route {
    struct str path;
    void (*get)(struct service *s, struct http_exchange *x); /* NULL: it is a POST */
    enum openai_kind kind;
};

static const struct route routes[] = {
    {STR("/v1/chat/completions"), NULL, OPENAI_CHAT},
    {STR("/v1/completions"), NULL, OPENAI_COMPLETION},
    {STR("/v1/embeddings"), NULL, OPENAI_EMBEDDING},
    {STR("/generate"), NULL, OPENAI_GENERATE},
    {STR("/tokenize"), NULL, OPENAI_TOKENIZE},
    {STR("/detokenize"), NULL, OPENAI_DETOKENIZE},
    {STR("/v1/models"), get_models, 0},
    {STR("/health"), get_health, 0},
    {STR("/ready"), get_ready, 0},
    {STR("/metrics"), get_metrics, 0},
};

static void refuse_method(struct http_exchange *x, const char *allowed)
{
    const struct http_header headers[] = {{STR("Allow"), str_from(allowed)},
                                          {STR("Content-Type"), STR("application/json")}};
    struct buf body;
    buf_init(&body, 1024);
    api_error_write(
        &(struct api_error){.status = 405, .message = STR("This method is not allowed here.")},
        &body);
    http_respond(x, 405, headers, ARRAY_LEN(headers), buf_str(&body));
    buf_fini(&body);
}

static void dispatch(struct service *s, struct http_exchange *x, const struct route *route)
{
    struct str method = http_exchange_request(x)->method;
    bool get = str_eq(method, STR("GET")) || str_eq(method, STR("HEAD"));
    if (route->get && get)
        route->get(s, x);
    else if (route->get || !str_eq(method, STR("POST")))
        refuse_method(x, route->get ? "GET, HEAD" : "POST");
    else if (route->kind == OPENAI_TOKENIZE || route->kind == OPENAI_DETOKENIZE)
        post_tokens(s, x, route->kind);
    else
        call_begin(s, x, route->kind);
}

static void on_request(void *ctx, struct http_exchange *x)
{
    struct service *s = ctx;
    struct str path = http_exchange_request(x)->path;
    const struct str models = STR("/v1/models/");
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (str_eq(routes[i].path, path)) {
            dispatch(s, x, &routes[i]);
            goto done;
        }
    }
    if (str_starts(path, models) && str_eq(http_exchange_request(x)->method, STR("GET")))
        get_model(s, x, str_sub(path, models.len, path.len));
    else
        service_error(s, x,
                      &(struct api_error){.status = 404, .message = STR("There is nothing here.")});
done:
    if (s->scratch.cap > SCRATCH_KEEP)
        buf_fini(&s->scratch);
    buf_clear(&s->scratch);
}

static void on_departed(void *ctx, struct http_exchange *x)
{
    call_departed(x);
}

static void on_writable(void *ctx, struct http_exchange *x)
{
    call_writable(x);
}

static void error_body(void *ctx, int status, const char *reason, struct buf *out,
                       struct str *ret_content_type)
{
    api_error_write(&(struct api_error){.status = status, .message = str_from(reason)}, out);
    *ret_content_type = STR("application/json");
}

struct http_service service_http(struct service *s)
{
    return (struct http_service){.request = on_request,
                                 .departed = on_departed,
                                 .writable = on_writable,
                                 .error_body = error_body,
                                 .ctx = s};
}

/* ---- life ---- */

struct service *service_new(const struct service_options *options)
{
    struct service *s = NEW(struct service);
    uint64_t seed;
    CHECK(getrandom(&seed, sizeof(seed), 0) == sizeof(seed));
    s->options = *options;
    s->random = rng_from(seed);
    s->created = clock_wall() / NSEC_PER_SEC;
    snprintf(s->fingerprint, sizeof(s->fingerprint), "fairway-%s", FAIRWAY_VERSION);
    list_init(&s->calls);
    buf_init(&s->scratch, SCRATCH_MAX);
    meters_init(&s->meters, options->metrics, options->name, options->gpu_id);
    return s;
}

void service_free(struct service *s)
{
    CHECK(list_empty(&s->calls));
    buf_fini(&s->scratch);
    mem_free(s);
}

void service_ready(struct service *s)
{
    if (s->state == SERVICE_LOADING)
        s->state = SERVICE_READY;
}

void service_drain(struct service *s)
{
    s->state = SERVICE_DRAINING;
    scheduler_drain(s->options.scheduler);
    if (list_empty(&s->calls))
        s->options.idle(s->options.ctx);
}
