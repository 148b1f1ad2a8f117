/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model's pool: its queue and its replicas as one state machine. Pure: events go in with their
 * time, decisions come out. The gateway, the tests and the simulator run this same code.
 *
 * Use: call an event function (arrive, cancel, finish, retry, replica changes), then take decisions
 * with pool_next until it says there are none; call pool_next again at pool_wake_at.
 *
 * Rules:
 * - A request is bound to a replica when it is dispatched, not when it arrives; a freed slot
 * dispatches at once.
 * - Full queue, the model's or the tenant's: POOL_REJECT with ERR_FULL. Deadline passed while waiting: ERR_TIMEOUT if replicas
 * are serving, else ERR_UNAVAILABLE. No replica and none expected: ERR_UNAVAILABLE at once.
 * - A request whose replica failed before it answered goes back in front of the queue and avoids
 * the replicas it has tried (until every one has been tried), at most `attempts_max` times in all;
 * then ERR_UNAVAILABLE. It is never refused for a full queue.
 *
 * Invariants: a request is in exactly one of the states below; every accepted one gets exactly one
 * end: a POOL_REJECT decision, pool_finish or pool_cancel. Ownership: struct pool_request is the
 * caller's memory (inside its own request object); the pool points to it from arrive until its end.
 * Thread rule: one thread at a time (the gateway holds the pool's mutex).
 */
#ifndef FAIRWAY_CORE_POOL_H
#define FAIRWAY_CORE_POOL_H

#include "core/queue/queue.h"
#include "core/route/route.h"

enum pool_state { POOL_OUT, POOL_QUEUED, POOL_RUNNING };

/* Why a request was rejected. */
enum pool_why {
    POOL_WHY_QUEUE_FULL,  /* the model's: ERR_FULL */
    POOL_WHY_TENANT_FULL, /* as many of its tenant wait as may: ERR_FULL */
    POOL_WHY_DEADLINE,    /* ERR_TIMEOUT */
    POOL_WHY_NO_REPLICA,  /* ERR_UNAVAILABLE */
    POOL_WHY_ATTEMPTS,    /* every try failed: ERR_UNAVAILABLE */
};

struct pool_request {
    struct queue_entry entry; /* tenant, band, tokens (in, out), deadline: set by the caller */
    /* The pool's business; may be read. */
    enum pool_state state;
    int place;               /* POOL_RUNNING: of the replica */
    unsigned attempts;       /* dispatches so far */
    struct route_set tried;  /* places that failed it */
    struct list in_rejected; /* accepted no more, decision not yet taken */
    enum pool_why reject_why;
};

enum pool_decision_kind { POOL_DISPATCH, POOL_REJECT };

struct pool_decision {
    enum pool_decision_kind kind;
    struct pool_request *request;
    uint64_t replica; /* POOL_DISPATCH: its id */
    int candidates;   /* POOL_DISPATCH: how many replicas could have taken it */
    nsec waited;
    struct queue_reason queue; /* POOL_DISPATCH: why it was its turn */
    int code;                  /* POOL_REJECT: ERR_FULL, ERR_TIMEOUT or ERR_UNAVAILABLE */
    enum pool_why why;         /* POOL_REJECT */
};

struct pool_options {
    struct queue_limits queue;
    struct route_options route;
    unsigned attempts_max;
};

struct pool {
    struct pool_options options;
    struct queue queue;
    struct route route;
    struct list rejected; /* of pool_request.in_rejected */
    bool expecting;       /* replicas are wanted, even if none is there yet */
    nsec retry_at;        /* when an ejected replica may be tried again */
    double drain_rate;    /* requests per second that ended lately; see pool_retry_after */
    nsec drain_seen;
};

/* The queue's own defaults, least load, ejection 0.5 s to 30 s, 3 attempts. */
struct pool_options pool_options_default(void);

void pool_init(struct pool *p, const struct pool_options *options);
void pool_fini(struct pool *p); /* nothing queued, nothing running */
void pool_set_queue_limits(struct pool *p, const struct queue_limits *limits);
/* See queue_set_tenant. */
[[nodiscard]] int pool_set_tenant(struct pool *p, uint32_t id, uint32_t weight, size_t max_length);

/* ---- events ---- */

/* The answer (dispatch, reject or "waits") comes by pool_next. */
void pool_arrive(struct pool *p, struct pool_request *request, nsec now);
/* The client left: whatever the state, the request is out when this returns. */
void pool_cancel(struct pool *p, struct pool_request *request, nsec now);
/* A running request has generated so many tokens more: its tenant is charged. They may come in
 * batches; nothing is dispatched by it. */
void pool_progress(struct pool *p, struct pool_request *request, uint64_t output_tokens);
/* A running request's real usage is known: it replaces what was charged. Before its end. */
void pool_settle(struct pool *p, struct pool_request *request, uint64_t input_tokens,
                 uint64_t output_tokens);
/* A running request ended. */
void pool_finish(struct pool *p, struct pool_request *request, enum route_outcome outcome,
                 nsec now);
/* A running request's replica failed before it answered: try another. */
void pool_retry(struct pool *p, struct pool_request *request, nsec now);

[[nodiscard]] int pool_replica_put(struct pool *p, uint64_t id, unsigned slots, bool draining);
void pool_replica_remove(struct pool *p, uint64_t id);
void pool_set_expecting(struct pool *p, bool expecting);

/* ---- decisions ---- */

bool pool_next(struct pool *p, nsec now, struct pool_decision *ret_decision);
/* The latest time to call pool_next again if nothing happens before. NSEC_NEVER: no need. */
nsec pool_wake_at(const struct pool *p);

/* For Retry-After: how long until a request that arrives now would be served, from the measured
 * drain rate; 1 s to 60 s. */
nsec pool_retry_after(const struct pool *p, nsec now);
/* How many wait before it, and how long it will wait at the measured rate (NSEC_NEVER: not known);
 * 0 when it does not wait. Both are estimates: see queue_position. */
size_t pool_position(const struct pool *p, const struct pool_request *request);
nsec pool_expected_wait(const struct pool *p, const struct pool_request *request, nsec now);

#endif
