/* SPDX-License-Identifier: Apache-2.0 */
/* A flight's record (records.h), written as it goes its way. */
#include "base/clock.h"
#include "gateway/flight_internal.h"

static nsec since_arrival(const struct flight *f)
{
    return loop_now(f->worker->loop) - f->started;
}

static void copy_name(char to[RECORD_NAME_MAX], struct str name)
{
    size_t len = MIN(name.len, (size_t)RECORD_NAME_MAX - 1);
    memcpy(to, name.ptr, len);
    to[len] = 0;
}

void flight_record_begin(struct flight *f, enum queue_band band)
{
    struct record first = {.band = band,
                           .stream = f->stream,
                           .arrived_wall = clock_wall(),
                           .pool = f->pool,
                           .ticket = &f->ticket};
    memcpy(first.id, f->id, sizeof(f->id));
    copy_name(first.tenant, f->tenant->name);
    copy_name(first.model, model_pool_name(f->pool));
    f->record = records_add(&f->worker->records, &first);
}

void flight_record_fell_back(struct flight *f)
{
    struct record *r = records_lock(&f->worker->records, f->record);
    if (!r)
        return;
    copy_name(r->model, model_pool_name(f->pool));
    copy_name(r->asked, model_pool_name(f->asked_pool));
    r->pool = f->pool;
    records_unlock(&f->worker->records);
}

void flight_record_dispatched(struct flight_call *c)
{
    struct flight *f = c->flight;
    const struct pool_decision *d = &c->verdict.decision;
    struct record *r = records_lock(&f->worker->records, f->record);
    if (!r)
        return;
    r->state = RECORD_RUNNING;
    r->waited = f->waited;
    if (d->kind == POOL_DISPATCH)
        r->queue = d->queue;
    c->attempt = r->attempts++;
    if (c->attempt < RECORD_ATTEMPTS_MAX)
        r->attempt[c->attempt] = (struct record_attempt){.replica = d->replica,
                                                         .candidates = d->choice.candidates,
                                                         .hedge = d->kind == POOL_HEDGE,
                                                         .dispatched = since_arrival(f)};
    records_unlock(&f->worker->records);
}

static void end_attempt(struct record *r, const struct flight_call *c, const char *outcome)
{
    if (c->attempt >= RECORD_ATTEMPTS_MAX || r->attempt[c->attempt].outcome)
        return;
    struct record_attempt *a = &r->attempt[c->attempt];
    a->ended = since_arrival(c->flight);
    a->status = c->status;
    a->outcome = outcome;
}

void flight_record_left(struct flight_call *c, const char *outcome)
{
    struct flight *f = c->flight;
    struct record *r = records_lock(&f->worker->records, f->record);
    if (!r)
        return;
    end_attempt(r, c, outcome);
    if (f->state == FLIGHT_WAITING)
        r->state = RECORD_WAITING;
    records_unlock(&f->worker->records);
}

void flight_record_end(struct flight *f, int64_t cost)
{
    struct record *r = records_lock(&f->worker->records, f->record);
    if (!r)
        return;
    r->state = RECORD_ENDED;
    r->waited = f->waited;
    r->first_chunk = f->chunks ? f->first_chunk - f->started : 0;
    r->took = since_arrival(f);
    r->status = f->status;
    r->reason = f->reason;
    r->input_tokens = f->usage.prompt_tokens;
    r->cached_tokens = f->usage.cached_tokens;
    r->output_tokens = f->usage.completion_tokens;
    r->usage_reported = f->usage_known;
    r->cost = cost;
    if (f->call)
        end_attempt(r, f->call, f->status == 499 ? "the client left" : "answered");
    records_unlock(&f->worker->records);
}
