/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to pools, and who may ask: an immutable table made from a routes snapshot and the API keys. Each worker holds a reference
 * and reads it without a lock.
 * Ownership: reference counted; it holds its snapshot and its pools. Thread rule: any thread once made.
 */
#ifndef FAIRWAY_GATEWAY_TABLE_H
#define FAIRWAY_GATEWAY_TABLE_H

#include "base/map.h"
#include "gateway/model_pool.h"

struct key_table;
struct tenant;
struct tenants;

/* The tenant of those who need no key. */
#define TENANT_NOBODY STR("anonymous")

struct table_entry {
    struct map_node node;             /* by a model's name or alias */
    const struct routes_model *model; /* borrow, of the snapshot */
    struct model_pool *pool;          /* ref */
    struct table_entry *next;         /* of another model with this alias; NULL: no more */
};

/* What a tenant may, by this snapshot. */
struct table_tenant {
    struct map_node node;              /* by name */
    struct tenant *tenant;             /* borrow: lives as long as the gateway */
    const struct routes_tenant *rules; /* borrow, of the snapshot */
};

/* A table of keys that several tables share. */
struct key_ring {
    atomic_uint refs;
    struct key_table *keys; /* own */
};

struct key_ring *key_ring_new(struct key_table *take_keys);
struct key_ring *key_ring_ref(struct key_ring *r);
void key_ring_unref(struct key_ring *r); /* NULL is fine */

struct table {
    atomic_uint refs;
    struct key_ring *keys; /* ref; NULL: none were set yet */
    struct routes *routes; /* ref */
    struct map names;
    struct table_entry *entries; /* own */
    size_t count;
    struct map tenant_names;
    struct table_tenant *tenants; /* own: of all keys, all rules, and TENANT_NOBODY */
    size_t tenant_count;
};

/* So many models may share an alias; others with it are left out. */
enum { TABLE_SHARERS_MAX = 16 };

/* pools[i] belongs to the i-th model of the snapshot. An alias that is a model's name stands for that model alone. */
struct table *table_new(struct routes *routes, struct model_pool *const *pools,
                        struct key_ring *keys, struct tenants *tenants);
struct table *table_ref(struct table *t);
void table_unref(struct table *t); /* NULL is fine */

/* Of a key in the table's ring, or TENANT_NOBODY. NULL when there is no table yet. */
const struct table_tenant *table_tenant(const struct table *t, struct str name);
bool table_tenant_may_use(const struct table_tenant *tenant, const struct table_entry *entry);

/* What the name stands for: the first of several. */
const struct table_entry *table_find(const struct table *t, struct str name);
/* Likewise, for this tenant: of several that it may use one by their weights, the same one for the same key. NULL: there is none. */
const struct table_entry *table_pick(const struct table *t, struct str name,
                                     const struct table_tenant *tenant, uint64_t key);

#endif
