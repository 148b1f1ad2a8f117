/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants as the gateways need them. */
#include "api/tenant.h"
#include "base/log.h"
#include "controller/managed.h"
#include "store/store.h"

void tenants_load(struct controller *c)
{
    struct err err;
    arena_reset(&c->tenants_arena);
    c->tenant_count = 0;
    if (store_list(c->store, &c->tenants_arena, &tenant_kind, &c->tenants, &c->tenant_count, &err))
        log_error("the stored tenants cannot be read", log_str("error", err.message));
}
