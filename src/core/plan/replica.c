/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plan/replica.h"

const char *replica_state_text(enum replica_state state)
{
    static const char *const texts[] = {
#define X(name, text) text,
        REPLICA_STATES(X)
#undef X
    };
    CHECK(state < ARRAY_LEN(texts));
    return texts[state];
}

const char *replica_reason_text(enum replica_reason reason)
{
    static const char *const texts[] = {
#define X(name, text) text,
        REPLICA_REASONS(X)
#undef X
    };
    CHECK(reason < ARRAY_LEN(texts));
    return texts[reason];
}

struct replica_rules replica_rules_default(void)
{
    return (struct replica_rules){
        .startup_timeout = SEC(120),
        .unready_timeout = SEC(30),
        .failure_threshold = 3,
        .backoff_first = SEC(1),
        .backoff_max = SEC(60),
        .backoff_reset = SEC(300),
        .drain_timeout = SEC(30),
    };
}

/* The moves that exist: bit per target state. */
static const unsigned moves[] = {
    [REPLICA_PENDING] = 1 << REPLICA_WAITING | 1 << REPLICA_STARTING | 1 << REPLICA_STOPPED,
    [REPLICA_WAITING] =
        1 << REPLICA_STARTING | 1 << REPLICA_WAITING | 1 << REPLICA_STOPPED | 1 << REPLICA_PENDING,
    [REPLICA_STARTING] = 1 << REPLICA_READY | 1 << REPLICA_WAITING | 1 << REPLICA_DRAINING,
    [REPLICA_READY] = 1 << REPLICA_UNREADY | 1 << REPLICA_WAITING | 1 << REPLICA_DRAINING,
    [REPLICA_UNREADY] = 1 << REPLICA_READY | 1 << REPLICA_WAITING | 1 << REPLICA_DRAINING,
    [REPLICA_DRAINING] = 1 << REPLICA_STOPPED,
    [REPLICA_STOPPED] = 0,
};

static void move(struct replica *r, enum replica_state to, enum replica_reason reason, nsec now)
{
    CHECK(moves[r->state] >> to & 1);
    r->state = to;
    r->reason = reason;
    r->since = now;
    r->probe_failures = 0;
    r->terminate_sent = r->kill_sent = false;
}

void replica_init(struct replica *r, nsec now)
{
    *r = (struct replica){.state = REPLICA_PENDING, .since = now, .not_before = now};
}

static nsec limit_of(const struct replica *r, const struct replica_rules *rules)
{
    switch (r->state) {
    case REPLICA_STARTING:
        return nsec_after(r->since, rules->startup_timeout);
    case REPLICA_UNREADY:
        return nsec_after(r->since, rules->unready_timeout);
    case REPLICA_DRAINING:
        return nsec_after(r->since, rules->drain_timeout);
    case REPLICA_WAITING:
        return r->not_before;
    case REPLICA_PENDING:
    case REPLICA_READY:
    case REPLICA_STOPPED:
        break;
    }
    return NSEC_NEVER;
}

nsec replica_wake_at(const struct replica *r, const struct replica_rules *rules)
{
    return r->kill_sent ? NSEC_NEVER : limit_of(r, rules);
}

enum replica_action replica_next(struct replica *r, const struct replica_rules *rules, nsec now)
{
    if (r->state == REPLICA_DRAINING && !r->terminate_sent) {
        r->terminate_sent = true;
        return REPLICA_TERMINATE;
    }
    if (r->kill_sent || limit_of(r, rules) > now)
        return REPLICA_NOTHING;
    if (r->state == REPLICA_WAITING)
        return REPLICA_SPAWN;
    r->kill_sent = true;
    return REPLICA_KILL;
}

void replica_placed(struct replica *r, nsec now)
{
    move(r, REPLICA_WAITING, REPLICA_PLACED, now);
}

void replica_unplaced(struct replica *r, nsec now)
{
    move(r, REPLICA_PENDING, REPLICA_UNPLACED, now);
}

void replica_spawned(struct replica *r, nsec now)
{
    if (r->started)
        r->restarts++;
    r->started = true;
    move(r, REPLICA_STARTING, REPLICA_SPAWNED, now);
}

void replica_adopted(struct replica *r, nsec now)
{
    r->started = true;
    move(r, REPLICA_STARTING, REPLICA_ADOPTED, now);
}

/* Back to WAITING, later with every failure in a row. */
static void back_off(struct replica *r, const struct replica_rules *rules,
                     enum replica_reason reason, nsec now)
{
    bool was_stable = r->ready_since && now - r->ready_since >= rules->backoff_reset;
    r->failures = was_stable ? 0 : r->failures;
    nsec delay = rules->backoff_first;
    for (unsigned i = 0; i < r->failures && delay < rules->backoff_max; i++)
        delay *= 2;
    r->failures++;
    r->ready_since = 0;
    r->not_before = nsec_after(now, MIN(delay, rules->backoff_max));
    move(r, REPLICA_WAITING, reason, now);
}

void replica_spawn_failed(struct replica *r, const struct replica_rules *rules, nsec now)
{
    back_off(r, rules, REPLICA_SPAWN_FAILED, now);
}

void replica_probed(struct replica *r, const struct replica_rules *rules, bool ok, nsec now)
{
    if (ok && (r->state == REPLICA_STARTING || r->state == REPLICA_UNREADY)) {
        if (r->kill_sent)
            return; /* too late: its end is on the way */
        move(r, REPLICA_READY, REPLICA_PROBE_OK, now);
        r->ready_since = r->ready_since ? r->ready_since : now;
    } else if (ok) {
        r->probe_failures = 0;
    } else if (r->state == REPLICA_READY && ++r->probe_failures >= rules->failure_threshold) {
        move(r, REPLICA_UNREADY, REPLICA_PROBES_FAILED, now);
    }
}

void replica_exited(struct replica *r, const struct replica_rules *rules, nsec now)
{
    CHECK(replica_has_process(r));
    if (r->state == REPLICA_DRAINING) {
        move(r, REPLICA_STOPPED, REPLICA_DRAINED, now);
        return;
    }
    enum replica_reason reason = REPLICA_EXITED;
    if (r->kill_sent)
        reason = r->state == REPLICA_STARTING ? REPLICA_START_TOO_SLOW : REPLICA_UNREADY_TOO_LONG;
    back_off(r, rules, reason, now);
}

void replica_drain(struct replica *r, enum replica_reason reason, nsec now)
{
    if (r->state == REPLICA_DRAINING || r->state == REPLICA_STOPPED)
        return;
    move(r, replica_has_process(r) ? REPLICA_DRAINING : REPLICA_STOPPED, reason, now);
}
