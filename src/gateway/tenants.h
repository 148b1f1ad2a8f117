/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tenants that the gateway has seen: what must outlive a snapshot of rules: what a tenant has used of its limits, and
 * its number, which is its name in the queues.
 *
 * Ownership: tenants live as long as their registry, so a pointer may be kept; there are as many as names were ever
 * published. Thread rule: any thread.
 */
#ifndef FAIRWAY_GATEWAY_TENANTS_H
#define FAIRWAY_GATEWAY_TENANTS_H

#include <pthread.h>

#include "api/gateway_sync.h"
#include "api/routes.h"
#include "base/map.h"
#include "core/limit/limit.h"

struct tenant {
    struct map_node node; /* by name */
    struct str name;      /* own */
    uint32_t number;      /* from 1 */
    pthread_mutex_t mutex;
    struct limit_account account; /* by the mutex, as are the rest */
    struct limit_rules
        rules; /* of the newest snapshot: by which the minutes drain between requests */
    struct limit_charge reported;       /* of account.own: what the last report said */
    uint64_t told_tokens, told_cost;    /* settled by other gateways, as last told */
    int64_t untold_tokens, untold_cost; /* settled here, and not told to the others yet */
};

struct tenants {
    pthread_mutex_t mutex;
    struct map map; /* of tenant */
};

void tenants_init(struct tenants *t);
void tenants_fini(struct tenants *t);
/* A new one begins with what `used` says of it. */
struct tenant *tenants_get(struct tenants *t, struct str name, const struct routes_used *used);
void tenant_add_usage(struct tenant *t, const struct limit_usage *usage); /* used elsewhere */
void tenant_set_rules(struct tenant *t, const struct limit_rules *rules);

/* ---- other gateways (gateway/sync.c) ---- */

/* False: nothing to report. `whole`: what is used of the minutes is something to report, too. */
bool tenant_report(struct tenant *t, bool whole, struct sync_tenant *ret_report);
/* What it has charged so far is known, but for what the minutes still hold. */
void tenant_begin_reports(struct tenant *t);
/* The totals of the others begin anew; of the minutes at least so much is used. */
void tenant_join(struct tenant *t, uint64_t requests, uint64_t tokens);
void tenant_set_others(struct tenant *t, const struct share_others *others);
/* So much of what was settled here is known to the others now; what is not is reported as open. */
void tenant_told(struct tenant *t, int64_t tokens, int64_t cost);
/* Nobody knows what the others have open. */
void tenant_forget_others(struct tenant *t);

/* core/limit at work. */
[[nodiscard]] int tenant_reserve(struct tenant *t, const struct limit_rules *rules,
                                 const struct limit_want *want, struct limit_hold *ret_hold,
                                 struct limit_refusal *ret_refusal,
                                 struct limit_snapshot *ret_left);
void tenant_settle(struct tenant *t, const struct limit_rules *rules, struct limit_hold *hold,
                   uint64_t tokens, uint64_t cost);
void tenant_release(struct tenant *t, const struct limit_rules *rules, struct limit_hold *hold,
                    bool refused);

#endif
