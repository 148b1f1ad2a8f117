/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of one replica as a state machine: when it is started, restarted, drained and killed.
 * Pure.
 *
 *   PENDING --placed--> WAITING --spawn--> STARTING --probe ok--> READY <--probe ok/failures--> UNREADY
 *      ^                 |  ^                 |                     |                             |
 *      +--- unplaced ----+  |                 +------- exit, or start or failure limit passed ----+
 *                           +--- back-off ----+
 *   any --drain--> DRAINING --exit--> STOPPED (forget it)
 *
 * Rules:
 * - A replica that exits, does not become ready within `startup_timeout`, or fails
 * `failure_threshold` probes in a row while serving and then stays unready for `unready_timeout`,
 * is killed if need be and started again.
 * - Restarts wait: `backoff_first`, doubled with every failure in a row up to `backoff_max`; a
 * replica that was ready for `backoff_reset` starts counting anew.
 * - Draining: asked to end (SIGTERM), killed after `drain_timeout`.
 *
 * The driver (the controller) carries out what replica_next says and reports what happened. Each
 * change of state leaves its reason. Ownership: the caller's memory, no pointers. Thread rule: one
 * thread at a time.
 */
#ifndef FAIRWAY_CORE_REPLICA_H
#define FAIRWAY_CORE_REPLICA_H

#include <stdbool.h>

#include "base/check.h"
#include "base/time.h"

#define REPLICA_STATES(X)                                                           \
    X(REPLICA_PENDING, "pending")   /* no process, and no room for one yet */       \
    X(REPLICA_WAITING, "waiting")   /* no process; starts at not_before */          \
    X(REPLICA_STARTING, "starting") /* process there, model loading */              \
    X(REPLICA_READY, "ready")       /* serves */                                    \
    X(REPLICA_UNREADY, "unready")   /* was ready; probes fail: takes nothing new */ \
    X(REPLICA_DRAINING, "draining") /* asked to end; finishes what runs */          \
    X(REPLICA_STOPPED, "stopped")   /* no process, none wanted */

enum replica_state {
#define X(name, text) name,
    REPLICA_STATES(X)
#undef X
};

#define REPLICA_REASONS(X)                                                      \
    X(REPLICA_NEW, "new")                                                       \
    X(REPLICA_PLACED, "has room")                                               \
    X(REPLICA_UNPLACED, "needs room anew")                                      \
    X(REPLICA_SPAWNED, "process started")                                       \
    X(REPLICA_ADOPTED, "process found again after a restart of the controller") \
    X(REPLICA_SPAWN_FAILED, "process could not be started")                     \
    X(REPLICA_PROBE_OK, "readiness probe passed")                               \
    X(REPLICA_PROBES_FAILED, "readiness probes failed in a row")                \
    X(REPLICA_EXITED, "process ended by itself")                                \
    X(REPLICA_START_TOO_SLOW, "not ready within the start-up limit")            \
    X(REPLICA_UNREADY_TOO_LONG, "unready for too long")                         \
    X(REPLICA_SCALED_DOWN, "fewer replicas wanted")                             \
    X(REPLICA_OUTDATED, "replaced by a newer revision")                         \
    X(REPLICA_DELETED, "model deleted")                                         \
    X(REPLICA_EVICTED, "had to make room")                                      \
    X(REPLICA_ROOM_LOST, "its GPU is not well")                                 \
    X(REPLICA_DRAINED, "ended as asked")

enum replica_reason {
#define X(name, text) name,
    REPLICA_REASONS(X)
#undef X
};

struct replica_rules {
    nsec startup_timeout, unready_timeout;
    unsigned failure_threshold;
    nsec backoff_first, backoff_max, backoff_reset;
    nsec drain_timeout;
};

struct replica {
    enum replica_state state;
    enum replica_reason reason; /* of the last change of state */
    nsec since;                 /* of the last change of state */
    nsec not_before;            /* WAITING: earliest start */
    nsec ready_since;
    bool started;                   /* it had a process */
    unsigned restarts;              /* starts after the first, ever */
    unsigned failures;              /* in a row, for the back-off */
    unsigned probe_failures;        /* in a row */
    bool terminate_sent, kill_sent; /* to the present process */
};

enum replica_action { REPLICA_NOTHING, REPLICA_SPAWN, REPLICA_TERMINATE, REPLICA_KILL };

const char *replica_state_text(enum replica_state state);
const char *replica_reason_text(enum replica_reason reason);

/* 120 s start-up, 30 s unready, 3 probes, back-off 1 s to 60 s, reset after 300 s, 30 s drain. */
struct replica_rules replica_rules_default(void);

void replica_init(struct replica *r, nsec now);

/*
 * What to do now; asked after every event and at replica_wake_at. REPLICA_SPAWN is answered by
 * replica_spawned or replica_spawn_failed; REPLICA_TERMINATE and REPLICA_KILL come once each, and
 * the end is reported by replica_exited.
 */
enum replica_action replica_next(struct replica *r, const struct replica_rules *rules, nsec now);
nsec replica_wake_at(const struct replica *r, const struct replica_rules *rules);

/* ---- events ---- */

void replica_placed(struct replica *r, nsec now); /* PENDING: somebody gave it room */
void replica_unplaced(struct replica *r,
                      nsec now); /* WAITING: it has none any more, or not enough */
void replica_spawned(struct replica *r, nsec now);
void replica_adopted(struct replica *r, nsec now); /* a live process of an earlier controller */
void replica_spawn_failed(struct replica *r, const struct replica_rules *rules, nsec now);
void replica_probed(struct replica *r, const struct replica_rules *rules, bool ok, nsec now);
void replica_exited(struct replica *r, const struct replica_rules *rules, nsec now);
void replica_drain(struct replica *r, enum replica_reason reason, nsec now); /* again: no effect */

static inline bool replica_has_process(const struct replica *r)
{
    return r->state != REPLICA_PENDING && r->state != REPLICA_WAITING &&
           r->state != REPLICA_STOPPED;
}

#endif
