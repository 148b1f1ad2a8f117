/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which replica has which prompt prefixes in its cache, as far as the router can know. Pure.
 *
 * A prompt is cut into blocks of bytes, each with a 64-bit hash that is chained: it stands for the
 * block and everything before it. The index maps such a hash to the set of replicas that were sent
 * it. An entry is a key of 8 bytes, whose lowest bit is the clock bit, and a bit per replica in 1, 2
 * or 4 words: 16 bytes per block in a pool of up to 64 replicas, 24 up to 128, 40 up to 256. (An
 * index widens once a pool outgrows it, and forgets everything at that; that happens twice at most.)
 *
 * Memory is fixed: a table of buckets of eight entries. An insertion into a full bucket throws out
 * the first entry from a pseudo-random one on that was not used since the clock came by.
 *
 * As hashes are chained, a replica that was sent a block was sent all that stand before it. So a
 * run from the start may lack a few blocks in a row: their entries were thrown out, not the prefix.
 *
 * Replicas are numbered by the router's places; inside each has a column. A removed replica's column
 * is only marked, so that its entries are gone at once; columns are cleaned together, in one sweep
 * over the table, when no clean one is left.
 *
 * Invariants: no allocation after init; a lookup says at most what was inserted for that replica
 * since it came. Ownership: the memory is the caller's and outlives the index. Thread rule: one
 * thread at a time. A NULL index is allowed everywhere and knows nothing.
 */
#ifndef FAIRWAY_CORE_PREFIX_H
#define FAIRWAY_CORE_PREFIX_H

#include "base/str.h"

enum {
    PREFIX_PLACES_MAX = 256,
    PREFIX_BLOCKS_MAX = UINT16_MAX, /* of one prompt; the rest is not looked at */
    PREFIX_BLOCK_BYTES = 512,       /* a good size: about 128 tokens of English text */
    PREFIX_GAP_MAX = 3,             /* blocks in a row that a run may lack; see below */
    PREFIX_WAYS = 8,                /* entries of a bucket */
    /* One bucket for the largest pool. */
    PREFIX_MEMORY_LEAST = PREFIX_WAYS * (1 + PREFIX_PLACES_MAX / 64) * (int)sizeof(uint64_t),
};

struct prefix {
    uint64_t *cells; /* borrow */
    size_t cell_count;
    unsigned words;                              /* of a replica set */
    unsigned bucket_bits;                        /* the table has 2^bucket_bits buckets */
    int16_t column_of[PREFIX_PLACES_MAX];        /* by place; PREFIX_NO_COLUMN */
    int16_t place_of[PREFIX_PLACES_MAX];         /* by column; PREFIX_CLEAN, PREFIX_DIRTY */
    uint64_t used[PREFIX_PLACES_MAX / 64];       /* columns that have a place */
    size_t held;                                 /* entries in the table */
    uint64_t inserted, evicted, dropped, sweeps; /* for reports */
};

enum { PREFIX_NO_COLUMN = -1, PREFIX_CLEAN = -1, PREFIX_DIRTY = -2 };

/* Memory for at least so many blocks in a pool of up to 64 replicas. */
size_t prefix_memory(size_t blocks);
/* `memory`: at least PREFIX_MEMORY_LEAST; aligned to 64 for best speed. */
void prefix_init(struct prefix *x, uint64_t *memory, size_t bytes);

/* Entries that the table has room for, by the pool's present size. */
size_t prefix_capacity(const struct prefix *x);

/* Hashes the whole blocks of `bytes` in a row; what is left over at the end is no block. `seed`:
 * everything that makes equal prompts different to a cache (tenant's salt, revision, LoRA). Returns
 * how many. Pure; any thread. */
unsigned prefix_hash_blocks(struct str bytes, size_t block_bytes, uint64_t seed,
                            uint64_t *ret_hashes, unsigned max);

/* For every place: how long the run of blocks from the start is that it has. Touches nothing. */
void prefix_match(const struct prefix *x, const uint64_t *blocks, unsigned count,
                  uint16_t ret_matched[PREFIX_PLACES_MAX]);

/* The place will have all of them. Returns how long its run was before. */
unsigned prefix_insert(struct prefix *x, int place, const uint64_t *blocks, unsigned count);
/* The place has not got blocks [from, count). */
void prefix_drop(struct prefix *x, int place, const uint64_t *blocks, unsigned from,
                 unsigned count);
/* The place's replica is gone. */
void prefix_forget(struct prefix *x, int place);

#endif
