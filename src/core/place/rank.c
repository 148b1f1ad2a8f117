/* SPDX-License-Identifier: Apache-2.0 */
#include "core/place/rank.h"

#include "base/check.h"

/* An allocation is rounded up to the alignment of anything, which is less. */
enum { ROUNDING = 64 };

static uint32_t blocks(uint32_t places)
{
    return (places + RANK_FAN - 1) / RANK_FAN;
}

static int16_t *new_level(struct arena *memory, uint32_t size)
{
    int16_t *scores = arena_array(memory, size, sizeof(*scores));
    CHECK(scores);
    for (uint32_t i = 0; i < size; i++)
        scores[i] = RANK_OUT;
    return scores;
}

size_t rank_memory(uint32_t places)
{
    size_t size = 0;
    for (uint32_t n = places, last = 0; !last; n = blocks(n)) {
        size += blocks(n) * RANK_FAN * sizeof(int16_t) + ROUNDING;
        last = n <= RANK_FAN;
    }
    return size;
}

void rank_init(struct rank *r, struct arena *memory, uint32_t places)
{
    CHECK(places > 0 && places <= RANK_PLACES_MAX);
    *r = (struct rank){.places = places};
    for (uint32_t n = places;; n = blocks(n)) {
        r->levels[r->level_count++] = new_level(memory, blocks(n) * RANK_FAN);
        if (n <= RANK_FAN)
            break;
    }
    r->stale = true;
}

void rank_forget(struct rank *r)
{
    r->stale = true;
}

/* ---- the log ---- */

static uint32_t log_cap(uint32_t places)
{
    uint32_t cap = RANK_FAN;
    while (cap < places)
        cap *= 2;
    return cap;
}

size_t rank_log_memory(uint32_t places)
{
    return log_cap(places) * sizeof(uint32_t) + places * sizeof(uint64_t) + 2 * ROUNDING;
}

void rank_log_init(struct rank_log *log, struct arena *memory, uint32_t places)
{
    *log = (struct rank_log){.cap = log_cap(places)};
    log->places = arena_array(memory, log->cap, sizeof(*log->places));
    log->last_change = arena_array(memory, places, sizeof(*log->last_change));
    CHECK(log->places && log->last_change);
}

void rank_log_add(struct rank_log *log, uint32_t place)
{
    log->places[log->count & (log->cap - 1)] = place;
    log->last_change[place] = ++log->count;
}

/* ---- the tree ---- */

static int16_t block_max(const int16_t *block)
{
    int16_t most = block[0];
    for (int i = 1; i < RANK_FAN; i++)
        most = block[i] > most ? block[i] : most;
    return most;
}

static void set(struct rank *r, uint32_t place, int16_t score)
{
    uint32_t at = place;
    for (int level = 0; level < r->level_count; level++) {
        int16_t *scores = r->levels[level];
        if (scores[at] == score)
            return;
        scores[at] = score;
        at /= RANK_FAN;
        if (level + 1 < r->level_count)
            score = block_max(scores + (size_t)at * RANK_FAN);
    }
}

/* Maxima of all blocks, level by level. */
static void set_all_maxima(struct rank *r)
{
    uint32_t n = blocks(r->places);
    for (int level = 1; level < r->level_count; level++, n = blocks(n))
        for (uint32_t i = 0; i < n; i++)
            r->levels[level][i] = block_max(r->levels[level - 1] + (size_t)i * RANK_FAN);
}

static void score_all(struct rank *r, uint32_t count, rank_score_fn *score, const void *context)
{
    for (uint32_t place = 0; place < count; place++)
        r->levels[0][place] = (int16_t)score(context, place);
    for (uint32_t place = count; place < r->places; place++)
        r->levels[0][place] = RANK_OUT;
    set_all_maxima(r);
}

void rank_update(struct rank *r, const struct rank_log *log, uint32_t count, rank_score_fn *score,
                 const void *context)
{
    CHECK(count <= r->places);
    if (r->stale || log->count - r->seen > log->cap) {
        score_all(r, count, score, context);
    } else {
        for (uint64_t i = r->seen; i < log->count; i++) {
            uint32_t place = log->places[i & (log->cap - 1)];
            if (log->last_change[place] == i + 1) /* else it comes again */
                set(r, place, (int16_t)score(context, place));
        }
    }
    r->seen = log->count;
    r->stale = false;
}

static uint32_t find_in(const int16_t *block, int16_t score)
{
    uint32_t i = 0;
    while (block[i] != score)
        i++;
    return i;
}

int rank_best(const struct rank *r)
{
    int16_t most = block_max(r->levels[r->level_count - 1]);
    uint32_t at = 0;
    if (most == RANK_OUT)
        return -1;
    for (int level = r->level_count - 1; level >= 0; level--)
        at = at * RANK_FAN + find_in(r->levels[level] + (size_t)at * RANK_FAN, most);
    return (int)at;
}

uint32_t rank_ties(const struct rank *r)
{
    int16_t most = block_max(r->levels[r->level_count - 1]);
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->places; i++)
        count += r->levels[0][i] == most;
    return count;
}

int rank_tie(const struct rank *r, uint32_t n)
{
    int16_t most = block_max(r->levels[r->level_count - 1]);
    for (uint32_t i = 0; i < r->places; i++)
        if (r->levels[0][i] == most && n-- == 0)
            return (int)i;
    return -1;
}
