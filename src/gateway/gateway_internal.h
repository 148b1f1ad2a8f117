/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by gateway.c (routes, life) and gateway_sync.c (several gateways). */
#ifndef FAIRWAY_GATEWAY_INTERNAL_H
#define FAIRWAY_GATEWAY_INTERNAL_H

#include <pthread.h>

#include "gateway/gateway.h"
#include "gateway/ledger.h"
#include "gateway/tenants.h"

/* A model's pool lives as long as the gateway: requests of a deleted model may still run, and a model that comes back finds it. */
struct pool_slot {
    struct map_node node; /* by name */
    struct model_pool *pool;
    const struct worker *home;
    bool wanted; /* in the snapshot that is being applied */
};

struct gateway {
    struct gateway_options options;
    struct worker *workers; /* own */
    unsigned worker_count;
    pthread_mutex_t mutex; /* over the rest */
    pthread_cond_t changed;
    struct map pools; /* of pool_slot */
    struct tenants tenants;
    struct ledger ledger;
    struct routes *routes; /* ref; NULL: none yet */
    struct key_ring *keys; /* ref; NULL: none yet */
    unsigned drained;      /* workers */
    bool stopped;          /* no worker's loop takes mail any more */
    unsigned first_lease; /* of replicas that no orders have spoken of yet; 0: all of their slots */
};

#endif
