/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "gateway/admission.h"
#include "gateway/flight_internal.h"
#include "gateway/ledger.h"

/* Engines of other makes may report nothing, and one that broke off cannot: an event is about a token, and so are four bytes.
 * A client that leaves has caused the reading of its prompt. */
static void guess_usage(struct flight *f)
{
    if (!f->generates || f->ticket.request.attempts == 0 || !f->call) /* no replica was asked */
        return;
    bool answered = f->call->status >= 200 && f->call->status < 400;
    if ((!answered && f->events == 0 && f->status != 499))
        return;
    f->usage.prompt_tokens = f->prompt_length / BYTES_PER_TOKEN;
    f->usage.completion_tokens = f->call->stream ? f->events : f->call->held.len / BYTES_PER_TOKEN;
}

void flight_settle(struct flight *f)
{
    if (!f->usage_known)
        guess_usage(f);
    f->ticket.input_tokens = f->usage.prompt_tokens;
    f->ticket.output_tokens = f->usage.completion_tokens;
    f->ticket.cached_tokens = f->usage.cached_tokens;
    f->ticket.cached_known = f->usage_known;
}

void flight_reckon(struct flight *f)
{
    if (f->ticket.request.attempts == 0) { /* never left the queue */
        /* Refused by the queue it does not count; a client that left by itself has asked. */
        tenant_release(f->tenant, &f->limits, &f->hold, f->status != 499);
        flight_record_end(f, 0);
        return;
    }
    const struct usage used = {
        .input_tokens = (int64_t)f->usage.prompt_tokens,
        .cached_tokens = (int64_t)f->usage.cached_tokens,
        .output_tokens = (int64_t)f->usage.completion_tokens,
        .cost = (int64_t)admission_cost(&f->usage, &f->price),
    };
    tenant_settle(f->tenant, &f->limits, &f->hold,
                  f->usage.prompt_tokens + f->usage.completion_tokens, (uint64_t)used.cost);
    flight_record_end(f, used.cost);
    ledger_add(gateway_ledger(f->worker->gateway), f->tenant, f->pool, clock_wall(), &used);
}
