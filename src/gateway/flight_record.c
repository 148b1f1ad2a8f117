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

void flight_record_dispatched(struct flight *f)
{
    const struct pool_decision *d = &f->ticket.verdict.decision;
    struct record *r = records_lock(&f->worker->records, f->record);
    if (!r)
        return;
    r->state = RECORD_RUNNING;
    r->waited = f->waited;
    r->queue = d->queue;
    if (r->attempts < RECORD_ATTEMPTS_MAX)
        r->attempt[r->attempts] = (struct record_attempt){.replica = d->replica,
                                                          .candidates = d->choice.candidates,
                                                          .dispatched = since_arrival(f)};
    r->attempts++;
    records_unlock(&f->worker->records);
}

void flight_record_left(struct flight *f, const char *outcome)
{
    struct record *r = records_lock(&f->worker->records, f->record);
    if (!r)
        return;
    if (r->attempts > 0 && r->attempts <= RECORD_ATTEMPTS_MAX) {
        struct record_attempt *a = &r->attempt[r->attempts - 1];
        a->ended = since_arrival(f);
        a->status = f->upstream_status;
        a->outcome = outcome;
    }
    r->state = RECORD_WAITING; /* unless its end follows */
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
    if (r->attempts > 0 && r->attempts <= RECORD_ATTEMPTS_MAX &&
        !r->attempt[r->attempts - 1].outcome) {
        r->attempt[r->attempts - 1].ended = r->took;
        r->attempt[r->attempts - 1].status = f->upstream_status;
        r->attempt[r->attempts - 1].outcome = f->status == 499 ? "the client left" : "answered";
    }
    records_unlock(&f->worker->records);
}
