/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's metrics of one model, looked up once so that the hot path only adds. Names: docs/observability.md.
 * Thread rule: any.
 */
#ifndef FAIRWAY_GATEWAY_METERS_H
#define FAIRWAY_GATEWAY_METERS_H

#include "base/str.h"
#include "base/time.h"
#include "core/queue/queue.h"

struct metrics;
struct metric;

enum { MODEL_METERS_STATUS_MAX = 600 };

struct model_meters {
    struct metric *duration, *first_token, *inter_token;       /* histograms, seconds */
    struct metric *queue_wait[QUEUE_BANDS];                    /* likewise, by priority */
    struct metric *queue_length, *running, *slots;             /* gauges, set at each scrape */
    struct metric *retries, *broken_streams, *resumed_streams; /* counters, as the next */
    struct metric *hedges, *hedges_won, *fallbacks;
    struct metric *prefix_inserted, *prefix_evicted, *prefix_dropped; /* set at each scrape */
    struct metric *prefix_blocks, *prefix_capacity;                   /* gauges, likewise */
    struct metric *rejected_full, *rejected_timeout, *rejected_unavailable;
    struct metric *_Atomic by_status[MODEL_METERS_STATUS_MAX]; /* NULL: not seen yet */
    struct metrics *registry;
    char *name; /* own */
};

struct model_meters *model_meters_new(struct metrics *registry, struct str model);
void model_meters_free(struct model_meters *m);

/* inference_requests_total{model_name,status}: one more that ended with this HTTP status. */
void model_meters_count(struct model_meters *m, int status);

#endif
