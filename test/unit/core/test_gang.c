/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plan/gang.h"
#include "test.h"

static const struct gang_rules rules = {.grace = 10, .max_runtime = 100, .restarts_max = 1};

static void begin(struct gang *g, unsigned members)
{
    gang_init(g, 0);
    gang_started(g, members, 1);
    assert_int_equal(g->state, GANG_RUNNING);
    assert_int_equal(gang_next(g, &rules, 1), GANG_NOTHING);
}

static void test_succeeds_when_all_members_have(void **state)
{
    struct gang g;
    begin(&g, 2);
    gang_member_exited(&g, &rules, true, 5);
    assert_int_equal(g.state, GANG_RUNNING);
    gang_member_exited(&g, &rules, true, 6);
    assert_int_equal(g.state, GANG_SUCCEEDED);
    assert_true(gang_is_over(&g));
    assert_int_equal(g.ran, 5);
}

static void test_a_member_that_fails_ends_the_others(void **state)
{
    struct gang g;
    begin(&g, 3);
    gang_member_exited(&g, &rules, false, 5);
    assert_int_equal(g.state, GANG_ENDING);
    assert_int_equal(gang_wake_at(&g, &rules), 5);
    assert_int_equal(gang_next(&g, &rules, 5), GANG_SIGNAL);
    assert_int_equal(gang_next(&g, &rules, 14), GANG_NOTHING);
    gang_member_exited(&g, &rules, false, 14);
    assert_int_equal(gang_wake_at(&g, &rules), 15);
    assert_int_equal(gang_next(&g, &rules, 15), GANG_KILL);
    assert_int_equal(gang_next(&g, &rules, 16), GANG_NOTHING);
    gang_member_exited(&g, &rules, false, 16);
    assert_int_equal(g.state, GANG_WAITING);
    assert_int_equal(g.failures, 1);
}

static void test_fails_when_it_may_not_run_again(void **state)
{
    struct gang g;
    begin(&g, 1);
    gang_member_exited(&g, &rules, false, 2);
    gang_started(&g, 1, 3);
    gang_member_exited(&g, &rules, false, 4);
    assert_int_equal(g.state, GANG_FAILED);
    assert_int_equal(g.reason, GANG_MEMBER_FAILED);
    assert_int_equal(g.attempts, 2);
}

static void test_evictions_are_no_failures(void **state)
{
    struct gang g;
    begin(&g, 1);
    for (unsigned i = 1; i < 5; i++) {
        gang_end(&g, GANG_EVICTED, 2);
        assert_int_equal(gang_next(&g, &rules, 2), GANG_SIGNAL);
        gang_member_exited(&g, &rules, i % 2, 2); /* however it ends */
        assert_int_equal(g.state, GANG_WAITING);
        assert_int_equal(g.evictions, i);
        assert_int_equal(g.failures, 0);
        gang_started(&g, 1, 3);
    }
}

static void test_all_attempts_count_against_the_longest_run(void **state)
{
    struct gang g;
    begin(&g, 1);
    gang_end(&g, GANG_EVICTED, 61);
    gang_member_exited(&g, &rules, true, 61); /* 60 */
    gang_started(&g, 1, 1000);
    assert_int_equal(gang_wake_at(&g, &rules), 1040);
    assert_int_equal(gang_next(&g, &rules, 1039), GANG_NOTHING);
    assert_int_equal(gang_next(&g, &rules, 1040), GANG_SIGNAL);
    gang_member_exited(&g, &rules, true, 1041);
    assert_int_equal(g.state, GANG_FAILED);
    assert_int_equal(g.reason, GANG_TOO_LONG);
}

static void test_the_strongest_reason_counts(void **state)
{
    struct gang g;
    begin(&g, 1);
    gang_end(&g, GANG_SUSPENDED, 2);
    gang_end(&g, GANG_EVICTED, 3);
    assert_int_equal(g.reason, GANG_SUSPENDED);
    assert_int_equal(gang_next(&g, &rules, 3), GANG_SIGNAL);
    gang_end(&g, GANG_DELETED, 4); /* the signal is not sent again */
    assert_int_equal(g.reason, GANG_DELETED);
    assert_int_equal(gang_next(&g, &rules, 4), GANG_NOTHING);
    assert_int_equal(gang_next(&g, &rules, 12), GANG_KILL);
}

static void test_nothing_to_end(void **state)
{
    struct gang g;
    gang_init(&g, 0);
    gang_end(&g, GANG_EVICTED, 1);
    assert_int_equal(g.state, GANG_WAITING);
    assert_int_equal(gang_wake_at(&g, &rules), NSEC_NEVER);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_succeeds_when_all_members_have),
        cmocka_unit_test(test_a_member_that_fails_ends_the_others),
        cmocka_unit_test(test_fails_when_it_may_not_run_again),
        cmocka_unit_test(test_evictions_are_no_failures),
        cmocka_unit_test(test_all_attempts_count_against_the_longest_run),
        cmocka_unit_test(test_the_strongest_reason_counts),
        cmocka_unit_test(test_nothing_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
