/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a gateway in a process of its own and the controller talk: the gateway reports, the controller answers with orders, over
 * and over (core/share says what for).
 *
 *   POST /v1/gateways/sync
 *   --> {"gateway":ID,"address":TEXT,"version":TEXT,"controller":ID,"sequence":N,"orders":N,"routes":N,"keys":N,
 *        "leaving":BOOL, STATE}
 *   <-- {"controller":ID,"number":N,"joined":BOOL,"routes":{...},"keysVersion":N,"keys":{...}, STATE}
 *   STATE: "tenants":[{"name":TEXT,"requests":N, ... }],"models":[{"name":TEXT,"waiting":N,"replicas":[{"id":N,"count":N}]}]
 *
 * Routes (api/routes_json.h) and keys (store/keys.h) are there only if they are other than those that the gateway has: they are written and
 * read by the two sides themselves. Members that are not known are passed over (api/wire.h), those that are absent are 0, false or empty.
 * Ownership: what is read lives in the arena.
 */
#ifndef FAIRWAY_API_GATEWAY_SYNC_H
#define FAIRWAY_API_GATEWAY_SYNC_H

#include "base/json.h"
#include "core/share/share.h"

#define GATEWAY_SYNC_PERIOD MSEC(100) /* between an answer and the next report */

struct sync_tenant {
    struct str name;
    /* Report: charged since the report before, and what is open; nothing is settled here (POST /v1/usage tells that).
     * Orders: what the others did since the gateway joined. */
    struct share_others did;
    /* Of the minutes (limit_level). Orders: when it has just joined. */
    uint64_t level_requests, level_tokens;
    struct sync_tenant *next;
};

struct sync_replica {
    uint64_t id;
    unsigned count; /* report: of running requests; orders: of slots, 0 for all that it has */
    struct sync_replica *next;
};

struct sync_model {
    struct str name;
    uint64_t waiting; /* report: requests */
    struct sync_replica *replicas;
    struct sync_model *next;
};

/* Whom it leaves out has nothing open, nothing running. */
struct sync_state {
    struct sync_tenant *tenants;
    struct sync_model *models;
};

struct sync_report {
    struct str gateway; /* one process; never used twice */
    struct str address; /* where it listens, for people */
    struct str version;
    struct str controller; /* whose orders it has; empty: nobody's */
    uint64_t sequence;     /* a report that is repeated until it is answered keeps its own */
    uint64_t orders;       /* the number of those that it follows */
    uint64_t routes, keys; /* versions that it has; 0: none */
    bool leaving;
    struct sync_state state;
};

struct sync_orders {
    struct str controller; /* one run of it */
    uint64_t number;       /* grows */
    bool joined;           /* the totals of what the others did begin anew */
    /* Read: NULL for no news. To be written by the caller. */
    const struct json *routes, *keys;
    uint64_t keys_version; /* of the newest */
    struct sync_state state;
};

void sync_report_write(const struct sync_report *r, struct json_writer *w);
[[nodiscard]] int sync_report_read(struct arena *a, const struct json *tree,
                                   struct sync_report *ret_report, struct err *err);

/* Members of an object that the caller begins and ends. */
void sync_orders_write(const struct sync_orders *o, struct json_writer *w);
[[nodiscard]] int sync_orders_read(struct arena *a, const struct json *tree,
                                   struct sync_orders *ret_orders, struct err *err);

#endif
