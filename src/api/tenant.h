/* SPDX-License-Identifier: Apache-2.0 */
/* The kind Tenant: who asks, with what weight, and how much. Field meanings: tenant.c, or
 * `fairway explain tenant`. */
#ifndef FAIRWAY_API_TENANT_H
#define FAIRWAY_API_TENANT_H

#include "api/resource.h"

enum tenant_priority { TENANT_PRIORITY_HIGH, TENANT_PRIORITY_NORMAL, TENANT_PRIORITY_LOW };

enum { TENANT_NO_QUOTA = -1 };

struct tenant_gpu_quota {
    int64_t gpus;         /* thousandths; TENANT_NO_QUOTA: it has no quota of its own */
    int64_t borrow, lend; /* likewise; TENANT_NO_QUOTA: no limit */
};

struct tenant_spec {
    int64_t weight;
    int priority; /* enum tenant_priority: the highest that its requests may have */
    struct schema_strings models;
    struct {
        int64_t requests_per_minute, tokens_per_minute, concurrency, tokens_per_day; /* 0: none */
        int64_t budget_per_day, budget_per_month; /* millionths; 0: none */
        int64_t queue_length;                     /* per model; 0: none */
    } limits;
    struct tenant_gpu_quota gpu_quota;
};

struct tenant {
    struct resource resource;
    struct tenant_spec spec;
};

extern const struct resource_kind tenant_kind;

static inline struct tenant *tenant_from(struct resource *resource)
{
    CHECK(resource->type == &tenant_kind);
    return container_of(resource, struct tenant, resource);
}

#endif
