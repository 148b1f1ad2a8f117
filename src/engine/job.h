/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One sequence on its way through the engine: what the HTTP side asks for, and the news that the
 * decode thread has of it.
 *
 * Life: the loop thread makes it and submits it (scheduler.h). News are announced by `notify` on the
 * loop thread, which takes them with scheduler_take. The last news say how it ended; after those (or
 * before submitting) the loop thread frees it. A job that nobody wants any more is cancelled, and
 * ends soon after like any other.
 *
 * Bounded: at most JOB_NEWS_TOKENS tokens wait to be taken; then its sequence pauses, it alone.
 */
#ifndef FAIRWAY_ENGINE_JOB_H
#define FAIRWAY_ENGINE_JOB_H

#include "base/list.h"
#include "engine/answer.h"
#include "net/loop.h"

enum { JOB_NEWS_TOKENS = 64, JOB_STOPS_MAX = 16, JOB_STOP_LENGTH_MAX = 1024 };

enum job_end {
    JOB_RUNNING,
    JOB_STOP,      /* the model ended it, or a stop string */
    JOB_LENGTH,    /* max_tokens, or the context is full */
    JOB_CANCELLED, /* nobody wants it any more */
    JOB_DRAINED,   /* the engine stops */
    JOB_FAILED,    /* the model could not compute it */
};

struct job_params {
    struct sampler_params sampling; /* biases are copied */
    uint32_t max_tokens;
    bool want_logprobs; /* with `top` likeliest tokens beside each */
    uint32_t top;
    const struct str *stops; /* copied */
    size_t stop_count;
    bool embed; /* wants the prompt's vector instead of an answer */
};

/* Set by the decode thread; readable once the last news are taken (first_at: with the first). */
struct job_times {
    nsec queued, started, first, ended;
};

struct job_news {
    struct str text;
    const struct answer_token *tokens;
    size_t count;
    enum job_end end; /* JOB_RUNNING: more will come */
};

/* What crosses between the threads; guarded by the scheduler's lock. */
struct job_outbox {
    struct buf text;             /* own */
    struct answer_token *tokens; /* own */
    size_t count, cap;
    enum job_end end;
};

struct job {
    /* For the loop thread. */
    void (*notify)(struct job *job); /* there are news */
    void *owner;
    uint32_t index;          /* which of its request's sequences */
    struct job_outbox taken; /* what scheduler_take gave out last */

    /* Fixed once submitted. */
    struct arena arena;
    struct job_params params;
    uint32_t prompt_count;
    struct job_times times;
    uint32_t cached; /* prompt tokens whose cells were there already */

    /* Guarded by the scheduler's lock. */
    struct mail mail; /* announces news; `announced` while it is under way */
    struct scheduler *scheduler;
    bool announced, cancelled;
    struct job_outbox outbox;

    /* For the decode thread. */
    struct list link;           /* in the inbox, then in the waiting list */
    int32_t *tokens;            /* own; prompt, then what was drawn */
    uint32_t count;             /* of tokens */
    uint32_t computed;          /* of them, with cells */
    uint64_t age;               /* order of its (last) start */
    struct sampler_count *seen; /* own; what was drawn how often, if a penalty asks for it */
    size_t seen_count;
    struct answer answer;
    float *vector; /* own; embed */
};

/* Copies the prompt (at least one token). ERR_INVALID with a message. */
[[nodiscard]] int job_new(const struct job_params *params, const int32_t *prompt, size_t count,
                          uint32_t length_max, struct job **ret_job);
void job_free(struct job *job);

/* Tokens drawn so far: on the loop thread once the job ended. */
static inline uint32_t job_drawn(const struct job *job)
{
    return job->count - job->prompt_count;
}

/* Before submitting: a token of the answer that another replica drew and showed, with its bytes.
 * False when the answer ends there. */
[[nodiscard]] bool job_replay(struct job *job, int32_t token, struct str piece);

/* Adds a drawn token to the sequence and to what penalties count. */
void job_push(struct job *job, int32_t token);

#endif
