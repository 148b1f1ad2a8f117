/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/job.h"

#include "test.h"

static struct job *new_job(const struct str *stops, size_t stop_count, uint32_t max_tokens)
{
    static const int32_t prompt[] = {1, 2};
    const struct job_params params = {
        .max_tokens = max_tokens, .stops = stops, .stop_count = stop_count};
    struct job *job = NULL;
    assert_int_equal(job_new(&params, prompt, 2, 100, &job), 0);
    return job;
}

static void put(struct job *job, int32_t id, struct str piece)
{
    const struct answer_token token = {.token = id};
    job_push(job, id);
    answer_put(&job->answer, &token, piece);
}

/* A token whose text is held back (it may begin the stop string) is known to the client all the same: only tokens drawn after
 * it are news. */
static void test_replayed_tokens_are_no_news(void **state)
{
    const struct str stops[] = {STR("not")};
    struct job *job = new_job(stops, 1, 10);
    size_t bytes, tokens;
    assert_true(job_replay(job, 7, STR("A")));
    assert_true(job_replay(job, 8, STR("n")));
    assert_int_equal(job->answer.dropped, 1);
    put(job, 9, STR("n"));
    put(job, 10, STR("a"));
    answer_ready(&job->answer, &bytes, &tokens);
    assert_int_equal(bytes, 3);
    assert_int_equal(tokens, 2);
    assert_int_equal(job->answer.tokens[0].token, 9);
    assert_int_equal(job_drawn(job), 4);
    job_free(job);
}

static void test_nothing_is_left_behind_the_end(void **state)
{
    const struct str stops[] = {STR("st")};
    struct job *job = new_job(stops, 1, 10);
    assert_true(job_replay(job, 7, STR("s")));
    assert_false(job_replay(job, 8, STR("t")));
    job_free(job);
    job = new_job(NULL, 0, 2);
    assert_true(job_replay(job, 7, STR("a")));
    assert_false(job_replay(job, 8, STR("b")));
    assert_false(job_replay(job, 9, STR("c")));
    assert_int_equal(job_drawn(job), 2);
    job_free(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replayed_tokens_are_no_news),
        cmocka_unit_test(test_nothing_is_left_behind_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
