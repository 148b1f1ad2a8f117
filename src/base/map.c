/* SPDX-License-Identifier: Apache-2.0 */
#include "base/map.h"

#include <xxhash.h>

#include "base/mem.h"

static uint64_t hash_seed;

void map_seed(uint64_t seed)
{
    hash_seed = seed;
}

static uint64_t hash(struct str key)
{
    return XXH3_64bits_withSeed(key.ptr, key.len, hash_seed);
}

void map_init(struct map *m)
{
    *m = (struct map){0};
}

void map_fini(struct map *m)
{
    mem_free(m->buckets);
    map_init(m);
}

static struct map_node **bucket_of(const struct map *m, uint64_t h)
{
    return &m->buckets[h & (m->bucket_count - 1)];
}

struct map_node *map_find(const struct map *m, struct str key)
{
    if (m->count == 0)
        return NULL;
    uint64_t h = hash(key);
    for (struct map_node *node = *bucket_of(m, h); node; node = node->next)
        if (node->hash == h && str_eq(node->key, key))
            return node;
    return NULL;
}

static void grow(struct map *m)
{
    struct map old = *m;
    m->bucket_count = MAX(old.bucket_count * 2, (size_t)16);
    m->buckets = mem_array(m->bucket_count, sizeof(struct map_node *));
    for (size_t i = 0; i < old.bucket_count; i++) {
        for (struct map_node *node = old.buckets[i], *next; node; node = next) {
            next = node->next;
            struct map_node **bucket = bucket_of(m, node->hash);
            node->next = *bucket;
            *bucket = node;
        }
    }
    mem_free(old.buckets);
}

void map_insert(struct map *m, struct str key, struct map_node *node)
{
    CHECK(!map_find(m, key));
    if (m->count == m->bucket_count)
        grow(m);
    node->key = key;
    node->hash = hash(key);
    struct map_node **bucket = bucket_of(m, node->hash);
    node->next = *bucket;
    *bucket = node;
    m->count++;
}

void map_remove(struct map *m, struct map_node *node)
{
    CHECK(m->count > 0);
    struct map_node **at = bucket_of(m, node->hash);
    while (*at && *at != node)
        at = &(*at)->next;
    CHECK(*at == node);
    *at = node->next;
    m->count--;
}

struct map_node *map_next(const struct map *m, const struct map_node *node)
{
    if (m->count == 0)
        return NULL;
    if (node && node->next)
        return node->next;
    size_t i = node ? (node->hash & (m->bucket_count - 1)) + 1 : 0;
    for (; i < m->bucket_count; i++)
        if (m->buckets[i])
            return m->buckets[i];
    return NULL;
}
