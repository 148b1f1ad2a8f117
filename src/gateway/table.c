/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/table.h"

#include "base/hash.h"
#include "base/mem.h"
#include "core/route/split.h"
#include "gateway/tenants.h"
#include "store/keys.h"

struct key_ring *key_ring_new(struct key_table *take_keys)
{
    struct key_ring *r = NEW(struct key_ring);
    atomic_init(&r->refs, 1);
    r->keys = take_keys;
    return r;
}

struct key_ring *key_ring_ref(struct key_ring *r)
{
    atomic_fetch_add(&r->refs, 1);
    return r;
}

void key_ring_unref(struct key_ring *r)
{
    if (!r || atomic_fetch_sub(&r->refs, 1) != 1)
        return;
    key_table_free(r->keys);
    mem_free(r);
}

static size_t count_names(const struct routes *routes)
{
    size_t count = 0;
    for (const struct routes_model *m = routes->models; m; m = m->next) {
        count++;
        for (const struct routes_alias *a = m->aliases; a; a = a->next)
            count++;
    }
    return count;
}

static struct table_entry *new_entry(struct table *t, const struct routes_model *model,
                                     struct model_pool *pool)
{
    struct table_entry *entry = &t->entries[t->count++];
    entry->model = model;
    entry->pool = model_pool_ref(pool);
    return entry;
}

static void add_alias(struct table *t, struct str alias, const struct routes_model *model,
                      struct model_pool *pool)
{
    struct map_node *node = map_find(&t->names, alias);
    if (!node) {
        map_insert(&t->names, alias, &new_entry(t, model, pool)->node);
        return;
    }
    struct table_entry *last = container_of(node, struct table_entry, node);
    if (str_eq(alias, last->model->name))
        return;
    int sharers = 1;
    for (; last->next; last = last->next)
        sharers++;
    if (last->model == model || sharers == TABLE_SHARERS_MAX)
        return;
    last->next = new_entry(t, model, pool);
    last->next->node.key = alias;
}

/* ---- tenants ---- */

/* Of those that were never described. */
static const struct routes_tenant plain_rules = {.weight = 1, .priority = QUEUE_BAND_NORMAL};

static void add_tenant(struct table *t, struct tenants *all, struct str name,
                       const struct routes_tenant *rules)
{
    if (map_find(&t->tenant_names, name))
        return;
    struct table_tenant *entry = &t->tenants[t->tenant_count++];
    entry->tenant = tenants_get(all, name, t->routes->used);
    entry->rules = rules;
    map_insert(&t->tenant_names, entry->tenant->name, &entry->node);
}

static void add_tenants(struct table *t, struct tenants *all)
{
    size_t keys = t->keys ? key_table_count(t->keys->keys) : 0, count = keys + 1;
    for (const struct routes_tenant *r = t->routes->tenants; r; r = r->next)
        count++;
    t->tenants = mem_array(count, sizeof(struct table_tenant));
    map_init(&t->tenant_names);
    for (const struct routes_tenant *r = t->routes->tenants; r; r = r->next)
        add_tenant(t, all, r->name, r);
    for (size_t i = 0; i < keys; i++)
        add_tenant(t, all, key_table_at(t->keys->keys, i)->tenant, &plain_rules);
    add_tenant(t, all, TENANT_NOBODY, &plain_rules);
}

const struct table_tenant *table_tenant(const struct table *t, struct str name)
{
    struct map_node *node = t ? map_find(&t->tenant_names, name) : NULL;
    return node ? container_of(node, struct table_tenant, node) : NULL;
}

bool table_tenant_may_use(const struct table_tenant *tenant, const struct table_entry *entry)
{
    const struct routes_alias *allowed = tenant->rules->models;
    for (const struct routes_alias *a = allowed; a; a = a->next)
        if (str_eq(a->name, entry->node.key) || str_eq(a->name, entry->model->name))
            return true;
    return !allowed;
}

/* ---- life ---- */

struct table *table_new(struct routes *routes, struct model_pool *const *pools,
                        struct key_ring *keys, struct tenants *tenants)
{
    struct table *t = NEW(struct table);
    atomic_init(&t->refs, 1);
    t->routes = routes_ref(routes);
    t->keys = keys ? key_ring_ref(keys) : NULL;
    t->entries = mem_array(count_names(routes), sizeof(struct table_entry));
    map_init(&t->names);
    size_t i = 0;
    for (const struct routes_model *m = routes->models; m; m = m->next)
        map_insert(&t->names, m->name, &new_entry(t, m, pools[i++])->node);
    i = 0;
    /* Aliases after all names: an alias never hides a model. */
    for (const struct routes_model *m = routes->models; m; m = m->next, i++)
        for (const struct routes_alias *a = m->aliases; a; a = a->next)
            add_alias(t, a->name, m, pools[i]);
    add_tenants(t, tenants);
    return t;
}

struct table *table_ref(struct table *t)
{
    atomic_fetch_add(&t->refs, 1);
    return t;
}

void table_unref(struct table *t)
{
    if (!t || atomic_fetch_sub(&t->refs, 1) != 1)
        return;
    for (size_t i = 0; i < t->count; i++)
        model_pool_unref(t->entries[i].pool);
    map_fini(&t->names);
    map_fini(&t->tenant_names);
    mem_free(t->tenants);
    mem_free(t->entries);
    routes_unref(t->routes);
    key_ring_unref(t->keys);
    mem_free(t);
}

const struct table_entry *table_find(const struct table *t, struct str name)
{
    struct map_node *node = t ? map_find(&t->names, name) : NULL;
    return node ? container_of(node, struct table_entry, node) : NULL;
}

const struct table_entry *table_pick(const struct table *t, struct str name,
                                     const struct table_tenant *tenant, uint64_t key)
{
    const struct table_entry *entries[TABLE_SHARERS_MAX + 1] = {NULL};
    struct split_part parts[TABLE_SHARERS_MAX];
    size_t count = 0;
    for (const struct table_entry *e = table_find(t, name); e; e = e->next) {
        if (!table_tenant_may_use(tenant, e))
            continue;
        parts[count] = (struct split_part){hash_bytes(e->model->name), e->model->weight};
        entries[count++] = e;
    }
    size_t place = count > 1 ? split_choose(parts, count, key) : 0;
    return entries[place == count ? 0 : place];
}
