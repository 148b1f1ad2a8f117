/* SPDX-License-Identifier: Apache-2.0 */
#include "api/openai_request.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/openai_internal.h"

enum {
    ASKS = OPENAI_CHAT | OPENAI_COMPLETION | OPENAI_GENERATE, /* asks for an answer */
};

int openai_refuse(struct openai_reader *r, const char *code, const char *param, const char *format,
                  ...)
{
    char message[ERR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    *r->error = (struct api_error){.status = 400, .code = str_from(code)};
    r->error->message = arena_dup(r->arena, str_from(message));
    if (param)
        r->error->param = arena_dup(r->arena, str_from(param));
    if (!r->error->message.ptr)
        r->error->message = STR("The request is invalid.");
    return ERR_INVALID;
}

static int too_big(struct openai_reader *r)
{
    *r->error =
        (struct api_error){.status = 413, .message = STR("The request has too many parts.")};
    return ERR_NO_MEMORY;
}

void *openai_array(struct openai_reader *r, size_t count, size_t size)
{
    void *array = arena_array(r->arena, count, size);
    if (!array)
        too_big(r);
    return array;
}

const struct json *openai_given(const struct openai_reader *r, const char *name)
{
    const struct json *node = json_get(r->root, str_from(name));
    return node && node->type != JSON_NULL ? node : NULL;
}

const char *openai_type_name(const struct json *node)
{
    static const char *const names[] = {"null",     "a boolean", "a number",
                                        "a string", "an array",  "an object"};
    return names[node->type];
}

/* ---- plain fields: one table ---- */

enum field_type { FIELD_NUMBER, FIELD_COUNT, FIELD_BOOL };

struct field {
    const char *name;
    unsigned kinds;
    enum field_type type;
    size_t offset; /* of its member: double, uint32_t or bool */
    double least, most;
};

#define MEMBER(name) offsetof(struct openai_request, name)

static const struct field fields[] = {
    {"temperature", ASKS, FIELD_NUMBER, MEMBER(temperature), 0, 2},
    {"top_p", ASKS, FIELD_NUMBER, MEMBER(top_p), 0, 1},
    {"min_p", ASKS, FIELD_NUMBER, MEMBER(min_p), 0, 1},
    {"top_k", ASKS, FIELD_COUNT, MEMBER(top_k), 0, INT32_MAX},
    {"frequency_penalty", ASKS, FIELD_NUMBER, MEMBER(frequency_penalty), -2, 2},
    {"presence_penalty", ASKS, FIELD_NUMBER, MEMBER(presence_penalty), -2, 2},
    {"n", OPENAI_CHAT | OPENAI_COMPLETION, FIELD_COUNT, MEMBER(n), 1, OPENAI_N_MAX},
    {"max_tokens", ASKS, FIELD_COUNT, MEMBER(max_tokens), 1, INT32_MAX},
    {"max_completion_tokens", OPENAI_CHAT, FIELD_COUNT, MEMBER(max_tokens), 1, INT32_MAX},
    {"ignore_eos", ASKS, FIELD_BOOL, MEMBER(ignore_eos), 0, 0},
    {"stream", ASKS, FIELD_BOOL, MEMBER(stream), 0, 0},
    {"logprobs", OPENAI_CHAT, FIELD_BOOL, MEMBER(logprobs), 0, 0},
    {"top_logprobs", OPENAI_CHAT, FIELD_COUNT, MEMBER(top_logprobs), 0, OPENAI_TOP_LOGPROBS_MAX},
};

static int wrong_type(struct openai_reader *r, const char *name, const char *expected,
                      const struct json *node)
{
    return openai_refuse(r, "invalid_type", name,
                         "Invalid type for '%s': expected %s, but got %s instead.", name, expected,
                         openai_type_name(node));
}

static int read_bool(struct openai_reader *r, const char *name, bool *ret_value)
{
    const struct json *node = openai_given(r, name);
    if (!node)
        return 0;
    if (node->type != JSON_BOOL)
        return wrong_type(r, name, "a boolean", node);
    *ret_value = node->boolean;
    return 0;
}

static int check_range(struct openai_reader *r, const struct field *f, const struct json *node)
{
    if (node->number >= f->least && node->number <= f->most)
        return 0;
    return openai_refuse(r, "invalid_value", f->name,
                         "Invalid value for '%s': %.*s is not between %.0f and %.0f.", f->name,
                         (int)MIN(node->raw.len, 40), node->raw.ptr, f->least, f->most);
}

static int read_field(struct openai_reader *r, const struct field *f)
{
    void *member = (char *)r->request + f->offset;
    if (f->type == FIELD_BOOL)
        return read_bool(r, f->name, member);
    const struct json *node = openai_given(r, f->name);
    if (!node)
        return 0;
    int64_t whole = 0;
    if (node->type != JSON_NUMBER || (f->type == FIELD_COUNT && json_i64(node, &whole)))
        return wrong_type(r, f->name, f->type == FIELD_COUNT ? "an integer" : "a number", node);
    /* vLLM's way to say "all of them". */
    if (whole == -1 && f->offset == MEMBER(top_k))
        return 0;
    int error = check_range(r, f, node);
    if (error)
        return error;
    if (f->type == FIELD_COUNT)
        *(uint32_t *)member = (uint32_t)whole;
    else
        *(double *)member = node->number;
    return 0;
}

/* ---- asked for, but not to be had ---- */

struct unsupported {
    const char *name;
    const char
        *harmless; /* a value, as JSON text, that asks for nothing; NULL: none but the empty */
};

static const struct unsupported unsupported[] = {
    {"tools", NULL},
    {"functions", NULL},
    {"tool_choice", "none"},
    {"function_call", "none"},
    {"echo", NULL},
    {"suffix", NULL},
    {"best_of", "1"},
    {"audio", NULL},
    {"web_search_options", NULL},
    {"repetition_penalty", "1"},
    {"min_tokens", NULL},
    {"stop_token_ids", NULL},
    {"use_beam_search", NULL},
    {"prompt_logprobs", NULL},
    {"grammar", NULL},
    {"json_schema", NULL},
    {"guided_json", NULL},
    {"guided_regex", NULL},
    {"guided_choice", NULL},
    {"guided_grammar", NULL},
    {"structured_outputs", NULL},
    {"dimensions", NULL},
};

/* null, false, 0, "", [] and {} ask for nothing; neither does the field's harmless value. */
static bool asks_nothing(const struct json *node, const char *harmless)
{
    switch (node->type) {
    case JSON_NULL:
        return true;
    case JSON_BOOL:
        return !node->boolean;
    case JSON_NUMBER:
        return node->number == 0 || (harmless && node->number == strtod(harmless, NULL));
    case JSON_STRING:
        /* "auto" is what some clients always send; without tools it chooses among none. */
        return node->text.len == 0 || str_eq(node->text, STR("auto")) ||
               (harmless && str_eq(node->text, str_from(harmless)));
    default:
        return node->count == 0;
    }
}

static int refuse_unsupported(struct openai_reader *r)
{
    for (size_t i = 0; i < ARRAY_LEN(unsupported); i++) {
        const struct unsupported *u = &unsupported[i];
        const struct json *node = openai_given(r, u->name);
        if (!node || asks_nothing(node, u->harmless))
            continue;
        return openai_refuse(r, "unsupported_parameter", u->name,
                             "Unsupported parameter: '%s' is not supported by this server.",
                             u->name);
    }
    const struct json *format = openai_given(r, "response_format");
    const struct json *type = json_get(format, STR("type"));
    if (format && !(type && type->type == JSON_STRING && str_eq(type->text, STR("text"))))
        return openai_refuse(r, "unsupported_parameter", "response_format",
                             "Unsupported parameter: 'response_format' other than "
                             "{\"type\": \"text\"} is not supported by this server.");
    return 0;
}

/* ---- fields with a shape of their own ---- */

static int read_stops(struct openai_reader *r)
{
    const struct json *node = openai_given(r, "stop");
    if (!node)
        return 0;
    size_t count = node->type == JSON_ARRAY ? node->count : 1;
    if (node->type != JSON_ARRAY && node->type != JSON_STRING)
        return wrong_type(r, "stop", "a string or an array of strings", node);
    if (count > OPENAI_STOPS_MAX)
        return openai_refuse(r, "invalid_value", "stop",
                             "Invalid value for 'stop': %zu strings are more than %d.", count,
                             OPENAI_STOPS_MAX);
    r->request->stops = openai_array(r, count, sizeof(struct str));
    if (!r->request->stops)
        return ERR_NO_MEMORY;
    const struct json *item = node->type == JSON_ARRAY ? node->first : node;
    for (size_t i = 0; i < count; i++, item = item->next) {
        if (item->type != JSON_STRING)
            return wrong_type(r, "stop", "an array of strings", item);
        if (item->text.len == 0 || item->text.len > OPENAI_STOP_LENGTH_MAX)
            return openai_refuse(r, "invalid_value", "stop",
                                 "Invalid value for 'stop': a stop string has 1 to %d bytes.",
                                 OPENAI_STOP_LENGTH_MAX);
        r->request->stops[r->request->stop_count++] = item->text;
    }
    return 0;
}

static int read_biases(struct openai_reader *r)
{
    const struct json *node = openai_given(r, "logit_bias");
    if (!node)
        return 0;
    if (node->type != JSON_OBJECT)
        return wrong_type(r, "logit_bias", "an object", node);
    if (node->count > OPENAI_BIASES_MAX)
        return openai_refuse(r, "invalid_value", "logit_bias",
                             "Invalid value for 'logit_bias': more than %d tokens.",
                             OPENAI_BIASES_MAX);
    r->request->biases = openai_array(r, node->count, sizeof(struct openai_bias));
    if (!r->request->biases)
        return ERR_NO_MEMORY;
    json_each(item, node)
    {
        uint64_t token;
        if (str_to_u64(item->key, &token) || token > INT32_MAX || item->type != JSON_NUMBER ||
            !(item->number >= -100 && item->number <= 100))
            return openai_refuse(r, "invalid_value", "logit_bias",
                                 "Invalid value for 'logit_bias': expected token ids with numbers "
                                 "between -100 and 100.");
        /* The format's own words: -100 bans, 100 makes it the only one. */
        float bias = item->number <= -100 ? -INFINITY : (float)item->number;
        r->request->biases[r->request->bias_count++] = (struct openai_bias){(int32_t)token, bias};
    }
    return 0;
}

/* Chat says a boolean and top_logprobs; completions say a number. */
static int read_logprobs(struct openai_reader *r)
{
    struct openai_request *q = r->request;
    if (r->kind == OPENAI_COMPLETION) {
        const struct field f = {"logprobs",  OPENAI_COMPLETION,
                                FIELD_COUNT, MEMBER(top_logprobs),
                                0,           OPENAI_TOP_LOGPROBS_MAX};
        q->logprobs = openai_given(r, "logprobs") != NULL;
        return read_field(r, &f);
    }
    if (q->top_logprobs > 0 && !q->logprobs)
        return openai_refuse(r, "invalid_value", "top_logprobs",
                             "'top_logprobs' is only allowed when 'logprobs' is true.");
    return 0;
}

static int read_seed(struct openai_reader *r)
{
    const struct json *node = openai_given(r, "seed");
    if (!node)
        return 0;
    if (json_i64(node, &r->request->seed))
        return wrong_type(r, "seed", "a 64-bit integer", node);
    r->request->has_seed = true;
    return 0;
}

static int read_stream_options(struct openai_reader *r)
{
    const struct json *options = openai_given(r, "stream_options");
    if (!options)
        return 0;
    if (options->type != JSON_OBJECT)
        return wrong_type(r, "stream_options", "an object", options);
    if (!r->request->stream)
        return openai_refuse(r, "invalid_value", "stream_options",
                             "'stream_options' is only allowed when 'stream' is true.");
    const struct json *usage = json_get(options, STR("include_usage"));
    if (usage && usage->type != JSON_NULL && usage->type != JSON_BOOL)
        return wrong_type(r, "stream_options.include_usage", "a boolean", usage);
    r->request->include_usage = usage && usage->type == JSON_BOOL && usage->boolean;
    return 0;
}

static int wrong_resume(struct openai_reader *r, const char *field)
{
    return openai_refuse(r, "invalid_value", "fairway_resume",
                         "Invalid value for 'fairway_resume': '%s' is missing or wrong.", field);
}

static int read_resumed_tokens(struct openai_reader *r, const struct json *ids)
{
    if (!ids || ids->type != JSON_ARRAY)
        return wrong_resume(r, "token_ids");
    int32_t *tokens = openai_array(r, ids->count, sizeof(int32_t));
    size_t count = 0;
    if (!tokens)
        return ERR_NO_MEMORY;
    json_each(item, ids)
    {
        int64_t token;
        if (json_i64(item, &token) || token < 0 || token > INT32_MAX)
            return wrong_resume(r, "token_ids");
        tokens[count++] = (int32_t)token;
    }
    r->request->resume.tokens = tokens;
    r->request->resume.count = count;
    return 0;
}

static int read_resume(struct openai_reader *r)
{
    struct openai_resume *resume = &r->request->resume;
    const struct json *node = openai_given(r, "fairway_resume");
    int64_t shown;
    if (!node)
        return 0;
    const struct json *id = json_get(node, STR("id"));
    if (!r->request->stream || r->request->n != 1)
        return openai_refuse(r, "invalid_value", "fairway_resume",
                             "'fairway_resume' is only allowed for one streamed answer.");
    if (!id || id->type != JSON_STRING)
        return wrong_resume(r, "id");
    if (json_i64(json_get(node, STR("created")), &resume->created))
        return wrong_resume(r, "created");
    if (json_i64(json_get(node, STR("seed")), &r->request->seed))
        return wrong_resume(r, "seed");
    if (json_i64(json_get(node, STR("shown")), &shown) || shown < 0)
        return wrong_resume(r, "shown");
    resume->given = r->request->has_seed = true;
    resume->id = id->text;
    resume->shown = (uint64_t)shown;
    return read_resumed_tokens(r, json_get(node, STR("token_ids")));
}

static int read_encoding(struct openai_reader *r)
{
    const struct json *node = openai_given(r, "encoding_format");
    if (!node)
        return 0;
    bool base64 = node->type == JSON_STRING && str_eq(node->text, STR("base64"));
    if (!base64 && !(node->type == JSON_STRING && str_eq(node->text, STR("float"))))
        return openai_refuse(r, "invalid_value", "encoding_format",
                             "Invalid value for 'encoding_format': expected 'float' or 'base64'.");
    r->request->base64 = base64;
    return 0;
}

static int read_model(struct openai_reader *r)
{
    const struct json *node = openai_given(r, "model");
    if (node && node->type != JSON_STRING)
        return wrong_type(r, "model", "a string", node);
    if (node)
        r->request->model = node->text;
    return 0;
}

static int read_answer_fields(struct openai_reader *r)
{
    int (*const readers[])(struct openai_reader *) = {
        read_stops, read_biases, read_logprobs, read_seed, read_stream_options, read_resume};
    for (size_t i = 0; i < ARRAY_LEN(readers); i++) {
        int error = readers[i](r);
        if (error)
            return error;
    }
    return 0;
}

static int read_tokenize(struct openai_reader *r)
{
    bool special = true;
    int error = read_bool(r, "add_special_tokens", &special);
    r->request->no_special_tokens = !special;
    if (error)
        return error;
    return openai_given(r, "messages") ? openai_read_messages(r) : openai_read_prompts(r, "prompt");
}

static int read_content(struct openai_reader *r)
{
    switch (r->kind) {
    case OPENAI_CHAT:
        return openai_read_messages(r);
    case OPENAI_EMBEDDING:
        return openai_read_prompts(r, "input");
    case OPENAI_TOKENIZE:
        return read_tokenize(r);
    case OPENAI_DETOKENIZE:
        return openai_read_prompts(r, "tokens");
    default:
        return openai_read_prompts(r, "prompt");
    }
}

static int read_all(struct openai_reader *r)
{
    int error = read_model(r);
    for (size_t i = 0; i < ARRAY_LEN(fields) && !error; i++)
        if (fields[i].kinds & r->kind)
            error = read_field(r, &fields[i]);
    if (!error && (r->kind & (ASKS | OPENAI_EMBEDDING | OPENAI_TOKENIZE)))
        error = refuse_unsupported(r);
    if (!error && (r->kind & ASKS))
        error = read_answer_fields(r);
    if (!error && r->kind == OPENAI_EMBEDDING)
        error = read_encoding(r);
    return error ? error : read_content(r);
}

int openai_parse(enum openai_kind kind, struct str body, struct arena *arena,
                 struct openai_request *ret_request, struct api_error *ret_error)
{
    struct err err = {0};
    struct json *root;
    struct openai_reader r = {kind, arena, NULL, ret_request, ret_error};
    int error = json_parse(arena, body, &root, &err);
    if (error == ERR_NO_MEMORY)
        return too_big(&r);
    if (error) {
        openai_refuse(&r, "invalid_json", NULL, "The body of the request is not JSON: %s.",
                      err.message);
        return error;
    }
    if (root->type != JSON_OBJECT)
        return openai_refuse(&r, "invalid_json", NULL,
                             "The body of the request must be a JSON object, but it is %s.",
                             openai_type_name(root));
    r.root = root;
    *ret_request = (struct openai_request){
        .n = 1,
        .stream = kind == OPENAI_GENERATE,
        .temperature = kind == OPENAI_GENERATE ? 0.7 : 1,
        .top_p = kind == OPENAI_GENERATE ? 0.95 : 1,
        .max_tokens = kind == OPENAI_GENERATE     ? 256
                      : kind == OPENAI_COMPLETION ? 16
                                                  : 0,
    };
    return read_all(&r);
}
