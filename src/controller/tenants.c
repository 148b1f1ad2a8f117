/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants as the gateways need them. */
#include "api/tenant.h"
#include "base/log.h"
#include "controller/managed.h"
#include "store/store.h"

static void add(struct routes *routes, const struct tenant *tenant)
{
    const struct tenant_spec *spec = &tenant->spec;
    struct routes_tenant *t = routes_add_tenant(routes, tenant->resource.metadata.name);
    t->weight = (unsigned)spec->weight;
    t->priority = (enum queue_band)spec->priority; /* both from the highest to the lowest */
    t->queue_length = (size_t)spec->limits.queue_length;
    for (size_t i = 0; i < spec->models.count; i++)
        routes_allow_model(routes, t, spec->models.items[i]);
}

void tenants_publish(const struct controller *c, struct routes *routes)
{
    for (size_t i = 0; i < c->tenant_count; i++)
        add(routes, tenant_from(c->tenants[i]));
}

void tenants_load(struct controller *c)
{
    struct err err;
    arena_reset(&c->tenants_arena);
    c->tenant_count = 0;
    if (store_list(c->store, &c->tenants_arena, &tenant_kind, &c->tenants, &c->tenant_count, &err))
        log_error("the stored tenants cannot be read", log_str("error", err.message));
}
