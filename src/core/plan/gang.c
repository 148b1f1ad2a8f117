/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plan/gang.h"

const char *gang_state_text(enum gang_state state)
{
    static const char *const texts[] = {
#define X(name, text) text,
        GANG_STATES(X)
#undef X
    };
    CHECK(state < ARRAY_LEN(texts));
    return texts[state];
}

const char *gang_reason_text(enum gang_reason reason)
{
    static const char *const texts[] = {
#define X(name, text) text,
        GANG_REASONS(X)
#undef X
    };
    CHECK(reason < ARRAY_LEN(texts));
    return texts[reason];
}

/* The moves that exist: bit per target state. */
static const unsigned moves[] = {
    [GANG_WAITING] = 1 << GANG_RUNNING,
    [GANG_RUNNING] = 1 << GANG_ENDING | 1 << GANG_SUCCEEDED,
    [GANG_ENDING] = 1 << GANG_WAITING | 1 << GANG_FAILED,
    [GANG_SUCCEEDED] = 0,
    [GANG_FAILED] = 0,
};

static void move(struct gang *g, enum gang_state to, enum gang_reason reason, nsec now)
{
    CHECK(moves[g->state] >> to & 1);
    g->state = to;
    g->reason = reason;
    g->since = now;
    g->signal_sent = g->kill_sent = false;
}

void gang_init(struct gang *g, nsec now)
{
    *g = (struct gang){.since = now};
}

static nsec too_long_at(const struct gang *g, const struct gang_rules *rules)
{
    return rules->max_runtime == NSEC_NEVER
               ? NSEC_NEVER
               : nsec_after(g->started, MAX(rules->max_runtime - g->ran, 0));
}

enum gang_action gang_next(struct gang *g, const struct gang_rules *rules, nsec now)
{
    if (g->state == GANG_RUNNING && too_long_at(g, rules) <= now)
        gang_end(g, GANG_TOO_LONG, now);
    if (g->state != GANG_ENDING || g->kill_sent)
        return GANG_NOTHING;
    if (!g->signal_sent) {
        g->signal_sent = true;
        return GANG_SIGNAL;
    }
    if (nsec_after(g->since, rules->grace) > now)
        return GANG_NOTHING;
    g->kill_sent = true;
    return GANG_KILL;
}

nsec gang_wake_at(const struct gang *g, const struct gang_rules *rules)
{
    if (g->state == GANG_RUNNING)
        return too_long_at(g, rules);
    if (g->state != GANG_ENDING || g->kill_sent)
        return NSEC_NEVER;
    return g->signal_sent ? nsec_after(g->since, rules->grace) : g->since;
}

void gang_started(struct gang *g, unsigned members, nsec now)
{
    CHECK(members > 0);
    move(g, GANG_RUNNING, GANG_STARTED, now);
    g->members = members;
    g->attempts++;
    g->started = now;
}

void gang_adopted(struct gang *g, unsigned members, nsec started, nsec now)
{
    CHECK(members > 0);
    move(g, GANG_RUNNING, GANG_STARTED, now);
    g->members = members;
    g->started = started;
}

void gang_end(struct gang *g, enum gang_reason reason, nsec now)
{
    if (g->state == GANG_RUNNING)
        move(g, GANG_ENDING, reason, now);
    else if (g->state == GANG_ENDING)
        g->reason = MAX(g->reason, reason);
}

static bool has_failed(const struct gang *g, const struct gang_rules *rules)
{
    return g->reason == GANG_TOO_LONG ||
           (g->reason == GANG_MEMBER_FAILED && g->failures > rules->restarts_max);
}

static void end_attempt(struct gang *g, const struct gang_rules *rules, nsec now)
{
    enum gang_reason reason = g->reason;
    g->ran += now - g->started;
    if (g->state == GANG_RUNNING) {
        move(g, GANG_SUCCEEDED, GANG_ALL_WELL, now);
        return;
    }
    g->failures += reason == GANG_MEMBER_FAILED;
    g->evictions += reason == GANG_EVICTED || reason == GANG_ROOM_LOST;
    move(g, has_failed(g, rules) ? GANG_FAILED : GANG_WAITING, reason, now);
}

void gang_member_exited(struct gang *g, const struct gang_rules *rules, bool well, nsec now)
{
    CHECK(gang_has_members(g) && g->members > 0);
    if (!well && g->state == GANG_RUNNING)
        gang_end(g, GANG_MEMBER_FAILED, now);
    if (--g->members == 0)
        end_attempt(g, rules, now);
}
