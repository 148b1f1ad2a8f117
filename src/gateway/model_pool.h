/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One model's pool as the workers share it: the core state machine (core/pool) behind a mutex, the replicas' addresses,
 * and the delivery of decisions to the worker that owns the request.
 *
 * A worker that brings an event steps the machine under the mutex. Verdicts on its own tickets are delivered at the end of
 * its present turn, those on other workers' tickets through their loops' mailboxes.
 *
 * Ownership: reference counted (tables and tickets). A ticket is part of the caller's flight and must not be freed between
 * pool_submit and its end, nor while `in_mail`. Thread rule: any worker; a ticket is touched by its own worker only,
 * except under the mutex.
 */
#ifndef FAIRWAY_GATEWAY_MODEL_POOL_H
#define FAIRWAY_GATEWAY_MODEL_POOL_H

#include "api/gateway_sync.h"
#include "api/routes.h"
#include "core/pool/pool.h"
#include "net/loop.h"

struct model_pool;
struct model_meters;
struct metrics;
struct tenant;

enum { MODEL_POOL_HOST_MAX = 64 };

struct verdict {
    struct pool_decision decision;
    char host[MODEL_POOL_HOST_MAX]; /* POOL_DISPATCH: where to */
    uint16_t port;
    struct upstream *upstream; /* ref, until verdict_release; NULL: an engine of our own */
    nsec hedge_at; /* POOL_DISPATCH: when model_pool_hedge is worth a try; NSEC_NEVER: not at all */
    nsec retry_after; /* POOL_REJECT */
};

/* Who gets a verdict (by deliver or model_pool_hedge) calls it when the call has begun. */
void verdict_release(struct verdict *v);

struct ticket {
    struct pool_request request; /* entry.tenant, band, tokens, deadline: set by the caller */
    struct loop *home;           /* of the worker that owns it */
    struct verdict verdict;
    void (*deliver)(struct ticket *ticket);  /* on home: the verdict is there */
    void (*released)(struct ticket *ticket); /* on home: see model_pool_cancel */
    struct mail mail;                        /* below: the pool's business */
    bool in_mail;                            /* a verdict is on its way to home */
    uint64_t input_tokens, cached_tokens,
        output_tokens; /* its usage: set by the caller before its end */
    bool cached_known;
    bool dropped; /* cancelled meanwhile: `released` is called instead of `deliver` */
};

/* `home` keeps the pool's timer. */
struct model_pool *model_pool_new(struct str name, struct loop *home, struct metrics *metrics);
struct model_pool *model_pool_ref(struct model_pool *p);
void model_pool_unref(struct model_pool *p);
struct str model_pool_name(const struct model_pool *p);
struct model_meters *model_pool_meters(struct model_pool *p);

/* Replicas and limits as the snapshot says. NULL: the model is gone, nothing is expected any more. */
void model_pool_configure(struct model_pool *p, const struct routes_model *model);
/* Several tenants may use it: a part of the queue is kept for those of whom little waits. */
void model_pool_set_shared(struct model_pool *p, bool shared);
/* A weight for the tenant's share, and the most requests of it that may wait (0: no cap of its own). */
void model_pool_set_tenant(struct model_pool *p, const struct tenant *tenant, unsigned weight,
                           size_t queue_length);
/* Several gateways send to the same replicas: this one at most so many requests at a time to this one (0: as many as it has
 * slots). */
void model_pool_set_lease(struct model_pool *p, uint64_t replica, unsigned slots);
/* Likewise for replicas that no lease was told of yet. */
void model_pool_set_first_lease(struct model_pool *p, unsigned slots);
/* What waits, and in the arena what runs where. */
void model_pool_report(struct model_pool *p, struct arena *a, struct sync_model *ret_report);
/* Stops the timer; on home's thread, when the gateway ends. */
void model_pool_stop(struct model_pool *p);

void model_pool_submit(struct model_pool *p, struct ticket *t);
void model_pool_finish(struct model_pool *p, struct ticket *t, enum route_outcome outcome);
/* The first byte of its answer came; if it was hedged, the other leg is out. */
void model_pool_first_byte(struct model_pool *p, struct ticket *t, int leg);
/* It is late: a second replica, if there is one to spare. */
[[nodiscard]] bool model_pool_hedge(struct model_pool *p, struct ticket *t,
                                    struct verdict *ret_verdict);
void model_pool_lose_leg(struct model_pool *p, struct ticket *t, int leg);
/* Its replica broke off in mid-stream: another of the same revision is to go on. */
void model_pool_continue(struct model_pool *p, struct ticket *t);
/* It has generated so many tokens more: its tenant is charged. */
void model_pool_progress(struct model_pool *p, struct ticket *t, uint64_t output_tokens);
/* Where a ticket that waits stands: how many before it, and how long it will wait (NSEC_NEVER: not known). Estimates. */
void model_pool_place(struct model_pool *p, const struct ticket *t, size_t *ret_position,
                      nsec *ret_wait);
void model_pool_retry(struct model_pool *p, struct ticket *t);
/* The client left. True: the ticket is free now. False: `released` will be called on home. */
[[nodiscard]] bool model_pool_cancel(struct model_pool *p, struct ticket *t);

struct model_pool_state {
    size_t queued;
    unsigned running, slots;
    uint64_t prefix_inserted, prefix_evicted, prefix_dropped; /* blocks, since the start */
    size_t prefix_blocks, prefix_capacity; /* of the index of prompts; 0 without one */
};
struct model_pool_state model_pool_state(struct model_pool *p);

#endif
