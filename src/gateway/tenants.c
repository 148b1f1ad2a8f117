/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/tenants.h"

#include "base/clock.h"
#include "base/mem.h"
#include "core/limit/calendar.h"

void tenants_init(struct tenants *t)
{
    pthread_mutex_init(&t->mutex, NULL);
    map_init(&t->map);
}

void tenants_fini(struct tenants *t)
{
    for (struct map_node *n = map_next(&t->map, NULL), *next; n; n = next) {
        struct tenant *tenant = container_of(n, struct tenant, node);
        next = map_next(&t->map, n);
        map_remove(&t->map, n);
        pthread_mutex_destroy(&tenant->mutex);
        mem_free((char *)tenant->name.ptr);
        mem_free(tenant);
    }
    map_fini(&t->map);
    pthread_mutex_destroy(&t->mutex);
}

static struct limit_time now(void)
{
    return (struct limit_time){clock_now(), clock_wall()};
}

static struct tenant *add(struct tenants *t, struct str name, const struct routes_used *used)
{
    struct tenant *tenant = NEW(struct tenant);
    char *copy = mem_alloc(name.len + 1);
    memcpy(copy, name.ptr, name.len);
    tenant->name = (struct str){copy, name.len};
    tenant->number = (uint32_t)t->map.count + 1;
    pthread_mutex_init(&tenant->mutex, NULL);
    limit_init(&tenant->account, now());
    for (; used; used = used->next)
        if (str_eq(used->tenant, name))
            limit_restore(&tenant->account, &used->usage, now());
    map_insert(&t->map, tenant->name, &tenant->node);
    return tenant;
}

struct tenant *tenants_get(struct tenants *t, struct str name, const struct routes_used *used)
{
    pthread_mutex_lock(&t->mutex);
    struct map_node *node = map_find(&t->map, name);
    struct tenant *tenant = node ? container_of(node, struct tenant, node) : add(t, name, used);
    pthread_mutex_unlock(&t->mutex);
    return tenant;
}

void tenant_add_usage(struct tenant *t, const struct limit_usage *usage)
{
    pthread_mutex_lock(&t->mutex);
    limit_add_usage(&t->account, usage, now());
    pthread_mutex_unlock(&t->mutex);
}

int tenant_reserve(struct tenant *t, const struct limit_rules *rules, const struct limit_want *want,
                   struct limit_hold *ret_hold, struct limit_refusal *ret_refusal,
                   struct limit_snapshot *ret_left)
{
    struct limit_time time = now();
    pthread_mutex_lock(&t->mutex);
    int error = limit_reserve(&t->account, rules, want, time, ret_hold, ret_refusal);
    *ret_left = limit_snapshot(&t->account, rules, time);
    pthread_mutex_unlock(&t->mutex);
    return error;
}

void tenant_settle(struct tenant *t, const struct limit_rules *rules, struct limit_hold *hold,
                   uint64_t tokens, uint64_t cost)
{
    pthread_mutex_lock(&t->mutex);
    limit_settle(&t->account, rules, hold, tokens, cost, now());
    t->untold_tokens += (int64_t)tokens;
    t->untold_cost += (int64_t)cost;
    pthread_mutex_unlock(&t->mutex);
}

void tenant_release(struct tenant *t, const struct limit_rules *rules, struct limit_hold *hold,
                    bool refused)
{
    pthread_mutex_lock(&t->mutex);
    limit_release(&t->account, rules, hold, refused, now());
    pthread_mutex_unlock(&t->mutex);
}

void tenant_set_rules(struct tenant *t, const struct limit_rules *rules)
{
    pthread_mutex_lock(&t->mutex);
    t->rules = *rules;
    pthread_mutex_unlock(&t->mutex);
}

/* ---- other gateways ---- */

static bool is_open(const struct limit_charge *c)
{
    return c->running || c->held_tokens || c->held_cost;
}

static bool is_news(const struct limit_charge *now, const struct limit_charge *before)
{
    return now->requests != before->requests || now->tokens != before->tokens || is_open(now) ||
           is_open(before);
}

bool tenant_report(struct tenant *t, bool whole, struct sync_tenant *ret_report)
{
    struct sync_tenant report = {.name = t->name};
    pthread_mutex_lock(&t->mutex);
    struct limit_charge charge = t->account.own;
    charge.held_tokens += (uint64_t)MAX(t->untold_tokens, 0);
    charge.held_cost += (uint64_t)MAX(t->untold_cost, 0);
    bool news = is_news(&charge, &t->reported);
    report.did.charge = charge;
    report.did.charge.requests -= t->reported.requests;
    report.did.charge.tokens -= t->reported.tokens;
    t->reported = charge;
    limit_level(&t->account, &t->rules, now(), &report.level_requests, &report.level_tokens);
    pthread_mutex_unlock(&t->mutex);
    *ret_report = report;
    return news || (whole && (report.level_requests || report.level_tokens));
}

void tenant_begin_reports(struct tenant *t)
{
    uint64_t requests, tokens;
    pthread_mutex_lock(&t->mutex);
    limit_level(&t->account, &t->rules, now(), &requests, &tokens);
    t->reported = (struct limit_charge){.requests = t->account.own.requests - requests,
                                        .tokens = t->account.own.tokens - tokens};
    pthread_mutex_unlock(&t->mutex);
}

void tenant_join(struct tenant *t, uint64_t requests, uint64_t tokens)
{
    pthread_mutex_lock(&t->mutex);
    limit_join(&t->account, &t->rules, requests, tokens, now());
    t->told_tokens = t->told_cost = 0;
    pthread_mutex_unlock(&t->mutex);
}

void tenant_set_others(struct tenant *t, const struct share_others *others)
{
    struct limit_time time = now();
    const struct limit_usage usage = {
        .day = calendar_day(time.wall),
        .month = calendar_month(time.wall),
        .day_tokens = others->settled_tokens - t->told_tokens,
        .day_spend = others->settled_cost - t->told_cost,
        .month_spend = others->settled_cost - t->told_cost,
    };
    pthread_mutex_lock(&t->mutex);
    limit_set_others(&t->account, &t->rules, &others->charge, time);
    limit_add_usage(&t->account, &usage, time);
    t->told_tokens = others->settled_tokens;
    t->told_cost = others->settled_cost;
    pthread_mutex_unlock(&t->mutex);
}

void tenant_told(struct tenant *t, int64_t tokens, int64_t cost)
{
    pthread_mutex_lock(&t->mutex);
    t->untold_tokens -= tokens;
    t->untold_cost -= cost;
    pthread_mutex_unlock(&t->mutex);
}

void tenant_forget_others(struct tenant *t)
{
    pthread_mutex_lock(&t->mutex);
    t->account.others.running = t->account.others.held_tokens = t->account.others.held_cost = 0;
    pthread_mutex_unlock(&t->mutex);
}
