/* SPDX-License-Identifier: Apache-2.0 */
#include <math.h>

#include "base/clock.h"
#include "base/mem.h"
#include "engine/scheduler_internal.h"

/* Most chat prompts are read in one turn; a long one does not hold them up for longer than this. */
enum { PROMPT_TURN = 128 };

static uint32_t pending(const struct job *job)
{
    return job->count - job->computed;
}

/* The running sequences as the planner sees them. Returns how many. */
static size_t describe(struct scheduler *s)
{
    size_t count = 0;
    pthread_mutex_lock(&s->lock);
    for (uint32_t i = 0; i < s->slots.count; i++) {
        struct job *job = s->slots.items[i].job;
        if (!job)
            continue;
        s->planned[count] = &s->slots.items[i];
        s->plan[count++] = (struct plan_seq){.pending = pending(job),
                                             .held = job->computed,
                                             .age = job->age,
                                             .paused = job->outbox.count >= JOB_NEWS_TOKENS};
    }
    pthread_mutex_unlock(&s->lock);
    return count;
}

static struct plan_limits limits_of(const struct scheduler *s, uint32_t prefill)
{
    const struct model_info *info = &s->options.model->info;
    return (struct plan_limits){.batch = info->sequences + s->options.prefill_max,
                                .prefill = prefill,
                                .turn = PROMPT_TURN,
                                .kv_total = info->kv_total};
}

static void end_running(struct scheduler *s, struct slot *slot, enum job_end end)
{
    struct job *job = slot->job;
    slots_end(&s->slots, slot);
    scheduler_finish(s, job, end);
}

static void note_start(struct scheduler *s, struct job *job, uint32_t known)
{
    pthread_mutex_lock(&s->lock);
    s->stats.waiting--;
    s->stats.running = s->slots.running;
    s->stats.running_peak = MAX(s->stats.running_peak, s->stats.running);
    if (job->times.started == 0) {
        job->times.started = clock_now();
        job->cached = known;
        s->stats.prompt_tokens += job->prompt_count;
        s->stats.cached_tokens += known;
    }
    pthread_mutex_unlock(&s->lock);
}

/* What the model itself still knows of the beginning need not be computed either. */
static void recall(struct scheduler *s, const struct slot *slot, struct job *job)
{
    struct model *model = s->options.model;
    if (!model->ops->recall)
        return;
    uint32_t id = (uint32_t)(slot - s->slots.items);
    job->computed = model->ops->recall(model, id, job->tokens, job->count, job->computed);
    CHECK(job->computed < job->count);
}

/* Gives free slots to those who wait, in order; the first that finds no room holds up the rest. */
static void start_waiting(struct scheduler *s)
{
    struct job *job;
    while (s->slots.running < s->slots.count &&
           (job = list_first(&s->waiting, struct job, link)) != NULL) {
        uint32_t known;
        struct plan_limits limits = limits_of(s, 0);
        struct slot *slot = slots_find(&s->slots, job->tokens, job->count, &known);
        size_t running = describe(s);
        if (!plan_may_start(&limits, s->plan, running, job->count))
            return;
        list_remove(&job->link);
        slots_start(&s->slots, slot, job, known);
        recall(s, slot, job);
        note_start(s, job, job->computed);
    }
}

static void preempt(struct scheduler *s, struct slot *slot)
{
    struct job *job = slot->job;
    slots_preempt(&s->slots, slot);
    list_prepend(&s->waiting, &job->link);
    pthread_mutex_lock(&s->lock);
    s->stats.preemptions++;
    s->stats.waiting++;
    s->stats.running = s->slots.running;
    pthread_mutex_unlock(&s->lock);
}

static uint32_t count_generating(const struct plan_seq *plan, size_t count)
{
    uint32_t generating = 0;
    for (size_t i = 0; i < count; i++)
        generating += plan[i].pending == 1;
    return generating;
}

/* Plans until the memory suffices. Returns how many sequences there are. */
static size_t plan(struct scheduler *s)
{
    for (;;) {
        size_t count = describe(s);
        if (count == 0)
            return 0;
        uint32_t most = s->options.prefill_max;
        uint32_t budget =
            pace_budget(&s->pace, s->options.step_target, count_generating(s->plan, count),
                        MIN(s->options.model->info.quantum, most), most);
        struct plan_limits limits = limits_of(s, budget);
        int victim = plan_step(&limits, s->plan, count, &s->turn);
        if (victim == PLAN_NONE)
            return count;
        preempt(s, s->planned[victim]);
    }
}

/* Writes the batch. Returns its length. */
static size_t fill_batch(struct scheduler *s, size_t count)
{
    size_t length = 0;
    for (size_t i = 0; i < count; i++) {
        const struct job *job = s->planned[i]->job;
        for (uint32_t k = 0; k < s->plan[i].take; k++) {
            uint32_t at = job->computed + k;
            s->batch[length++] = (struct model_token){
                .token = job->tokens[at],
                .position = at,
                .sequence = (uint32_t)(s->planned[i] - s->slots.items),
                .output = at + 1 == job->count,
            };
        }
    }
    return length;
}

static bool is_end(const struct model_info *info, int32_t token)
{
    for (size_t i = 0; i < info->end_count; i++)
        if (info->ends[i] == token)
            return true;
    return false;
}

/* The next token of a sequence from its row of logits. Returns how the sequence ends, if it does. */
static enum job_end draw(struct scheduler *s, struct job *job, const float *logits)
{
    struct model *model = s->options.model;
    struct sampler_input input = {.logits = logits,
                                  .vocabulary = model->info.vocabulary,
                                  .counts = job->seen,
                                  .count_count = job->seen_count,
                                  .position = job->count};
    struct answer_token token = {.at = clock_now()};
    token.token = sampler_draw(&job->params.sampling, &input, s->scratch);
    job_push(job, token.token);
    if (is_end(&model->info, token.token)) {
        answer_end(&job->answer);
        return JOB_STOP;
    }
    if (job->params.want_logprobs)
        token.logprob =
            sampler_logprobs(logits, input.vocabulary, token.token, token.top, job->params.top);
    char piece[MODEL_PIECE_MAX];
    size_t len = model->ops->piece(model, token.token, piece);
    answer_put(&job->answer, &token, (struct str){piece, len});
    if (job->answer.stop.matched)
        return JOB_STOP;
    if (job_drawn(job) < job->params.max_tokens)
        return JOB_RUNNING;
    answer_end(&job->answer);
    return JOB_LENGTH;
}

/* Draws for every sequence whose last token was computed. */
static void draw_all(struct scheduler *s, size_t count)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        struct job *job = s->planned[i]->job;
        at += s->plan[i].take;
        job->computed += s->plan[i].take;
        if (s->plan[i].take == 0 || job->computed < job->count)
            continue;
        const float *logits = s->options.model->ops->logits(s->options.model, at - 1);
        enum job_end end = draw(s, job, logits);
        scheduler_show(s, job);
        if (end != JOB_RUNNING)
            end_running(s, s->planned[i], end);
    }
}

/* The model has no cells left although the count says so (its own rounding): one gives way. Any
 * other failure ends those who were in the batch. */
static void decode_failed(struct scheduler *s, size_t count, int error)
{
    size_t young = 0;
    for (size_t i = 1; i < count; i++)
        if (s->plan[i].age > s->plan[young].age)
            young = i;
    if (error == ERR_FULL && count > 1) {
        preempt(s, s->planned[young]);
        return;
    }
    for (size_t i = 0; i < count; i++)
        if (s->plan[i].take > 0)
            end_running(s, s->planned[i], JOB_FAILED);
}

static void note_step(struct scheduler *s, nsec took)
{
    uint64_t held = 0;
    for (uint32_t i = 0; i < s->slots.count; i++)
        held += s->slots.items[i].job ? s->slots.items[i].job->computed : 0;
    pthread_mutex_lock(&s->lock);
    s->stats.steps++;
    s->stats.busy += took;
    s->stats.running = s->slots.running;
    s->stats.kv_used = (uint32_t)held;
    pthread_mutex_unlock(&s->lock);
}

static bool generate(struct scheduler *s)
{
    start_waiting(s);
    size_t count = plan(s);
    size_t length = fill_batch(s, count);
    if (length == 0)
        return false;
    uint64_t held = length;
    uint32_t generating = 0;
    for (size_t i = 0; i < count; i++) {
        held += s->plan[i].held;
        generating += s->plan[i].take == 1 && s->plan[i].pending == 1;
    }
    slots_shrink(&s->slots, s->options.model->info.kv_total - held);
    nsec begin = clock_now();
    int error = s->options.model->ops->decode(s->options.model, s->batch, length);
    nsec took = clock_now() - begin;
    if (error) {
        decode_failed(s, count, error);
    } else {
        pace_note(&s->pace, (uint32_t)length - generating, generating, took);
        draw_all(s, count);
    }
    note_step(s, took);
    return true;
}

/* A piece of the first text that waits for its vector. */
static bool embed(struct scheduler *s)
{
    struct job *job = list_first(&s->embeds, struct job, link);
    if (!job)
        return false;
    struct model *model = s->options.model;
    size_t width = model->info.embedding_width;
    if (!job->vector) {
        job->vector = mem_array(width, sizeof(float));
        job->times.started = clock_now();
    }
    size_t take = MIN(job->count - job->computed, model->info.quantum);
    int error = model->ops->embed(model, job->tokens, job->computed, take, job->vector);
    job->computed += (uint32_t)take;
    if (!error && job->computed < job->count)
        return true;
    double squares = 0;
    for (size_t i = 0; i < width; i++)
        squares += (double)job->vector[i] * job->vector[i];
    for (size_t i = 0; i < width && squares > 0; i++)
        job->vector[i] = (float)(job->vector[i] / sqrt(squares));
    list_remove(&job->link);
    pthread_mutex_lock(&s->lock);
    s->stats.waiting--;
    pthread_mutex_unlock(&s->lock);
    scheduler_finish(s, job, error ? JOB_FAILED : JOB_STOP);
    return true;
}

bool scheduler_step(struct scheduler *s)
{
    bool generated = generate(s);
    bool embedded = embed(s);
    return generated || embedded;
}
