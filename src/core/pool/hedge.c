/* SPDX-License-Identifier: Apache-2.0 */
/* A request at two replicas: how it gets there, and how one of them is left again. */
#include "core/pool/pool_internal.h"

static int only_leg(const struct pool_request *request)
{
    return request->legs[0].place != ROUTE_NONE ? 0 : 1;
}

void pool_set_hedges(struct pool *p, double ratio)
{
    p->options.hedges.ratio = ratio;
}

nsec pool_hedge_at(const struct pool *p, const struct pool_request *request, nsec now)
{
    if (p->options.hedges.ratio <= 0 || request->state != POOL_RUNNING || request->answered ||
        pool_is_hedged(request) ||
        latency_samples(&p->route.first_byte, now) < p->options.hedge_samples)
        return NSEC_NEVER;
    nsec usual = latency_quantile(&p->route.first_byte, p->options.hedge_quantile);
    return nsec_after(request->legs[only_leg(request)].began, usual);
}

bool pool_hedge(struct pool *p, struct pool_request *request, nsec now,
                struct pool_decision *ret_decision)
{
    if (now < pool_hedge_at(p, request, now) || p->queue.length)
        return false;
    struct route_set taken = request->tried;
    int first = only_leg(request);
    route_set_add(&taken, request->legs[first].place);
    struct route_choice choice = route_choose(&p->route, &request->route, &taken, now);
    if (choice.place == ROUTE_NONE || !budget_spend(&p->hedges, &p->options.hedges, now))
        return false;
    request->legs[!first] = route_begin(&p->route, choice.place, &request->route, now);
    *ret_decision = (struct pool_decision){
        .kind = POOL_HEDGE,
        .request = request,
        .replica = p->route.replicas[choice.place].spec.id,
        .leg = !first,
        .choice = choice,
    };
    return true;
}

/* The slower one of two has taken at least this long: left out, slow replicas would look fast. */
static void leave_loser(struct pool *p, struct pool_request *request, int winner, nsec now)
{
    struct route_hold *loser = &request->legs[!winner];
    if (loser->began <= request->legs[winner].began)
        route_first_byte(&p->route, loser, now);
    if (loser->began < request->legs[winner].began)
        p->hedges_won++;
    route_end(&p->route, loser, &request->route, ROUTE_NEUTRAL, now);
}

void pool_first_byte(struct pool *p, struct pool_request *request, int leg, nsec now)
{
    CHECK(request->state == POOL_RUNNING && request->legs[leg].place != ROUTE_NONE);
    if (pool_is_hedged(request))
        leave_loser(p, request, leg, now);
    request->answered = true;
    route_first_byte(&p->route, &request->legs[leg], now);
}

void pool_lose_leg(struct pool *p, struct pool_request *request, int leg, nsec now)
{
    CHECK(request->state == POOL_RUNNING && pool_is_hedged(request));
    route_set_add(&request->tried, request->legs[leg].place);
    route_end(&p->route, &request->legs[leg], &request->route, ROUTE_FAILED, now);
}

void pool_cached(struct pool *p, struct pool_request *request, uint64_t tokens)
{
    CHECK(request->state == POOL_RUNNING && !pool_is_hedged(request));
    route_cached(&p->route, &request->legs[only_leg(request)], &request->route, tokens);
}
