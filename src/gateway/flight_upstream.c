/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"
#include "gateway/flight_internal.h"
#include "net/sse.h"
#include "observe/metrics.h"

/* An event is about a token. Charged in batches: the pool is shared by all workers. */
enum { EVENTS_PER_CHARGE = 8 };

/* A whole answer in the client's dialect: texts as they came, and a few hundred bytes for each of its parts. */
enum { ANSWER_SPOKEN_MAX = 4 * FLIGHT_ANSWER_MAX };

/* Client headers that are not the replica's business: of the connection, credentials, and those that Fairway sets itself. */
static bool is_kept_back(struct str name)
{
    static const struct str list[] = {
        STR("host"),
        STR("connection"),
        STR("keep-alive"),
        STR("proxy-connection"),
        STR("te"),
        STR("trailer"),
        STR("transfer-encoding"),
        STR("upgrade"),
        STR("content-length"),
        STR("expect"),
        STR("authorization"),
        STR("x-api-key"),
        STR("api-key"),
        STR("x-goog-api-key"),
        STR("openai-organization"),
        STR("openai-project"),
        STR("cookie"),
        STR("proxy-authorization"),
        STR("x-request-id"),
        STR("accept-encoding"),
        STR("traceparent"),
    };
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        if (str_eq_nocase(name, list[i]))
            return true;
    return str_eq_nocase(str_sub(name, 0, 10), STR("x-fairway-"));
}

enum { UPSTREAM_HEADERS_MAX = HTTP_HEADERS_MAX + 4 };

static size_t upstream_headers(struct flight_call *c, const struct http_request *r,
                               const struct upstream *u,
                               struct http_header ret_headers[UPSTREAM_HEADERS_MAX],
                               char traceparent[TRACEPARENT_MAX])
{
    struct flight *f = c->flight;
    size_t count = 0;
    for (size_t i = 0; i < r->headers.count; i++)
        if (!is_kept_back(r->headers.items[i].name))
            ret_headers[count++] = r->headers.items[i];
    ret_headers[count++] = (struct http_header){STR("x-request-id"), str_from(f->id)};
    flight_trace_call(&f->trace, &c->trace, &f->worker->rng, traceparent);
    ret_headers[count++] = (struct http_header){STR("traceparent"), str_from(traceparent)};
    if (f->resumable)
        ret_headers[count++] = (struct http_header){STR("x-fairway-progress"), STR("1")};
    if (u && u->authorization.len)
        ret_headers[count++] = (struct http_header){STR("authorization"), u->authorization};
    return count;
}

/* Another replica may do better. No client's key goes to a replica: that it is not authorised, or has not paid, is ours. */
static bool worth_a_retry(int status)
{
    return status == 401 || status == 402 || status == 429 || status == 502 || status == 503 ||
           status == 504;
}

static void on_head(void *ctx, int status, const struct http_headers *headers)
{
    struct flight_call *c = ctx;
    struct str type = http_header_get(headers, STR("content-type"));
    c->status = status;
    c->stream = status == 200 && str_eq_nocase(str_sub(type, 0, 17), STR("text/event-stream"));
    size_t len = MIN(type.len, sizeof(c->content_type) - 1);
    if (len)
        memcpy(c->content_type, type.ptr, len);
    c->content_type[len] = 0;
    if (c->stream)
        c->held.max = FLIGHT_EVENT_MAX;
}

static void pass_on(struct flight *f, struct str events)
{
    if (events.len == 0)
        return;
    if (f->state == FLIGHT_CALLING) {
        flight_move(f, FLIGHT_ANSWERING);
        if (!f->head_sent)
            flight_send_head(f, 200, str_from(f->call->content_type));
    }
    f->events += sse_count_events(events);
    if (f->events - f->charged >= EVENTS_PER_CHARGE) {
        model_pool_progress(f->pool, &f->ticket, f->events - f->charged);
        f->charged = f->events;
    }
    f->said_all |= str_ends(events, STR("data: [DONE]\n\n"));
    flight_send_chunk(f, events);
}

/* Whole events. What is none of the client's business is taken out: the replica's progress, and a report of usage that it did
 * not ask for. */
static void pass_events(struct flight *f, struct str events)
{
    struct buf *scratch = &f->worker->scratch;
    struct str report;
    if (f->resumable) {
        buf_clear(scratch);
        openai_resume_pass(&f->resume, events, scratch);
        CHECK(!scratch->error);
        events = buf_str(scratch);
    }
    bool found = openai_find_usage(events, &f->usage, &report);
    f->usage_known |= found;
    if (!found || f->usage_asked || !report.len) {
        pass_on(f, events);
        return;
    }
    size_t at = (size_t)(report.ptr - events.ptr);
    pass_on(f, str_sub(events, 0, at));
    pass_on(f, str_sub(events, at + report.len, events.len));
}

static void on_events(struct flight_call *c, struct str bytes)
{
    struct flight *f = c->flight;
    size_t seen = c->held.len;
    struct str all = bytes;
    if (seen) {
        buf_put(&c->held, bytes);
        all = buf_str(&c->held);
    }
    size_t whole = sse_whole_events(all, seen);
    if (whole > 0) {
        flight_choose(c);
        pass_events(f, str_sub(all, 0, whole));
    }
    if (seen)
        buf_drop_front(&c->held, whole);
    else
        buf_put(&c->held, str_sub(bytes, whole, bytes.len));
}

static void on_body(void *ctx, struct str bytes)
{
    struct flight_call *c = ctx;
    if (c->stream)
        on_events(c, bytes);
    else
        buf_put(&c->held, bytes); /* too much: the sticky error is found in on_done */
}

static void retry(struct flight *f, int error)
{
    log_warn("replica failed, trying another", log_str("id", f->id),
             log_text("model", model_pool_name(f->pool)), log_int("run", flight_run(f->call)),
             log_str("error", error ? err_text(error) : "refused"),
             log_int("status", f->call->status));
    f->retries++;
    metric_add(flight_meters(f)->retries, 1);
    flight_move(f, FLIGHT_WAITING);
    flight_record_left(f->call, "failed before it answered");
    buf_clear(&f->call->held);
    flight_settle(f);
    model_pool_retry(f->pool, &f->ticket);
}

static void finish_ticket(struct flight *f, enum route_outcome outcome)
{
    flight_settle(f);
    model_pool_finish(f->pool, &f->ticket, outcome);
}

/* The client waits for events and gets a document: as one event. */
static void answer_as_event(struct flight *f)
{
    struct buf event;
    buf_init(&event, ANSWER_SPOKEN_MAX);
    f->dialect->late(f->spoken, f->call->status, buf_str(&f->call->held), &event);
    CHECK(!event.error);
    flight_send_event(f, buf_str(&event));
    buf_fini(&event);
}

static void answer_at_once(struct flight *f)
{
    struct buf answer;
    if (!f->dialect->whole) {
        flight_send_whole(f, f->call->status, str_from(f->call->content_type),
                          buf_str(&f->call->held));
        return;
    }
    buf_init(&answer, ANSWER_SPOKEN_MAX);
    int status = f->dialect->whole(http_exchange_request(f->exchange)->body, f->call->status,
                                   buf_str(&f->call->held), &answer);
    CHECK(!answer.error);
    flight_send_whole(f, status, STR("application/json"), buf_str(&answer));
    buf_fini(&answer);
}

/* An answer that is no stream, complete. That the client was wrong says nothing about the replica. */
static void answer_whole(struct flight *f)
{
    bool client_wrong = f->call->status >= 400 && f->call->status < 500;
    f->usage_known = openai_read_usage(buf_str(&f->call->held), &f->usage);
    finish_ticket(f, client_wrong ? ROUTE_NEUTRAL : ROUTE_OK);
    flight_move(f, FLIGHT_ANSWERING);
    if (f->head_sent)
        answer_as_event(f);
    else
        answer_at_once(f);
    flight_end(f);
}

static void end_stream(struct flight *f)
{
    finish_ticket(f, ROUTE_OK);
    pass_on(f, buf_str(&f->call->held));
    if (!f->head_sent)
        flight_send_head(f, 200, str_from(f->call->content_type));
    flight_send_end(f);
    flight_end(f);
}

static void break_stream(struct flight *f)
{
    log_warn("replica failed in mid-stream", log_str("id", f->id),
             log_text("model", model_pool_name(f->pool)), log_int("run", flight_run(f->call)));
    metric_add(flight_meters(f)->broken_streams, 1);
    flight_record_left(f->call, "broke off");
    finish_ticket(f, ROUTE_FAILED);
    flight_fail(f, 502, STR("stream_interrupted"),
                STR("The replica that served this stream failed. What was sent so far is correct "
                    "but not complete; send the request again."),
                0);
}

static void on_done(void *ctx, int error)
{
    struct flight_call *c = ctx;
    struct flight *f = c->flight;
    c->http = NULL;
    if (!error)
        error = c->held.error;
    bool is_refused = !error && worth_a_retry(c->status);
    if ((error || is_refused) && flight_lose_leg(c))
        return;
    if (!error && !is_refused)
        flight_choose(c);
    if (f->state == FLIGHT_ANSWERING && error) {
        if (!flight_resume(f))
            break_stream(f);
    } else if (error == ERR_TOO_BIG) {
        finish_ticket(f, ROUTE_OK);
        flight_fail(f, 502, STR("answer_too_big"),
                    STR("The replica's answer is longer than the gateway holds (32 MiB)."), 0);
    } else if (error || is_refused)
        retry(f, error);
    else if (c->stream)
        end_stream(f);
    else
        answer_whole(f);
}

void flight_dispatch(struct flight *f, struct verdict *v)
{
    const struct http_request *r = http_exchange_request(f->exchange);
    const struct gateway_options *options = f->worker->options;
    struct flight_call *c = &f->calls[v->decision.leg];
    struct http_header headers[UPSTREAM_HEADERS_MAX];
    char traceparent[TRACEPARENT_MAX];
    struct http_call_request request = {
        .host = str_from(v->host),
        .port = v->port,
        .method = STR("POST"),
        .target = f->upstream_path,
        .headers = headers,
        .header_count = upstream_headers(c, r, v->upstream, headers, traceparent),
        .body = f->resumptions ? buf_str(&f->resumed) : flight_body(f),
        .connect_timeout = options->upstream_connect_timeout,
        .head_timeout = options->upstream_head_timeout,
        .idle_timeout = options->upstream_idle_timeout,
    };
    const struct http_call_events events = {on_head, on_body, on_done, c};
    if (v->upstream)
        upstream_prepare(v->upstream, &request);
    c->status = 0;
    c->stream = c->begun = false;
    c->held.max = FLIGHT_ANSWER_MAX;
    c->http = http_call_start(f->worker->client, &request, &events);
    verdict_release(v);
    c->verdict = *v;
    flight_record_dispatched(c);
}

void flight_cut(struct flight *f)
{
    for (int leg = 0; leg < POOL_LEGS; leg++) {
        if (f->calls[leg].http)
            http_call_cancel(f->calls[leg].http);
        f->calls[leg].http = NULL;
    }
}
