/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/flight_trace.h"

#include "base/clock.h"
#include "gateway/flight_internal.h"

void flight_trace_begin(struct flight_trace *t, const struct tracer *tracer, struct str traceparent,
                        struct rng *random)
{
    struct trace_context received;
    t->began = clock_wall();
    if (traceparent.ptr && trace_parse(traceparent, &received) == 0) {
        t->own = received;
        t->parent = received.span;
        t->own.span = rng_u64(random);
    } else {
        t->own = trace_new(random);
        t->own.sampled = tracer && tracer_samples(tracer, t->own.trace);
        t->own.span = rng_u64(random);
    }
}

char *flight_trace_call(const struct flight_trace *t, struct flight_trace_call *call,
                        struct rng *random, char traceparent[TRACEPARENT_MAX])
{
    struct trace_context out = t->own;
    out.span = call->span = rng_u64(random);
    call->began = clock_wall();
    return trace_format(&out, traceparent);
}

static void describe_inference(const struct flight *f, struct span *s)
{
    span_text(s, "request_id", str_from(f->id));
    span_text(s, "fairway.tenant", f->tenant->name);
    span_text(s, "gen_ai.request.model", model_pool_name(f->pool));
    span_int(s, "prompt_length", (int64_t)f->prompt_length);
    span_int(s, "http.response.status_code", f->status);
    span_int(s, "fairway.retries", f->retries);
    if (f->status >= 500)
        span_fail(s, STR("the request was not served"));
}

static void describe_schedule(const struct flight *f, struct span *s)
{
    span_double(s, "fairway.queue_wait", nsec_to_seconds(f->waited));
    span_int(s, "fairway.candidates", f->call ? f->call->verdict.decision.choice.candidates : 0);
    span_int(s, "fairway.replica", flight_run(f->call));
}

static void describe_generate(const struct flight *f, struct span *s)
{
    span_text(s, "server.address", str_from(f->call->verdict.host));
    span_int(s, "server.port", f->call->verdict.port);
    span_text(s, "gpu_id", STR("cpu"));
    span_int(s, "tokens_generated", (int64_t)f->usage.completion_tokens);
    span_int(s, "gen_ai.usage.input_tokens", (int64_t)f->usage.prompt_tokens);
    span_int(s, "gen_ai.usage.output_tokens", (int64_t)f->usage.completion_tokens);
    if (f->first_chunk)
        span_double(s, "gen_ai.server.time_to_first_token",
                    nsec_to_seconds(f->first_chunk - f->started));
}

void flight_trace_end(const struct flight *f, struct tracer *tracer)
{
    const struct flight_trace *t = &f->trace;
    struct trace_context caller = {t->own.trace, t->parent, t->own.sampled};
    struct span spans[3];
    size_t count = 0;
    nsec now = clock_wall();
    if (!tracer)
        return;
    span_begin(&spans[count], "inference", SPAN_SERVER, &caller, &f->worker->rng, t->began);
    spans[count].context.span = t->own.span;
    describe_inference(f, &spans[count]);
    span_end(&spans[count++], now);
    span_begin(&spans[count], "schedule", SPAN_INTERNAL, &t->own, &f->worker->rng, t->began);
    describe_schedule(f, &spans[count]);
    span_end(&spans[count++], f->call ? f->call->trace.began : now);
    if (f->call) {
        span_begin(&spans[count], "generate", SPAN_CLIENT, &t->own, &f->worker->rng,
                   f->call->trace.began);
        spans[count].context.span = f->call->trace.span;
        describe_generate(f, &spans[count]);
        span_end(&spans[count++], now);
    }
    tracer_record(tracer, spans, count);
}
