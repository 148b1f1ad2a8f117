/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/ask.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "gateway/body_edit.h"
#include "gateway/reply.h"

enum {
    OUTPUT_TOKENS_ASSUMED = 256,  /* when the request names no maximum */
    OUTPUT_TOKENS_MOST = 1 << 24, /* a client may ask for any number; sums must not overflow */
    DIALECT_ARENA_MAX = 256 * 1024 * 1024,
    DIALECT_BODY_MAX = 64 * 1024 * 1024, /* twice what a client may send */
};

enum {
    SPAN_MODEL,
    SPAN_STREAM,
    SPAN_OPTIONS,
    SPAN_MAX_TOKENS,
    SPAN_MAX_COMPLETION_TOKENS,
    SPAN_MESSAGES,
    SPAN_PROMPT,
    SPAN_USER,
    SPAN_CACHE_SALT,
    SPANS
};

/* A client's body in OpenAI's format; the exchange's own, if `ret_body` stays without a maximum. */
static bool translate(struct http_exchange *x, const struct dialect *dialect, struct buf *ret_body)
{
    struct api_error why;
    struct arena arena;
    *ret_body = (struct buf){0};
    if (!dialect->request)
        return true;
    arena_init(&arena, DIALECT_ARENA_MAX);
    buf_init(ret_body, DIALECT_BODY_MAX);
    int error = dialect->request(http_exchange_request(x)->body, &arena, ret_body, &why);
    if (error) {
        buf_fini(ret_body);
        reply_error(x, &why, 0, STR_NONE, NULL);
    }
    arena_fini(&arena);
    return !error;
}

static bool scan(struct http_exchange *x, struct str body, struct json_span spans[SPANS])
{
    static const struct str keys[SPANS] = {
        [SPAN_MODEL] = STR("model"),
        [SPAN_STREAM] = STR("stream"),
        [SPAN_OPTIONS] = STR("stream_options"),
        [SPAN_MAX_TOKENS] = STR("max_tokens"),
        [SPAN_MAX_COMPLETION_TOKENS] = STR("max_completion_tokens"),
        [SPAN_MESSAGES] = STR("messages"),
        [SPAN_PROMPT] = STR("prompt"),
        [SPAN_USER] = STR("user"),
        [SPAN_CACHE_SALT] = STR("cache_salt"),
    };
    for (size_t i = 0; i < SPANS; i++)
        spans[i] = (struct json_span){.key = keys[i]};
    size_t offset;
    if (json_scan(body, spans, SPANS, &offset) == 0)
        return true;
    char message[128];
    snprintf(message, sizeof(message), "The body is not a JSON object: wrong at byte %zu.", offset);
    reply_refusal(x, 400, STR("invalid_json"), STR_NONE, str_from(message));
    return false;
}

/* What the name stands for, for this tenant and session. NULL: refused and answered. */
static const struct table_entry *pick(struct worker *w, struct http_exchange *x, struct str name,
                                      const struct flight_request *r)
{
    uint64_t key = r->session ? r->session : rng_u64(&w->rng);
    const struct table_entry *entry = table_pick(w->table, name, r->tenant, key);
    if (!entry) /* to a tenant that may not use it, it does not exist */
        reply_unknown_model(x, name);
    return entry;
}

/* The model that the body names; without a name, the only one there is (for /generate). */
static const struct table_entry *find_target(struct worker *w, struct http_exchange *x,
                                             const struct flight_request *r, struct str raw_model,
                                             struct str *ret_name)
{
    const struct routes_model *only = w->table ? w->table->routes->models : NULL;
    if (!raw_model.ptr && only && !only->next) {
        *ret_name = only->name;
    } else if (!raw_model.ptr || json_raw_str(http_exchange_arena(x), raw_model, ret_name)) {
        reply_refusal(x, 400, STR("missing_model"), STR("model"),
                      STR("The body must name a model: {\"model\": \"...\"}."));
        return NULL;
    }
    return pick(w, x, *ret_name, r);
}

static void estimate_tokens(size_t body_len, const struct json_span *spans,
                            struct flight_request *r)
{
    r->input_tokens = body_len / BYTES_PER_TOKEN;
    r->output_tokens = OUTPUT_TOKENS_ASSUMED;
    if (spans[SPAN_MAX_TOKENS].value.ptr)
        (void)!json_raw_u64(spans[SPAN_MAX_TOKENS].value, &r->output_tokens);
    if (spans[SPAN_MAX_COMPLETION_TOKENS].value.ptr)
        (void)!json_raw_u64(spans[SPAN_MAX_COMPLETION_TOKENS].value, &r->output_tokens);
    r->output_tokens = MIN(r->output_tokens, (uint64_t)OUTPUT_TOKENS_MOST);
}

/* x-fairway-priority: high, normal or low; never above the tenant's own. Without it: normal, or the tenant's if that is lower. */
static bool read_band(struct http_exchange *x, const struct table_tenant *tenant,
                      enum queue_band *ret_band)
{
    static const struct str names[QUEUE_BANDS] = {STR("high"), STR("normal"), STR("low")};
    struct str asked =
        http_header_get(&http_exchange_request(x)->headers, STR("x-fairway-priority"));
    int band = asked.ptr ? 0 : QUEUE_BAND_NORMAL;
    while (asked.ptr && band < QUEUE_BANDS && !str_eq_nocase(asked, names[band]))
        band++;
    if (band == QUEUE_BANDS) {
        reply_refusal(x, 400, STR("invalid_priority"), STR_NONE,
                      STR("The header x-fairway-priority takes high, normal or low."));
        return false;
    }
    *ret_band = MAX((enum queue_band)band, tenant->rules->priority);
    return true;
}

/* ---- what routing goes by ---- */

/* A session is what the header x-session-id says, or else the body's `user`, of this tenant. */
static uint64_t session_of(struct http_exchange *x, const struct tenant *tenant, struct str user)
{
    struct str id = http_header_get(&http_exchange_request(x)->headers, STR("x-session-id"));
    id = id.len ? id : user;
    return id.len ? hash_combine(hash_bytes(id), tenant->number) : 0;
}

/* Equal beginnings of prompts have equal blocks, within a tenant, a name of the model (which may stand for a LoRA) and a
 * cache_salt: others' prompts do not show in where one's own go. */
static void hash_prompt(struct flight_request *r, const struct json_span *spans, struct str name)
{
    struct str prompt =
        spans[SPAN_MESSAGES].value.ptr ? spans[SPAN_MESSAGES].value : spans[SPAN_PROMPT].value;
    size_t most = MIN(prompt.len / PREFIX_BLOCK_BYTES, (size_t)PREFIX_BLOCKS_MAX);
    if (most == 0 || !str_eq(r->target->model->policy, STR("prefix")))
        return;
    uint64_t seed = hash_combine(hash_bytes(name), r->tenant->tenant->number);
    seed = hash_combine(hash_bytes(spans[SPAN_CACHE_SALT].value), seed);
    r->take_blocks = mem_array(most, sizeof(uint64_t));
    r->block_count =
        prefix_hash_blocks(prompt, PREFIX_BLOCK_BYTES, seed, r->take_blocks, (unsigned)most);
}

/* ---- stream_options.include_usage ---- */

static struct str behind_brace(struct str object)
{
    return str_sub(object, 1, 1);
}

static bool is_empty_object(struct str object)
{
    return str_trim(str_sub(object, 1, object.len - 1)).len == 0;
}

static void add_options(struct body_edits *edits, struct str body, struct str options)
{
    if (options.ptr) { /* null */
        body_edit(edits, body, options, STR("{\"include_usage\":true}"));
        return;
    }
    /* A stream was asked for, so the body has a member. */
    body_edit(edits, body, behind_brace(str_trim(body)),
              STR("\"stream_options\":{\"include_usage\":true},"));
}

/* True when the client itself asked for it. What is no boolean is left to the engine to refuse. */
static bool force_usage(struct body_edits *edits, struct str body, struct str options)
{
    struct json_span include = {.key = STR("include_usage")};
    bool asked = false;
    size_t offset;
    if (!options.ptr || str_eq(options, STR("null"))) {
        add_options(edits, body, options);
    } else if (options.ptr[0] != '{' || json_scan(options, &include, 1, &offset) ||
               (include.value.ptr && json_raw_bool(include.value, &asked) &&
                !str_eq(include.value, STR("null")))) {
        return true;
    } else if (!include.value.ptr) {
        body_edit(edits, body, behind_brace(options),
                  is_empty_object(options) ? STR("\"include_usage\":true")
                                           : STR("\"include_usage\":true,"));
    } else if (!asked) {
        body_edit(edits, body, include.value, STR("true"));
    }
    return asked;
}

/* ---- all together ---- */

static struct str quoted(struct http_exchange *x, struct str name)
{
    struct buf text;
    buf_init(&text, 1024);
    json_put_str(&text, name);
    struct str copy = arena_dup(http_exchange_arena(x), buf_str(&text));
    buf_fini(&text);
    return copy;
}

/* The model as its engine calls it. */
static void name_model(struct http_exchange *x, struct body_edits *edits, struct str body,
                       struct str named, struct str name)
{
    struct str text = quoted(x, name);
    if (named.ptr) {
        body_edit(edits, body, named, text);
        return;
    }
    const char *comma = is_empty_object(str_trim(body)) ? "" : ",";
    body_edit(edits, body, behind_brace(str_trim(body)),
              arena_printf(http_exchange_arena(x), "\"model\":%.*s%s", STR_ARG(text), comma));
}

/* A body of any kind, to the model of the header x-fairway-model. */
static bool read_header(struct worker *w, struct http_exchange *x, struct str name,
                        struct flight_request *r)
{
    r->session = session_of(x, r->tenant->tenant, STR_NONE);
    r->target = pick(w, x, name, r);
    r->input_tokens = http_exchange_request(x)->body.len / BYTES_PER_TOKEN;
    return r->target && read_band(x, r->tenant, &r->band);
}

/* `body` is in OpenAI's format. */
static bool read_body(struct worker *w, struct http_exchange *x, enum ask_kind kind,
                      struct str body, struct body_edits *edits, struct flight_request *r)
{
    struct json_span spans[SPANS];
    struct str name;
    if (!scan(x, body, spans))
        return false;
    r->session = session_of(x, r->tenant->tenant, spans[SPAN_USER].value);
    r->target = find_target(w, x, r, spans[SPAN_MODEL].value, &name);
    if (!r->target)
        return false;
    if (spans[SPAN_STREAM].value.ptr && json_raw_bool(spans[SPAN_STREAM].value, &r->stream)) {
        reply_refusal(x, 400, STR("invalid_type"), STR("stream"),
                      STR("'stream' must be true or false."));
        return false;
    }
    if (!read_band(x, r->tenant, &r->band))
        return false;
    const struct routes_model *model = r->target->model;
    estimate_tokens(body.len, spans, r);
    if (!r->generates)
        r->output_tokens = 0;
    if (!str_eq(name, model->engine_name))
        name_model(x, edits, body, spans[SPAN_MODEL].value, model->engine_name);
    r->resumable = kind == ASK_STREAM_OPTIONS && r->stream;
    if (kind == ASK_STREAM_OPTIONS && r->stream)
        r->usage_asked = force_usage(edits, body, spans[SPAN_OPTIONS].value);
    hash_prompt(r, spans, name);
    return true;
}

bool ask_read(struct worker *w, struct http_exchange *x, enum ask_kind kind,
              const struct table_tenant *tenant, struct flight_request *ret_request)
{
    const struct http_request *r = http_exchange_request(x);
    const struct dialect *dialect = dialect_of(r->path);
    struct body_edits edits = {.count = 0};
    struct buf translated;
    if (!translate(x, dialect, &translated))
        return false;
    *ret_request = (struct flight_request){
        .exchange = x,
        .tenant = tenant,
        .upstream_path = dialect->upstream_path.len ? dialect->upstream_path : r->path,
        .dialect = dialect,
        .stream = kind == ASK_GENERATE,
        .usage_asked = true,
        .generates = kind != ASK_COUNT && kind != ASK_OTHER,
    };
    struct str named = http_header_get(&r->headers, STR("x-fairway-model"));
    if (kind == ASK_OTHER && named.len)
        return read_header(w, x, named, ret_request);
    struct str body = translated.max ? buf_str(&translated) : r->body;
    bool is_good = read_body(w, x, kind, body, &edits, ret_request);
    if (is_good && !edits.count) {
        ret_request->take_body = translated;
        return true;
    }
    if (is_good)
        ret_request->take_body = body_edits_apply(&edits, body);
    buf_fini(&translated);
    return is_good;
}
