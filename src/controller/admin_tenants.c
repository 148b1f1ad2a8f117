/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants: stored as they are applied; the gateways hear of them with the next routes. */
#include "api/tenant.h"
#include "base/clock.h"
#include "controller/admin_internal.h"
#include "store/store.h"

enum { TENANTS_ARENA_MAX = 64 * 1024 * 1024 };

void admin_get_tenants(struct controller *c, struct http_exchange *x, struct str rest)
{
    struct resource **tenants;
    struct admin_reply r;
    struct arena a;
    struct err err;
    size_t count = 0;
    arena_init(&a, TENANTS_ARENA_MAX);
    admin_begin(&r);
    int error = store_list(c->store, &a, &tenant_kind, &tenants, &count, &err);
    json_object(&r.json);
    json_key(&r.json, STR("items"));
    json_array(&r.json);
    for (size_t i = 0; i < count && !error; i++)
        resource_encode(tenants[i], &r.json);
    json_end(&r.json);
    json_end(&r.json);
    admin_finish(&r, x, error, &err);
    arena_fini(&a);
}

void admin_get_tenant(struct controller *c, struct http_exchange *x, struct str name)
{
    struct resource *tenant;
    struct admin_reply r;
    struct arena a;
    struct err err;
    arena_init(&a, TENANTS_ARENA_MAX);
    admin_begin(&r);
    int error = store_get(c->store, &a, &tenant_kind, name, &tenant, &err);
    if (!error)
        resource_encode(tenant, &r.json);
    admin_finish(&r, x, error, &err);
    arena_fini(&a);
}

static int put(struct controller *c, struct arena *a, struct str name, struct str body,
               struct resource **ret_stored, enum store_outcome *ret_outcome, struct err *err)
{
    struct resource *wanted;
    struct json *tree;
    int error = json_parse(a, body, &tree, err);
    if (!error)
        error = resource_decode(a, tree, &wanted, err);
    if (!error && (wanted->type != &tenant_kind || !str_eq(wanted->metadata.name, name)))
        error = err_set(err, ERR_INVALID, "kind, metadata.name: this URL takes the Tenant '%.*s'",
                        STR_ARG(name));
    if (!error)
        error = store_put(c->store, a, wanted, clock_wall(), ret_stored, ret_outcome, err);
    return error;
}

void admin_put_tenant(struct controller *c, struct http_exchange *x, struct str name)
{
    enum store_outcome outcome = STORE_UNCHANGED;
    struct resource *stored;
    struct admin_reply r;
    struct arena a;
    struct err err;
    arena_init(&a, TENANTS_ARENA_MAX);
    admin_begin(&r);
    int error = put(c, &a, name, http_exchange_request(x)->body, &stored, &outcome, &err);
    if (!error) {
        tenants_load(c);
        json_object(&r.json);
        json_member_str(&r.json, STR("outcome"), admin_outcome(outcome));
        json_key(&r.json, STR("object"));
        resource_encode(stored, &r.json);
        json_end(&r.json);
    }
    admin_finish(&r, x, error, &err);
    arena_fini(&a);
    reconcile(c);
}

void admin_delete_tenant(struct controller *c, struct http_exchange *x, struct str name)
{
    struct admin_reply r;
    struct err err;
    admin_begin(&r);
    int error = store_delete(c->store, &tenant_kind, name, STR_NONE, &err);
    if (!error) {
        tenants_load(c);
        json_object(&r.json);
        json_end(&r.json);
    }
    admin_finish(&r, x, error, &err);
    reconcile(c);
}
