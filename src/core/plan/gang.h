/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of a job as a state machine: all its members run, or none. Pure.
 *
 *   WAITING --started--> RUNNING --all members exit well--> SUCCEEDED
 *      ^                    |
 *      |                 a member fails, or it is told to end, or has run for too long
 *      |                    v
 *      +--- again ------ ENDING --the last member is gone--> FAILED
 *
 * Rules:
 * - Ending: every member gets the signal once, and after `grace` those that are left are killed.
 * - A member that fails ends the others. The job runs again, `restarts_max` times; evictions, and ends whose
 *   cause nobody knows, do not count against that.
 * - What has run for `max_runtime` in all its attempts has failed.
 * - Of several reasons to end the strongest counts, in the order of the list.
 * - A member that exits well while the job ends was asked to: nobody knows if its work was done, so
 *   the job runs again.
 *
 * The driver carries out what gang_next says and reports what happened. Ownership: the caller's
 * memory, no pointers. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_CORE_GANG_H
#define FAIRWAY_CORE_GANG_H

#include <stdbool.h>

#include "base/check.h"
#include "base/time.h"

#define GANG_STATES(X)                                              \
    X(GANG_WAITING, "Pending")     /* no members */                 \
    X(GANG_RUNNING, "Running")     /* all members are there */      \
    X(GANG_ENDING, "Ending")       /* some members may be there */  \
    X(GANG_SUCCEEDED, "Succeeded") /* no members, nor ever again */ \
    X(GANG_FAILED, "Failed")       /* likewise */

enum gang_state {
#define X(name, text) name,
    GANG_STATES(X)
#undef X
};

/* Of a state; those of ENDING from the weakest to the strongest. */
#define GANG_REASONS(X)                                \
    X(GANG_NEW, "waits for room")                      \
    X(GANG_STARTED, "all members run")                 \
    X(GANG_ALL_WELL, "all members exited with 0")      \
    X(GANG_LOST, "a member ended while nobody looked") \
    X(GANG_EVICTED, "had to make room")                \
    X(GANG_ROOM_LOST, "its GPU is not well")           \
    X(GANG_MEMBER_FAILED, "a member failed")           \
    X(GANG_TOO_LONG, "ran for spec.maxRuntime")        \
    X(GANG_STOPPED, "Fairway is being stopped")        \
    X(GANG_SUSPENDED, "spec.suspend is set")           \
    X(GANG_DELETED, "job deleted")

enum gang_reason {
#define X(name, text) name,
    GANG_REASONS(X)
#undef X
};

struct gang_rules {
    nsec grace, max_runtime; /* NSEC_NEVER: no limit */
    unsigned restarts_max;
};

struct gang {
    enum gang_state state;
    enum gang_reason reason; /* of the last change of state */
    nsec since;              /* of the last change of state */
    unsigned members;        /* that are there */
    unsigned attempts;       /* started */
    unsigned failures;       /* ended because a member failed */
    unsigned evictions;
    nsec started; /* the present attempt */
    nsec ran;     /* all earlier ones together */
    bool signal_sent, kill_sent;
};

enum gang_action { GANG_NOTHING, GANG_SIGNAL, GANG_KILL };

const char *gang_state_text(enum gang_state state);
const char *gang_reason_text(enum gang_reason reason);

void gang_init(struct gang *g, nsec now);
/* To every member; asked after every event and at gang_wake_at. */
enum gang_action gang_next(struct gang *g, const struct gang_rules *rules, nsec now);
nsec gang_wake_at(const struct gang *g, const struct gang_rules *rules);

/* ---- events ---- */

/* WAITING: it has so many members, at least one. */
void gang_started(struct gang *g, unsigned members, nsec now);
/* Members of an attempt that began before this controller, at `started`. */
void gang_adopted(struct gang *g, unsigned members, nsec started, nsec now);
/* RUNNING or ENDING: one is gone. */
void gang_member_exited(struct gang *g, const struct gang_rules *rules, bool well, nsec now);
/* It is to end, for one of the reasons from GANG_LOST on; of one that has no members: no effect. */
void gang_end(struct gang *g, enum gang_reason reason, nsec now);

static inline bool gang_has_members(const struct gang *g)
{
    return g->state == GANG_RUNNING || g->state == GANG_ENDING;
}

static inline bool gang_is_over(const struct gang *g)
{
    return g->state == GANG_SUCCEEDED || g->state == GANG_FAILED;
}

#endif
