/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One worker: a thread with its loop, its HTTP server on the shared port, its client to the replicas, and its reference to
 * the table of names.
 *
 * Ownership: the gateway's. Thread rule: fields are touched on the worker's own thread, except `loop` (for loop_post), `flights`
 * and `pending_table`.
 */
#ifndef FAIRWAY_GATEWAY_WORKER_H
#define FAIRWAY_GATEWAY_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/rng.h"
#include "gateway/gateway.h"
#include "gateway/records.h"
#include "gateway/table.h"
#include "gateway/tenants.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "net/loop.h"

struct worker {
    struct gateway *gateway; /* borrow */
    const struct gateway_options *options;
    pthread_t thread;
    struct loop *loop;          /* own */
    struct http_server *server; /* own */
    struct http_client *client; /* own */
    struct table *table;        /* ref; NULL before the first routes */
    struct rng rng;             /* request and span ids */
    struct records records;     /* of its requests */
    struct buf scratch;         /* own; events on their way through */
    struct buf spoken;          /* own; the same in the client's dialect */
    bool draining;

    _Atomic(struct table *) pending_table; /* ref; taken over by set_table */
    struct mail set_table, accept, drain, hurry, stop;
    nsec grace;
};

/* Listens, but does not run yet. port 0: any. listener: one to take, which accepts nothing yet; 0: none. */
[[nodiscard]] int worker_init(struct worker *w, struct gateway *g,
                              const struct gateway_options *options, uint16_t port, int listener,
                              struct err *err);
void worker_accept(struct worker *w); /* any thread; after the tables that were set */
void worker_start(struct worker *w);
void worker_set_table(struct worker *w, struct table *take_table); /* any thread */
void worker_drain(struct worker *w, nsec grace); /* any thread; calls gateway_worker_drained */
void worker_hurry(struct worker *w);             /* any thread */
void worker_stop(struct worker *w);              /* any thread, drained: ends the thread */
void worker_fini(struct worker *w);              /* after pthread_join */

/* gateway.c: on the worker's thread. */
struct ledger *gateway_ledger(struct gateway *g);
void gateway_worker_drained(struct gateway *g);
void gateway_stop_timers(struct gateway *g, const struct worker *w);
void gateway_write_metrics(struct gateway *g, struct buf *out);

#endif
