/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request at two replicas: a call without a first byte after the pool's usual time gets company, if the pool allows it.
 * The first to answer stays; while both run, the failure of one is none of the request.
 */
#include "base/clock.h"
#include "base/log.h"
#include "gateway/flight_internal.h"
#include "observe/metrics.h"

static void on_late(struct loop_timer *timer)
{
    struct flight *f = container_of(timer, struct flight, hedge);
    struct verdict second;
    if (!model_pool_hedge(f->pool, &f->ticket, &second))
        return;
    metric_add(flight_meters(f)->hedges, 1);
    flight_dispatch(f, &second);
}

void flight_hedge_init(struct flight *f)
{
    f->hedge.fire = on_late;
}

void flight_hedge_arm(struct flight *f, nsec at)
{
    if (at != NSEC_NEVER)
        loop_timer_start(f->worker->loop, &f->hedge, MAX(at - clock_now(), 0));
}

static struct flight_call *other_than(struct flight_call *c)
{
    return &c->flight->calls[!c->leg];
}

/* A first byte that is no stream's is told only where it decides something: it comes at the answer's end. */
void flight_choose(struct flight_call *c)
{
    struct flight *f = c->flight;
    struct flight_call *other = other_than(c);
    if (c->begun || (!c->stream && !other->http))
        return;
    c->begun = true;
    f->call = c;
    loop_timer_stop(&f->hedge);
    model_pool_first_byte(f->pool, &f->ticket, c->leg);
    if (!other->http)
        return;
    http_call_cancel(other->http);
    other->http = NULL;
    flight_record_left(other, "slower than the other");
    if (c->verdict.decision.kind == POOL_HEDGE)
        metric_add(flight_meters(f)->hedges_won, 1);
}

bool flight_lose_leg(struct flight_call *c)
{
    struct flight *f = c->flight;
    struct flight_call *other = other_than(c);
    loop_timer_stop(&f->hedge);
    if (!other->http)
        return false;
    log_warn("replica failed, another is at it already", log_str("id", f->id),
             log_text("model", model_pool_name(f->pool)), log_int("run", flight_run(c)));
    f->call = other;
    buf_clear(&c->held);
    flight_record_left(c, "failed before it answered");
    model_pool_lose_leg(f->pool, &f->ticket, c->leg);
    return true;
}
