/* SPDX-License-Identifier: Apache-2.0 */
/* The scheduler over the tiny real model: the same text alone, among others, after giving way, and
 * from cells that were there already; ends, stops, cancels and drains. */
#include "base/mem.h"
#include "engine/scheduler.h"
#include "test.h"

#ifdef FAIRWAY_LLAMA
#include "engine/llama_model.h"

enum { JOBS_MAX = 16, QUEUE_MAX = 64 };

struct outcome {
    struct job *job;
    struct buf text;
    size_t tokens;
    enum job_end end;
    bool keep_waiting; /* its news are left lying */
};

struct world {
    struct loop *loop;
    struct model *model;
    struct scheduler *scheduler;
    struct outcome outcomes[JOBS_MAX];
    size_t running;
    bool loaded;
};

static struct world w;

static void on_loaded(void *ctx, const struct err *err)
{
    if (err)
        fail_msg("%s", err->message);
    w.loaded = true;
    loop_stop(w.loop);
}

static void on_stopped(void *ctx)
{
    loop_stop(w.loop);
}

static void start(uint32_t sequences, uint32_t kv_total)
{
    struct llama_options options = {.path = TEST_DATA "/models/stories260K-q8_0.gguf",
                                    .sequences = sequences,
                                    .length_max = 512,
                                    .kv_total = kv_total,
                                    .micro_batch = 32,
                                    .prefill_max = 64,
                                    .threads = 1};
    memset(&w, 0, sizeof(w));
    w.loop = loop_new();
    w.model = llama_model_new(&options);
    w.scheduler = scheduler_new(&(struct scheduler_options){.model = w.model,
                                                            .loop = w.loop,
                                                            .queue_max = QUEUE_MAX,
                                                            .prefill_max = 64,
                                                            .step_target = MSEC(100),
                                                            .loaded = on_loaded,
                                                            .stopped = on_stopped});
    loop_run(w.loop);
    assert_true(w.loaded);
}

static void stop(void)
{
    scheduler_stop(w.scheduler);
    loop_run(w.loop);
    for (size_t i = 0; i < JOBS_MAX; i++) {
        assert_null(w.outcomes[i].job);
        buf_fini(&w.outcomes[i].text);
    }
    scheduler_free(w.scheduler);
    loop_free(w.loop);
}

static void on_news(struct job *job)
{
    struct outcome *o = job->owner;
    struct job_news news;
    if (o->keep_waiting)
        return;
    scheduler_take(job, &news);
    buf_put(&o->text, news.text);
    o->tokens += news.count;
    o->end = news.end;
    if (news.end == JOB_RUNNING)
        return;
    job_free(job);
    o->job = NULL;
    if (--w.running == 0)
        loop_stop(w.loop);
}

static struct job_params greedy(uint32_t max_tokens)
{
    return (struct job_params){.sampling = {.top_p = 1}, .max_tokens = max_tokens};
}

static void submit(size_t i, const char *prompt, const struct job_params *params)
{
    int32_t tokens[600];
    size_t count;
    struct outcome *o = &w.outcomes[i];
    assert_int_equal(w.model->ops->tokenize(w.model, str_from(prompt), true, tokens, 600, &count),
                     0);
    buf_fini(&o->text);
    *o = (struct outcome){.keep_waiting = o->keep_waiting};
    buf_init(&o->text, 1 << 16);
    assert_int_equal(job_new(params, tokens, count, w.model->info.length_max, &o->job), 0);
    o->job->owner = o;
    o->job->notify = on_news;
    assert_int_equal(scheduler_submit(w.scheduler, &o->job, 1), 0);
    w.running++;
}

static const char *const prompts[JOBS_MAX] = {
    "Once upon a time",
    "The dog",
    "Lily and Tom went to the park. They saw a big tree with a red ball in it. Tom wanted the "
    "ball. "
    "He climbed up and up until he could see the whole park below him, and then",
    "One day, a little bird",
    "Tim had a toy car",
    "There was a cat named Max. Max liked",
    "Mom said",
    "A big bear",
    "The sun was",
    "Ben and Sue",
    "In the garden",
    "It was a cold day and the little girl did not want to go outside because",
    "She",
    "Once",
    "The old man",
    "Sam saw a fish",
};

/* The texts of all prompts, each alone. */
static char *alone[JOBS_MAX];

static int make_references(void **state)
{
    struct job_params params = greedy(150);
    start(1, 0);
    for (size_t i = 0; i < JOBS_MAX; i++) {
        submit(i, prompts[i], &params);
        loop_run(w.loop);
        buf_put_char(&w.outcomes[i].text, 0);
        alone[i] = mem_strdup(w.outcomes[i].text.ptr);
        assert_true(w.outcomes[i].text.len > 100);
    }
    stop();
    return 0;
}

static int free_references(void **state)
{
    for (size_t i = 0; i < JOBS_MAX; i++)
        mem_free(alone[i]);
    return 0;
}

static void run_all(void)
{
    struct job_params params = greedy(150);
    for (size_t i = 0; i < JOBS_MAX; i++)
        submit(i, prompts[i], &params);
    loop_run(w.loop);
    for (size_t i = 0; i < JOBS_MAX; i++) {
        assert_int_equal(w.outcomes[i].text.len, strlen(alone[i]));
        assert_memory_equal(w.outcomes[i].text.ptr, alone[i], strlen(alone[i]));
    }
}

static void test_company_does_not_change_the_text(void **state)
{
    struct scheduler_stats stats;
    start(8, 8 * 512);
    run_all();
    scheduler_stats(w.scheduler, &stats);
    assert_int_equal(stats.running_peak, 8);
    assert_int_equal(stats.preemptions, 0);
    assert_int_equal(stats.running, 0);
    assert_int_equal(stats.waiting, 0);
    stop();
}

static void test_cells_that_are_there_are_used(void **state)
{
    struct scheduler_stats before, after;
    start(4, 4 * 512);
    run_all();
    scheduler_stats(w.scheduler, &before);
    struct job_params params = greedy(150);
    submit(15, prompts[15], &params);
    loop_run(w.loop);
    scheduler_stats(w.scheduler, &after);
    assert_true(after.cached_tokens > before.cached_tokens + 1);
    assert_string_equal(buf_cstr(&w.outcomes[15].text), alone[15]);
    stop();
}

static void test_memory_runs_out_and_nobody_fails(void **state)
{
    struct scheduler_stats stats;
    start(8, 512);
    struct job_params params = greedy(150);
    for (size_t i = 0; i < JOBS_MAX; i++)
        submit(i, prompts[i], &params);
    loop_run(w.loop);
    for (size_t i = 0; i < JOBS_MAX; i++)
        assert_true(w.outcomes[i].end == JOB_LENGTH || w.outcomes[i].end == JOB_STOP);
    scheduler_stats(w.scheduler, &stats);
    assert_true(stats.preemptions > 0);
    stop();
}

static void test_stop_string_across_tokens(void **state)
{
    const struct str stops[] = {STR("time, there was"), STR("zzz")};
    struct job_params params = greedy(150);
    start(2, 0);
    params.stops = stops;
    params.stop_count = 2;
    submit(0, "Once upon a", &params);
    loop_run(w.loop);
    assert_int_equal(w.outcomes[0].end, JOB_STOP);
    assert_string_equal(buf_cstr(&w.outcomes[0].text), " ");
    stop();
}

static void test_cancel_frees_the_slot(void **state)
{
    struct job_params params = greedy(500);
    start(1, 0);
    submit(0, "Once upon a time", &params);
    submit(1, "The dog", &params);
    scheduler_cancel(w.outcomes[0].job);
    loop_run(w.loop);
    assert_int_equal(w.outcomes[0].end, JOB_CANCELLED);
    assert_true(w.outcomes[1].end == JOB_LENGTH || w.outcomes[1].end == JOB_STOP);
    stop();
}

static void test_slow_reader_pauses_alone(void **state)
{
    struct job_params params = greedy(300);
    start(2, 0);
    params.sampling.temperature = 1; /* so that it goes on for long */
    w.outcomes[0].keep_waiting = true;
    submit(0, "Once upon a time", &params);
    params = greedy(150);
    submit(1, prompts[1], &params);
    w.running--; /* for the reader that does not read */
    loop_run(w.loop);
    assert_string_equal(buf_cstr(&w.outcomes[1].text), alone[1]);
    assert_non_null(w.outcomes[0].job);
    w.outcomes[0].keep_waiting = false;
    w.running = 1;
    on_news(w.outcomes[0].job);
    assert_int_equal(w.outcomes[0].tokens, JOB_NEWS_TOKENS);
    loop_run(w.loop);
    assert_true(w.outcomes[0].tokens > JOB_NEWS_TOKENS);
    stop();
}

static void test_drain_ends_those_who_wait(void **state)
{
    struct job_params params = greedy(400);
    start(1, 0);
    submit(0, "Once upon a time", &params);
    submit(1, "The dog", &params);
    /* The first is running once it has news. */
    scheduler_drain(w.scheduler);
    loop_run(w.loop);
    assert_int_equal(w.outcomes[1].end, JOB_DRAINED);
    struct job *late;
    int32_t token = 1;
    assert_int_equal(job_new(&params, &token, 1, 512, &late), 0);
    assert_int_equal(scheduler_submit(w.scheduler, &late, 1), ERR_UNAVAILABLE);
    job_free(late);
    stop();
}

static void test_queue_is_bounded(void **state)
{
    struct job_params params = greedy(1);
    struct job *jobs[QUEUE_MAX + 1];
    int32_t token = 1;
    start(1, 0);
    for (size_t i = 0; i <= QUEUE_MAX; i++)
        assert_int_equal(job_new(&params, &token, 1, 512, &jobs[i]), 0);
    assert_int_equal(scheduler_submit(w.scheduler, jobs, QUEUE_MAX + 1), ERR_FULL);
    for (size_t i = 0; i <= QUEUE_MAX; i++)
        job_free(jobs[i]);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_company_does_not_change_the_text),
        cmocka_unit_test(test_cells_that_are_there_are_used),
        cmocka_unit_test(test_memory_runs_out_and_nobody_fails),
        cmocka_unit_test(test_stop_string_across_tokens),
        cmocka_unit_test(test_cancel_frees_the_slot),
        cmocka_unit_test(test_slow_reader_pauses_alone),
        cmocka_unit_test(test_drain_ends_those_who_wait),
        cmocka_unit_test(test_queue_is_bounded),
    };
    return cmocka_run_group_tests(tests, make_references, free_references);
}

#else
int main(void)
{
    puts("skipped: built without libllama");
    return 0;
}
#endif
