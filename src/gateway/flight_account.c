/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "gateway/flight_internal.h"
#include "gateway/ledger.h"

enum { BYTES_PER_TOKEN = 4, TOKENS_PRICED = 1000000 };

/* Engines of other makes may report nothing, and one that broke off cannot: an event is about a token, and so are four bytes.
 * A client that leaves has caused the reading of its prompt. */
static void guess_usage(struct flight *f)
{
    bool answered = f->upstream_status >= 200 && f->upstream_status < 400;
    if (f->ticket.request.attempts == 0 || (!answered && f->events == 0 && f->status != 499))
        return;
    f->usage.prompt_tokens = f->prompt_length / BYTES_PER_TOKEN;
    f->usage.completion_tokens = f->upstream_stream ? f->events : f->held.len / BYTES_PER_TOKEN;
}

/* In millionths of money, rounded to the nearest. */
static int64_t cost(const struct openai_usage *u, const struct routes_price *price)
{
    uint64_t cached = MIN(u->cached_tokens, u->prompt_tokens);
    uint64_t cached_price = price->cached_input ? price->cached_input : price->input;
    unsigned __int128 sum = (unsigned __int128)(u->prompt_tokens - cached) * price->input +
                            (unsigned __int128)cached * cached_price +
                            (unsigned __int128)u->completion_tokens * price->output;
    sum = (sum + TOKENS_PRICED / 2) / TOKENS_PRICED;
    return sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
}

void flight_settle(struct flight *f)
{
    if (!f->usage_known)
        guess_usage(f);
    f->ticket.input_tokens = f->usage.prompt_tokens;
    f->ticket.output_tokens = f->usage.completion_tokens;
}

void flight_reckon(struct flight *f)
{
    if (f->ticket.request.attempts == 0) { /* never left the queue */
        flight_record_end(f, 0);
        return;
    }
    const struct usage used = {
        .input_tokens = (int64_t)f->usage.prompt_tokens,
        .cached_tokens = (int64_t)f->usage.cached_tokens,
        .output_tokens = (int64_t)f->usage.completion_tokens,
        .cost = cost(&f->usage, &f->price),
    };
    flight_record_end(f, used.cost);
    ledger_add(gateway_ledger(f->worker->gateway), f->tenant, f->pool, clock_wall(), &used);
}
