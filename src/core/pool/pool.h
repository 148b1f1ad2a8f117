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
 * - Whose turn it is among tenants is the queue's decision. Of that tenant's first POOL_WINDOW the one goes that gains most: whose prompt
 * is cached where a slot is free, and not elsewhere, where a slot will be. Nobody is overtaken more than POOL_OVERTAKEN_MAX times. (Only
 * if the policy asks where prompts are cached, and not first come, first served.)
 * - Full queue, the model's or the tenant's, or so full that the rest is kept for other tenants: POOL_REJECT with ERR_FULL. Deadline passed while waiting: ERR_TIMEOUT if replicas
 * are serving, else ERR_UNAVAILABLE. No replica and none expected: ERR_UNAVAILABLE at once.
 * - A request whose replica failed before it answered goes back in front of the queue and avoids
 * the replicas it has tried (until every one has been tried), at most `attempts_max` times in all;
 * then ERR_UNAVAILABLE. It is never refused for a full queue. One whose replica failed in
 * mid-stream may be continued in the same way, on a replica of the same revision; as it got
 * somewhere, its attempts count anew.
 * - Retries and continuations together have a budget: a share of the requests, plus as many at once
 * as the largest replica has slots, so that one replica's death can always be made good. When it is
 * used up, a failure is final.
 * - A request without a first byte after the pool's usual time may be hedged: sent to a second
 * replica as well, if nobody waits and the budget of hedges allows. The first to answer stays.
 *
 * Invariants: a request is in exactly one of the states below; every accepted one gets exactly one
 * end: a POOL_REJECT decision, pool_finish or pool_cancel. A running one holds one place, or two
 * while it is hedged. Ownership: struct pool_request is the caller's memory (inside its own request
 * object), as are the blocks of its prompt; the pool points to it from arrive until its end.
 * Thread rule: one thread at a time (the gateway holds the pool's mutex).
 */
#ifndef FAIRWAY_CORE_POOL_H
#define FAIRWAY_CORE_POOL_H

#include "core/queue/queue.h"
#include "core/route/budget.h"
#include "core/route/route.h"

enum pool_state { POOL_OUT, POOL_QUEUED, POOL_RUNNING };
enum { POOL_LEGS = 2, POOL_WINDOW = 16, POOL_OVERTAKEN_MAX = 16 };

/* Why a request was rejected. */
enum pool_why {
    POOL_WHY_QUEUE_FULL,  /* the model's: ERR_FULL */
    POOL_WHY_TENANT_FULL, /* as many of its tenant wait as may: ERR_FULL */
    POOL_WHY_CROWDED,     /* what is left of the queue is kept for tenants with fewer: ERR_FULL */
    POOL_WHY_DEADLINE,    /* ERR_TIMEOUT */
    POOL_WHY_NO_REPLICA,  /* ERR_UNAVAILABLE */
    POOL_WHY_ATTEMPTS,    /* every try failed: ERR_UNAVAILABLE */
    POOL_WHY_BUDGET,      /* it failed, and too many were tried again lately: ERR_UNAVAILABLE */
};

struct pool_request {
    struct queue_entry entry;   /* tenant, band, tokens (in, out), deadline: set by the caller */
    struct route_request route; /* what routing goes by: set by the caller */
    /* The pool's business; may be read. */
    enum pool_state state;
    struct route_hold legs[POOL_LEGS]; /* POOL_RUNNING: where; two while it is hedged */
    unsigned attempts;       /* dispatches so far (since the last progress), hedges not counted */
    unsigned continued;      /* of those: after the first byte */
    bool answered;           /* the first byte of the present attempt has come */
    unsigned overtaken;      /* by later ones of its tenant, since it waits */
    struct route_set tried;  /* places that failed it */
    struct list in_rejected; /* accepted no more, decision not yet taken */
    enum pool_why reject_why;
};

enum pool_decision_kind { POOL_DISPATCH, POOL_REJECT, POOL_HEDGE };

struct pool_decision {
    enum pool_decision_kind kind;
    struct pool_request *request;
    uint64_t replica;           /* POOL_DISPATCH, POOL_HEDGE: its id */
    int leg;                    /* which of the request's legs it is */
    struct route_choice choice; /* how it came about; `place` is the replica's */
    nsec waited;
    struct queue_reason queue; /* POOL_DISPATCH: why it was its turn */
    int code;                  /* POOL_REJECT: ERR_FULL, ERR_TIMEOUT or ERR_UNAVAILABLE */
    enum pool_why why;         /* POOL_REJECT */
};

struct pool_options {
    struct queue_limits queue;
    struct route_options route;
    unsigned attempts_max;
    struct budget_rules retries; /* `reserve` is the least: see above */
    struct budget_rules hedges;
    double hedge_quantile; /* of the pool's times to first byte: later than usual */
    double hedge_samples;  /* with fewer nothing is usual */
};

struct pool {
    struct pool_options options;
    struct queue queue;
    struct route route;
    struct list rejected; /* of pool_request.in_rejected */
    bool expecting;       /* replicas are wanted, even if none is there yet */
    uint64_t expected;    /* their revision; 0: not known */
    nsec retry_at;        /* when time alone may make a candidate */
    double drain_rate;    /* requests per second that ended lately; see pool_retry_after */
    nsec drain_seen;
    struct budget retries, hedges;
    uint64_t continued, hedges_won; /* for reports */
};

/* The queue's own defaults, least load, ejection 0.5 s to 30 s, slow start 5 s, 3 attempts, retries 20 % and hedges 5 %
 * of the requests. */
struct pool_options pool_options_default(void);

void pool_init(struct pool *p, const struct pool_options *options);
void pool_fini(struct pool *p); /* nothing queued, nothing running */
void pool_set_queue_limits(struct pool *p, const struct queue_limits *limits);
/* Hedges for each ordinary request; 0: none. */
void pool_set_hedges(struct pool *p, double ratio);
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
/* The first byte of the answer came on this leg. If there is another, it is out when this returns:
 * the caller cuts it. (What is usual is learnt from this, so an answer that is no stream, whose first
 * byte comes at its end, is told here only if it is hedged.) */
void pool_first_byte(struct pool *p, struct pool_request *request, int leg, nsec now);
/* The engine said how many of the prompt's tokens it had cached; before pool_finish. */
void pool_cached(struct pool *p, struct pool_request *request, uint64_t tokens);
/* A running request ended. */
void pool_finish(struct pool *p, struct pool_request *request, enum route_outcome outcome,
                 nsec now);
/* A running request's replica failed before anything of its answer was passed on: try another. */
void pool_retry(struct pool *p, struct pool_request *request, nsec now);
/* The same for one of two legs: the other goes on. */
void pool_lose_leg(struct pool *p, struct pool_request *request, int leg, nsec now);
/* A running request's replica failed in mid-stream and the caller can go on exactly where it broke
 * off: another of the same revision, or POOL_REJECT with ERR_UNAVAILABLE. The entry's deadline may
 * be set anew before. */
void pool_continue(struct pool *p, struct pool_request *request, nsec now);

[[nodiscard]] int pool_replica_put(struct pool *p, const struct route_spec *spec, nsec now);
void pool_replica_remove(struct pool *p, uint64_t id);
/* Replicas are wanted, of this revision (0: not known): requests may wait for one. */
void pool_set_expecting(struct pool *p, bool expecting, uint64_t revision);

/* ---- decisions ---- */

bool pool_next(struct pool *p, nsec now, struct pool_decision *ret_decision);
/* The latest time to call pool_next again if nothing happens before. NSEC_NEVER: no need. */
nsec pool_wake_at(const struct pool *p);

/* When a running request without a first byte is worth a pool_hedge; NSEC_NEVER: not known, or it
 * is hedged or answered already. */
nsec pool_hedge_at(const struct pool *p, const struct pool_request *request, nsec now);
/* POOL_HEDGE: send it there too. False: not now (too early, somebody waits, no place, no budget). */
[[nodiscard]] bool pool_hedge(struct pool *p, struct pool_request *request, nsec now,
                              struct pool_decision *ret_decision);

/* For Retry-After: how long until a request that arrives now would be served, from the measured
 * drain rate; 1 s to 60 s. */
nsec pool_retry_after(const struct pool *p, nsec now);
/* How many wait before it, and how long it will wait at the measured rate (NSEC_NEVER: not known);
 * 0 when it does not wait. Both are estimates: see queue_position. */
size_t pool_position(const struct pool *p, const struct pool_request *request);
nsec pool_expected_wait(const struct pool *p, const struct pool_request *request, nsec now);

#endif
