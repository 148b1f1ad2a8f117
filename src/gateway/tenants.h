/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tenants that the gateway has seen: what must outlive a snapshot of rules. A tenant's number is its name in the queues.
 *
 * Ownership: tenants live as long as their registry, so a pointer may be kept; there are as many as names were ever
 * published. Thread rule: any thread.
 */
#ifndef FAIRWAY_GATEWAY_TENANTS_H
#define FAIRWAY_GATEWAY_TENANTS_H

#include <pthread.h>

#include "base/map.h"

struct tenant {
    struct map_node node; /* by name */
    struct str name;      /* own */
    uint32_t number;      /* from 1 */
};

struct tenants {
    pthread_mutex_t mutex;
    struct map map; /* of tenant */
};

void tenants_init(struct tenants *t);
void tenants_fini(struct tenants *t);
struct tenant *tenants_get(struct tenants *t, struct str name); /* made when it is new */

#endif
