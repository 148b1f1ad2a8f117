/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starvation, inversion and reclaim: ways in which schedulers have gone wrong, each with what must happen
 * instead, in virtual time. Nodes with GPUs; queues under one root, quota in GPUs. Named are the threads in
 * which somebody has reported it (kueue: kubernetes-sigs/kueue, volcano: volcano-sh/volcano, KAI:
 * kai-scheduler/KAI-Scheduler, kube-batch: kubernetes-retired/kube-batch).
 */
#include "core/place/policy.h"
#include "core/sched/sched.h"
#include "test.h"

enum { WORKLOADS = 64, LEASES = 128, GPU = 0 };

static struct place place;
static struct quota quota;
static struct sched s;
static struct sched_workload all[WORKLOADS];
static int count, root;

static int add_queue(int parent, int64_t gpus)
{
    struct quota_spec spec = {.weight = 1};
    int node;
    for (int r = 0; r < QUOTA_RESOURCES; r++)
        spec.borrowing.of[r] = spec.lending.of[r] = QUOTA_NO_LIMIT;
    spec.nominal.of[GPU] = gpus * PLACE_MILLI;
    assert_int_equal(quota_add(&quota, parent, &spec, 0, &node), 0);
    return node;
}

static void put_node(uint64_t id, int gpus, bool faulty)
{
    struct place_node_spec spec = {.id = id, .cpu = 64000, .memory = 1000, .gpu_count = gpus};
    for (int i = 0; i < gpus; i++)
        spec.gpus[i] = (struct place_gpu_spec){.memory = 81920, .faulty = faulty};
    assert_int_equal(sched_node_put(&s, &spec, 0), 0);
}

static int begin(void **state)
{
    struct place_options places = {&place_first_fit, 1, 8, LEASES, 8};
    struct sched_options options = {WORKLOADS, SEC(1), SEC(5), SEC(60), SEC(600)};
    place_init(&place, &places);
    quota_init(&quota, SEC(60));
    sched_init(&s, &options, &place, &quota);
    memset(all, 0, sizeof(all));
    count = 0;
    root = add_queue(QUOTA_NONE, 0);
    return 0;
}

static int end(void **state)
{
    assert_null(sched_check(&s));
    sched_fini(&s);
    place_fini(&place);
    return 0;
}

static struct sched_workload *job(int queue, int priority, unsigned members, int gpus)
{
    struct sched_workload *w = &all[count++];
    w->spec = (struct sched_spec){
        .id = (uint64_t)count,
        .queue = queue,
        .priority = priority,
        .created = count,
        .preemptible = true,
        .members_min = members,
        .members_max = members,
        .request.gpus = (uint8_t)gpus,
        .amount.of[GPU] = (int64_t)gpus * PLACE_MILLI,
    };
    return w;
}

static struct sched_workload *submitted(struct sched_workload *w, nsec now)
{
    assert_int_equal(sched_submit(&s, w, now), 0);
    return w;
}

/* All decisions; the evicted are gone at once. Returns how many were evicted. */
static int settle(nsec now)
{
    struct sched_decision d;
    int evicted = 0, decisions = 0;
    while (sched_next(&s, now, &d)) {
        assert_true(++decisions < 1000);
        if (d.kind == SCHED_START)
            continue;
        evicted++;
        sched_ended(&s, d.workload, SCHED_STOPPED, now);
    }
    assert_null(sched_check(&s));
    return evicted;
}

static bool runs(const struct sched_workload *w)
{
    return w->state == SCHED_RUNNING;
}

/* Two gangs that each got half of what they need wait for each other for ever. */
static void test_kube_batch_492_two_gangs_do_not_lock_each_other_out(void **state)
{
    int a = add_queue(root, 4), b = add_queue(root, 4);
    put_node(1, 4, false);
    struct sched_workload *first = submitted(job(a, 0, 3, 1), 0),
                          *second = submitted(job(b, 0, 3, 1), 0);
    settle(0);
    assert_true(runs(first) != runs(second));
    struct sched_workload *other = runs(first) ? second : first;
    assert_int_equal(place_available(&place).idle, 1); /* and no part of the other holds it */
    sched_ended(&s, runs(first) ? first : second, SCHED_COMPLETED, 1);
    settle(1);
    assert_true(runs(other));
}

/* One that can never run stands at the head of its queue: those behind it went on waiting. */
static void test_a_head_that_never_fits_blocks_nobody(void **state)
{
    int queue = add_queue(root, 99);
    put_node(1, 4, false);
    struct sched_workload *never = submitted(job(queue, 5, 1, 8), 0);
    nsec now = 0;
    for (int i = 0; i < 20; i++) {
        struct sched_workload *w = submitted(job(queue, 0, 1, 4), now);
        settle(now);
        assert_true(runs(w));
        now += SEC(100); /* beyond the age at which room is kept */
        sched_ended(&s, w, SCHED_COMPLETED, now);
    }
    assert_int_equal(never->why, SCHED_WHY_ROOM);
    assert_false(never->reserved);
}

/* A low priority holds what a high one needs, and a middle one keeps it from ever ending. */
static void test_no_priority_inversion(void **state)
{
    int queue = add_queue(root, 4);
    put_node(1, 4, false);
    struct sched_workload *low = submitted(job(queue, 0, 1, 3), 0);
    settle(0);
    struct sched_workload *middle = submitted(job(queue, 1, 1, 1), 1);
    settle(1);
    struct sched_workload *high = submitted(job(queue, 2, 1, 4), 2);
    settle(2);
    assert_true(runs(high) && !runs(low) && !runs(middle));
}

/* A victim of lower priority is evicted, but the room goes to another that came between. */
static void test_volcano_5805_room_of_victims_is_for_who_evicted_them(void **state)
{
    int queue = add_queue(root, 99);
    struct sched_decision d;
    put_node(1, 4, false);
    struct sched_workload *low = submitted(job(queue, 0, 1, 4), 0);
    settle(0);
    struct sched_workload *high = submitted(job(queue, 2, 1, 2), 1);
    assert_true(sched_next(&s, 1, &d) && d.kind == SCHED_EVICT && d.workload == low);
    submitted(job(queue, 1, 1, 3), 1);
    sched_ended(&s, low, SCHED_STOPPED, 2);
    settle(2);
    assert_true(runs(high));
}

/* What a queue has lent it gets back, and no more than that is evicted, however often it is asked. */
static void test_volcano_561_reclaim_takes_what_is_owed_and_no_more(void **state)
{
    int lender = add_queue(root, 4), borrower = add_queue(root, 4);
    put_node(1, 8, false);
    for (int i = 0; i < 8; i++)
        submitted(job(borrower, 3, 1, 1), 0);
    settle(0);
    submitted(job(lender, 0, 1, 2), 1); /* of lower priority: it is its own all the same */
    assert_int_equal(settle(1), 2);
    submitted(job(lender, 0, 1, 2), 2);
    assert_int_equal(settle(2), 2);
    submitted(job(lender, 0, 1, 2), 3);
    assert_int_equal(settle(3), 0);
    for (nsec now = SEC(10); now < SEC(600); now += SEC(10))
        assert_int_equal(settle(now), 0); /* nor do the evicted take it back */
}

/* The borrower evicts the lender, which reclaims, and so on for ever. */
static void test_kueue_2821_preemption_and_reclaim_come_to_rest(void **state)
{
    int a = add_queue(root, 2), b = add_queue(root, 2);
    put_node(1, 4, false);
    for (int i = 0; i < 4; i++) {
        submitted(job(a, i, 1, 1), 0);
        submitted(job(b, 3 - i, 1, 1), 0);
    }
    settle(0);
    int evicted = 0;
    for (nsec now = SEC(10); now < SEC(6000); now += SEC(10))
        evicted += settle(now);
    assert_int_equal(evicted, 0);
}

/* Victims are evicted for one that does not fit even then. */
static void test_nobody_is_evicted_in_vain(void **state)
{
    int queue = add_queue(root, 99);
    put_node(1, 2, false);
    put_node(2, 2, false);
    struct sched_workload *low[2];
    for (int i = 0; i < 2; i++)
        low[i] = submitted(job(queue, 0, 1, 1), 0);
    settle(0);
    submitted(job(queue, 9, 1, 3), 1); /* larger than any node */
    submitted(job(queue, 9, 5, 1), 1); /* larger than the cluster */
    assert_int_equal(settle(1), 0);
    assert_true(runs(low[0]) && runs(low[1]));
}

/* Training fills the cluster; a model that has to start for a user waits for it to end. */
static void test_inference_is_never_behind_training(void **state)
{
    int training = add_queue(root, 0), serving = add_queue(root, 4);
    put_node(1, 4, false);
    struct sched_workload *train = submitted(job(training, 9, 4, 1), 0), *model;
    settle(0);
    model = job(serving, 0, 1, 1);
    model->spec.inference = true;
    submitted(model, 1);
    settle(1);
    assert_true(runs(model) && !runs(train));
    submitted(job(serving, 99, 1, 4), 2);
    assert_int_equal(settle(2), 0); /* nor is it evicted for training, whatever the priority */
    assert_true(runs(model));
}

/* A gang of which one member's GPU fails keeps the others, and waits with them for ever. */
static void test_volcano_4607_a_gang_that_lost_one_gives_all_back(void **state)
{
    int queue = add_queue(root, 99);
    put_node(1, 1, false);
    put_node(2, 1, false);
    struct sched_workload *gang = submitted(job(queue, 0, 2, 1), 0);
    settle(0);
    put_node(2, 1, true);
    assert_int_equal(settle(1), 1);
    struct sched_workload *small = submitted(job(queue, 0, 1, 1), 1);
    settle(1);
    assert_true(runs(small) && !runs(gang));
}

/* Small ones take every GPU as it comes free, and a large gang waits for ever. */
static void test_volcano_748_small_ones_do_not_starve_a_large_one(void **state)
{
    int queue = add_queue(root, 99);
    put_node(1, 4, false);
    struct sched_workload *running[4], *large;
    for (int i = 0; i < 4; i++)
        running[i] = submitted(job(queue, 0, 1, 1), 0);
    settle(0);
    large = submitted(job(queue, 0, 4, 1), 0);
    nsec now = 0;
    for (int i = 0; i < 40 && !runs(large); i++) { /* one ends, the next has come already */
        now += SEC(30);
        struct sched_workload *next = job(queue, 0, 1, 1);
        next->spec.created = now;
        submitted(next, now);
        if (running[i % 4])
            sched_ended(&s, running[i % 4], SCHED_COMPLETED, now);
        settle(now);
        running[i % 4] = runs(next) ? next : NULL;
    }
    assert_true(runs(large));
    assert_true(now >= SEC(600) && now <= SEC(600 + 5 * 30)); /* of age, and four have ended */
}

/* Equals of two queues evict one another, each as soon as the other runs. */
static void test_volcano_377_equals_do_not_evict_one_another(void **state)
{
    int cohort = add_queue(root, 4), a = add_queue(cohort, 0), b = add_queue(cohort, 0);
    put_node(1, 4, false);
    for (int i = 0; i < 4; i++) {
        submitted(job(a, 0, 1, 1), 0);
        submitted(job(b, 0, 1, 1), 0);
    }
    for (nsec now = 0; now < SEC(6000); now += SEC(10))
        assert_int_equal(settle(now), 0);
    assert_int_equal(place_available(&place).idle, 0);
}

/* A gang that needs every node, all of them packed with small ones: no single eviction helps it. */
static void test_kai_1591_a_gang_drains_packed_nodes(void **state)
{
    int queue = add_queue(root, 99);
    for (uint64_t node = 1; node <= 5; node++)
        put_node(node, 4, false);
    for (int i = 0; i < 20; i++)
        submitted(job(queue, 0, 1, 1), 0);
    assert_int_equal(settle(0), 0);
    struct sched_workload *gang = submitted(job(queue, 1, 5, 4), 1);
    assert_int_equal(settle(1), 20);
    assert_true(runs(gang));
}

/* One queue has filled the cluster with a large job; a small one of another does not get what is its own. */
static void test_volcano_1748_reclaim_in_a_full_cluster(void **state)
{
    int a = add_queue(root, 4), b = add_queue(root, 4);
    put_node(1, 8, false);
    struct sched_workload *driver = submitted(job(a, 0, 1, 1), 0);
    settle(0);
    struct sched_workload *executors = submitted(job(a, 0, 7, 1), 1);
    settle(1);
    assert_true(runs(executors));
    struct sched_workload *other = submitted(job(b, 0, 1, 1), 2);
    assert_int_equal(settle(2), 1);
    assert_true(runs(other) && runs(driver) && !runs(executors));
}

/* What cannot be reclaimed is left alone, and no more of the own queue is evicted for it. */
static void test_kueue_1974_no_more_than_is_needed(void **state)
{
    int a = add_queue(root, 4), b = add_queue(root, 4);
    put_node(1, 8, false);
    for (int i = 0; i < 4; i++) {
        submitted(job(a, 0, 1, 1), 0);
        submitted(job(b, 0, 1, 1), 0);
    }
    settle(0);
    struct sched_workload *high = submitted(job(a, 1, 1, 2), 1);
    assert_int_equal(settle(1), 2);
    assert_true(runs(high));
    for (int i = 1; i < 8; i += 2)
        assert_true(runs(&all[i])); /* b's */
}

/* A victim that does not go: who waits for its room waited for ever, and all others with it. */
static void test_kueue_7665_an_eviction_that_fails(void **state)
{
    int queue = add_queue(root, 99);
    struct sched_decision d;
    put_node(1, 2, false);
    put_node(2, 2, false);
    struct sched_workload *stays = submitted(job(queue, 0, 1, 2), 0), *other;
    settle(0);
    other = submitted(job(queue, 1, 1, 2), 0);
    settle(0);
    struct sched_workload *high = submitted(job(queue, 2, 1, 2), 1);
    assert_true(sched_next(&s, 1, &d) && d.kind == SCHED_EVICT && d.workload == stays);
    assert_false(sched_next(&s, SEC(59), &d));
    assert_true(high->state == SCHED_HELD);
    assert_int_equal(settle(SEC(61)), 1); /* after hold_max: another */
    assert_true(runs(high) && !runs(other));
    sched_ended(&s, stays, SCHED_STOPPED, SEC(70));
    settle(SEC(80));
    assert_true(runs(other));
}

#define SCENARIO(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENARIO(test_kube_batch_492_two_gangs_do_not_lock_each_other_out),
        SCENARIO(test_a_head_that_never_fits_blocks_nobody),
        SCENARIO(test_no_priority_inversion),
        SCENARIO(test_volcano_5805_room_of_victims_is_for_who_evicted_them),
        SCENARIO(test_volcano_561_reclaim_takes_what_is_owed_and_no_more),
        SCENARIO(test_kueue_2821_preemption_and_reclaim_come_to_rest),
        SCENARIO(test_nobody_is_evicted_in_vain),
        SCENARIO(test_inference_is_never_behind_training),
        SCENARIO(test_volcano_4607_a_gang_that_lost_one_gives_all_back),
        SCENARIO(test_volcano_377_equals_do_not_evict_one_another),
        SCENARIO(test_kai_1591_a_gang_drains_packed_nodes),
        SCENARIO(test_volcano_1748_reclaim_in_a_full_cluster),
        SCENARIO(test_kueue_1974_no_more_than_is_needed),
        SCENARIO(test_kueue_7665_an_eviction_that_fails),
        SCENARIO(test_volcano_748_small_ones_do_not_starve_a_large_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
