/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/sim_cache.h"

#include "base/check.h"
#include "base/hash.h"
#include "base/heap.h"
#include "base/map.h"
#include "base/mem.h"

struct block {
    uint64_t hash;
    uint64_t used;  /* the beginning of the sequence that used it last */
    uint32_t depth; /* blocks before it */
    struct map_node by_hash;
    struct heap_node by_use;
};

struct sequence {
    uint64_t *hashes;                /* own; of its blocks */
    int32_t tokens[SIM_CACHE_BLOCK]; /* of the one that is not whole yet */
    uint64_t began;
};

struct sim_cache {
    struct block *blocks; /* own */
    size_t capacity, count;
    struct map by_hash;
    struct heap by_use;
    struct sequence *sequences; /* own */
    uint32_t sequence_count, length_max;
    uint64_t clock;
};

static const struct block *block_of(const struct heap_node *node)
{
    return container_of(node, struct block, by_use);
}

static bool goes_first(const struct heap_node *a, const struct heap_node *b)
{
    const struct block *x = block_of(a), *y = block_of(b);
    return x->used != y->used ? x->used < y->used : x->depth > y->depth;
}

struct sim_cache *sim_cache_new(uint64_t cells, uint32_t sequences, uint32_t length_max)
{
    struct sim_cache *c = NEW(struct sim_cache);
    CHECK(cells >= SIM_CACHE_BLOCK);
    c->capacity = cells / SIM_CACHE_BLOCK;
    c->blocks = mem_array(c->capacity, sizeof(struct block));
    c->sequence_count = sequences;
    c->length_max = length_max;
    c->sequences = mem_array(sequences, sizeof(struct sequence));
    for (uint32_t i = 0; i < sequences; i++)
        c->sequences[i].hashes = mem_array(length_max / SIM_CACHE_BLOCK + 1, sizeof(uint64_t));
    map_init(&c->by_hash);
    heap_init(&c->by_use, goes_first);
    return c;
}

void sim_cache_free(struct sim_cache *c)
{
    if (!c)
        return;
    for (uint32_t i = 0; i < c->sequence_count; i++)
        mem_free(c->sequences[i].hashes);
    map_fini(&c->by_hash);
    heap_fini(&c->by_use);
    mem_free(c->sequences);
    mem_free(c->blocks);
    mem_free(c);
}

static struct str key_of(const uint64_t *hash)
{
    return (struct str){(const char *)hash, sizeof(*hash)};
}

static struct block *find(const struct sim_cache *c, uint64_t hash)
{
    struct map_node *node = map_find(&c->by_hash, key_of(&hash));
    return node ? container_of(node, struct block, by_hash) : NULL;
}

static void use(struct sim_cache *c, struct block *block, uint64_t when)
{
    if (block->used >= when)
        return;
    block->used = when;
    heap_changed(&c->by_use, &block->by_use);
}

/* A place for one more block, if need be that of the one that goes first. */
static struct block *make_room(struct sim_cache *c)
{
    if (c->count < c->capacity)
        return &c->blocks[c->count++];
    struct block *block = container_of(heap_top(&c->by_use), struct block, by_use);
    heap_remove(&c->by_use, &block->by_use);
    map_remove(&c->by_hash, &block->by_hash);
    return block;
}

static void put(struct sim_cache *c, uint64_t hash, uint32_t depth, uint64_t when)
{
    struct block *block = find(c, hash);
    if (block) {
        use(c, block, when);
        return;
    }
    block = make_room(c);
    *block = (struct block){.hash = hash, .used = when, .depth = depth};
    map_insert(&c->by_hash, key_of(&block->hash), &block->by_hash);
    heap_insert(&c->by_use, &block->by_use);
}

/* The hash of a sequence's block, from its tokens and the block before it. */
static uint64_t chain(struct sequence *s, uint32_t depth, const int32_t *tokens)
{
    struct str bytes = {(const char *)tokens, SIM_CACHE_BLOCK * sizeof(*tokens)};
    s->hashes[depth] = hash_combine(depth ? s->hashes[depth - 1] : 0, hash_bytes(bytes));
    return s->hashes[depth];
}

uint32_t sim_cache_begin(struct sim_cache *c, uint32_t sequence, const int32_t *tokens,
                         uint32_t count)
{
    CHECK(sequence < c->sequence_count && count > 0);
    struct sequence *s = &c->sequences[sequence];
    uint32_t known = 0;
    s->began = ++c->clock;
    while ((known + 1) * SIM_CACHE_BLOCK < count) {
        struct block *block = find(c, chain(s, known, tokens + known * SIM_CACHE_BLOCK));
        if (!block)
            break;
        use(c, block, s->began);
        known++;
    }
    return known * SIM_CACHE_BLOCK;
}

void sim_cache_computed(struct sim_cache *c, uint32_t sequence, uint32_t position, int32_t token)
{
    CHECK(sequence < c->sequence_count && position < c->length_max);
    struct sequence *s = &c->sequences[sequence];
    s->tokens[position % SIM_CACHE_BLOCK] = token;
    if (position % SIM_CACHE_BLOCK == SIM_CACHE_BLOCK - 1) {
        uint32_t depth = position / SIM_CACHE_BLOCK;
        put(c, chain(s, depth, s->tokens), depth, s->began);
    }
}

uint64_t sim_cache_held(const struct sim_cache *c)
{
    return (uint64_t)c->count * SIM_CACHE_BLOCK;
}
