/* SPDX-License-Identifier: Apache-2.0 */
#include "core/limit/limit.h"
#include "test.h"

#include "base/err.h"
#include "core/limit/calendar.h"

#define NOON (calendar_day_start(20000) + CALENDAR_DAY / 2)

static struct limit_account account;
static struct limit_refusal refusal;
static struct limit_time now;

static void setup(void)
{
    now = (struct limit_time){.steady = SEC(5), .wall = NOON};
    limit_init(&account, now);
}

static void pass(nsec time)
{
    now.steady += time;
    now.wall += time;
}

static struct limit_hold reserve(const struct limit_rules *rules, uint64_t tokens, uint64_t cost)
{
    struct limit_hold hold = {0};
    int error =
        limit_reserve(&account, rules, &(struct limit_want){tokens, cost}, now, &hold, &refusal);
    assert_int_equal(error, 0);
    return hold;
}

static void refuse(const struct limit_rules *rules, uint64_t tokens, uint64_t cost,
                   enum limit_kind kind, nsec retry_after)
{
    struct limit_hold hold = {0};
    struct limit_account before = account;
    int error =
        limit_reserve(&account, rules, &(struct limit_want){tokens, cost}, now, &hold, &refusal);
    assert_int_equal(error, ERR_FULL);
    assert_int_equal(refusal.kind, kind);
    assert_int_equal(refusal.retry_after, retry_after);
    assert_false(hold.open);
    assert_int_equal(account.own.running, before.own.running);
    assert_int_equal(account.own.held_tokens, before.own.held_tokens);
}

static void test_requests_per_minute_drain_evenly(void **state)
{
    const struct limit_rules rules = {.requests_per_minute = 60};
    setup();
    for (int i = 0; i < 60; i++) {
        struct limit_hold hold = reserve(&rules, 1, 0);
        limit_settle(&account, &rules, &hold, 1, 0, now);
    }
    refuse(&rules, 1, 0, LIMIT_REQUESTS_PER_MINUTE, SEC(1));
    assert_true(refusal.limit == 60 && refusal.left == 0 && !refusal.too_big);
    pass(SEC(1) - 1);
    refuse(&rules, 1, 0, LIMIT_REQUESTS_PER_MINUTE, 1);
    pass(1);
    reserve(&rules, 1, 0);
}

static void test_waits_are_rounded_up(void **state)
{
    const struct limit_rules rules = {.requests_per_minute = 7};
    setup();
    for (int i = 0; i < 7; i++)
        reserve(&rules, 1, 0);
    refuse(&rules, 1, 0, LIMIT_REQUESTS_PER_MINUTE, 8571428572); /* 60e9 / 7 = 8571428571.4 */
    pass(8571428571);
    refuse(&rules, 1, 0, LIMIT_REQUESTS_PER_MINUTE, 1);
}

static void test_tokens_are_settled(void **state)
{
    const struct limit_rules rules = {.tokens_per_minute = 600};
    setup();
    struct limit_hold a = reserve(&rules, 400, 0);
    refuse(&rules, 300, 0, LIMIT_TOKENS_PER_MINUTE, SEC(10));
    assert_int_equal(refusal.left, 200);
    limit_settle(&account, &rules, &a, 100, 0, now); /* less: the rest comes back */
    struct limit_hold b = reserve(&rules, 500, 0);
    limit_settle(&account, &rules, &b, 800, 0, now); /* more: 300 of debt */
    refuse(&rules, 1, 0, LIMIT_TOKENS_PER_MINUTE, SEC(30) + MSEC(100));
    pass(SEC(30));
    assert_int_equal(limit_snapshot(&account, &rules, now).tokens.remaining, 0);
    pass(MSEC(100));
    reserve(&rules, 1, 0);
}

static void test_a_release_gives_everything_back(void **state)
{
    const struct limit_rules rules = {.requests_per_minute = 2,
                                      .tokens_per_minute = 100,
                                      .concurrency = 1,
                                      .tokens_per_day = 100,
                                      .budget_per_day = 10,
                                      .budget_per_month = 10};
    setup();
    struct limit_hold a = reserve(&rules, 100, 10);
    limit_release(&account, &rules, &a, true, now); /* refused: did not count as a request */
    struct limit_hold b = reserve(&rules, 100, 10);
    limit_release(&account, &rules, &b, false, now); /* its client left: did count */
    struct limit_hold c = reserve(&rules, 100, 10);
    limit_release(&account, &rules, &c, false, now);
    refuse(&rules, 100, 10, LIMIT_REQUESTS_PER_MINUTE, SEC(30));
    assert_int_equal(limit_usage(&account, now).day_tokens, 0);
}

static void test_concurrency_is_no_matter_of_time(void **state)
{
    const struct limit_rules rules = {.concurrency = 2};
    setup();
    struct limit_hold a = reserve(&rules, 1, 0);
    reserve(&rules, 1, 0);
    refuse(&rules, 1, 0, LIMIT_CONCURRENCY, NSEC_NEVER);
    assert_false(refusal.too_big);
    limit_settle(&account, &rules, &a, 1, 0, now);
    reserve(&rules, 1, 0);
}

static void test_a_day_ends_at_midnight(void **state)
{
    const struct limit_rules rules = {.tokens_per_day = 1000};
    setup();
    struct limit_hold a = reserve(&rules, 700, 0);
    limit_settle(&account, &rules, &a, 900, 0, now);
    struct limit_hold b = reserve(&rules, 100, 0);
    refuse(&rules, 50, 0, LIMIT_TOKENS_PER_DAY, CALENDAR_DAY / 2);
    pass(CALENDAR_DAY / 2);
    refuse(&rules, 950, 0, LIMIT_TOKENS_PER_DAY, NSEC_NEVER); /* b is still under way */
    limit_settle(&account, &rules, &b, 100, 0, now);
    reserve(&rules, 900, 0);
}

static void test_budgets_of_day_and_month(void **state)
{
    const struct limit_rules rules = {.budget_per_day = 100, .budget_per_month = 150};
    setup();
    struct limit_hold a = reserve(&rules, 1, 100);
    refuse(&rules, 1, 1, LIMIT_BUDGET_PER_DAY, NSEC_NEVER); /* reserved is not yet spent */
    reserve(&rules, 1, 0);                                  /* what is free passes */
    limit_settle(&account, &rules, &a, 1, 100, now);
    refuse(&rules, 1, 1, LIMIT_BUDGET_PER_DAY, CALENDAR_DAY / 2);
    pass(CALENDAR_DAY);
    nsec month_ends = calendar_month_start(calendar_month(now.wall) + 1);
    refuse(&rules, 1, 80, LIMIT_BUDGET_PER_MONTH, month_ends - now.wall);
    assert_int_equal(refusal.left, 50);
    reserve(&rules, 1, 50);
}

static void test_the_longest_wait_is_named(void **state)
{
    struct limit_rules rules = {
        .requests_per_minute = 1, .tokens_per_minute = 100, .tokens_per_day = 200};
    setup();
    reserve(&rules, 100, 0);
    refuse(&rules, 50, 0, LIMIT_REQUESTS_PER_MINUTE, SEC(60));
    rules.concurrency = 1;
    refuse(&rules, 50, 0, LIMIT_CONCURRENCY, NSEC_NEVER);
    refuse(&rules, 300, 0, LIMIT_TOKENS_PER_MINUTE, NSEC_NEVER); /* no end of another helps */
    assert_true(refusal.too_big);
}

static void test_changed_rules_keep_the_usage(void **state)
{
    struct limit_rules rules = {.tokens_per_minute = 1000};
    setup();
    reserve(&rules, 800, 0);
    rules.tokens_per_minute = 600;
    refuse(&rules, 100, 0, LIMIT_TOKENS_PER_MINUTE, SEC(30));
    rules.tokens_per_minute = 2000;
    reserve(&rules, 1200, 0);
}

static void test_a_wall_clock_that_steps_back(void **state)
{
    const struct limit_rules rules = {.tokens_per_day = 100};
    setup();
    struct limit_hold a = reserve(&rules, 100, 0);
    limit_settle(&account, &rules, &a, 100, 0, now);
    pass(CALENDAR_DAY / 2); /* a new day */
    reserve(&rules, 60, 0);
    now.wall -= SEC(10); /* the old day again: the window stays */
    refuse(&rules, 50, 0, LIMIT_TOKENS_PER_DAY, NSEC_NEVER);
    reserve(&rules, 40, 0);
    struct limit_usage usage = {
        .day = account.usage.day + 400, .month = account.usage.month + 13, .day_tokens = 70};
    account.own.held_tokens = 0;
    account.usage = usage; /* as if the clock had been a year ahead */
    refuse(&rules, 50, 0, LIMIT_TOKENS_PER_DAY, SEC(10));
    assert_int_equal(limit_usage(&account, now).day, calendar_day(now.wall));
}

static void test_a_restart_keeps_the_windows(void **state)
{
    const struct limit_rules rules = {.tokens_per_day = 100, .budget_per_month = 50};
    setup();
    struct limit_hold a = reserve(&rules, 90, 40);
    limit_settle(&account, &rules, &a, 90, 40, now);
    struct limit_usage usage = limit_usage(&account, now);
    limit_init(&account, now);
    limit_restore(&account, &usage, now);
    refuse(&rules, 11, 0, LIMIT_TOKENS_PER_DAY, CALENDAR_DAY / 2);
    limit_init(&account, now);
    pass(CALENDAR_DAY);
    limit_restore(&account, &usage,
                  now); /* yesterday's tokens are over, the month's money is not */
    assert_int_equal(limit_usage(&account, now).day_tokens, 0);
    assert_int_equal(limit_usage(&account, now).month_spend, 40);
}

static void test_usage_from_elsewhere_counts_in_its_windows(void **state)
{
    const struct limit_rules rules = {.tokens_per_day = 100, .budget_per_month = 50};
    setup();
    struct limit_hold a = reserve(&rules, 60, 20);
    limit_settle(&account, &rules, &a, 60, 20, now);
    struct limit_usage elsewhere = limit_usage(&account, now);
    elsewhere.day_tokens = 30;
    elsewhere.month_spend = 25;
    limit_add_usage(&account, &elsewhere, now);
    refuse(&rules, 11, 0, LIMIT_TOKENS_PER_DAY, CALENDAR_DAY / 2);
    reserve(&rules, 10, 5);
    pass(CALENDAR_DAY);
    limit_add_usage(&account, &elsewhere, now); /* of yesterday, in this month */
    assert_int_equal(limit_usage(&account, now).day_tokens, 0);
    assert_int_equal(limit_usage(&account, now).month_spend, 70);
    elsewhere.month--;
    limit_add_usage(&account, &elsewhere, now);
    assert_int_equal(limit_usage(&account, now).month_spend, 70);
}

static void test_snapshot_for_headers(void **state)
{
    const struct limit_rules rules = {.requests_per_minute = 60};
    setup();
    reserve(&rules, 5, 0);
    reserve(&rules, 5, 0);
    pass(MSEC(500));
    struct limit_snapshot s = limit_snapshot(&account, &rules, now);
    assert_true(s.requests.limit == 60 && s.requests.remaining == 58);
    assert_int_equal(s.requests.reset, MSEC(1500));
    assert_int_equal(s.tokens.limit, 0);
    assert_string_equal(limit_text(LIMIT_TOKENS_PER_DAY), "tokens per day");
}

static void test_calendar(void **state)
{
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t day = 0;
    for (int64_t year = 1970; year < 2260; year++) {
        bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
        for (int month = 0; month < 12; month++) {
            int64_t number = year * 12 + month;
            nsec start = calendar_day_start(day);
            assert_int_equal(calendar_month_start(number), start);
            assert_int_equal(calendar_month(start), number);
            assert_int_equal(calendar_month(start - 1), number - 1);
            day += lengths[month] + (month == 1 && leap);
        }
    }
    assert_int_equal(calendar_day(-1), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests_per_minute_drain_evenly),
        cmocka_unit_test(test_waits_are_rounded_up),
        cmocka_unit_test(test_tokens_are_settled),
        cmocka_unit_test(test_a_release_gives_everything_back),
        cmocka_unit_test(test_concurrency_is_no_matter_of_time),
        cmocka_unit_test(test_a_day_ends_at_midnight),
        cmocka_unit_test(test_budgets_of_day_and_month),
        cmocka_unit_test(test_the_longest_wait_is_named),
        cmocka_unit_test(test_changed_rules_keep_the_usage),
        cmocka_unit_test(test_a_wall_clock_that_steps_back),
        cmocka_unit_test(test_a_restart_keeps_the_windows),
        cmocka_unit_test(test_usage_from_elsewhere_counts_in_its_windows),
        cmocka_unit_test(test_snapshot_for_headers),
        cmocka_unit_test(test_calendar),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
