/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive chained hash map from bytes to the caller's objects. Keys are hashed with a per-process
 * random seed (map_seed), so that clients cannot choose colliding names; nothing may depend on the
 * order of map_each.
 *
 * Ownership: nodes and key bytes are the caller's and must live while they are in the map; buckets
 * are the map's. Thread rule: one thread at a time.
 */
#ifndef FAIRWAY_BASE_MAP_H
#define FAIRWAY_BASE_MAP_H

#include "base/check.h"
#include "base/str.h"

struct map_node {
    struct map_node *next;
    uint64_t hash;
    struct str key; /* borrow */
};

struct map {
    struct map_node **buckets; /* own */
    size_t bucket_count, count;
};

void map_init(struct map *m);
void map_fini(struct map *m);

struct map_node *map_find(const struct map *m, struct str key);
/* The key must not be in the map yet. */
void map_insert(struct map *m, struct str key, struct map_node *node);
void map_remove(struct map *m, struct map_node *node);
/* The node after `node` in no particular order; NULL starts, NULL ends. The map must not change
 * meanwhile. */
struct map_node *map_next(const struct map *m, const struct map_node *node);

/* Set once at the start of a program; 0 until then (tests, simulation). */
void map_seed(uint64_t seed);

#endif
