/* SPDX-License-Identifier: Apache-2.0 */
/* Budgets of extra work, and the latency histogram that says when a hedge is due. */
#include "core/route/budget.h"

#include "core/route/latency.h"
#include "test.h"

static const struct budget_rules rules = {
    .ratio = 0.2, .half_life = SEC(10), .reserve = 3, .refill = SEC(10)};

static int spend_all(struct budget *b, nsec now)
{
    int spent = 0;
    while (budget_spend(b, &rules, now))
        spent++;
    return spent;
}

static void test_a_quiet_pool_has_its_reserve(void **state)
{
    struct budget b;
    budget_init(&b);
    assert_int_equal(spend_all(&b, SEC(1)), 3);
    assert_int_equal(spend_all(&b, SEC(1)), 0);
    assert_int_equal(spend_all(&b, SEC(5)), 1);
    assert_int_equal(spend_all(&b, SEC(1000)), 3);
    assert_int_equal(b.spent, 7);
    assert_int_equal(b.refused, 4);
}

static void test_requests_earn_a_share(void **state)
{
    struct budget b;
    budget_init(&b);
    spend_all(&b, 0);
    for (int i = 0; i < 100; i++)
        budget_earn(&b, &rules, 0);
    assert_in_range(spend_all(&b, 0), 19, 20);
}

static void test_what_is_not_spent_fades(void **state)
{
    struct budget b;
    budget_init(&b);
    for (int i = 0; i < 1000; i++)
        budget_earn(&b, &rules, 0);
    assert_in_range(spend_all(&b, SEC(20)), 50, 53);
}

static void test_over_time_no_more_than_the_share(void **state)
{
    struct budget b;
    budget_init(&b);
    int spent = 0;
    for (int i = 0; i < 6000; i++) { /* 10 a second, all of which fail */
        budget_earn(&b, &rules, MSEC(100) * i);
        spent += budget_spend(&b, &rules, MSEC(100) * i);
    }
    assert_in_range(spent, 1200, 1200 + 3 * 61 + 3);
}

/* ---- latency ---- */

static void test_quantiles_are_a_quarter_too_long_at_most(void **state)
{
    struct latency l;
    uint64_t random = 3;
    for (nsec took = MSEC(2); took < SEC(2000); took = took * 11 / 10 + 1) {
        latency_init(&l, SEC(10));
        for (int i = 0; i < 100; i++)
            latency_add(&l, i < 90 ? (nsec)test_below(&random, (uint64_t)took) : took, 0);
        assert_in_range(latency_quantile(&l, 0.95), took, took * 3 / 2);
    }
}

static void test_it_follows_the_present(void **state)
{
    struct latency l;
    latency_init(&l, SEC(10));
    assert_int_equal(latency_quantile(&l, 0.95), 0);
    for (int i = 0; i < 1000; i++)
        latency_add(&l, SEC(8), MSEC(10) * i);
    for (int i = 0; i < 1000; i++)
        latency_add(&l, MSEC(20), SEC(100) + MSEC(10) * i);
    assert_in_range(latency_quantile(&l, 0.95), MSEC(20), MSEC(25));
    assert_true(latency_samples(&l, SEC(110)) < 800);
    assert_true(latency_samples(&l, SEC(400)) < 1);
    for (int i = 0; i < 100; i++)
        latency_add(&l, MSEC(100), SEC(100000) * (i + 1)); /* far apart: scaled back each time */
    assert_in_range(latency_quantile(&l, 0.5), MSEC(100), MSEC(125));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_quiet_pool_has_its_reserve),
        cmocka_unit_test(test_requests_earn_a_share),
        cmocka_unit_test(test_what_is_not_spent_fades),
        cmocka_unit_test(test_over_time_no_more_than_the_share),
        cmocka_unit_test(test_quantiles_are_a_quarter_too_long_at_most),
        cmocka_unit_test(test_it_follows_the_present),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
