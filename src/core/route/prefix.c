/* SPDX-License-Identifier: Apache-2.0 */
#include "core/route/prefix.h"

#include "base/check.h"
#include "base/hash.h"

enum {
    WORD_BITS = 64,
    AHEAD = 12, /* blocks: memory is asked for this early */
};

/* A bucket: PREFIX_WAYS keys, then as many sets of `words` words. A key of 0 is a free entry. */
static size_t stride(const struct prefix *x)
{
    return PREFIX_WAYS * (1 + x->words);
}

static uint64_t *bucket_of(const struct prefix *x, uint64_t hash)
{
    uint64_t bucket = x->bucket_bits ? hash >> (WORD_BITS - x->bucket_bits) : 0;
    return x->cells + bucket * stride(x);
}

static uint64_t key_of(uint64_t hash)
{
    return (hash | 2) & ~UINT64_C(1); /* never 0; the clock bit clear */
}

static uint64_t *set_of(const struct prefix *x, uint64_t *bucket, int way)
{
    return bucket + PREFIX_WAYS + (size_t)way * x->words;
}

/* A bit per way whose key this is; without branches, which nothing could predict. */
static unsigned ways_with(const uint64_t *bucket, uint64_t key)
{
    unsigned ways = 0;
    for (int way = 0; way < PREFIX_WAYS; way++)
        ways |= (unsigned)((bucket[way] & ~UINT64_C(1)) == key) << way;
    return ways;
}

static int find(const uint64_t *bucket, uint64_t hash)
{
    unsigned ways = ways_with(bucket, key_of(hash));
    return ways ? __builtin_ctz(ways) : -1;
}

static void ask_for(const struct prefix *x, const uint64_t *blocks, unsigned i, unsigned count)
{
    if (i + AHEAD < count) {
        const uint64_t *bucket = bucket_of(x, blocks[i + AHEAD]);
        __builtin_prefetch(bucket);
        __builtin_prefetch(bucket + PREFIX_WAYS);
    }
}

/* ---- the table ---- */

size_t prefix_memory(size_t blocks)
{
    size_t buckets = 1;
    while (buckets * PREFIX_WAYS < blocks)
        buckets *= 2;
    return buckets * PREFIX_WAYS * 2 * sizeof(uint64_t);
}

static void lay_out(struct prefix *x, unsigned words)
{
    x->words = words;
    x->bucket_bits = 0;
    while (stride(x) << (x->bucket_bits + 1) <= x->cell_count)
        x->bucket_bits++;
    memset(x->cells, 0, x->cell_count * sizeof(uint64_t));
    x->held = 0;
    for (int i = 0; i < PREFIX_PLACES_MAX; i++)
        if (x->place_of[i] == PREFIX_DIRTY)
            x->place_of[i] = PREFIX_CLEAN;
}

void prefix_init(struct prefix *x, uint64_t *memory, size_t bytes)
{
    CHECK(bytes >= PREFIX_MEMORY_LEAST);
    *x = (struct prefix){.cells = memory, .cell_count = bytes / sizeof(uint64_t)};
    for (int i = 0; i < PREFIX_PLACES_MAX; i++) {
        x->column_of[i] = PREFIX_NO_COLUMN;
        x->place_of[i] = PREFIX_CLEAN;
    }
    lay_out(x, 1);
}

size_t prefix_capacity(const struct prefix *x)
{
    return x->cells ? (size_t)PREFIX_WAYS << x->bucket_bits : 0;
}

/* Takes out the entry that no replica has any more. */
static void free_entry(struct prefix *x, uint64_t *key)
{
    x->held -= *key != 0;
    *key = 0;
}

/* ---- columns ---- */

static int column_that_is(const struct prefix *x, int state)
{
    for (int i = 0; i < (int)x->words * WORD_BITS; i++)
        if (x->place_of[i] == state)
            return i;
    return PREFIX_NO_COLUMN;
}

/* Cleans every dirty column, and frees the entries that nobody has. */
static void sweep(struct prefix *x)
{
    for (size_t b = 0; b < (size_t)1 << x->bucket_bits; b++) {
        uint64_t *bucket = x->cells + b * stride(x);
        for (int way = 0; way < PREFIX_WAYS; way++) {
            uint64_t any = 0, *set = set_of(x, bucket, way);
            for (unsigned w = 0; w < x->words; w++)
                any |= set[w] &= x->used[w];
            if (!any)
                free_entry(x, &bucket[way]);
        }
    }
    for (int i = 0; i < PREFIX_PLACES_MAX; i++)
        if (x->place_of[i] == PREFIX_DIRTY)
            x->place_of[i] = PREFIX_CLEAN;
    x->sweeps++;
}

static int clean_column(struct prefix *x)
{
    int column = column_that_is(x, PREFIX_CLEAN);
    if (column != PREFIX_NO_COLUMN)
        return column;
    if (column_that_is(x, PREFIX_DIRTY) != PREFIX_NO_COLUMN)
        sweep(x);
    else
        lay_out(x, x->words * 2);
    return column_that_is(x, PREFIX_CLEAN);
}

static int column_for(struct prefix *x, int place)
{
    if (x->column_of[place] == PREFIX_NO_COLUMN) {
        int column = clean_column(x);
        CHECK(column != PREFIX_NO_COLUMN);
        x->column_of[place] = (int16_t)column;
        x->place_of[column] = (int16_t)place;
        x->used[column / WORD_BITS] |= UINT64_C(1) << (column % WORD_BITS);
    }
    return x->column_of[place];
}

void prefix_forget(struct prefix *x, int place)
{
    if (!x || x->column_of[place] == PREFIX_NO_COLUMN)
        return;
    int column = x->column_of[place];
    x->column_of[place] = PREFIX_NO_COLUMN;
    x->place_of[column] = PREFIX_DIRTY;
    x->used[column / WORD_BITS] &= ~(UINT64_C(1) << (column % WORD_BITS));
}

/* ---- prompts ---- */

unsigned prefix_hash_blocks(struct str bytes, size_t block_bytes, uint64_t seed,
                            uint64_t *ret_hashes, unsigned max)
{
    CHECK(block_bytes > 0);
    unsigned count = 0;
    uint64_t chain = seed;
    max = MIN(max, (unsigned)PREFIX_BLOCKS_MAX);
    for (size_t at = 0; count < max && bytes.len - at >= block_bytes; at += block_bytes) {
        chain = hash_combine(chain, hash_bytes((struct str){bytes.ptr + at, block_bytes}));
        ret_hashes[count++] = chain;
    }
    return count;
}

/* Writes how far those that leave the run have come. */
static void note_end(const struct prefix *x, unsigned word, uint64_t columns, unsigned blocks,
                     uint16_t *ret_matched)
{
    for (; columns; columns &= columns - 1) {
        int column = (int)(word * WORD_BITS) + __builtin_ctzll(columns);
        ret_matched[x->place_of[column]] = (uint16_t)blocks;
    }
}

/* One word of columns: missed[k] are those in the run that lacked just the last k blocks. */
struct run {
    uint64_t missed[PREFIX_GAP_MAX + 1];
};

static uint64_t in_run(const struct run *run)
{
    uint64_t all = 0;
    for (int k = 0; k <= PREFIX_GAP_MAX; k++)
        all |= run->missed[k];
    return all;
}

/* One more block, which `has` have. Returns those that leave: they lacked PREFIX_GAP_MAX before. */
static uint64_t next_block(struct run *run, uint64_t has)
{
    uint64_t leave = run->missed[PREFIX_GAP_MAX] & ~has, stay = in_run(run) & has;
    for (int k = PREFIX_GAP_MAX; k > 0; k--)
        run->missed[k] = run->missed[k - 1] & ~has;
    run->missed[0] = stay;
    return leave;
}

static void end_runs(const struct prefix *x, const struct run *runs, unsigned blocks,
                     uint16_t *ret_matched)
{
    for (unsigned w = 0; w < x->words; w++)
        for (unsigned k = 0; k <= MIN(PREFIX_GAP_MAX, blocks); k++)
            note_end(x, w, runs[w].missed[k], blocks - k, ret_matched);
}

void prefix_match(const struct prefix *x, const uint64_t *blocks, unsigned count,
                  uint16_t ret_matched[PREFIX_PLACES_MAX])
{
    memset(ret_matched, 0, PREFIX_PLACES_MAX * sizeof(*ret_matched));
    if (!x || count == 0)
        return;
    struct run runs[PREFIX_PLACES_MAX / WORD_BITS] = {0};
    for (unsigned w = 0; w < x->words; w++)
        runs[w].missed[0] = x->used[w];
    unsigned i = 0;
    for (uint64_t any = 1; any && i < count; i++) {
        ask_for(x, blocks, i, count);
        uint64_t *bucket = bucket_of(x, blocks[i]);
        int way = find(bucket, blocks[i]);
        any = 0;
        for (unsigned w = 0; w < x->words; w++) {
            uint64_t leave = next_block(&runs[w], way < 0 ? 0 : set_of(x, bucket, way)[w]);
            if (leave)
                note_end(x, w, leave, i - PREFIX_GAP_MAX, ret_matched);
            any |= in_run(&runs[w]);
        }
    }
    end_runs(x, runs, i, ret_matched);
}

static int free_way(struct prefix *x, uint64_t *bucket, uint64_t hash)
{
    unsigned ways = ways_with(bucket, 0);
    if (ways) {
        x->held++;
        return __builtin_ctz(ways);
    }
    x->evicted++;
    int way = (int)(hash >> 2 & (PREFIX_WAYS - 1));
    for (; bucket[way] & 1; way = (way + 1) % PREFIX_WAYS)
        bucket[way] &= ~UINT64_C(1);
    return way;
}

/* A new entry comes without its clock bit: what is never asked for again goes first. */
static uint64_t *find_or_make(struct prefix *x, uint64_t hash)
{
    uint64_t *bucket = bucket_of(x, hash);
    int way = find(bucket, hash);
    if (way >= 0) {
        bucket[way] |= 1;
        return set_of(x, bucket, way);
    }
    way = free_way(x, bucket, hash);
    bucket[way] = key_of(hash);
    uint64_t *set = set_of(x, bucket, way);
    for (unsigned w = 0; w < x->words; w++)
        set[w] = 0;
    x->inserted++;
    return set;
}

unsigned prefix_insert(struct prefix *x, int place, const uint64_t *blocks, unsigned count)
{
    if (!x || count == 0)
        return 0;
    int column = column_for(x, place);
    uint64_t bit = UINT64_C(1) << (column % WORD_BITS);
    unsigned matched = 0;
    for (unsigned i = 0; i < count; i++) {
        ask_for(x, blocks, i, count);
        uint64_t *word = find_or_make(x, blocks[i]) + column / WORD_BITS;
        if (*word & bit && i - matched <= PREFIX_GAP_MAX)
            matched = i + 1;
        *word |= bit;
    }
    return matched;
}

void prefix_drop(struct prefix *x, int place, const uint64_t *blocks, unsigned from, unsigned count)
{
    if (!x || x->column_of[place] == PREFIX_NO_COLUMN)
        return;
    int column = x->column_of[place];
    for (unsigned i = from; i < count; i++) {
        uint64_t *bucket = bucket_of(x, blocks[i]), any = 0;
        int way = find(bucket, blocks[i]);
        if (way < 0)
            continue;
        uint64_t *set = set_of(x, bucket, way);
        set[column / WORD_BITS] &= ~(UINT64_C(1) << (column % WORD_BITS));
        for (unsigned w = 0; w < x->words; w++)
            any |= set[w];
        if (!any)
            free_entry(x, &bucket[way]);
        x->dropped++;
    }
}
