/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "engine/service_internal.h"

/* ---- jobs ---- */

/* The client's biases, and where it ignores the model's ends, a ban on those. */
static struct sampler_bias *biases_of(struct call *call, size_t *ret_count)
{
    const struct openai_request *q = &call->request;
    const struct model_info *info = &call->service->options.model->info;
    size_t bans = q->ignore_eos ? info->end_count : 0, count = 0;
    struct sampler_bias *biases =
        arena_array(&call->arena, q->bias_count + bans, sizeof(struct sampler_bias));
    *ret_count = 0;
    if (!biases)
        return NULL;
    for (size_t i = 0; i < q->bias_count; i++)
        biases[count++] = (struct sampler_bias){q->biases[i].token, q->biases[i].bias};
    for (size_t i = 0; i < bans; i++)
        biases[count++] = (struct sampler_bias){info->ends[i], -INFINITY};
    *ret_count = count;
    return biases;
}

static struct job_params params_of(struct call *call)
{
    const struct openai_request *q = &call->request;
    struct job_params params = {
        .sampling = {.temperature = (float)q->temperature,
                     .top_k = q->top_k,
                     .top_p = (float)q->top_p,
                     .min_p = (float)q->min_p,
                     .frequency_penalty = (float)q->frequency_penalty,
                     .presence_penalty = (float)q->presence_penalty,
                     .seed = q->has_seed ? (uint64_t)q->seed : rng_u64(&call->service->random)},
        .max_tokens = q->max_tokens ? q->max_tokens : UINT32_MAX,
        .want_logprobs = q->logprobs,
        .top = MIN(q->top_logprobs, call->service->options.model->info.vocabulary),
        .stops = q->stops,
        .stop_count = q->stop_count,
        .embed = call->kind == OPENAI_EMBEDDING,
    };
    params.sampling.biases = biases_of(call, &params.sampling.bias_count);
    if (params.embed)
        params.max_tokens = 0;
    return params;
}

static struct str param_of(enum openai_kind kind)
{
    return kind == OPENAI_CHAT        ? STR("messages")
           : kind == OPENAI_EMBEDDING ? STR("input")
                                      : STR("prompt");
}

/* Takes up the answer behind the tokens that the client has. */
static int resume(struct call *call, struct choice *choice, struct api_error *error)
{
    const struct openai_resume *r = &call->request.resume;
    struct model *model = call->service->options.model;
    char piece[MODEL_PIECE_MAX];
    bool goes_on = true;
    for (size_t i = 0; i < r->count && goes_on; i++) {
        size_t len = model->ops->is_token(model, r->tokens[i])
                         ? model->ops->piece(model, r->tokens[i], piece)
                         : 0;
        goes_on = job_replay(choice->job, r->tokens[i], (struct str){piece, len});
        choice->offset += len;
    }
    if (!goes_on || r->shown < choice->job->answer.dropped) {
        *error = (struct api_error){.status = 400,
                                    .message = STR("There is nothing to resume: the answer was "
                                                   "complete, or is another one."),
                                    .param = STR("fairway_resume")};
        return ERR_INVALID;
    }
    choice->opened = true;
    choice->shown = r->shown;
    choice->skip = r->shown - choice->job->answer.dropped;
    call->reply.id = r->id;
    call->reply.created = r->created;
    return 0;
}

/* The jobs of one prompt, one for each of its n choices. */
static int make_jobs(struct call *call, const struct openai_prompt *prompt,
                     struct job_params *params, struct choice *choices, struct api_error *error)
{
    const struct model_info *info = &call->service->options.model->info;
    struct str param = param_of(call->kind);
    int32_t *tokens;
    size_t count;
    int result = service_tokens(call->service, &call->arena, &call->request, prompt, param, &tokens,
                                &count, error);
    if (result)
        return result;
    if (!params->embed && count >= info->length_max)
        return service_too_long(&call->arena, info->length_max, false, count, param, error);
    call->usage.prompt_tokens += count;
    for (uint32_t i = 0; i < call->request.n; i++) {
        params->sampling.choice = i;
        result = job_new(params, tokens, count, info->length_max, &choices[i].job);
        if (result) {
            *error = (struct api_error){.status = 400,
                                        .message = STR("The stop strings are too long."),
                                        .param = STR("stop")};
            return result;
        }
        choices[i].job->owner = &choices[i];
        choices[i].job->notify = call_news;
        choices[i].call = call;
        buf_init(&choices[i].text, ANSWER_MAX);
    }
    return 0;
}

static int make_all_jobs(struct call *call, struct api_error *error)
{
    struct job_params params = params_of(call);
    struct openai_request *q = &call->request;
    call->reply.seed = (int64_t)params.sampling.seed;
    size_t prompts = call->kind == OPENAI_CHAT ? 1 : q->prompt_count;
    call->choices = arena_array(&call->arena, prompts * q->n, sizeof(struct choice));
    if (!call->choices) {
        *error = (struct api_error){.status = 413, .message = STR("There are too many prompts.")};
        return ERR_TOO_BIG;
    }
    for (size_t i = 0; i < prompts; i++) {
        int result = make_jobs(call, call->kind == OPENAI_CHAT ? NULL : &q->prompts[i], &params,
                               &call->choices[i * q->n], error);
        call->count = (i + 1) * q->n;
        if (result)
            return result;
    }
    call->progress = call->progress && call->count == 1;
    return q->resume.given && call->count == 1 ? resume(call, call->choices, error) : 0;
}

static int submit(struct call *call, struct api_error *error)
{
    struct job **jobs = arena_array(&call->arena, call->count, sizeof(struct job *));
    int result = jobs ? 0 : ERR_FULL;
    for (size_t i = 0; i < call->count && jobs; i++)
        jobs[i] = call->choices[i].job;
    if (jobs)
        result = scheduler_submit(call->service->options.scheduler, jobs, call->count);
    if (result == ERR_FULL)
        *error = (struct api_error){.status = 429,
                                    .message = STR("Too many requests wait for this model already. "
                                                   "Please try again later."),
                                    .code = STR("queue_full")};
    else if (result)
        *error = (struct api_error){.status = 503, .message = STR("The model is not ready.")};
    else
        call->open = call->count;
    return result;
}

/* ---- life ---- */

static void free_call(struct call *call)
{
    list_remove(&call->link);
    for (size_t i = 0; i < call->count; i++) {
        if (call->choices[i].job)
            job_free(call->choices[i].job);
        buf_fini(&call->choices[i].text);
        mem_free(call->choices[i].tokens);
        mem_free(call->choices[i].vector);
    }
    struct service *s = call->service;
    arena_fini(&call->arena);
    mem_free(call);
    if (s->state == SERVICE_DRAINING && list_empty(&s->calls))
        s->options.idle(s->options.ctx);
}

static void free_if_over(struct call *call)
{
    if (!call->x && call->open == 0 && !call->pinned)
        free_call(call);
}

static void cancel_jobs(struct call *call)
{
    for (size_t i = 0; i < call->count && call->open > 0; i++)
        if (call->choices[i].job)
            scheduler_cancel(call->choices[i].job);
}

static const char *kind_name(enum openai_kind kind)
{
    return kind == OPENAI_CHAT         ? "chat"
           : kind == OPENAI_COMPLETION ? "completion"
           : kind == OPENAI_EMBEDDING  ? "embedding"
                                       : "generate";
}

void call_close(struct call *call, int status)
{
    struct service *s = call->service;
    nsec took = clock_now() - call->began;
    char trace[TRACE_ID_TEXT_MAX];
    CHECK(call->x);
    call->x = NULL;
    meters_request(&s->meters, status, took);
    cancel_jobs(call);
    log_info("request", log_str("id", call->id), log_str("kind", kind_name(call->kind)),
             log_int("status", status),
             log_int("prompt_tokens", (int64_t)call->usage.prompt_tokens),
             log_int("completion_tokens", (int64_t)call->usage.completion_tokens),
             log_int("cached_tokens", (int64_t)call->usage.cached_tokens),
             log_dur("first_token", call->first_token), log_dur("took", took),
             log_str("trace_id", trace_id_format(call->trace, trace)));
}

static void refuse(struct call *call, const struct api_error *error)
{
    struct http_exchange *x = call->x;
    service_error(call->service, x, error);
    call_close(call, error->status);
    free_if_over(call);
}

static void init_call(struct call *call, struct service *s, struct http_exchange *x,
                      enum openai_kind kind)
{
    static const char *const prefixes[] = {[OPENAI_CHAT] = "chatcmpl",
                                           [OPENAI_COMPLETION] = "cmpl",
                                           [OPENAI_EMBEDDING] = "embd",
                                           [OPENAI_GENERATE] = "gen"};
    const struct http_request *http = http_exchange_request(x);
    struct trace_context context;
    call->service = s;
    call->x = x;
    call->kind = kind;
    call->began = http_exchange_started(x);
    arena_init(&call->arena, CALL_ARENA_CAP);
    list_append(&s->calls, &call->link);
    snprintf(call->id, sizeof(call->id), "%s-%016llx%08x", prefixes[kind],
             (unsigned long long)rng_u64(&s->random), (unsigned)rng_u64(&s->random));
    call->reply = (struct openai_reply){.kind = kind,
                                        .id = str_from(call->id),
                                        .model = s->options.name,
                                        .fingerprint = str_from(s->fingerprint),
                                        .created = clock_wall() / NSEC_PER_SEC};
    if (trace_parse(http_header_get(&http->headers, STR("traceparent")), &context))
        context = trace_new(&s->random);
    call->trace = context.trace;
    call->progress = http_header_get(&http->headers, STR("x-fairway-progress")).ptr != NULL;
}

/* What a simulated engine is told to do wrong. True: the request is to fail. */
static bool inject_fault(struct service *s)
{
    const struct service_faults *f = &s->options.faults;
    uint64_t number = ++s->accepted;
    if (f->crash_after && number > f->crash_after)
        abort();
    return f->fail > 0 && (double)(rng_at(f->seed, number) >> 11) * 0x1p-53 < f->fail;
}

static int check_state(struct service *s, struct api_error *error)
{
    if (s->state == SERVICE_READY)
        return 0;
    *error = (struct api_error){.status = 503,
                                .message = s->state == SERVICE_LOADING
                                               ? STR("The model is being loaded.")
                                               : STR("This replica is shutting down."),
                                .code = STR("not_ready")};
    return ERR_UNAVAILABLE;
}

static int check_model(struct call *call, struct api_error *error)
{
    struct str asked = call->request.model, name = call->service->options.name;
    if (!asked.ptr || str_eq(asked, name))
        return 0;
    *error =
        (struct api_error){.status = 404, .param = STR("model"), .code = STR("model_not_found")};
    error->message =
        arena_printf(&call->arena, "The model '%.*s' does not exist; this server has '%.*s'.",
                     (int)MIN(asked.len, 200), asked.ptr, STR_ARG(name));
    return ERR_NOT_FOUND;
}

void call_begin(struct service *s, struct http_exchange *x, enum openai_kind kind)
{
    struct call *call = NEW(struct call);
    struct api_error error;
    init_call(call, s, x, kind);
    http_exchange_set_data(x, call);
    int result = check_state(s, &error);
    if (!result)
        result = openai_parse(kind, http_exchange_request(x)->body, &call->arena, &call->request,
                              &error);
    if (!result)
        result = check_model(call, &error);
    if (!result && inject_fault(s)) {
        error = (struct api_error){.status = 500, .message = STR("A fault was injected.")};
        result = ERR_INTERNAL;
    }
    if (!result)
        result = make_all_jobs(call, &error);
    if (!result)
        result = submit(call, &error);
    if (result)
        refuse(call, &error);
}

/* ---- news ---- */

/* The job ended: what is left of it is the choice's. */
static void settle(struct choice *choice, enum job_end end)
{
    struct call *call = choice->call;
    struct job *job = choice->job;
    choice->finish = end == JOB_STOP ? "stop" : end == JOB_LENGTH ? "length" : "abort";
    if (!job->params.embed) {
        meters_sequence(&call->service->meters, &job->times, job_drawn(job), choice->finish);
        call->usage.completion_tokens += job_drawn(job);
    }
    call->usage.cached_tokens += job->cached;
    choice->vector = job->vector;
    job->vector = NULL;
    job_free(job);
    choice->job = NULL;
    call->open--;
}

static void take_news(struct choice *choice)
{
    struct call *call = choice->call;
    struct job *job = choice->job;
    struct job_news news;
    scheduler_take(job, &news);
    if (call->x)
        answer_news(choice, &news);
    if (news.end != JOB_RUNNING)
        settle(choice, news.end);
    if (call->x && call->open == 0)
        answer_complete(call);
}

void call_news(struct job *job)
{
    struct choice *choice = job->owner;
    struct call *call = choice->call;
    if (call->x && call->blocked)
        return; /* call_writable takes them */
    take_news(choice);
    free_if_over(call);
}

/* Takes the news that were left lying while the client read slowly: nobody announces them again. */
static void catch_up(struct call *call)
{
    call->blocked = false;
    call->pinned = true;
    for (size_t i = 0; i < call->count && !call->blocked; i++)
        if (call->choices[i].job)
            take_news(&call->choices[i]);
    call->pinned = false;
    free_if_over(call);
}

void call_writable(struct http_exchange *x)
{
    struct call *call = http_exchange_data(x);
    if (call)
        catch_up(call);
}

void call_departed(struct http_exchange *x)
{
    struct call *call = http_exchange_data(x);
    if (!call)
        return;
    call_close(call, 499);
    catch_up(call);
}

void service_cut(struct service *s)
{
    list_each(call, &s->calls, struct call, link)
    {
        if (!call->x)
            continue;
        answer_cut(call);
        catch_up(call);
    }
}
