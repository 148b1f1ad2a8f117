/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random histories of a prefix index against a table that never forgets by itself:
 * - it never says more of a replica than was sent there since it came
 * - while nothing had to be thrown out it says exactly that
 * - an insertion finds what a lookup has just said
 * - its count of entries is that of the keys in its table
 */
#include "base/check.h"
#include "base/hash.h"
#include "core/route/prefix.h"
#include "test.h"

enum { CHATS = 48, DEPTH = 24, SHARED = 6, STEPS = 4000, HISTORIES = 12 };

struct world {
    struct prefix index;
    uint64_t memory[1 << 15];
    bool has[CHATS][DEPTH][PREFIX_PLACES_MAX]; /* shared blocks: those of chat 0 */
    int places;
    uint64_t seed, random;
    int step;
};

/* The first blocks are a system prompt that all chats share. */
static int owner(int chat, unsigned depth)
{
    return depth < SHARED ? 0 : chat;
}

static unsigned prompt(struct world *w, int chat, uint64_t ret_blocks[DEPTH])
{
    unsigned count = 1 + (unsigned)test_below(&w->random, DEPTH);
    for (unsigned i = 0; i < count; i++)
        ret_blocks[i] = hash_combine((uint64_t)owner(chat, i), i);
    return count;
}

static unsigned naive_run(const struct world *w, int chat, unsigned count, int place)
{
    unsigned run = 0;
    for (unsigned i = 0; i < count && i - run <= PREFIX_GAP_MAX; i++)
        if (w->has[owner(chat, i)][i][place])
            run = i + 1;
    return run;
}

static void check_match(struct world *w, int chat, const uint64_t *blocks, unsigned count,
                        uint16_t *ret_matched)
{
    prefix_match(&w->index, blocks, count, ret_matched);
    for (int place = 0; place < PREFIX_PLACES_MAX; place++) {
        unsigned run = naive_run(w, chat, count, place);
        PROPERTY(ret_matched[place] <= run, w->seed, w->step);
        PROPERTY(w->index.evicted || ret_matched[place] == run, w->seed, w->step);
    }
}

static void insert(struct world *w, int chat, const uint64_t *blocks, unsigned count, int place,
                   unsigned expected)
{
    unsigned words = w->index.words;
    unsigned found = prefix_insert(&w->index, place, blocks, count);
    if (w->index.words != words) /* wider: it has forgotten everything */
        memset(w->has, 0, sizeof(w->has));
    else
        PROPERTY(found <= expected && (w->index.evicted || found == expected), w->seed, w->step);
    for (unsigned i = 0; i < count; i++)
        w->has[owner(chat, i)][i][place] = true;
}

static void drop(struct world *w, int chat, const uint64_t *blocks, unsigned count, int place)
{
    unsigned from = (unsigned)test_below(&w->random, count + 1);
    prefix_drop(&w->index, place, blocks, from, count);
    for (unsigned i = from; i < count; i++)
        w->has[owner(chat, i)][i][place] = false;
}

static void forget(struct world *w, int place)
{
    prefix_forget(&w->index, place);
    for (int chat = 0; chat < CHATS; chat++)
        for (int i = 0; i < DEPTH; i++)
            w->has[chat][i][place] = false;
}

/* By the layout that prefix.h describes: buckets of eight keys, then their sets. */
static size_t naive_held(const struct prefix *x)
{
    size_t held = 0, stride = PREFIX_WAYS * (1 + x->words);
    for (size_t bucket = 0; bucket < prefix_capacity(x) / PREFIX_WAYS; bucket++)
        for (size_t way = 0; way < PREFIX_WAYS; way++)
            held += x->cells[bucket * stride + way] != 0;
    return held;
}

static void one_step(struct world *w)
{
    uint64_t blocks[DEPTH];
    uint16_t matched[PREFIX_PLACES_MAX];
    int chat = (int)test_below(&w->random, CHATS);
    int place = (int)test_below(&w->random, (uint64_t)w->places);
    unsigned count = prompt(w, chat, blocks);
    check_match(w, chat, blocks, count, matched);
    switch (test_below(&w->random, 10)) {
    case 0:
        forget(w, place);
        break;
    case 1:
        drop(w, chat, blocks, count, place);
        break;
    default:
        insert(w, chat, blocks, count, place, matched[place]);
    }
    check_match(w, chat, blocks, count, matched);
    PROPERTY(w->index.held == naive_held(&w->index), w->seed, w->step);
}

static void run_history(uint64_t seed)
{
    static struct world w;
    static const int places[] = {3, 64, 100, 256};
    static const size_t bytes[] = {sizeof(w.memory), 8192, PREFIX_MEMORY_LEAST};
    memset(&w, 0, sizeof(w));
    w.seed = w.random = seed;
    w.places = places[seed % ARRAY_LEN(places)];
    prefix_init(&w.index, w.memory, bytes[seed % ARRAY_LEN(bytes)]);
    for (w.step = 0; w.step < STEPS; w.step++)
        one_step(&w);
}

static void test_random_histories(void **state)
{
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < (getenv("FAIRWAY_SEED") ? 1 : HISTORIES); i++)
        run_history(first + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
