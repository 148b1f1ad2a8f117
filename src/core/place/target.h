/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is expected to come, for policies that score by it: its most frequent shapes, and what follows
 * from them once instead of at every score. Shared by the files of core/place. Pure.
 */
#ifndef FAIRWAY_CORE_PLACE_TARGET_H
#define FAIRWAY_CORE_PLACE_TARGET_H

#include "core/place/policy.h"

enum {
    TARGET_AHEAD = 3, /* see `served` */
    TARGET_RATE_SHIFT = 16,
    TARGET_WIDTH_WHOLE = PLACE_GPUS_MAX + 1,
    TARGET_ROW_BUCKETS = 512,
    TARGET_ROW_BUCKET_SHIFT = 8, /* a bucket is 256 thousandths of a CPU */
};

/* One shape that is expected. */
struct expected {
    uint64_t models;
    int64_t cpu;
    uint16_t milli; /* of a share */
    uint8_t gpus;
    uint32_t count;
};

struct tables {
    uint32_t *share; /* own (tables_memory): [row * width + step] */
    uint32_t *whole; /* own (tables_memory): [row * TARGET_WIDTH_WHOLE + idle] */
};

/* The expected shapes that ask for the same of GPUs: a range in the columns of `served`. */
struct demand {
    int gpus; /* whole ones; 0: a share, for GPUs with this step of room or more */
    int step;
    int milli; /* of all that one of them asks for */
    int first, end;
};

/* The expected shapes that a model's GPUs serve: by demand, of one demand by CPU. Entry k of a sum is
 * of the shapes before k. A shape's rate is what TARGET_AHEAD copies of it use of GPUs, for each
 * thousandth of a CPU that one uses, times 2^TARGET_RATE_SHIFT; 0 if it uses none. */
struct served {
    struct demand *demands; /* own (tables_memory) */
    int demand_count;
    int64_t *cpu;     /* own (tables_memory) */
    int64_t *weights; /* own (tables_memory); sums of counts */
    int64_t *rates;   /* own (tables_memory); sums of counts times rates */
};

/* What shapes ask of GPUs, in thousandths, that accept these models and no others. */
struct named {
    uint64_t models;
    int64_t milli;
};

struct place_target {
    struct expected shapes[PLACE_TARGET_MAX];
    int shape_count;
    uint64_t weight; /* of all */
    int64_t milli;   /* that they ask of GPUs in all */
    struct named named[PLACE_TARGET_MAX];
    int named_count;
    struct arena tables_memory;
    uint64_t models; /* with tables */
    struct tables tables[PLACE_MODELS_MAX];
    struct served served[PLACE_MODELS_MAX];
    int64_t cpus[PLACE_TARGET_MAX]; /* ascending; row k: at least cpus[k - 1] */
    int rows, width;
    uint16_t bucket_row[TARGET_ROW_BUCKETS]; /* the row of a bucket's first CPU value */
    uint16_t step_of_room[PLACE_MILLI + 1];
};

/* Of the tables, with this much CPU left. */
int target_row_of(const struct place_target *t, int64_t cpu);

#endif
