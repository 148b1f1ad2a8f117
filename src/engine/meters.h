/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The engine's metrics: the field's names (inference_*), the names of vLLM that every router reads
 * (vllm:*), and a few of our own (fairway_engine_*). docs/engine.md lists them.
 *
 * Ownership: borrows the registry. Thread rule: the loop's thread.
 */
#ifndef FAIRWAY_ENGINE_METERS_H
#define FAIRWAY_ENGINE_METERS_H

#include "engine/scheduler.h"
#include "observe/metrics.h"

struct meters {
    struct metric_family *requests, *finished; /* the series depend on status and reason */
    struct metric *duration, *end_to_end, *first_token, *between_tokens, *queue_time;
    struct metric *queue_length, *running, *waiting, *peak, *slots, *kv_usage;
    struct metric *prompt_tokens, *generated_tokens, *prefix_queries, *prefix_hits, *preemptions;
    struct metric *steps, *busy;
    struct metric *gpu;          /* NULL: no GPU is known */
    nsec updated;                /* when last */
    struct scheduler_stats last; /* what the counters already say */
    struct str model;            /* borrow */
};

/* gpu_id: whose utilization is reported as the decode thread's; ptr NULL: none. */
void meters_init(struct meters *m, struct metrics *registry, struct str model, struct str gpu_id);

/* Brings gauges and the scheduler's counters up to date, before a scrape. */
void meters_update(struct meters *m, const struct scheduler_stats *stats, nsec now);

/* A request that was answered, whatever the answer. */
void meters_request(struct meters *m, int status, nsec took);
/* A sequence that ended; `finish` is "stop", "length" or "abort". */
void meters_sequence(struct meters *m, const struct job_times *times, uint64_t drawn,
                     const char *finish);

#endif
