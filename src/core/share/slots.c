/* SPDX-License-Identifier: Apache-2.0 */
#include "core/share/share.h"

#include "base/check.h"

static bool has(unsigned set, unsigned gateway)
{
    return set >> gateway & 1;
}

/* A lease of one is everybody's: it holds a slot only while it is used. */
static unsigned held(const struct share_lease *l)
{
    return l->in_force > 1 ? MAX(l->in_force, l->running) : l->running;
}

/* What everybody wants, at the most; or, when there is enough of it, as much as that at the least. */
static unsigned at_level(const struct share_slots *s, unsigned gateway, unsigned level, bool enough)
{
    unsigned want = MIN(s->of[gateway].want, s->slots);
    return enough ? MAX(want, level) : MIN(want, level);
}

static unsigned sum_at_level(const struct share_slots *s, unsigned members, unsigned level,
                             bool enough)
{
    unsigned sum = 0;
    for (unsigned g = 0; g < SHARE_GATEWAYS_MAX; g++)
        sum += has(members, g) ? at_level(s, g, level, enough) : 0;
    return sum;
}

/*
 * What the gateway would have if no request ran and every answer had come: one level for all, the highest that the slots allow;
 * what is left goes to those that a level more would give one more, by their numbers.
 */
static unsigned target(const struct share_slots *s, unsigned members, unsigned gateway)
{
    bool enough = sum_at_level(s, members, s->slots, false) <= s->slots;
    unsigned low = 0, high = s->slots + 1; /* low fits, high does not, or is more than all */
    while (high - low > 1) {
        unsigned level = low + (high - low) / 2;
        *(sum_at_level(s, members, level, enough) <= s->slots ? &low : &high) = level;
    }
    unsigned left = s->slots - sum_at_level(s, members, low, enough);
    for (unsigned g = 0; g < gateway; g++)
        if (has(members, g) && left > 0)
            left -= at_level(s, g, low + 1, enough) - at_level(s, g, low, enough);
    return at_level(s, gateway, left > 0 ? low + 1 : low, enough);
}

void share_slots_join(struct share_slots *s, unsigned gateway, unsigned in_force)
{
    s->of[gateway] = (struct share_lease){.granted = in_force, .in_force = in_force};
}

void share_slots_report(struct share_slots *s, unsigned gateway, unsigned running, unsigned want,
                        bool acknowledged)
{
    struct share_lease *l = &s->of[gateway];
    l->running = running;
    l->want = want;
    if (acknowledged)
        l->in_force = l->granted;
}

void share_slots_leave(struct share_slots *s, unsigned gateway)
{
    s->of[gateway] = (struct share_lease){0};
}

unsigned share_slots_grant(struct share_slots *s, unsigned members, unsigned gateway)
{
    struct share_lease *l = &s->of[gateway];
    unsigned others = 0;
    for (unsigned g = 0; g < SHARE_GATEWAYS_MAX; g++)
        if (has(members, g) && g != gateway)
            others += held(&s->of[g]);
    unsigned free = s->slots > others ? s->slots - others : 0;
    l->granted = MAX(MIN(target(s, members, gateway), free), 1u);
    l->in_force = MAX(l->in_force, l->granted);
    return l->granted;
}
