/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names to pools, and who may ask: an immutable table made from a routes snapshot and the API keys. Each worker holds a reference and reads it without a lock.
 * Ownership: reference counted; it holds its snapshot and its pools. Thread rule: any thread once made.
 */
#ifndef FAIRWAY_GATEWAY_TABLE_H
#define FAIRWAY_GATEWAY_TABLE_H

#include "base/map.h"
#include "gateway/model_pool.h"

struct key_table;

struct table_entry {
    struct map_node node;             /* by a model's name or alias */
    const struct routes_model *model; /* borrow, of the snapshot */
    struct model_pool *pool;          /* ref */
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
};

/* pools[i] belongs to the i-th model of the snapshot. A name that an earlier model has already is left out. */
struct table *table_new(struct routes *routes, struct model_pool *const *pools,
                        struct key_ring *keys);
struct table *table_ref(struct table *t);
void table_unref(struct table *t); /* NULL is fine */

const struct table_entry *table_find(const struct table *t, struct str name);

#endif
