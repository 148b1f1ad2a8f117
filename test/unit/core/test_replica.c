/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plan/replica.h"
#include "test.h"

static const struct replica_rules rules = {
    .startup_timeout = SEC(60),
    .unready_timeout = SEC(20),
    .failure_threshold = 3,
    .backoff_first = SEC(1),
    .backoff_max = SEC(8),
    .backoff_reset = SEC(100),
    .drain_timeout = SEC(30),
};

static struct replica started(void)
{
    struct replica r;
    replica_init(&r, 0);
    replica_placed(&r, 0);
    assert_int_equal(replica_next(&r, &rules, 0), REPLICA_SPAWN);
    replica_spawned(&r, 0);
    return r;
}

static struct replica ready(void)
{
    struct replica r = started();
    replica_probed(&r, &rules, true, SEC(1));
    assert_int_equal(r.state, REPLICA_READY);
    return r;
}

static void test_crashes_back_off_with_doubling(void **state)
{
    struct replica r = started();
    nsec now = 0;
    const nsec expected[] = {SEC(1), SEC(2), SEC(4), SEC(8), SEC(8)};
    for (size_t i = 0; i < ARRAY_LEN(expected); i++) {
        replica_exited(&r, &rules, now);
        assert_int_equal(r.state, REPLICA_WAITING);
        assert_int_equal(replica_wake_at(&r, &rules), now + expected[i]);
        assert_int_equal(replica_next(&r, &rules, now + expected[i] - 1), REPLICA_NOTHING);
        now += expected[i];
        assert_int_equal(replica_next(&r, &rules, now), REPLICA_SPAWN);
        replica_spawned(&r, now);
    }
    assert_int_equal(r.restarts, 5);
}

static void test_stable_time_resets_the_back_off(void **state)
{
    struct replica r = ready();
    r.failures = 4;
    replica_exited(&r, &rules, SEC(50)); /* not stable for long enough */
    assert_int_equal(r.not_before, SEC(50) + SEC(8));
    r = ready();
    r.failures = 4;
    replica_exited(&r, &rules, SEC(101));
    assert_int_equal(r.not_before, SEC(101) + SEC(1));
}

static void test_too_slow_a_start_is_killed_once(void **state)
{
    struct replica r = started();
    assert_int_equal(replica_next(&r, &rules, SEC(60) - 1), REPLICA_NOTHING);
    assert_int_equal(replica_next(&r, &rules, SEC(60)), REPLICA_KILL);
    assert_int_equal(replica_next(&r, &rules, SEC(61)), REPLICA_NOTHING);
    replica_probed(&r, &rules, true, SEC(61)); /* too late */
    assert_int_equal(r.state, REPLICA_STARTING);
    replica_exited(&r, &rules, SEC(62));
    assert_int_equal(r.reason, REPLICA_START_TOO_SLOW);
}

static void test_failures_in_a_row_make_it_unready(void **state)
{
    struct replica r = ready();
    replica_probed(&r, &rules, false, 1);
    replica_probed(&r, &rules, false, 2);
    replica_probed(&r, &rules, true, 3);
    replica_probed(&r, &rules, false, 4);
    replica_probed(&r, &rules, false, 5);
    assert_int_equal(r.state, REPLICA_READY);
    replica_probed(&r, &rules, false, SEC(6));
    assert_int_equal(r.state, REPLICA_UNREADY);
    assert_int_equal(replica_next(&r, &rules, SEC(26)), REPLICA_KILL);
}

static void test_unready_comes_back(void **state)
{
    struct replica r = ready();
    for (int i = 0; i < 3; i++)
        replica_probed(&r, &rules, false, SEC(2));
    replica_probed(&r, &rules, true, SEC(10));
    assert_int_equal(r.state, REPLICA_READY);
    assert_int_equal(replica_next(&r, &rules, SEC(1000)), REPLICA_NOTHING);
}

static void test_drain_terminates_then_kills(void **state)
{
    struct replica r = ready();
    replica_drain(&r, REPLICA_SCALED_DOWN, SEC(5));
    assert_int_equal(replica_next(&r, &rules, SEC(5)), REPLICA_TERMINATE);
    assert_int_equal(replica_next(&r, &rules, SEC(5)), REPLICA_NOTHING);
    assert_int_equal(replica_wake_at(&r, &rules), SEC(35));
    assert_int_equal(replica_next(&r, &rules, SEC(35)), REPLICA_KILL);
    assert_int_equal(replica_wake_at(&r, &rules), NSEC_NEVER);
    replica_exited(&r, &rules, SEC(36));
    assert_int_equal(r.state, REPLICA_STOPPED);
}

static void test_drain_before_start_needs_no_process(void **state)
{
    struct replica r;
    replica_init(&r, 0);
    replica_drain(&r, REPLICA_DELETED, 1);
    assert_int_equal(r.state, REPLICA_STOPPED);
    assert_int_equal(replica_next(&r, &rules, SEC(99)), REPLICA_NOTHING);
}

static void test_without_room_it_does_not_start(void **state)
{
    struct replica r;
    replica_init(&r, 0);
    assert_false(replica_has_process(&r));
    assert_int_equal(replica_next(&r, &rules, SEC(99)), REPLICA_NOTHING);
    assert_int_equal(replica_wake_at(&r, &rules), NSEC_NEVER);
    replica_placed(&r, SEC(99));
    replica_unplaced(&r, SEC(99));
    assert_int_equal(replica_next(&r, &rules, SEC(99)), REPLICA_NOTHING);
    replica_placed(&r, SEC(100));
    assert_int_equal(replica_next(&r, &rules, SEC(100)), REPLICA_SPAWN);
}

static void test_an_adopted_one_is_probed_anew(void **state)
{
    struct replica r;
    replica_init(&r, 0);
    replica_adopted(&r, 0);
    assert_int_equal(r.state, REPLICA_STARTING);
    replica_probed(&r, &rules, true, 1);
    assert_int_equal(r.state, REPLICA_READY);
    assert_int_equal(r.restarts, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crashes_back_off_with_doubling),
        cmocka_unit_test(test_stable_time_resets_the_back_off),
        cmocka_unit_test(test_too_slow_a_start_is_killed_once),
        cmocka_unit_test(test_failures_in_a_row_make_it_unready),
        cmocka_unit_test(test_unready_comes_back),
        cmocka_unit_test(test_drain_terminates_then_kills),
        cmocka_unit_test(test_drain_before_start_needs_no_process),
        cmocka_unit_test(test_without_room_it_does_not_start),
        cmocka_unit_test(test_an_adopted_one_is_probed_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
