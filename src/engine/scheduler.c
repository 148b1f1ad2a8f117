/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/scheduler.h"

#include "base/clock.h"
#include "base/mem.h"
#include "engine/scheduler_internal.h"

static struct scheduler *locked(struct job *job)
{
    pthread_mutex_lock(&job->scheduler->lock);
    return job->scheduler;
}

static void wake(struct scheduler *s)
{
    s->changed = true;
    pthread_cond_signal(&s->wake);
}

/* ---- decode thread to loop thread ---- */

static void deliver_news(struct mail *mail)
{
    struct job *job = container_of(mail, struct job, mail);
    struct scheduler *s = locked(job);
    job->announced = false;
    pthread_mutex_unlock(&s->lock);
    job->notify(job);
}

static void announce(struct job *job)
{
    if (job->announced)
        return;
    job->announced = true;
    job->mail.deliver = deliver_news;
    loop_post(job->scheduler->options.loop, &job->mail);
}

void scheduler_show(struct scheduler *s, struct job *job)
{
    size_t bytes, tokens;
    answer_ready(&job->answer, &bytes, &tokens);
    if (bytes == 0 && tokens == 0)
        return;
    pthread_mutex_lock(&s->lock);
    struct job_outbox *box = &job->outbox;
    if (job->times.first == 0)
        job->times.first = clock_now();
    buf_put(&box->text, str_sub(buf_str(&job->answer.held), 0, bytes));
    if (box->count + tokens > box->cap) {
        box->cap = (uint32_t)MAX(box->count + tokens, JOB_NEWS_TOKENS);
        box->tokens = mem_resize(box->tokens, box->cap * sizeof(box->tokens[0]));
    }
    if (tokens)
        memcpy(box->tokens + box->count, job->answer.tokens, tokens * sizeof(box->tokens[0]));
    box->count += tokens;
    announce(job);
    pthread_mutex_unlock(&s->lock);
    answer_drop(&job->answer, bytes, tokens);
}

void scheduler_finish(struct scheduler *s, struct job *job, enum job_end end)
{
    pthread_mutex_lock(&s->lock);
    job->times.ended = clock_now();
    job->outbox.end = end;
    s->stats.running = s->slots.running;
    announce(job);
    pthread_mutex_unlock(&s->lock);
}

/* ---- decode thread ---- */

/* What the loop thread did since the last step. False: it is time to stop. */
static bool look_around(struct scheduler *s, bool idle)
{
    pthread_mutex_lock(&s->lock);
    while (idle && !s->changed && !s->stopping)
        pthread_cond_wait(&s->wake, &s->lock);
    s->changed = false;
    list_each(job, &s->inbox, struct job, link)
    {
        list_remove(&job->link);
        list_append(job->params.embed ? &s->embeds : &s->waiting, &job->link);
    }
    bool go_on = !s->stopping;
    pthread_mutex_unlock(&s->lock);
    return go_on;
}

/* How this job must end although it is not done, if it must. */
static enum job_end must_end(struct scheduler *s, const struct job *job)
{
    pthread_mutex_lock(&s->lock);
    enum job_end end = job->cancelled                                            ? JOB_CANCELLED
                       : s->stopping || (s->draining && job->times.started == 0) ? JOB_DRAINED
                                                                                 : JOB_RUNNING;
    pthread_mutex_unlock(&s->lock);
    return end;
}

static void end_waiting(struct scheduler *s, struct list *waiting)
{
    list_each(job, waiting, struct job, link)
    {
        enum job_end end = must_end(s, job);
        if (end == JOB_RUNNING)
            continue;
        list_remove(&job->link);
        pthread_mutex_lock(&s->lock);
        s->stats.waiting--;
        pthread_mutex_unlock(&s->lock);
        scheduler_finish(s, job, end);
    }
}

static void end_unwanted(struct scheduler *s)
{
    end_waiting(s, &s->waiting);
    end_waiting(s, &s->embeds);
    for (uint32_t i = 0; i < s->slots.count; i++) {
        struct slot *slot = &s->slots.items[i];
        enum job_end end = slot->job ? must_end(s, slot->job) : JOB_RUNNING;
        if (end == JOB_RUNNING)
            continue;
        struct job *job = slot->job;
        slots_end(&s->slots, slot);
        scheduler_finish(s, job, end);
    }
}

static bool load(struct scheduler *s)
{
    struct model *model = s->options.model;
    bool ok = model->ops->load(model, &s->load_error) == 0;
    if (ok) {
        const struct model_info *info = &model->info;
        CHECK(info->kv_total >= info->length_max && info->quantum > 0);
        s->options.prefill_max = MAX(s->options.prefill_max, info->quantum);
        slots_init(&s->slots, model);
        s->plan = mem_array(info->sequences, sizeof(s->plan[0]));
        s->planned = mem_array(info->sequences, sizeof(struct slot *));
        s->batch = mem_array(info->sequences + s->options.prefill_max, sizeof(s->batch[0]));
        s->scratch = mem_array(info->vocabulary, sizeof(s->scratch[0]));
    }
    pthread_mutex_lock(&s->lock);
    s->ready = ok;
    s->stats.slots = model->info.sequences;
    s->stats.kv_total = model->info.kv_total;
    loop_post(s->options.loop, &s->loaded);
    pthread_mutex_unlock(&s->lock);
    return ok;
}

static void *run(void *arg)
{
    struct scheduler *s = arg;
    if (load(s)) {
        bool idle = false;
        while (look_around(s, idle)) {
            end_unwanted(s);
            idle = !scheduler_step(s);
        }
        end_unwanted(s);
        slots_fini(&s->slots);
    }
    s->options.model->ops->free(s->options.model);
    loop_post(s->options.loop, &s->stopped);
    return NULL;
}

/* ---- loop thread ---- */

static void deliver_loaded(struct mail *mail)
{
    struct scheduler *s = container_of(mail, struct scheduler, loaded);
    s->options.loaded(s->options.ctx, s->load_error.code ? &s->load_error : NULL);
}

static void deliver_stopped(struct mail *mail)
{
    struct scheduler *s = container_of(mail, struct scheduler, stopped);
    s->options.stopped(s->options.ctx);
}

struct scheduler *scheduler_new(const struct scheduler_options *options)
{
    struct scheduler *s = NEW(struct scheduler);
    s->options = *options;
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->wake, NULL);
    list_init(&s->inbox);
    list_init(&s->waiting);
    list_init(&s->embeds);
    s->loaded.deliver = deliver_loaded;
    s->stopped.deliver = deliver_stopped;
    CHECK(pthread_create(&s->thread, NULL, run, s) == 0);
    return s;
}

void scheduler_free(struct scheduler *s)
{
    pthread_join(s->thread, NULL);
    pthread_cond_destroy(&s->wake);
    pthread_mutex_destroy(&s->lock);
    mem_free(s->plan);
    mem_free(s->planned);
    mem_free(s->batch);
    mem_free(s->scratch);
    mem_free(s);
}

int scheduler_submit(struct scheduler *s, struct job **take_jobs, size_t count)
{
    pthread_mutex_lock(&s->lock);
    int error = !s->ready || s->draining                          ? ERR_UNAVAILABLE
                : s->stats.waiting + count > s->options.queue_max ? ERR_FULL
                                                                  : 0;
    for (size_t i = 0; i < count && !error; i++) {
        struct job *job = take_jobs[i];
        job->scheduler = s;
        job->times.queued = clock_now();
        list_append(&s->inbox, &job->link);
        s->stats.waiting++;
    }
    wake(s);
    pthread_mutex_unlock(&s->lock);
    return error;
}

void scheduler_take(struct job *job, struct job_news *ret_news)
{
    struct scheduler *s = locked(job);
    struct job_outbox fresh = job->outbox;
    job->outbox = job->taken;
    buf_clear(&job->outbox.text);
    job->outbox.count = 0;
    job->outbox.end = fresh.end;
    job->taken = fresh;
    /* With an announcement under way the job must not be freed yet: the end comes with that. */
    enum job_end end = job->announced ? JOB_RUNNING : fresh.end;
    if (fresh.count >= JOB_NEWS_TOKENS)
        wake(s);
    pthread_mutex_unlock(&s->lock);
    *ret_news = (struct job_news){
        .text = buf_str(&fresh.text), .tokens = fresh.tokens, .count = fresh.count, .end = end};
}

void scheduler_cancel(struct job *job)
{
    struct scheduler *s = locked(job);
    job->cancelled = true;
    wake(s);
    pthread_mutex_unlock(&s->lock);
}

void scheduler_drain(struct scheduler *s)
{
    pthread_mutex_lock(&s->lock);
    s->draining = true;
    wake(s);
    pthread_mutex_unlock(&s->lock);
}

void scheduler_stop(struct scheduler *s)
{
    pthread_mutex_lock(&s->lock);
    s->draining = s->stopping = true;
    wake(s);
    pthread_mutex_unlock(&s->lock);
}

void scheduler_stats(struct scheduler *s, struct scheduler_stats *ret_stats)
{
    pthread_mutex_lock(&s->lock);
    *ret_stats = s->stats;
    pthread_mutex_unlock(&s->lock);
}
