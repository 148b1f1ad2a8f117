/* SPDX-License-Identifier: Apache-2.0 */
/* Each rule of core/quota by itself, in one resource unless it says otherwise. */
#include <math.h>

#include "core/quota/quota.h"
#include "test.h"

enum { GPU = 0, NO = QUOTA_NO_LIMIT };

static struct quota q; /* large */
static struct quota_verdict v;
static struct quota_part parts[QUOTA_NODES_MAX];

static struct quota_spec spec(int64_t nominal, int64_t borrowing, int64_t lending)
{
    struct quota_spec s = {.weight = 1};
    for (int r = 0; r < QUOTA_RESOURCES; r++) {
        s.nominal.of[r] = nominal;
        s.borrowing.of[r] = borrowing;
        s.lending.of[r] = lending;
    }
    return s;
}

static int add(int parent, int64_t nominal, int64_t borrowing, int64_t lending)
{
    struct quota_spec s = spec(nominal, borrowing, lending);
    int node;
    assert_int_equal(quota_add(&q, parent, &s, 0, &node), 0);
    return node;
}

static int weighted(int parent, uint32_t weight)
{
    struct quota_spec s = spec(0, NO, NO);
    int node;
    s.weight = weight;
    assert_int_equal(quota_add(&q, parent, &s, 0, &node), 0);
    return node;
}

static struct quota_amount gpus(int64_t n)
{
    return (struct quota_amount){.of[GPU] = n};
}

static enum quota_answer fits(int queue, int64_t n)
{
    struct quota_amount a = gpus(n);
    quota_fits(&q, queue, &a, &v);
    return v.answer;
}

static int take(int queue, int64_t n)
{
    struct quota_amount a = gpus(n);
    return quota_take(&q, queue, &a, 0, &v);
}

static void give_back(int queue, int64_t n)
{
    struct quota_amount a = gpus(n);
    assert_int_equal(quota_give_back(&q, queue, &a, 0), 0);
}

static int reclaim(int queue, int64_t n)
{
    struct quota_amount a = gpus(n);
    assert_int_equal(fits(queue, n), QUOTA_SHORT);
    return quota_reclaim(&q, queue, &a, &v.obstacles[v.obstacle_count - 1], parts);
}

static int setup(void **state)
{
    quota_init(&q, SEC(100));
    return 0;
}

static int teardown(void **state)
{
    const char *broken = quota_check(&q);
    if (broken)
        fail_msg("%s", broken);
    return 0;
}

static void test_nominal_then_borrowed(void **state)
{
    int root = add(QUOTA_NONE, 0, NO, NO), a = add(root, 10, NO, NO), b = add(root, 6, NO, NO);
    assert_int_equal(fits(a, 10), QUOTA_FITS);
    assert_int_equal(v.cohort, a);
    assert_int_equal(fits(a, 13), QUOTA_BORROWS);
    assert_int_equal(v.cohort, root);
    assert_int_equal(v.borrowed.of[GPU], 3);
    assert_int_equal(quota_lenders(&q, a, GPU, 3, parts), 1);
    assert_int_equal(parts[0].node, b);
    assert_int_equal(parts[0].amount, 3);
    assert_int_equal(take(a, 16), 0);
    assert_int_equal(take(b, 1), ERR_UNAVAILABLE);
    assert_int_equal(v.obstacles[0].node, root);
    assert_int_equal(v.obstacles[0].missing, 1);
}

static void test_borrowing_limit(void **state)
{
    int root = add(QUOTA_NONE, 0, NO, NO), a = add(root, 10, 2, NO);
    add(root, 10, NO, NO);
    assert_int_equal(quota_available(&q, a, GPU), 12);
    assert_int_equal(fits(a, 15), QUOTA_SHORT);
    assert_int_equal(v.obstacle_count, 1);
    assert_int_equal(v.obstacles[0].node, a);
    assert_int_equal(v.obstacles[0].missing, 3);
    assert_int_equal(reclaim(a, 15), 0); /* it is its own limit */
}

/* What is not lent stays available to its owner, also when all else is used, and more. */
static void test_lending_limit(void **state)
{
    int root = add(QUOTA_NONE, 0, NO, NO), a = add(root, 10, NO, 4), b = add(root, 10, NO, NO);
    assert_int_equal(quota_available(&q, b, GPU), 14);
    assert_int_equal(take(b, 14), 0);
    assert_int_equal(quota_available(&q, a, GPU), 6);
    struct quota_spec less = spec(5, NO, NO);
    assert_int_equal(quota_change(&q, b, &less), 0); /* the cohort is over its quota now */
    assert_int_equal(take(a, 6), 0);
    assert_int_equal(take(a, 1), ERR_UNAVAILABLE);
    assert_int_equal(reclaim(a, 4), 1);
    assert_int_equal(parts[0].node, b);
    assert_int_equal(parts[0].amount, 9);
}

static void test_lenders_nearest_first(void **state)
{
    int root = add(QUOTA_NONE, 5, NO, NO), x = add(root, 2, NO, NO), y = add(root, 0, NO, NO);
    int a = add(x, 1, NO, NO), b = add(x, 3, NO, NO), c = add(y, 4, NO, NO);
    assert_int_equal(quota_lenders(&q, a, GPU, 100, parts), 4);
    assert_int_equal(parts[0].node, x);
    assert_int_equal(parts[0].amount, 2);
    assert_int_equal(parts[1].node, b);
    assert_int_equal(parts[2].node, root);
    assert_int_equal(parts[3].node, y);
    assert_int_equal(parts[3].amount, 4);
    assert_int_equal(quota_available(&q, a, GPU), 1 + 2 + 3 + 5 + 4);
    assert_int_equal(quota_available(&q, c, GPU), 15);
}

static void test_all_or_nothing(void **state)
{
    int a = add(QUOTA_NONE, 10, NO, NO);
    struct quota_amount both = {.of = {[GPU] = 5, [QUOTA_CPU] = 11, [QUOTA_MEMORY] = 12}};
    assert_int_equal(quota_take(&q, a, &both, 0, &v), ERR_UNAVAILABLE);
    assert_int_equal(v.obstacle_count, 2);
    assert_int_equal(v.obstacles[0].resource, QUOTA_CPU);
    assert_int_equal(v.obstacles[1].missing, 2);
    assert_int_equal(quota_available(&q, a, GPU), 10);
}

static void test_removed_while_used_drains(void **state)
{
    int root = add(QUOTA_NONE, 0, NO, NO), a = add(root, 10, NO, NO), b = add(root, 10, NO, NO);
    assert_int_equal(take(a, 8), 0);
    assert_int_equal(quota_remove(&q, root), ERR_CONFLICT);
    assert_int_equal(quota_remove(&q, a), 0);
    assert_int_equal(quota_remove(&q, a), ERR_NOT_FOUND);
    assert_int_equal(fits(a, 1), QUOTA_CLOSED);
    assert_int_equal(quota_available(&q, b, GPU), 2); /* its quota is gone, what it holds is not */
    assert_int_equal(reclaim(b, 10), 1);
    assert_int_equal(parts[0].node, a);
    assert_int_equal(parts[0].amount, 8);
    give_back(a, 8);
    assert_int_equal(quota_remove(&q, a), ERR_NOT_FOUND);
    assert_int_equal(quota_available(&q, b, GPU), 10);
    assert_int_equal(add(root, 1, NO, NO), a); /* its slot is free */
}

static void test_refusals(void **state)
{
    int root = add(QUOTA_NONE, 10, NO, NO), a = add(root, 10, NO, NO), node;
    struct quota_spec s = spec(-1, NO, NO), good = spec(1, NO, NO);
    assert_int_equal(quota_add(&q, root, &s, 0, &node), ERR_INVALID);
    s = spec(QUOTA_AMOUNT_MAX + 1, NO, NO);
    assert_int_equal(quota_change(&q, a, &s), ERR_INVALID);
    s = spec(1, -2, NO);
    assert_int_equal(quota_change(&q, a, &s), ERR_INVALID);
    s = spec(1, NO, NO);
    s.weight = 0;
    assert_int_equal(quota_change(&q, a, &s), ERR_INVALID);
    assert_int_equal(quota_add(&q, 99, &good, 0, &node), ERR_INVALID);
    assert_int_equal(fits(root, 1), QUOTA_CLOSED); /* a cohort */
    assert_int_equal(fits(a, -1), QUOTA_CLOSED);
    assert_int_equal(take(a, 3), 0);
    assert_int_equal(quota_add(&q, a, &good, 0, &node), ERR_CONFLICT); /* a queue in use */
    struct quota_amount more = gpus(4), huge = gpus(QUOTA_AMOUNT_MAX);
    assert_int_equal(quota_give_back(&q, a, &more, 0), ERR_INVALID);
    assert_int_equal(quota_restore(&q, a, &huge, 0), ERR_INVALID);
}

static void test_bounds(void **state)
{
    struct quota_spec s = spec(QUOTA_AMOUNT_MAX, NO, NO);
    int node = QUOTA_NONE, other;
    for (int depth = 0; depth < QUOTA_DEPTH_MAX; depth++)
        assert_int_equal(quota_add(&q, node, &s, 0, &node), 0);
    assert_int_equal(quota_add(&q, node, &s, 0, &other), ERR_FULL);
    for (int i = QUOTA_DEPTH_MAX; i < QUOTA_NODES_MAX; i++)
        assert_int_equal(quota_add(&q, 0, &s, 0, &other), 0);
    assert_int_equal(quota_add(&q, 0, &s, 0, &other), ERR_FULL);
    assert_true(quota_available(&q, node, GPU) == QUOTA_NODES_MAX * QUOTA_AMOUNT_MAX);
}

static void test_without_these_holdings(void **state)
{
    int root = add(QUOTA_NONE, 0, NO, NO), a = add(root, 4, NO, NO), b = add(root, 4, NO, NO);
    struct quota_holding gone[] = {{b, gpus(1)}, {b, gpus(2)}};
    struct quota_amount want = gpus(3);
    assert_int_equal(take(b, 8), 0);
    quota_fits_without(&q, a, &want, gone, 2, &v);
    assert_int_equal(v.answer, QUOTA_FITS);
    quota_fits_without(&q, a, &want, gone, 1, &v);
    assert_int_equal(v.answer, QUOTA_SHORT);
    assert_int_equal(v.obstacles[0].missing, 2);
}

/* ---- reclaim ---- */

static void test_reclaim_most_over_first(void **state)
{
    int root = add(QUOTA_NONE, 0, NO, NO), a = add(root, 10, NO, NO);
    int b = add(root, 2, NO, NO), c = add(root, 2, NO, NO);
    assert_int_equal(take(b, 5), 0);
    assert_int_equal(take(c, 9), 0);
    assert_int_equal(reclaim(a, 9), 2);
    assert_int_equal(parts[0].node, c);
    assert_int_equal(parts[0].amount, 7);
    assert_int_equal(parts[1].node, b);
    assert_int_equal(parts[1].amount, 2);
    struct quota_spec heavy = spec(2, NO, NO);
    heavy.weight = 3; /* c is over by 7 / 3, b by 3 */
    assert_int_equal(quota_change(&q, c, &heavy), 0);
    assert_int_equal(reclaim(a, 9), 2);
    assert_int_equal(parts[0].node, b);
}

/* Who is beyond its own quota has no claim; and nobody loses what is its own. */
static void test_no_claim(void **state)
{
    int root = add(QUOTA_NONE, 0, NO, NO), a = add(root, 2, NO, NO), b = add(root, 6, NO, NO);
    assert_int_equal(take(b, 6), 0);
    assert_int_equal(reclaim(a, 3), 0);
    assert_int_equal(take(a, 2), 0);
}

/* A queue within its nominal has a claim, though its cohort as a whole is over its quota: first on
 * its own branch, then on the others. */
static void test_reclaim_own_branch_first(void **state)
{
    int root = add(QUOTA_NONE, 0, NO, NO), x = add(root, 0, NO, NO), y = add(root, 10, NO, NO);
    int a = add(x, 4, NO, NO), b = add(x, 1, NO, NO), c = add(y, 0, NO, NO);
    assert_int_equal(take(b, 3), 0);
    assert_int_equal(take(c, 12), 0);
    assert_int_equal(reclaim(a, 4), 2);
    assert_int_equal(parts[0].node, b);
    assert_int_equal(parts[0].amount, 2);
    assert_int_equal(parts[1].node, c);
    assert_int_equal(parts[1].amount, 2);
    assert_int_equal(reclaim(a, 5), 0);
}

/* ---- whose turn ---- */

static void test_priority_then_share_then_age(void **state)
{
    int root = add(QUOTA_NONE, 100, NO, NO), a = add(root, 0, NO, NO), b = add(root, 0, NO, NO);
    struct quota_head heads[] = {{a, 0, SEC(2)}, {b, 0, SEC(1)}, {a, 0, SEC(1)}};
    assert_int_equal(quota_next(&q, heads, 0, SEC(3)), -1);
    assert_int_equal(quota_next(&q, heads, 2, SEC(3)), 1); /* equal shares: older */
    assert_int_equal(take(b, 1), 0);
    assert_int_equal(quota_next(&q, heads, 3, SEC(3)), 2); /* a has less; its older one */
    heads[1].priority = 1;
    assert_int_equal(quota_next(&q, heads, 3, SEC(3)), 1);
}

/* A queue alone in its cohort stands for the cohort: its cousins' number does not matter. */
static void test_cousins(void **state)
{
    int root = add(QUOTA_NONE, 100, NO, NO), x = weighted(root, 1), y = weighted(root, 1);
    int a = weighted(x, 1), b = weighted(x, 1), c = weighted(y, 1);
    assert_int_equal(take(a, 10), 0);
    assert_int_equal(take(c, 9), 0);
    struct quota_head heads[] = {{b, 0, 0}, {c, 0, SEC(1)}};
    assert_int_equal(quota_next(&q, heads, 2, SEC(1)), 1); /* though b has nothing */
}

/* The dominant resource counts, against what the cohort has of it. */
static void test_dominant(void **state)
{
    struct quota_spec s = spec(100, NO, NO);
    int root, a, b;
    s.nominal.of[QUOTA_CPU] = 10;
    assert_int_equal(quota_add(&q, QUOTA_NONE, &s, 0, &root), 0);
    a = weighted(root, 1);
    b = weighted(root, 1);
    struct quota_amount cpu = {.of[QUOTA_CPU] = 5};
    assert_int_equal(quota_take(&q, a, &cpu, 0, &v), 0);
    assert_int_equal(take(b, 40), 0);
    assert_true(quota_share(&q, a, SEC(100000)) > 0.499 && quota_share(&q, a, SEC(100000)) < 0.501);
    struct quota_head heads[] = {{a, 0, 0}, {b, 0, 1}};
    assert_int_equal(quota_next(&q, heads, 2, SEC(1)), 1);
}

static void test_half_life(void **state)
{
    int a = add(QUOTA_NONE, 100, NO, NO);
    struct quota_amount all = gpus(100);
    assert_int_equal(quota_take(&q, a, &all, 0, &v), 0);
    assert_true(fabs(quota_share(&q, a, SEC(100)) - 0.55) < 1e-9); /* 1 / 10 + 1 / 2 * 9 / 10 */
    assert_int_equal(quota_give_back(&q, a, &all, SEC(100)), 0);
    assert_true(fabs(quota_share(&q, a, SEC(100)) - 0.45) < 1e-9);
    assert_true(fabs(quota_share(&q, a, SEC(200)) - 0.225) < 1e-9);
    assert_true(fabs(quota_share(&q, a, SEC(50)) - 0.45) < 1e-9); /* a clock that steps back */
}

/* ---- bugs of others ---- */

/* Kueue issue 5289, as reported: a Cohort was given 4 CPUs that were meant to be the sum of its two
 * queues' 2 + 2; a cohort's own nominal is in addition, so that 8 could be used, to the reporter's
 * surprise. The addition is the rule here too; a cohort without a nominal of its own has the sum. */
static void test_kueue_5289(void **state)
{
    int root = add(QUOTA_NONE, 0, NO, NO), a = add(root, 2, NO, NO), b = add(root, 2, NO, NO);
    assert_int_equal(take(a, 4), 0);
    assert_int_equal(take(b, 4), ERR_UNAVAILABLE);
    assert_int_equal(v.obstacles[0].node, root);
    assert_int_equal(v.obstacles[0].missing, 4);
    assert_int_equal(take(b, 1), ERR_UNAVAILABLE);
    struct quota_spec four = spec(4, NO, NO);
    assert_int_equal(quota_change(&q, root, &four), 0);
    assert_int_equal(take(b, 4), 0);
}

/* Kueue issue 804: two queues within their nominal were both admitted for room of which only one
 * victim had been evicted: each was judged as if it were alone. */
static void test_kueue_804(void **state)
{
    int root = add(QUOTA_NONE, 0, NO, NO), a = add(root, 4, NO, NO);
    int b = add(root, 4, NO, NO), c = add(root, 4, NO, NO);
    assert_int_equal(take(a, 12), 0);
    give_back(a, 6);
    assert_int_equal(fits(b, 4), QUOTA_FITS);
    assert_int_equal(fits(c, 4), QUOTA_FITS);
    assert_int_equal(take(b, 4), 0);
    assert_int_equal(take(c, 4), ERR_UNAVAILABLE);
    assert_int_equal(reclaim(c, 4), 1);
    assert_int_equal(parts[0].node, a);
    assert_int_equal(parts[0].amount, 2);
}

/* Kueue issue 3583: candidates were looked for in the nearest cohort only, not in the whole tree. */
static void test_kueue_3583(void **state)
{
    int root = add(QUOTA_NONE, 0, NO, NO), x = add(root, 0, NO, NO), y = add(root, 0, NO, NO);
    int a = add(x, 5, NO, NO), deep = add(y, 0, NO, NO), b = add(deep, 1, NO, NO);
    assert_int_equal(take(b, 6), 0);
    assert_int_equal(reclaim(a, 5), 1);
    assert_int_equal(parts[0].node, b);
    assert_int_equal(parts[0].amount, 5);
}

/* Kueue issue 746: usage over a lowered nominal of a queue without a cohort was called borrowed. */
static void test_kueue_746(void **state)
{
    int a = add(QUOTA_NONE, 4, NO, NO);
    assert_int_equal(take(a, 4), 0);
    struct quota_spec less = spec(1, NO, NO);
    assert_int_equal(quota_change(&q, a, &less), 0);
    assert_int_equal(fits(a, 0), QUOTA_FITS);
    assert_int_equal(v.borrowed.of[GPU], 0);
    assert_int_equal(fits(a, 1), QUOTA_SHORT);
    assert_int_equal(v.obstacles[0].missing, 4);
}

/* Kueue pull request 10797: a removed child's quota stayed in the sums of its ancestors. */
static void test_kueue_10797(void **state)
{
    int root = add(QUOTA_NONE, 1, NO, NO), x = add(root, 2, NO, NO), a = add(root, 0, NO, NO);
    int b = add(x, 4, NO, NO);
    assert_int_equal(quota_available(&q, a, GPU), 7);
    assert_int_equal(quota_remove(&q, b), 0);
    assert_int_equal(quota_available(&q, a, GPU), 3);
    assert_int_equal(quota_remove(&q, x), 0);
    assert_int_equal(quota_available(&q, a, GPU), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nominal_then_borrowed),
        TEST(test_borrowing_limit),
        TEST(test_lending_limit),
        TEST(test_lenders_nearest_first),
        TEST(test_all_or_nothing),
        TEST(test_removed_while_used_drains),
        TEST(test_refusals),
        TEST(test_bounds),
        TEST(test_without_these_holdings),
        TEST(test_reclaim_most_over_first),
        TEST(test_no_claim),
        TEST(test_reclaim_own_branch_first),
        TEST(test_priority_then_share_then_age),
        TEST(test_cousins),
        TEST(test_dominant),
        TEST(test_half_life),
        TEST(test_kueue_5289),
        TEST(test_kueue_804),
        TEST(test_kueue_3583),
        TEST(test_kueue_746),
        TEST(test_kueue_10797),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
