/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control plane on one machine: keeps what runs equal to what was asked for.
 *
 * One thread with one loop holds the desired state (SQLite), the replicas as child processes, their probes, and the admin API
 * on a socket file. What to do is decided by core/plan; this service carries it out. Every change of the set of ready replicas
 * is published as a routes snapshot.
 *
 *   admin API --put/scale/delete--> store --> reconcile --> spawn, drain, kill
 *                                               ^  |
 *           exits, probes, timers --------------+  +--> routes snapshot (publish)
 *
 * After a restart or a handover live processes are found by their mark (FAIRWAY_REPLICA in the environment) and adopted without a
 * reload; marked processes that nobody owns are ended.
 *
 * Ownership: the controller owns its store, its processes and its thread. Thread rule: the functions below from one thread;
 * the calls of the options are made on the controller's thread (the first keys inside controller_start).
 */
#ifndef FAIRWAY_CONTROLLER_H
#define FAIRWAY_CONTROLLER_H

#include "api/gateway_sync.h"
#include "api/resource.h"
#include "api/routes.h"
#include "base/err.h"
#include "core/plan/replica.h"

struct controller;
struct gpu_inventory;
struct key_table;
struct metrics;
struct tls_server;
struct usage;
struct watchdog;
struct arena;
struct json_writer;

struct controller_options {
    const char *state_dir;     /* made if it is not there; one controller at a time */
    const char *engine_path;   /* of fairway-engine */
    const char *gateway_url;   /* for `fairway get status` and chat */
    struct metrics *metrics;   /* borrow */
    struct watchdog *watchdog; /* borrow; NULL: nobody watches its loop */
    struct replica_rules rules;
    const struct gpu_inventory *gpus; /* copied: made-up ones; NULL: those that NVML finds */
    void (*publish)(void *ctx, struct routes *take_routes);
    void (*publish_keys)(void *ctx, struct key_table *take_keys);
    /* What was used since the last call, as rows in the arena: it goes to the ledger every second. */
    struct usage *(*take_usage)(void *ctx, struct arena *a, size_t *ret_count);
    /* Rows that another process used, which count here too. */
    void (*add_usage)(void *ctx, const struct usage *rows, size_t count);
    /* The gateway of this process as one of several (api/gateway_sync.h): its report, in the arena; what it is to follow. */
    struct sync_state (*report)(void *ctx, struct arena *a, bool whole);
    void (*follow)(void *ctx, const struct sync_orders *orders);
    /* Members of an object: what happened to a request (false: not known); what waits and runs, and the newest requests. */
    bool (*write_request)(void *ctx, struct str id, struct json_writer *w);
    void (*write_load)(void *ctx, size_t requests_max, struct json_writer *w);
    /* Once: the routes that were published hold every replica that was found running, or is remote, and is ready. May be NULL. */
    void (*settled)(void *ctx);
    /* Where gateways of other machines join, with the token of STATE/join.token; host empty: nowhere. */
    struct str join_host;
    uint16_t join_port;
    struct tls_server *join_tls; /* borrow; NULL: plain */
    int admin_listener; /* borrow: the admin API's socket, from an earlier controller; 0: open it */
    void *ctx;
};

[[nodiscard]] int controller_start(const struct controller_options *options,
                                   struct controller **ret_controller, struct err *err);

/* Ends every replica (drain, then kill) and the thread. Returns when all processes are gone. */
void controller_stop(struct controller *c);
/* Ends the thread once no replica is draining, and leaves the others to the controller that comes next. */
void controller_leave(struct controller *c);
void controller_free(
    struct controller *c); /* after controller_stop or controller_leave; unlocks the state folder */

/* This machine's name as a Node: the host name's first label, as resource names are written. */
struct str controller_node_name(char ret_text[RESOURCE_NAME_MAX + 1]);

/* The admin API's socket, for another process to go on with; borrowed until the controller ends. */
int controller_admin_listener(struct controller *c);

#endif
