/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Several ranks over places that change, asked now and then, beside the plain maximum: whatever the
 * number of places and groups, whatever the handicaps, and however far a rank has fallen behind the log.
 * A place is scored anew only if it has changed.
 */
#include "core/place/rank.h"
#include "test.h"

enum { HISTORIES = 60, STEPS = 3000, RANKS = 4, PLACES = 3000 };

struct world {
    struct arena memory;
    struct rank_log log;
    struct rank ranks[RANKS];
    int16_t scores[RANKS][PLACES];
    uint8_t groups[PLACES];
    uint32_t places, count;
    int rank; /* that asks */
    uint64_t scored, seed, random;
    int step;
};

#define TRUE_OF(condition) PROPERTY(condition, w->seed, w->step)

static int score_of(const void *context, uint32_t place)
{
    struct world *w = (struct world *)context;
    w->scored++;
    return w->scores[w->rank][place];
}

static void change(struct world *w)
{
    uint32_t place = (uint32_t)test_below(&w->random, w->count);
    for (int i = 0; i < RANKS; i++)
        w->scores[i][place] = (int16_t)(test_below(&w->random, 6) - 1);
    rank_log_add(&w->log, place);
}

static int net(const struct world *w, const int *handicaps, uint32_t place)
{
    return w->scores[w->rank][place] - handicaps[w->groups[place]];
}

static void regroup(struct world *w, uint32_t place)
{
    uint8_t group = (uint8_t)test_below(&w->random, w->log.group_count);
    TRUE_OF(rank_log_group(&w->log, place, group) == (w->groups[place] != group));
    w->groups[place] = group;
    for (int i = 0; i < RANKS; i++)
        rank_forget(&w->ranks[i]);
}

static void ask(struct world *w)
{
    w->rank = (int)test_below(&w->random, RANKS);
    struct rank *r = &w->ranks[w->rank];
    uint64_t behind = r->stale ? w->count : w->log.count - r->seen;
    int best = -1, handicaps[RANK_GROUPS_MAX];
    uint32_t ties = 0;
    for (int i = 0; i < RANK_GROUPS_MAX; i++)
        handicaps[i] = (int)test_below(&w->random, 4);
    w->scored = 0;
    rank_update(r, &w->log, w->count, score_of, w);
    TRUE_OF(w->scored <= behind && w->scored <= w->log.cap);
    for (uint32_t i = 0; i < w->count; i++)
        if (w->scores[w->rank][i] >= 0 &&
            (best < 0 || net(w, handicaps, i) > net(w, handicaps, (uint32_t)best)))
            best = (int)i;
    TRUE_OF(rank_best(r, handicaps) == best);
    if (best >= 0)
        TRUE_OF(rank_score(r, best) == w->scores[w->rank][best]);
    if (best < 0 || w->log.group_count > 1)
        return;
    TRUE_OF(rank_best(r, NULL) == best);
    for (uint32_t i = 0; i < w->count; i++)
        if (w->scores[w->rank][i] == w->scores[w->rank][best])
            TRUE_OF(rank_tie(r, ties++) == (int)i);
    TRUE_OF(rank_ties(r) == ties && rank_tie(r, ties) == -1);
}

static void run_history(uint64_t seed)
{
    static const uint32_t sizes[] = {1, 31, 32, 33, 1000, 1025, PLACES};
    static struct world world;
    struct world *w = &world;
    *w = (struct world){.seed = seed, .random = seed};
    w->places = sizes[test_below(&w->random, ARRAY_LEN(sizes))];
    w->count = (uint32_t)(1 + test_below(&w->random, w->places));
    uint32_t groups =
        test_below(&w->random, 2) ? 1 : 1 + (uint32_t)test_below(&w->random, RANK_GROUPS_MAX);
    size_t memory = rank_log_memory(w->places) + RANKS * rank_memory(w->places, groups);
    uint64_t often = 1 + test_below(&w->random, 60);
    arena_init(&w->memory, memory);
    rank_log_init(&w->log, &w->memory, w->places, groups);
    for (int i = 0; i < RANKS; i++) {
        rank_init(&w->ranks[i], &w->memory, w->places, &w->log);
        for (uint32_t k = 0; k < w->count; k++)
            w->scores[i][k] = -1;
    }
    for (uint32_t k = 0; k < w->count; k++)
        regroup(w, k);
    for (uint32_t k = 0; k < w->count; k++)
        regroup(w, k);
    for (w->step = 0; w->step < STEPS; w->step++) {
        if (test_below(&w->random, often) == 0)
            ask(w);
        else if (test_below(&w->random, 200) == 0)
            rank_forget(&w->ranks[test_below(&w->random, RANKS)]);
        else if (test_below(&w->random, 500) == 0)
            regroup(w, (uint32_t)test_below(&w->random, w->count));
        else
            change(w);
    }
    arena_fini(&w->memory);
}

static void test_histories(void **state)
{
    uint64_t first = test_seed(1);
    for (uint64_t i = 0; i < (getenv("FAIRWAY_SEED") ? 1 : HISTORIES); i++)
        run_history(first + i);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_histories)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
