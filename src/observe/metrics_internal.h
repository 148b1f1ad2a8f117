/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the registry (metrics.c) and its text output (metrics_text.c) share.
 *
 * Thread rule: lists, maps and keys under the registry's mutex; the numbers of a series are atomics
 * that are changed without it.
 */
#ifndef FAIRWAY_OBSERVE_METRICS_INTERNAL_H
#define FAIRWAY_OBSERVE_METRICS_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/map.h"
#include "observe/metrics.h"

/* Ends each label value inside a key: a byte that UTF-8 never has. */
#define METRIC_VALUE_END '\xFF'

struct metrics {
    pthread_mutex_t mutex;
    struct list families; /* own; in the order they were made */
    struct map by_name;
};

struct metric_family {
    struct metrics *registry; /* borrow */
    struct metric_spec spec;
    size_t label_count;
    size_t made; /* series ever allocated: at most METRIC_SERIES_MAX */
    struct list link;
    struct map_node node; /* in by_name */
    struct map by_values;
    struct list live, removed; /* own; the oldest first */
};

struct metric {
    struct metric_family *family; /* borrow */
    struct list link;             /* in live or removed */
    struct map_node node;         /* in by_values; its key is the metric's */
    bool is_removed;
    _Atomic double value;       /* histogram: the sum */
    _Atomic uint64_t buckets[]; /* histogram: not cumulative; the last one is +Inf */
};

#endif
