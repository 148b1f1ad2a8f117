/* SPDX-License-Identifier: Apache-2.0 */
#include "core/share/share.h"

void share_limits_join(struct share_limits *s, unsigned gateway, bool knows_nothing)
{
    share_limits_leave(s, gateway);
    s->of[gateway].requests = s->sum.requests;
    s->of[gateway].tokens = s->sum.tokens;
    s->of[gateway].settled_tokens = knows_nothing ? 0 : s->settled_tokens;
    s->of[gateway].settled_cost = knows_nothing ? 0 : s->settled_cost;
}

static void set_open(struct share_limits *s, unsigned gateway, const struct limit_charge *open)
{
    struct limit_charge *now = &s->of[gateway].now;
    s->sum.running += open->running - now->running;
    s->sum.held_tokens += open->held_tokens - now->held_tokens;
    s->sum.held_cost += open->held_cost - now->held_cost;
    *now = *open;
}

void share_limits_report(struct share_limits *s, unsigned gateway,
                         const struct limit_charge *report)
{
    s->sum.requests += report->requests;
    s->of[gateway].requests += report->requests;
    s->sum.tokens += report->tokens;
    s->of[gateway].tokens += report->tokens;
    set_open(s, gateway, report);
}

void share_limits_settle(struct share_limits *s, unsigned gateway, uint64_t tokens, uint64_t cost)
{
    s->settled_tokens += tokens;
    s->settled_cost += cost;
    if (gateway == SHARE_NOBODY)
        return;
    s->of[gateway].settled_tokens += tokens;
    s->of[gateway].settled_cost += cost;
}

void share_limits_leave(struct share_limits *s, unsigned gateway)
{
    set_open(s, gateway, &(struct limit_charge){0});
}

struct share_others share_limits_others(const struct share_limits *s, unsigned gateway)
{
    const struct limit_charge *now = &s->of[gateway].now;
    return (struct share_others){
        .charge = {.requests = s->sum.requests - s->of[gateway].requests,
                   .tokens = s->sum.tokens - s->of[gateway].tokens,
                   .running = s->sum.running - now->running,
                   .held_tokens = s->sum.held_tokens - now->held_tokens,
                   .held_cost = s->sum.held_cost - now->held_cost},
        .settled_tokens = s->settled_tokens - s->of[gateway].settled_tokens,
        .settled_cost = s->settled_cost - s->of[gateway].settled_cost,
    };
}
