/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The decode thread: continuous batching of jobs over one model.
 *
 * Each step computes one token of every generating sequence and a budget of prompt tokens (plan.h,
 * pace.h). Jobs wait in order of arrival for one of the slots. When the KV cells are used up the
 * youngest gives way and is computed again later; its reader sees a pause only. A slot keeps the
 * cells of its last sequence, so that a prompt with the same beginning need not compute it again.
 *
 * Ownership: the scheduler borrows model and loop; a submitted job is the scheduler's until its
 * last news are taken. Thread rule: everything on the loop's thread; the thread inside is its own
 * business.
 */
#ifndef FAIRWAY_ENGINE_SCHEDULER_H
#define FAIRWAY_ENGINE_SCHEDULER_H

#include "engine/job.h"
#include "engine/model.h"

struct scheduler;

struct scheduler_options {
    struct model *model; /* loaded and freed by the decode thread */
    struct loop *loop;
    uint32_t queue_max;   /* jobs that wait for a slot */
    uint32_t prefill_max; /* prompt tokens per step */
    nsec step_target;     /* a step should take no longer, so that streams keep their rhythm */
    /* The model is loaded (error 0) or cannot be. */
    void (*loaded)(void *ctx, const struct err *err);
    /* The thread did its last: after scheduler_stop, or because there is no model. */
    void (*stopped)(void *ctx);
    void *ctx;
};

struct scheduler_stats {
    uint32_t slots, running, running_peak, waiting;
    uint32_t kv_used, kv_total;            /* cells of running sequences */
    uint64_t prompt_tokens, cached_tokens; /* of started jobs; of them, found in a slot */
    uint64_t preemptions, steps;
    nsec busy; /* time spent computing */
};

struct scheduler *scheduler_new(const struct scheduler_options *options);
void scheduler_free(struct scheduler *s); /* after `stopped`; no job may be left */

/* All of them or none. ERR_FULL: too many wait; ERR_UNAVAILABLE: not loaded yet, or draining. */
[[nodiscard]] int scheduler_submit(struct scheduler *s, struct job **take_jobs, size_t count);

/* News since the last call; they stay valid until the next call or job_free. */
void scheduler_take(struct job *job, struct job_news *ret_news);

/* Its slot is free at the next step; the last news (JOB_CANCELLED, unless it ended before) follow.
 */
void scheduler_cancel(struct job *job);

/* Takes no more jobs and ends those that never ran (JOB_DRAINED). */
void scheduler_drain(struct scheduler *s);
/* Ends all others too; then `stopped`. */
void scheduler_stop(struct scheduler *s);

void scheduler_stats(struct scheduler *s, struct scheduler_stats *ret_stats);

#endif
