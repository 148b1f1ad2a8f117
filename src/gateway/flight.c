/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/flight.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "gateway/flight_internal.h"
#include "gateway/reply.h"
#include "observe/metrics.h"

void flight_move(struct flight *f, enum flight_state to)
{
    static const unsigned moves[] = {
        [FLIGHT_WAITING] = 1 << FLIGHT_CALLING | 1 << FLIGHT_ENDED,
        [FLIGHT_CALLING] = 1 << FLIGHT_WAITING | 1 << FLIGHT_ANSWERING | 1 << FLIGHT_ENDED,
        [FLIGHT_ANSWERING] = 1 << FLIGHT_WAITING | 1 << FLIGHT_ENDED,
        [FLIGHT_ENDED] = 0,
    };
    CHECK(moves[f->state] >> to & 1);
    f->state = to;
}

/* ---- towards the client ---- */

enum { OWN_HEADERS_MAX = 2 + RATE_HEADERS_MAX };

/* Beside the plain ones: the id as the dialect has it, the model if it is not the one that was asked for, what is left of limits. */
static size_t put_own(const struct flight *f, struct http_header *headers, size_t count)
{
    if (f->dialect->id_header.len)
        headers[count++] = (struct http_header){f->dialect->id_header, str_from(f->id)};
    if (f->pool != f->asked_pool)
        headers[count++] = (struct http_header){STR("x-fairway-model"), model_pool_name(f->pool)};
    return count + rate_headers_put(&f->rates, headers + count);
}

void flight_send_head(struct flight *f, int status, struct str content_type)
{
    struct http_header headers[4 + OWN_HEADERS_MAX] = {
        {STR("content-type"), content_type},
        {STR("x-request-id"), str_from(f->id)},
        {STR("cache-control"), STR("no-cache")},
        {STR("x-accel-buffering"), STR("no")}, /* a proxy in front must not hold events back */
    };
    size_t count = put_own(f, headers, 4);
    f->head_sent = true;
    f->status = status;
    http_respond_begin(f->exchange, status, headers, count);
}

static void send_bytes(struct flight *f, struct str bytes)
{
    f->bytes += bytes.len;
    if (http_respond_write(f->exchange, bytes) && f->call && f->call->http)
        http_call_pause(f->call->http);
}

/* In the client's dialect, and counted. */
static void send_spoken(struct flight *f, struct str events)
{
    if (events.len == 0)
        return;
    nsec now = loop_now(f->worker->loop);
    struct model_meters *m = flight_meters(f);
    if (f->chunks++ == 0) {
        f->first_chunk = now;
        metric_observe(m->first_token, nsec_to_seconds(now - f->started));
    } else {
        metric_observe(m->inter_token, nsec_to_seconds(now - f->last_chunk));
    }
    f->last_chunk = now;
    send_bytes(f, events);
}

void flight_send_chunk(struct flight *f, struct str events)
{
    struct buf *spoken = &f->worker->spoken;
    if (!f->dialect->pass) {
        send_spoken(f, events);
        return;
    }
    buf_clear(spoken);
    f->dialect->pass(f->spoken, events, spoken);
    CHECK(!spoken->error);
    send_spoken(f, buf_str(spoken));
}

void flight_send_event(struct flight *f, struct str event)
{
    send_spoken(f, event);
    http_respond_end(f->exchange);
    f->exchange = NULL;
}

void flight_send_end(struct flight *f)
{
    struct buf *spoken = &f->worker->spoken;
    buf_clear(spoken);
    if (f->dialect->end)
        f->dialect->end(f->spoken, &f->usage, spoken);
    CHECK(!spoken->error);
    flight_send_event(f, buf_str(spoken));
}

void flight_send_whole(struct flight *f, int status, struct str content_type, struct str body)
{
    struct http_header headers[2 + OWN_HEADERS_MAX] = {
        {STR("content-type"), content_type},
        {STR("x-request-id"), str_from(f->id)},
    };
    size_t count = put_own(f, headers, 2);
    f->status = status;
    f->bytes = body.len;
    http_respond(f->exchange, status, headers, count, body);
    f->exchange = NULL;
}

/* The head is out already: the error becomes the last event. */
static void fail_in_stream(struct flight *f, const struct api_error *e)
{
    struct buf event;
    buf_init(&event, 16 * 1024);
    f->dialect->error_event(f->spoken, e, &event);
    send_bytes(f, buf_str(&event));
    buf_fini(&event);
    http_respond_end(f->exchange);
    f->exchange = NULL;
}

void flight_fail(struct flight *f, int status, struct str code, struct str message,
                 nsec retry_after)
{
    const struct api_error e = {.status = status, .message = message, .code = code};
    f->reason = code.ptr;
    if (f->head_sent) {
        fail_in_stream(f, &e);
    } else {
        f->status = status;
        reply_error(f->exchange, &e, retry_after, str_from(f->id), &f->rates);
        f->exchange = NULL;
    }
    flight_end(f);
}

/* ---- the pool's verdict ---- */

static void on_reject(struct flight *f)
{
    const struct verdict *v = &f->ticket.verdict;
    struct model_meters *m = flight_meters(f);
    struct str name = model_pool_name(f->asked_pool);
    const char *others = f->pool == f->asked_pool ? "" : " (as of those that stand in for it)";
    char message[384], waited[NSEC_TEXT_MAX];
    nsec_format(v->decision.waited, waited);
    switch (v->decision.code) {
    case ERR_FULL:
        metric_add(m->rejected_full, 1);
        if (v->decision.why == POOL_WHY_TENANT_FULL) {
            flight_fail(f, 429, STR("tenant_queue_full"),
                        STR("As many of your requests wait for this model as may wait "
                            "(limits.queueLength). Try again after the time in Retry-After."),
                        v->retry_after);
            break;
        }
        snprintf(message, sizeof(message),
                 "The queue of model '%.*s'%s is full%s. Try again after the time in Retry-After.",
                 STR_ARG(name), others,
                 v->decision.why == POOL_WHY_CROWDED
                     ? ": the rest of it is kept for tenants with fewer requests there than you"
                     : "");
        flight_fail(f, 429, STR("queue_full"), str_from(message), v->retry_after);
        break;
    case ERR_TIMEOUT:
        metric_add(m->rejected_timeout, 1);
        snprintf(message, sizeof(message),
                 "No replica of model '%.*s'%s became free within %s. Try again later.",
                 STR_ARG(name), others, waited);
        flight_fail(f, 503, STR("queue_timeout"), str_from(message), v->retry_after);
        break;
    default:
        metric_add(m->rejected_unavailable, 1);
        snprintf(message, sizeof(message),
                 f->retries
                     ? "Every replica of model '%.*s'%s that was tried failed. Try again later."
                     : "No replica of model '%.*s'%s is ready. Try again later.",
                 STR_ARG(name), others);
        flight_fail(f, 503, STR("no_capacity"), str_from(message), v->retry_after);
    }
}

static void on_verdict(struct ticket *t)
{
    struct flight *f = container_of(t, struct flight, ticket);
    if (t->verdict.decision.kind == POOL_REJECT) {
        if (!flight_fall_back(f))
            on_reject(f);
        return;
    }
    f->waited += t->verdict.decision.waited;
    if (f->retries == 0)
        metric_observe(flight_meters(f)->queue_wait[t->request.entry.band],
                       nsec_to_seconds(f->waited));
    f->call = &f->calls[t->verdict.decision.leg];
    flight_move(f, FLIGHT_CALLING);
    flight_dispatch(f, &t->verdict);
    flight_hedge_arm(f, t->verdict.hedge_at);
}

/* ---- begin and end ---- */

/* ": waiting, 12 before this one, about 3.5s" */
static void send_place(struct flight *f)
{
    char comment[128], wait[NSEC_TEXT_MAX];
    size_t position;
    nsec expected;
    model_pool_place(f->pool, &f->ticket, &position, &expected);
    if (f->state != FLIGHT_WAITING)
        snprintf(comment, sizeof(comment), ": running\n\n");
    else if (expected == NSEC_NEVER)
        snprintf(comment, sizeof(comment), ": waiting, %zu before this one\n\n", position);
    else
        snprintf(comment, sizeof(comment), ": waiting, %zu before this one, about %s\n\n", position,
                 nsec_format(expected, wait));
    send_bytes(f, str_from(comment));
}

static void on_keepalive(struct loop_timer *timer)
{
    struct flight *f = container_of(timer, struct flight, keepalive);
    if (f->state == FLIGHT_ANSWERING)
        return;
    if (!f->head_sent)
        flight_send_head(f, 200, STR("text/event-stream"));
    send_place(f);
    loop_timer_start(f->worker->loop, timer, f->worker->options->keepalive);
}

static void free_flight(struct flight *f)
{
    buf_fini(&f->edited);
    for (int leg = 0; leg < POOL_LEGS; leg++)
        buf_fini(&f->calls[leg].held);
    buf_fini(&f->resumed);
    mem_free(f->blocks);
    if (f->dialect->fini)
        f->dialect->fini(f->spoken);
    mem_free(f->spoken);
    openai_resume_fini(&f->resume);
    model_pool_unref(f->pool);
    mem_free(f);
}

static void on_released(struct ticket *t)
{
    free_flight(container_of(t, struct flight, ticket));
}

static void access_log(const struct flight *f, nsec took)
{
    char trace[TRACE_ID_TEXT_MAX];
    log_info("request", log_str("id", f->id),
             log_str("trace_id", trace_id_format(f->trace.own.trace, trace)),
             log_text("model", model_pool_name(f->pool)), log_text("tenant", f->tenant->name),
             log_int("status", f->status), log_int("run", flight_run(f->call)),
             log_dur("waited", f->waited),
             log_dur("first_chunk", f->chunks ? f->first_chunk - f->started : 0),
             log_dur("took", took), log_int("chunks", (int64_t)f->chunks),
             log_int("bytes", (int64_t)f->bytes), log_int("retries", f->retries),
             log_int("resumptions", f->resumptions),
             log_int("input_tokens", (int64_t)f->usage.prompt_tokens),
             log_int("output_tokens", (int64_t)f->usage.completion_tokens));
}

/* Everything that both ends share: the answer given, and the client gone. */
static void account(struct flight *f)
{
    nsec took = loop_now(f->worker->loop) - f->started;
    flight_move(f, FLIGHT_ENDED);
    loop_timer_stop(&f->keepalive);
    loop_timer_stop(&f->hedge);
    flight_reckon(f);
    metric_observe(flight_meters(f)->duration, nsec_to_seconds(took));
    model_meters_count(flight_meters(f), f->status);
    flight_trace_end(f, f->worker->options->tracer);
    if (f->worker->options->access_log)
        access_log(f, took);
}

void flight_end(struct flight *f)
{
    CHECK(!f->exchange && !f->calls[0].http && !f->calls[1].http);
    CHECK(f->ticket.request.state == POOL_OUT);
    account(f);
    free_flight(f);
}

void flight_departed(struct flight *f)
{
    f->exchange = NULL;
    if (!f->said_all)
        f->status = 499;
    flight_cut(f);
    flight_settle(f);
    account(f);
    if (model_pool_cancel(f->pool, &f->ticket))
        free_flight(f);
}

void flight_writable(struct flight *f)
{
    if (f->call && f->call->http)
        http_call_resume(f->call->http);
}

void flight_aim(struct flight *f, const struct table_entry *target)
{
    const struct routes_model *model = target->model;
    model_pool_unref(f->pool);
    f->pool = model_pool_ref(target->pool);
    f->price = model->price;
    f->resumable = f->may_resume && model->resumes;
    f->ticket.request.entry.deadline = nsec_after(clock_now(), model->queue_max_wait);
}

void flight_start(struct worker *w, struct flight_request *take_request)
{
    struct flight *f = NEW(struct flight);
    f->worker = w;
    f->exchange = take_request->exchange;
    f->upstream_path = take_request->upstream_path;
    f->edited = take_request->take_body;
    f->stream = take_request->stream;
    f->usage_asked = take_request->usage_asked;
    f->may_resume = take_request->resumable;
    f->generates = take_request->generates;
    f->dialect = take_request->dialect;
    if (f->dialect->state_size)
        f->spoken = mem_alloc(f->dialect->state_size);
    if (f->dialect->begin)
        f->dialect->begin(f->spoken, http_exchange_request(f->exchange)->body);
    openai_resume_init(&f->resume);
    f->tenant = take_request->tenant->tenant;
    f->limits = take_request->tenant->rules->limits;
    f->hold = take_request->hold;
    f->rates = take_request->rates;
    f->started = http_exchange_started(f->exchange);
    snprintf(f->id, sizeof(f->id), "req_%016llx", (unsigned long long)rng_u64(&w->rng));
    for (int leg = 0; leg < POOL_LEGS; leg++) {
        f->calls[leg] = (struct flight_call){.flight = f, .leg = leg};
        buf_init(&f->calls[leg].held, FLIGHT_ANSWER_MAX);
    }
    const struct http_request *request = http_exchange_request(f->exchange);
    f->prompt_length = request->body.len;
    flight_trace_begin(&f->trace, w->options->tracer,
                       http_header_get(&request->headers, STR("traceparent")), &w->rng);
    http_exchange_set_data(f->exchange, f);
    f->keepalive.fire = on_keepalive;
    flight_hedge_init(f);
    if (f->stream)
        loop_timer_start(w->loop, &f->keepalive, w->options->keepalive);
    f->ticket = (struct ticket){.home = w->loop, .deliver = on_verdict, .released = on_released};
    f->ticket.request.entry = (struct queue_entry){
        .tenant = f->tenant->number,
        .band = take_request->band,
        .input_tokens = take_request->input_tokens,
        .output_tokens = take_request->output_tokens,
    };
    f->blocks = take_request->take_blocks;
    f->ticket.request.route = (struct route_request){
        .prompt_tokens = take_request->input_tokens,
        .output_tokens = take_request->output_tokens,
        .session = take_request->session,
        .blocks = f->blocks,
        .block_count = take_request->block_count,
        .block_tokens = PREFIX_BLOCK_BYTES / BYTES_PER_TOKEN,
    };
    flight_aim(f, take_request->target);
    f->asked_pool = f->pool;
    flight_record_begin(f, take_request->band);
    model_pool_submit(f->pool, &f->ticket);
}
