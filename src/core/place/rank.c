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

/* Entries of a level, in whole blocks. */
static uint32_t padded(uint32_t entries)
{
    return blocks(entries) * RANK_FAN;
}

size_t rank_memory(uint32_t places, uint32_t groups)
{
    size_t size = padded(places) * sizeof(int16_t) + ROUNDING;
    uint32_t n = places;
    do {
        n = blocks(n);
        size += (size_t)padded(n) * groups * sizeof(int16_t) + ROUNDING;
    } while (n > RANK_FAN);
    return size;
}

void rank_init(struct rank *r, struct arena *memory, uint32_t places, const struct rank_log *log)
{
    CHECK(places > 0 && places <= RANK_PLACES_MAX);
    *r = (struct rank){.places = places, .groups = log->groups, .group_count = log->group_count};
    r->levels[r->level_count++] = new_level(memory, padded(places));
    uint32_t n = places;
    do {
        n = blocks(n);
        r->sizes[r->level_count] = padded(n);
        r->levels[r->level_count++] = new_level(memory, padded(n) * r->group_count);
    } while (n > RANK_FAN);
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
    return log_cap(places) * sizeof(uint32_t) + places * sizeof(uint64_t) + padded(places) +
           3 * ROUNDING;
}

void rank_log_init(struct rank_log *log, struct arena *memory, uint32_t places, uint32_t groups)
{
    CHECK(groups > 0 && groups <= RANK_GROUPS_MAX);
    *log = (struct rank_log){.cap = log_cap(places), .group_count = groups};
    log->places = arena_array(memory, log->cap, sizeof(*log->places));
    log->last_change = arena_array(memory, places, sizeof(*log->last_change));
    log->groups = arena_array(memory, padded(places), sizeof(*log->groups));
    CHECK(log->places && log->last_change && log->groups);
}

bool rank_log_group(struct rank_log *log, uint32_t place, uint8_t group)
{
    bool is_other = log->groups[place] != group;
    CHECK(group < log->group_count);
    log->groups[place] = group;
    return is_other;
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

/* Of the scores in this block, the highest of the group. */
static int16_t scores_max(const struct rank *r, uint32_t block, uint8_t group)
{
    const int16_t *scores = r->levels[0] + (size_t)block * RANK_FAN;
    const uint8_t *groups = r->groups + (size_t)block * RANK_FAN;
    int16_t most = RANK_OUT;
    if (r->group_count == 1)
        return block_max(scores);
    for (int i = 0; i < RANK_FAN; i++)
        most = groups[i] == group && scores[i] > most ? scores[i] : most;
    return most;
}

/* The group's part of a level above the scores. */
static int16_t *maxima_of(const struct rank *r, int level, uint32_t group)
{
    return r->levels[level] + (size_t)group * r->sizes[level];
}

static void set(struct rank *r, uint32_t place, int16_t score)
{
    uint8_t group = r->groups[place];
    uint32_t at = place / RANK_FAN;
    if (r->levels[0][place] == score)
        return;
    r->levels[0][place] = score;
    int16_t most = scores_max(r, at, group);
    for (int level = 1; level < r->level_count; level++) {
        int16_t *maxima = maxima_of(r, level, group);
        if (maxima[at] == most)
            return;
        maxima[at] = most;
        at /= RANK_FAN;
        most = block_max(maxima + (size_t)at * RANK_FAN);
    }
}

/* The group's maxima of maxima. */
static void set_upper_maxima(struct rank *r, uint32_t group)
{
    uint32_t n = blocks(r->places);
    for (int level = 2; level < r->level_count; level++) {
        n = blocks(n);
        for (uint32_t i = 0; i < n; i++)
            maxima_of(r, level, group)[i] =
                block_max(maxima_of(r, level - 1, group) + (size_t)i * RANK_FAN);
    }
}

static void set_all_maxima(struct rank *r)
{
    for (uint32_t i = 0; i < r->sizes[1] * r->group_count; i++)
        r->levels[1][i] = RANK_OUT;
    for (uint32_t place = 0; place < r->places; place++) {
        int16_t *most = &maxima_of(r, 1, r->groups[place])[place / RANK_FAN];
        *most = r->levels[0][place] > *most ? r->levels[0][place] : *most;
    }
    for (uint32_t group = 0; group < r->group_count; group++)
        set_upper_maxima(r, group);
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

static int16_t group_max(const struct rank *r, uint32_t group)
{
    return block_max(maxima_of(r, r->level_count - 1, group));
}

/* The lowest place of the group that has the score, its highest. */
static uint32_t find_place(const struct rank *r, uint32_t group, int16_t score)
{
    uint32_t at = 0;
    for (int level = r->level_count - 1; level > 0; level--)
        at = at * RANK_FAN + find_in(maxima_of(r, level, group) + (size_t)at * RANK_FAN, score);
    at *= RANK_FAN;
    while (r->levels[0][at] != score || r->groups[at] != group)
        at++;
    return at;
}

int rank_best(const struct rank *r, const int *handicaps)
{
    int best = -1, best_net = 0;
    for (uint32_t group = 0; group < r->group_count; group++) {
        int16_t most = group_max(r, group);
        int net = most - (handicaps ? handicaps[group] : 0);
        if (most == RANK_OUT || (best >= 0 && net < best_net))
            continue;
        int place = (int)find_place(r, group, most);
        if (best < 0 || net > best_net || place < best)
            best = place;
        best_net = net;
    }
    return best;
}

uint32_t rank_ties(const struct rank *r)
{
    int16_t most = group_max(r, 0);
    uint32_t count = 0;
    for (uint32_t i = 0; i < r->places; i++)
        count += r->levels[0][i] == most;
    return count;
}

int rank_tie(const struct rank *r, uint32_t n)
{
    int16_t most = group_max(r, 0);
    for (uint32_t i = 0; i < r->places; i++)
        if (r->levels[0][i] == most && n-- == 0)
            return (int)i;
    return -1;
}
