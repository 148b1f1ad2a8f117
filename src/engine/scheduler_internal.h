/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside the scheduler: scheduler.c is the exchange between the threads, step.c what the decode
 * thread does in a step, slots.c where sequences have their cells.
 *
 * Thread rule: what is marked "lock" is touched with it held; the rest by the decode thread.
 */
#ifndef FAIRWAY_ENGINE_SCHEDULER_INTERNAL_H
#define FAIRWAY_ENGINE_SCHEDULER_INTERNAL_H

#include <pthread.h>

#include "engine/pace.h"
#include "engine/plan.h"
#include "engine/scheduler.h"

/* One sequence id of the model. */
struct slot {
    struct job *job;  /* who runs here; NULL: idle */
    int32_t *tokens;  /* own; idle: whose cells are still there */
    uint32_t cached;  /* idle: how many */
    uint64_t left_at; /* idle: order in which slots became idle */
};

struct slots {
    struct model *model; /* borrow */
    struct slot *items;  /* own */
    uint32_t count, running;
    uint64_t clock; /* orders starts and ends */
};

void slots_init(struct slots *slots, struct model *model);
void slots_fini(struct slots *slots);
/* The idle slot that knows most of these tokens' beginning, if that is half of them or half of what it knows; else the one that
 * is idle for longest. And how many it knows. There must be one. */
struct slot *slots_find(const struct slots *slots, const int32_t *tokens, size_t count,
                        uint32_t *ret_known);
/* The job's sequence begins in the slot, with `known` tokens computed already. */
void slots_start(struct slots *slots, struct slot *slot, struct job *job, uint32_t known);
/* The job's sequence ends; its cells stay until they are needed. */
void slots_end(struct slots *slots, struct slot *slot);
/* The job gives back its cells and keeps its tokens, to start again later. */
void slots_preempt(struct slots *slots, struct slot *slot);
/* Drops idle sequences, the longest idle first, until at most `cells` are held by them. */
void slots_shrink(struct slots *slots, uint64_t cells);

struct scheduler {
    struct scheduler_options options;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake; /* there may be something to do */

    /* lock */
    struct list inbox; /* submitted, not yet seen by the decode thread */
    bool ready, draining, stopping;
    bool changed; /* something happened since the decode thread last looked */
    struct scheduler_stats stats;
    struct err load_error;

    struct mail loaded, stopped;

    /* decode thread */
    struct list waiting;
    struct list embeds; /* waiting for a vector; the first is at work */
    struct slots slots;
    struct plan_turn turn;
    struct pace pace;
    struct plan_seq *plan;             /* own; one per slot; so are the next three */
    struct slot **planned;             /* own */
    struct model_token *batch;         /* own */
    struct sampler_candidate *scratch; /* own; one per word of the vocabulary */
};

/* One step; true when anything was done. */
bool scheduler_step(struct scheduler *s);

/* The job ended: its last news are on their way, and it is the loop thread's business again. */
void scheduler_finish(struct scheduler *s, struct job *job, enum job_end end);
/* Moves what may be shown to the outbox and announces it. */
void scheduler_show(struct scheduler *s, struct job *job);

#endif
