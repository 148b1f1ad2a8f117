/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Places by their scores, for one question that is asked again and again while the places change:
 * the highest score, and of equal ones the lowest place, in a few steps; and only places that have
 * changed since the question was last asked are scored anew.
 *
 * Places can be in groups, each with a handicap, which may differ from one asking to the next without
 * anything being scored anew: what counts is the score less the handicap.
 *
 * A rank is an array of scores and over it, for each group, a tree of maxima with RANK_FAN children a
 * node. The log says which places have changed, in order, and their groups; it is one for all ranks,
 * and bounded: a rank that has fallen too far behind scores every place.
 *
 * Ownership: arrays are the caller's (arena). Thread rule: one thread at a time. Pure.
 */
#ifndef FAIRWAY_CORE_PLACE_RANK_H
#define FAIRWAY_CORE_PLACE_RANK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum {
    RANK_FAN = 32,
    RANK_LEVELS = 4,
    RANK_GROUPS_MAX = 16,
    RANK_PLACES_MAX = 1 << 20, /* RANK_FAN to the power of RANK_LEVELS */
    RANK_OUT = -1,             /* the score of a place that is no candidate */
    RANK_SCORE_MAX = INT16_MAX,
};

struct rank_log {
    uint64_t count;        /* changes so far */
    uint32_t *places;      /* of the last `cap` changes; a ring */
    uint64_t *last_change; /* by place: its number in the log, from 1; 0: never */
    uint8_t *groups;       /* by place */
    uint32_t group_count;
    uint32_t cap; /* a power of two */
};

struct rank {
    int16_t *levels[RANK_LEVELS]; /* [0]: the scores; others: maxima, one group after the other */
    uint32_t sizes[RANK_LEVELS];  /* of a group; the last is RANK_FAN */
    int level_count;
    const uint8_t *groups; /* the log's */
    uint32_t group_count;
    uint32_t places; /* how many the arrays have room for */
    uint64_t seen;   /* changes that the scores know of */
    bool stale;      /* they know of none */
};

size_t rank_memory(uint32_t places, uint32_t groups);
size_t rank_log_memory(uint32_t places);
/* The arena must have room for it. All places are in group 0 at first. */
void rank_log_init(struct rank_log *log, struct arena *memory, uint32_t places, uint32_t groups);
void rank_init(struct rank *r, struct arena *memory, uint32_t places, const struct rank_log *log);
void rank_forget(struct rank *r); /* everything is to be scored anew */

void rank_log_add(struct rank_log *log, uint32_t place);
/* True: it was in another one; then all ranks must be forgotten. */
bool rank_log_group(struct rank_log *log, uint32_t place, uint8_t group);

/* Scores of the places below `count` by `score` (RANK_OUT to RANK_SCORE_MAX); the context is its. */
typedef int rank_score_fn(const void *context, uint32_t place);
void rank_update(struct rank *r, const struct rank_log *log, uint32_t count, rank_score_fn *score,
                 const void *context);

/* The lowest place of the highest score less its group's handicap (NULL: all 0); -1: all are out. */
int rank_best(const struct rank *r, const int *handicaps);
/* Of those with the highest score, counted from the lowest place: how many, and the n-th. Of one
 * group only. */
uint32_t rank_ties(const struct rank *r);
int rank_tie(const struct rank *r, uint32_t n);

static inline int rank_score(const struct rank *r, int place)
{
    return r->levels[0][place];
}

#endif
