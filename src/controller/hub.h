/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where several gateways meet: who they are, what they reported, and the orders that follow from it (core/share does the
 * reckoning). The gateway of this process is the member 0; the others join by their first report.
 *
 * A member that is silent for HUB_LOST has gone: what it had open is given to the others. It is remembered as long as nobody
 * needs its number, so that one that comes back goes on where it was.
 * Ownership: the hub owns its copies. Thread rule: one thread (the controller's).
 */
#ifndef FAIRWAY_CONTROLLER_HUB_H
#define FAIRWAY_CONTROLLER_HUB_H

#include "api/gateway_sync.h"
#include "api/routes.h"

#define HUB_LOST SEC(5)
enum { HUB_ID_MAX = 40, HUB_TEXT_MAX = 128, HUB_HERE = 0 /* the member of this process */ };

struct hub_member {
    bool here;
    char id[HUB_ID_MAX], address[HUB_TEXT_MAX], version[HUB_TEXT_MAX];
    nsec joined, seen; /* steady */
    uint64_t sequence; /* of its last report */
    uint64_t number;   /* of the last orders for it */
    uint64_t told,
        knows; /* changes of limits: up to there in those orders; and in those that it follows */
    uint64_t routes, keys; /* versions that it has */
    uint64_t waiting, running;
};

struct usage;

struct hub;
struct hub *hub_new(void);
void hub_free(struct hub *h);
struct str hub_id(const struct hub *h); /* of this run */

/* Replicas that are not in the snapshot any more are forgotten. */
void hub_set_routes(struct hub *h, const struct routes *routes);

/* NULL: it would have to join. */
const struct hub_member *hub_find(const struct hub *h, struct str gateway);
const struct hub_member *hub_member(const struct hub *h, unsigned i); /* i < SHARE_GATEWAYS_MAX */
unsigned hub_count(const struct hub *h);                              /* of those that are here */

/* A report, and what follows from it, in the arena; routes and keys are the caller's business. ERR_FULL: there are too many. */
[[nodiscard]] int hub_exchange(struct hub *h, struct arena *a, const struct sync_report *report,
                               nsec now, struct sync_orders *ret_orders, struct err *err);
/* The others are told; `gateway`: whose it is, a member or not. */
void hub_settle(struct hub *h, struct str gateway, int64_t today, const struct usage *rows,
                size_t count);
/* Forgets the silent ones; HUB_HERE never. True: there was one. */
bool hub_expire(struct hub *h, nsec now);

#endif
