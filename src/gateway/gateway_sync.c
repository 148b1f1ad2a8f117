/* SPDX-License-Identifier: Apache-2.0 */
/* One of several gateways: what it reports, and what it does with the orders that come back. */
#include "gateway/gateway_internal.h"
#include "gateway/model_pool.h"

static struct pool_slot *pool_at(struct map_node *node)
{
    return container_of(node, struct pool_slot, node);
}

static struct tenant *tenant_at(struct map_node *node)
{
    return container_of(node, struct tenant, node);
}

void gateway_begin_sharing(struct gateway *g)
{
    pthread_mutex_lock(&g->mutex);
    g->first_lease = 1;
    for (struct map_node *n = map_next(&g->pools, NULL); n; n = map_next(&g->pools, n))
        model_pool_set_first_lease(pool_at(n)->pool, g->first_lease);
    pthread_mutex_unlock(&g->mutex);
    pthread_mutex_lock(&g->tenants.mutex);
    for (struct map_node *n = map_next(&g->tenants.map, NULL); n; n = map_next(&g->tenants.map, n))
        tenant_begin_reports(tenant_at(n));
    pthread_mutex_unlock(&g->tenants.mutex);
}

/* ---- reports ---- */

static struct sync_tenant *report_tenants(struct gateway *g, struct arena *a, bool whole)
{
    struct sync_tenant *first = NULL, report;
    pthread_mutex_lock(&g->tenants.mutex);
    for (struct map_node *n = map_next(&g->tenants.map, NULL); n;
         n = map_next(&g->tenants.map, n)) {
        if (!tenant_report(tenant_at(n), whole, &report))
            continue;
        struct sync_tenant *t = ARENA_NEW(a, struct sync_tenant);
        CHECK(t);
        *t = report;
        t->next = first;
        first = t;
    }
    pthread_mutex_unlock(&g->tenants.mutex);
    return first;
}

static struct sync_model *report_models(struct gateway *g, struct arena *a)
{
    struct sync_model *first = NULL, report;
    pthread_mutex_lock(&g->mutex);
    for (struct map_node *n = map_next(&g->pools, NULL); n; n = map_next(&g->pools, n)) {
        model_pool_report(pool_at(n)->pool, a, &report);
        if (!report.waiting && !report.replicas)
            continue;
        struct sync_model *m = ARENA_NEW(a, struct sync_model);
        CHECK(m);
        *m = report;
        m->next = first;
        first = m;
    }
    pthread_mutex_unlock(&g->mutex);
    return first;
}

struct sync_state gateway_report(struct gateway *g, struct arena *a, bool whole)
{
    return (struct sync_state){.tenants = report_tenants(g, a, whole),
                               .models = report_models(g, a)};
}

void gateway_usage_told(struct gateway *g, const struct usage *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct tenant *tenant = tenants_get(&g->tenants, rows[i].tenant, NULL); /* it is there */
        tenant_told(tenant, rows[i].input_tokens + rows[i].output_tokens, rows[i].cost);
    }
}

/* ---- orders ---- */

static void join_all(struct gateway *g)
{
    pthread_mutex_lock(&g->tenants.mutex);
    for (struct map_node *n = map_next(&g->tenants.map, NULL); n; n = map_next(&g->tenants.map, n))
        tenant_join(tenant_at(n), 0, 0);
    pthread_mutex_unlock(&g->tenants.mutex);
}

static void follow_tenant(struct gateway *g, const struct sync_tenant *t, bool joined)
{
    struct tenant *tenant = tenants_get(&g->tenants, t->name, g->routes->used);
    if (joined)
        tenant_join(tenant, t->level_requests, t->level_tokens);
    tenant_set_others(tenant, &t->did);
}

static void follow_model(struct gateway *g, const struct sync_model *m)
{
    struct map_node *node = map_find(&g->pools, m->name);
    for (const struct sync_replica *r = m->replicas; node && r; r = r->next)
        model_pool_set_lease(pool_at(node)->pool, r->id, r->count);
}

static void follow(struct gateway *g, const struct sync_orders *orders)
{
    if (orders->joined)
        join_all(g);
    for (const struct sync_tenant *t = orders->state.tenants; t; t = t->next)
        follow_tenant(g, t, orders->joined);
    for (const struct sync_model *m = orders->state.models; m; m = m->next)
        follow_model(g, m);
}

void gateway_follow(struct gateway *g, const struct sync_orders *orders)
{
    pthread_mutex_lock(&g->mutex);
    if (!g->stopped)
        follow(g, orders);
    pthread_mutex_unlock(&g->mutex);
}

void gateway_forget_others(struct gateway *g)
{
    pthread_mutex_lock(&g->tenants.mutex);
    for (struct map_node *n = map_next(&g->tenants.map, NULL); n; n = map_next(&g->tenants.map, n))
        tenant_forget_others(tenant_at(n));
    pthread_mutex_unlock(&g->tenants.mutex);
}
