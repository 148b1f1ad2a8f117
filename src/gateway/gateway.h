/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The data plane: N workers (one thread, loop and listening socket each, SO_REUSEPORT) in front of the models' pools.
 *
 * A request's way: worker.c (connection) -> endpoint.c (which answer?) -> flight.c (queue, replica, stream back). A model's
 * pool is a core state machine behind one mutex (model_pool.h); names are resolved in an immutable table (table.h).
 *
 * Ownership: the gateway owns everything but the metrics registry, which must outlive it.
 * Thread rule: gateway_set_*, gateway_add_usage, gateway_report, gateway_follow, gateway_forget_others and gateway_hurry from any
 * thread; the rest from the one that started it.
 */
#ifndef FAIRWAY_GATEWAY_H
#define FAIRWAY_GATEWAY_H

#include "api/gateway_sync.h"
#include "api/routes.h"
#include "base/err.h"
#include "net/http.h"

struct gateway;
struct json_writer;
struct key_table;
struct metrics;
struct tls_server;
struct tracer;
struct usage;
struct watchdog;

struct gateway_options {
    struct str host;
    uint16_t port;    /* 0: any free one */
    unsigned workers; /* 0: one per core, at most 8 */
    /* Sockets that listen already, one per worker, from the gateway that this one takes over from; then nothing is accepted
     * before gateway_accept. Owned by the gateway once it is started. */
    const int *listeners;
    unsigned listener_count;
    struct http_limits limits;
    struct tls_server *tls;    /* borrow; NULL: plain */
    struct metrics *metrics;   /* borrow */
    struct tracer *tracer;     /* borrow; NULL: no spans are kept */
    struct watchdog *watchdog; /* borrow; NULL: nobody watches the workers' loops */
    nsec keepalive;            /* a streaming request that waits gets a comment so often (15 s) */
    nsec upstream_connect_timeout, upstream_head_timeout,
        upstream_idle_timeout; /* 2 s, 600 s, 300 s */
    bool access_log;
    bool proxy_protocol; /* every connection must begin with a PROXY header */
    bool keys_required;  /* refuse everybody as long as there are no keys */
};

struct gateway_options gateway_options_default(void);

/* Listens and serves when it returns; until the first routes are set every model is unknown and /readyz says 503. */
[[nodiscard]] int gateway_start(const struct gateway_options *options, struct gateway **ret_gateway,
                                struct err *err);
uint16_t gateway_port(const struct gateway *g);
void gateway_accept(
    struct gateway *g); /* once, with options.listeners: after the routes that were set */
/* For another process to go on with; borrowed until the drain. Returns how many. */
unsigned gateway_listeners(struct gateway *g, int *ret_listeners, unsigned max);

/* Takes effect on every worker within one turn of its loop; the caller keeps its reference. */
void gateway_set_routes(struct gateway *g, struct routes *routes);
/* Likewise. With no keys at all nobody is asked for one, unless options.keys_required. */
void gateway_set_keys(struct gateway *g, struct key_table *take_keys);

/* A member of the object for each: what happened to the request `id` (false: not known any more); the newest requests;
 * models and what waits and runs there. */
bool gateway_write_request(struct gateway *g, struct str id, struct json_writer *w);
void gateway_write_requests(struct gateway *g, size_t max, struct json_writer *w);
void gateway_write_load(struct gateway *g, struct json_writer *w);

/* What was used since the last call, as rows in the arena (gateway/ledger.h). */
struct usage *gateway_take_usage(struct gateway *g, struct arena *a, size_t *ret_count);

/* Another process used them: they count under the limits of days and months. After the first routes. */
void gateway_add_usage(struct gateway *g, const struct usage *rows, size_t count);

/* ---- several gateways before the same models (core/share, api/gateway_sync.h) ---- */

/* Its limits and slots are shared from now on: what was charged before is told to nobody, but for what the minutes still hold,
 * and a new replica gets one request at a time until orders say more. */
void gateway_begin_sharing(struct gateway *g);
/* What was charged since the last report and what runs and waits, in the arena, which has room for it. `whole`: of tenants
 * with nothing new too, if something of their minutes is used. */
struct sync_state gateway_report(struct gateway *g, struct arena *a, bool whole);
/* Rows that gateway_take_usage gave are in the ledger: until then the others reckon with them as with what is open. */
void gateway_usage_told(struct gateway *g, const struct usage *rows, size_t count);
/* After the first routes. */
void gateway_follow(struct gateway *g, const struct sync_orders *orders);
/* There were no orders for long: what the others have open is not known. Leases stay. */
void gateway_forget_others(struct gateway *g);

/*
 * Accepts nothing new, lets running requests end for at most `grace`, then cuts them. Returns when all workers have ended.
 */
void gateway_drain(struct gateway *g, nsec grace);
void gateway_hurry(
    struct gateway *g);               /* any thread: the drain that is going on has no grace left */
void gateway_free(struct gateway *g); /* after gateway_drain */

#endif
