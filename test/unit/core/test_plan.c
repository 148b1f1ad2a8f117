/* SPDX-License-Identifier: Apache-2.0 */
#include "core/plan/plan.h"
#include "test.h"

enum { CAP = 8 };

struct model {
    struct replica replicas[CAP];
    struct plan_replica planned[CAP];
    size_t count;
};

static void add(struct model *m, uint64_t revision, enum replica_state state)
{
    size_t i = m->count++;
    m->replicas[i] = (struct replica){.state = state};
    m->planned[i] = (struct plan_replica){revision, i + 1, &m->replicas[i]};
}

static unsigned plan(struct model *m, uint64_t revision, unsigned desired)
{
    const struct plan_wish wish = {.revision = revision, .desired = desired, .surge = 1};
    return plan_model(&wish, m->planned, m->count, 0);
}

static void test_missing_are_added_at_once(void **state)
{
    struct model m = {0};
    assert_int_equal(plan(&m, 1, 3), 3);
}

static void test_scale_down_takes_the_unready_then_the_youngest(void **state)
{
    struct model m = {0};
    add(&m, 1, REPLICA_READY);
    add(&m, 1, REPLICA_STARTING);
    add(&m, 1, REPLICA_READY);
    assert_int_equal(plan(&m, 1, 1), 0);
    assert_int_equal(m.replicas[0].state, REPLICA_READY);
    assert_int_equal(m.replicas[1].state, REPLICA_DRAINING);
    assert_int_equal(m.replicas[2].state, REPLICA_DRAINING);
    assert_int_equal(m.replicas[2].reason, REPLICA_SCALED_DOWN);
}

static void test_a_new_revision_comes_before_the_old_goes(void **state)
{
    struct model m = {0};
    add(&m, 1, REPLICA_READY);
    add(&m, 1, REPLICA_READY);
    assert_int_equal(plan(&m, 2, 2), 1); /* one beyond, by surge */
    add(&m, 2, REPLICA_STARTING);
    assert_int_equal(plan(&m, 2, 2), 0);
    assert_int_equal(m.replicas[0].state, REPLICA_READY);
    assert_int_equal(m.replicas[1].state, REPLICA_READY);
    m.replicas[2].state = REPLICA_READY;
    assert_int_equal(plan(&m, 2, 2), 0);
    assert_int_equal(m.replicas[1].state, REPLICA_DRAINING);
    assert_int_equal(m.replicas[1].reason, REPLICA_OUTDATED);
    assert_int_equal(m.replicas[0].state, REPLICA_READY);
    m.replicas[1].state = REPLICA_STOPPED;
    assert_int_equal(plan(&m, 2, 2), 1);
}

static void test_a_bad_revision_does_not_block_its_fix(void **state)
{
    struct model m = {0};
    add(&m, 1, REPLICA_READY);
    add(&m, 2, REPLICA_WAITING); /* crashes again and again */
    assert_int_equal(plan(&m, 3, 1), 1);
    assert_int_equal(m.replicas[1].state, REPLICA_STOPPED);
    assert_int_equal(m.replicas[0].state, REPLICA_READY);
}

static void test_delete_drains_all(void **state)
{
    struct model m = {0};
    add(&m, 1, REPLICA_READY);
    add(&m, 2, REPLICA_WAITING);
    const struct plan_wish wish = {.deleted = true};
    assert_int_equal(plan_model(&wish, m.planned, m.count, 0), 0);
    assert_int_equal(m.replicas[0].state, REPLICA_DRAINING);
    assert_int_equal(m.replicas[1].state, REPLICA_STOPPED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_are_added_at_once),
        cmocka_unit_test(test_scale_down_takes_the_unready_then_the_youngest),
        cmocka_unit_test(test_a_new_revision_comes_before_the_old_goes),
        cmocka_unit_test(test_a_bad_revision_does_not_block_its_fix),
        cmocka_unit_test(test_delete_drains_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
