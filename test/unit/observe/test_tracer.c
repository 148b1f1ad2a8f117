/* SPDX-License-Identifier: Apache-2.0 */
#include "observe/tracer.h"

#include "base/check.h"
#include "test.h"

static struct span make(struct rng *random, bool sampled, nsec took, bool failed)
{
    struct trace_context root = trace_new(random);
    root.sampled = sampled;
    struct span s;
    span_begin(&s, "inference", SPAN_SERVER, &root, random, 1000);
    if (failed)
        span_fail(&s, STR("x"));
    span_end(&s, 1000 + took);
    return s;
}

static void test_what_is_kept(void **state)
{
    struct tracer *t =
        tracer_new(&(struct tracer_options){.ratio = 0, .slow = SEC(10), .capacity = 8});
    struct rng random = rng_from(1);
    struct span ordinary = make(&random, false, SEC(9), false);
    struct span sampled = make(&random, true, 1, false);
    struct span slow = make(&random, false, SEC(10), false);
    struct span failed[] = {make(&random, false, 1, false), make(&random, false, 1, true)};
    tracer_record(t, &ordinary, 1);
    assert_int_equal(tracer_waiting(t), 0);
    tracer_record(t, &sampled, 1);
    tracer_record(t, &slow, 1);
    tracer_record(t, failed, 2);
    struct span taken[8];
    assert_int_equal(tracer_take(t, taken, 3), 3);
    assert_true(taken[0].context.span == sampled.context.span);
    assert_true(taken[1].context.span == slow.context.span);
    assert_int_equal(tracer_take(t, taken, 8), 1);
    assert_true(taken[0].failed);
    tracer_free(t);
}

static void test_head_sampling_share(void **state)
{
    static const double ratios[] = {0, 0.25, 1};
    for (size_t i = 0; i < ARRAY_LEN(ratios); i++) {
        struct tracer *t = tracer_new(&(struct tracer_options){.ratio = ratios[i], .capacity = 1});
        struct rng random = rng_from(2);
        int sampled = 0;
        for (int k = 0; k < 10000; k++)
            sampled += tracer_samples(t, trace_new(&random).trace);
        assert_in_range(sampled, (int)(ratios[i] * 9500), (int)(ratios[i] * 10500));
        tracer_free(t);
    }
}

static void count_wake(void *arg)
{
    ++*(int *)arg;
}

static void test_ring_drops_the_oldest(void **state)
{
    struct tracer *t =
        tracer_new(&(struct tracer_options){.ratio = 1, .slow = NSEC_NEVER, .capacity = 4});
    struct rng random = rng_from(1);
    int wakes = 0;
    tracer_on_spans(t, 3, count_wake, &wakes);
    struct span spans[7], taken[8];
    for (int i = 0; i < 7; i++) {
        spans[i] = make(&random, true, 1, false);
        tracer_record(t, &spans[i], 1);
        assert_int_equal(wakes, i < 2 ? 1 : 2);
    }
    assert_int_equal(tracer_dropped(t), 3);
    assert_int_equal(tracer_take(t, taken, 8), 4);
    for (int i = 0; i < 4; i++)
        assert_true(taken[i].context.span == spans[i + 3].context.span);
    tracer_on_spans(t, 0, NULL, NULL);
    tracer_record(t, &spans[0], 1);
    assert_int_equal(wakes, 2);
    tracer_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_kept),
        cmocka_unit_test(test_head_sampling_share),
        cmocka_unit_test(test_ring_drops_the_oldest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
