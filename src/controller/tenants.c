/* SPDX-License-Identifier: Apache-2.0 */
/* Tenants as the gateways need them. */
#include "api/tenant.h"
#include "base/clock.h"
#include "base/log.h"
#include "controller/managed.h"
#include "core/limit/calendar.h"
#include "store/store.h"
#include "store/usage.h"

static void add(struct routes *routes, const struct tenant *tenant)
{
    const struct tenant_spec *spec = &tenant->spec;
    struct routes_tenant *t = routes_add_tenant(routes, tenant->resource.metadata.name);
    t->weight = (unsigned)spec->weight;
    t->priority = (enum queue_band)spec->priority; /* both from the highest to the lowest */
    t->queue_length = (size_t)spec->limits.queue_length;
    t->limits = (struct limit_rules){
        .requests_per_minute = (uint64_t)spec->limits.requests_per_minute,
        .tokens_per_minute = (uint64_t)spec->limits.tokens_per_minute,
        .concurrency = (uint64_t)spec->limits.concurrency,
        .tokens_per_day = (uint64_t)spec->limits.tokens_per_day,
        .budget_per_day = (uint64_t)spec->limits.budget_per_day,
        .budget_per_month = (uint64_t)spec->limits.budget_per_month,
    };
    for (size_t i = 0; i < spec->models.count; i++)
        routes_allow_model(routes, t, spec->models.items[i]);
}

void tenants_publish(const struct controller *c, struct routes *routes)
{
    for (size_t i = 0; i < c->tenant_count; i++)
        add(routes, tenant_from(c->tenants[i]));
    for (size_t i = 0; i < c->used_count; i++)
        routes_add_used(routes, c->used[i].tenant, &c->used[i].usage);
}

/* The month's sums by tenant, then today's beside them; both are sorted by tenant. */
static void merge_used(struct controller *c, const struct usage *month, size_t month_count,
                       const struct usage *today, size_t today_count)
{
    size_t at = 0;
    c->used = arena_array(&c->used_arena, month_count, sizeof(struct routes_used));
    CHECK(c->used);
    for (size_t i = 0; i < month_count; i++) {
        struct limit_usage u = {.day = calendar_day(c->started),
                                .month = calendar_month(c->started),
                                .month_spend = (uint64_t)month[i].cost};
        while (at < today_count && str_cmp(today[at].tenant, month[i].tenant) < 0)
            at++;
        if (at < today_count && str_eq(today[at].tenant, month[i].tenant)) {
            u.day_tokens = (uint64_t)(today[at].input_tokens + today[at].output_tokens);
            u.day_spend = (uint64_t)today[at].cost;
        }
        c->used[c->used_count++] = (struct routes_used){.tenant = month[i].tenant, .usage = u};
    }
}

void tenants_load_used(struct controller *c)
{
    struct usage *month, *today;
    size_t month_count, today_count;
    struct err err;
    int64_t day = calendar_day(c->started);
    int64_t first = calendar_day(calendar_month_start(calendar_month(c->started)));
    if (usage_sums(c->store, &c->used_arena, first, day, &month, &month_count, &err) ||
        usage_sums(c->store, &c->used_arena, day, day, &today, &today_count, &err))
        log_error("the ledger cannot be read: limits of days and months begin anew",
                  log_str("error", err.message));
    else
        merge_used(c, month, month_count, today, today_count);
}

static int64_t limit_of(int64_t amount)
{
    return amount == TENANT_NO_QUOTA ? QUOTA_NO_LIMIT : amount;
}

static void set_quotas(struct controller *c)
{
    size_t count = 0;
    struct cluster_quota *quotas =
        arena_array(&c->tenants_arena, c->tenant_count, sizeof(struct cluster_quota));
    CHECK(quotas);
    for (size_t i = 0; i < c->tenant_count; i++) {
        const struct tenant *t = tenant_from(c->tenants[i]);
        const struct tenant_gpu_quota *q = &t->spec.gpu_quota;
        if (q->gpus != TENANT_NO_QUOTA)
            quotas[count++] =
                (struct cluster_quota){t->resource.metadata.name, q->gpus, limit_of(q->borrow),
                                       limit_of(q->lend), (uint32_t)t->spec.weight};
    }
    cluster_set_quotas(c->cluster, quotas, count, clock_now());
}

void tenants_load(struct controller *c)
{
    struct err err;
    arena_reset(&c->tenants_arena);
    c->tenant_count = 0;
    if (store_list(c->store, &c->tenants_arena, &tenant_kind, &c->tenants, &c->tenant_count, &err))
        log_error("the stored tenants cannot be read", log_str("error", err.message));
    set_quotas(c);
}
