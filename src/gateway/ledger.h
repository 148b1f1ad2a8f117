/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What was used since somebody last asked: by day (UTC), tenant and model. The way from the requests' ends to the store's
 * ledger, which is too slow for them; and to the counter fairway_tokens_total{model_name,tenant,kind}.
 *
 * Ownership: tenants and pools are borrowed: they live as long as the gateway. Thread rule: any thread.
 */
#ifndef FAIRWAY_GATEWAY_LEDGER_H
#define FAIRWAY_GATEWAY_LEDGER_H

#include <pthread.h>

#include "base/map.h"
#include "base/time.h"
#include "store/usage.h"

struct model_pool;
struct metrics;
struct tenant;

struct ledger {
    struct metrics *metrics; /* borrow */
    pthread_mutex_t mutex;
    struct map rows;
};

void ledger_init(struct ledger *l, struct metrics *metrics);
void ledger_fini(struct ledger *l);

/* One request more. The numbers of `used` are added; its day and names are not looked at. */
void ledger_add(struct ledger *l, const struct tenant *tenant, const struct model_pool *pool,
                nsec wall, const struct usage *used);

/* Everything, as rows in the arena; the ledger is empty then. */
struct usage *ledger_take(struct ledger *l, struct arena *a, size_t *ret_count);

#endif
