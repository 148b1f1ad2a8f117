/* SPDX-License-Identifier: Apache-2.0 */
/* Each rule of core/sched by itself. Nodes with GPUs; queues under one root, quota in GPUs. */
#include "core/place/policy.h"
#include "core/sched/sched.h"
#include "test.h"

enum { WORKLOADS = 16, LEASES = 32, GPU = 0, NONE = QUOTA_NONE };

static struct place place;
static struct quota quota; /* large, as the next */
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

static struct place_node_spec node_of(uint64_t id, int gpus)
{
    struct place_node_spec spec = {.id = id, .cpu = 64000, .memory = 1000, .gpu_count = gpus};
    for (int i = 0; i < gpus; i++)
        spec.gpus[i].memory = 81920;
    return spec;
}

static void add_node(uint64_t id, int gpus)
{
    struct place_node_spec spec = node_of(id, gpus);
    assert_int_equal(sched_node_put(&s, &spec, 0), 0);
}

static int begin(void **state)
{
    struct place_options places = {&place_first_fit, 1, 8, LEASES, 8};
    struct sched_options options = {WORKLOADS, SEC(1), SEC(5), SEC(60), SEC(3600)};
    place_init(&place, &places);
    quota_init(&quota, SEC(60));
    sched_init(&s, &options, &place, &quota);
    memset(all, 0, sizeof(all));
    count = 0;
    root = add_queue(NONE, 0);
    return 0;
}

static int end(void **state)
{
    assert_null(sched_check(&s));
    sched_fini(&s);
    place_fini(&place);
    return 0;
}

/* Preemptible training of one member; changed before sched_submit. */
static struct sched_workload *job(int queue, int priority, int gpus)
{
    struct sched_workload *w = &all[count++];
    w->spec = (struct sched_spec){
        .id = (uint64_t)count,
        .queue = queue,
        .priority = priority,
        .created = count,
        .preemptible = true,
        .members_min = 1,
        .members_max = 1,
        .request.gpus = (uint8_t)gpus,
        .amount.of[GPU] = (int64_t)gpus * PLACE_MILLI,
    };
    return w;
}

static void submit(struct sched_workload *w, nsec now)
{
    assert_int_equal(sched_submit(&s, w, now), 0);
}

static void expect(enum sched_decision_kind kind, struct sched_workload *w, nsec now)
{
    struct sched_decision d;
    assert_true(sched_next(&s, now, &d));
    assert_null(sched_check(&s));
    assert_int_equal(d.workload->spec.id, w->spec.id);
    assert_int_equal(d.kind, kind);
}

static void expect_none(nsec now)
{
    struct sched_decision d;
    assert_false(sched_next(&s, now, &d));
    assert_null(sched_check(&s));
}

static struct sched_workload *started(int queue, int priority, int gpus, nsec now)
{
    struct sched_workload *w = job(queue, priority, gpus);
    submit(w, now);
    expect(SCHED_START, w, now);
    return w;
}

/* ---- starting ---- */

static void test_life(void **state)
{
    int queue = add_queue(root, 4);
    add_node(1, 4);
    struct place_available before = place_available(&place);
    struct sched_workload *w = started(queue, 0, 3, 5);
    assert_int_equal(w->state, SCHED_RUNNING);
    assert_int_equal(quota.usage[GPU][queue], 3000);
    assert_int_equal(place_lease_find(&place, sched_owner(w->spec.id, 0))->gpus, 7);
    sched_ended(&s, w, SCHED_COMPLETED, 9);
    assert_int_equal(w->state, SCHED_OUT);
    assert_int_equal(quota.usage[GPU][queue], 0);
    struct place_available after = place_available(&place);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_null(sched_find(&s, 1));
}

static void test_gang_is_whole_or_not_at_all(void **state)
{
    int queue = add_queue(root, 8);
    add_node(1, 2);
    struct sched_workload *w = job(queue, 0, 1);
    w->spec.members_min = w->spec.members_max = 3;
    submit(w, 0);
    expect_none(0);
    assert_int_equal(w->why, SCHED_WHY_ROOM);
    assert_int_equal(place_available(&place).idle, 2);
    assert_int_equal(quota.usage[GPU][queue], 0);
    add_node(2, 1);
    expect(SCHED_START, w, 0);
    assert_int_equal(w->members, 3);
}

static void test_gang_takes_what_there_is(void **state)
{
    int queue = add_queue(root, 3);
    add_node(1, 4);
    struct sched_workload *by_quota = job(queue, 0, 1), *by_room = job(add_queue(root, 5), 0, 1);
    by_quota->spec.members_max = by_room->spec.members_max = 4;
    quota.nodes[queue].spec.borrowing.of[GPU] = 0;
    submit(by_quota, 0);
    expect(SCHED_START, by_quota, 0);
    assert_int_equal(by_quota->members, 3);
    submit(by_room, 0);
    expect(SCHED_START, by_room, 0);
    assert_int_equal(by_room->members, 1);
}

static void test_turns(void **state)
{
    int a = add_queue(root, 4), b = add_queue(root, 4);
    add_node(1, 8);
    struct sched_workload *first = job(a, 0, 2), *second = job(a, 0, 1), *other = job(b, 0, 1),
                          *urgent = job(a, 1, 1);
    submit(first, 0);
    submit(second, 0);
    submit(other, 0);
    submit(urgent, 0);
    expect(SCHED_START, urgent, 0);
    expect(SCHED_START, other, 0); /* a has something, b has nothing */
    expect(SCHED_START, first, 0);
    expect(SCHED_START, second, 0);
    expect_none(0);
}

static void test_who_cannot_start_blocks_nobody(void **state)
{
    int queue = add_queue(root, 5), removed = add_queue(root, 4);
    add_node(1, 2);
    struct sched_workload *large = job(queue, 9, 3), *rich = job(queue, 8, 6),
                          *wrong = job(queue, 7, 1), *closed = job(removed, 6, 1),
                          *fits = job(queue, 0, 2);
    wrong->spec.request.share_milli = 10;
    struct sched_workload *jobs[] = {large, rich, wrong, closed, fits};
    for (size_t i = 0; i < ARRAY_LEN(jobs); i++)
        submit(jobs[i], 0);
    assert_int_equal(quota_remove(&quota, removed), 0);
    expect(SCHED_START, fits, 0);
    expect_none(0);
    assert_int_equal(large->why, SCHED_WHY_ROOM);
    assert_int_equal(rich->why, SCHED_WHY_QUOTA);
    assert_int_equal(wrong->why, SCHED_WHY_INVALID);
    assert_int_equal(closed->why, SCHED_WHY_CLOSED);
}

static void test_limits(void **state)
{
    int queue = add_queue(root, 99);
    add_node(1, 0);
    struct sched_workload *w = job(queue, 0, 0), twin = *w, bad = *w, more[WORKLOADS];
    w->spec.members_min = w->spec.members_max = LEASES + 1;
    submit(w, 0);
    expect_none(0);
    assert_int_equal(w->why, SCHED_WHY_LEASES);
    assert_int_equal(sched_submit(&s, &twin, 0), ERR_CONFLICT);
    bad.spec.members_min = 2;
    assert_int_equal(sched_submit(&s, &bad, 0), ERR_INVALID);
    for (int i = 1; i < WORKLOADS; i++) {
        more[i] = twin;
        more[i].spec.id = 100 + (uint64_t)i;
        submit(&more[i], 0);
    }
    more[0] = twin;
    more[0].spec.id = 100;
    assert_int_equal(sched_submit(&s, &more[0], 0), ERR_FULL);
    for (int i = 1; i < WORKLOADS; i++)
        sched_withdraw(&s, &more[i], 0);
}

static void test_back_off(void **state)
{
    static const nsec delays[] = {SEC(1), SEC(2), SEC(4), SEC(5), SEC(5)};
    struct sched_workload *w = job(add_queue(root, 1), 0, 1);
    nsec now = 0;
    add_node(1, 1);
    submit(w, now);
    for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
        expect(SCHED_START, w, now);
        sched_ended(&s, w, SCHED_STOPPED, now);
        assert_int_equal(w->why, SCHED_WHY_SLEEPS);
        assert_int_equal(sched_wake_at(&s), now + delays[i]);
        expect_none(now + delays[i] - 1);
        now += delays[i];
    }
    expect(SCHED_START, w, now);
    assert_int_equal(sched_wake_at(&s), NSEC_NEVER);
}

/* ---- making room ---- */

static void test_victims_are_minimal(void **state)
{
    int queue = add_queue(root, 8);
    add_node(1, 1);
    add_node(2, 3);
    struct sched_workload *alone = started(queue, 0, 1, 0), *two = started(queue, 1, 2, 0),
                          *one = started(queue, 1, 1, 0), *w = job(queue, 2, 2);
    submit(w, 1);
    expect(SCHED_EVICT, two, 1); /* the cheaper one is of no use, the other not needed */
    assert_int_equal(two->evicted_for, w->spec.id);
    assert_int_equal(two->evict_why, SCHED_PREEMPTED);
    expect_none(1);
    assert_int_equal(alone->state, SCHED_RUNNING);
    assert_int_equal(one->state, SCHED_RUNNING);
    sched_ended(&s, two, SCHED_STOPPED, 2);
    expect(SCHED_START, w, 2);
    expect_none(SEC(100)); /* it does not evict its evictor */
    assert_int_equal(two->why, SCHED_WHY_ROOM);
}

static void test_the_cheapest_goes(void **state)
{
    int queue = add_queue(root, 8);
    add_node(1, 4);
    struct sched_workload *w = job(queue, 2, 1), *often = started(queue, 0, 1, 0),
                          *unsaved = started(queue, 0, 1, 0), *saved = started(queue, 0, 1, 0),
                          *high = started(queue, 1, 1, 0);
    often->evictions = 1;
    sched_checkpoint(saved, SEC(5));
    submit(w, SEC(9));
    expect(SCHED_EVICT, saved, SEC(9));
    assert_int_equal(high->state, SCHED_RUNNING);
    assert_int_equal(unsaved->state, SCHED_RUNNING);
}

static void test_who_is_never_evicted(void **state)
{
    int queue = add_queue(root, 4);
    add_node(1, 4);
    struct sched_workload *serving = job(queue, 0, 1), *fixed = job(queue, 0, 1);
    serving->spec.inference = true;
    fixed->spec.preemptible = false;
    submit(serving, 0);
    submit(fixed, 0);
    expect(SCHED_START, serving, 0);
    expect(SCHED_START, fixed, 0);
    started(queue, 5, 2, 0); /* of equal priority */
    struct sched_workload *training = job(queue, 5, 1), *inference = job(queue, 5, 1);
    submit(training, 0);
    expect_none(0);
    inference->spec.inference = true;
    submit(inference, 0);
    expect(SCHED_EVICT, serving, 0);
}

static void test_reclaim(void **state)
{
    int a = add_queue(root, 2), b = add_queue(root, 2), c = add_queue(root, 0);
    add_node(1, 4);
    struct sched_workload *own = started(a, 0, 2, 0), *borrower = started(c, 9, 2, 0),
                          *beyond = job(a, 5, 1), *within = job(b, 0, 1);
    submit(beyond, 0);
    expect(SCHED_EVICT, own, 0); /* no claim on others: its queue would be over its quota */
    sched_withdraw(&s, beyond, 0);
    sched_ended(&s, own, SCHED_COMPLETED, 0);
    started(a, 0, 2, 0);
    submit(within, 0);
    expect(SCHED_EVICT, borrower, 0); /* of a higher priority */
    assert_int_equal(borrower->evict_why, SCHED_RECLAIMED);
    sched_ended(&s, borrower, SCHED_STOPPED, 0);
    expect(SCHED_START, within, 0);
    expect_none(SEC(10)); /* the borrower, though of higher priority, has no claim */
}

static void test_reclaim_comes_first(void **state)
{
    int a = add_queue(root, 3), b = add_queue(root, 0);
    add_node(1, 2);
    struct sched_workload *own = started(a, 0, 1, 0), *borrower = started(b, 9, 1, 0),
                          *w = job(a, 5, 1);
    submit(w, 0);
    expect(SCHED_EVICT, borrower, 0);
    assert_int_equal(own->state, SCHED_RUNNING);
}

static void test_a_start_makes_a_borrower(void **state)
{
    int a = add_queue(root, 2), b = add_queue(root, 2);
    add_node(1, 2);
    add_node(2, 1);
    struct sched_workload *v = started(b, 0, 2, 0), *w = job(a, 0, 2), *high = job(b, 1, 1);
    submit(w, 0);
    expect_none(0);
    submit(high, 0);
    expect(SCHED_START, high, 0); /* has of b's own before v */
    expect(SCHED_EVICT, v, 0);
    assert_int_equal(v->evict_why, SCHED_RECLAIMED);
}

/* Low is evicted by mid for its priority; a high one that borrows must not evict mid, or low would
 * reclaim from it, and so on. */
static void test_no_circle_of_three(void **state)
{
    int a = add_queue(root, 4), b = add_queue(root, 1);
    add_node(1, 3);
    struct sched_workload *low = started(a, 0, 3, 0), *mid = job(b, 1, 1), *high = job(b, 2, 3);
    submit(mid, 0);
    expect(SCHED_EVICT, low, 0);
    sched_ended(&s, low, SCHED_STOPPED, 0);
    expect(SCHED_START, mid, 0);
    submit(high, 0);
    expect_none(SEC(100));
    high->spec.request.gpus = 2;
    high->spec.amount.of[GPU] = 2000;
    sched_changed(&s);
    expect(SCHED_START, high, SEC(100));
    expect_none(SEC(200)); /* without mid's the room of high is not enough for low */
}

static void test_room_is_held(void **state)
{
    int queue = add_queue(root, 8);
    add_node(1, 4);
    struct sched_workload *v1 = started(queue, 0, 1, 0), *v2 = started(queue, 0, 2, 0),
                          *w = job(queue, 1, 4), *thief = job(queue, 0, 1);
    submit(w, 0);
    expect(SCHED_EVICT, v2, 0);
    expect(SCHED_EVICT, v1, 0);
    submit(thief, 0);
    expect_none(0); /* the idle GPU is kept too */
    sched_ended(&s, v1, SCHED_COMPLETED, 1);
    expect_none(1);
    sched_ended(&s, v2, SCHED_COMPLETED, 2);
    expect(SCHED_START, w, 2);
    expect_none(2);
    assert_int_equal(thief->state, SCHED_PENDING);
}

static void test_shares_left_of_a_victims_gpu_are_held(void **state)
{
    int queue = add_queue(root, 8);
    add_node(1, 1);
    struct sched_workload *v = job(queue, 0, 0), *thief = job(queue, 0, 0), *w = job(queue, 1, 1);
    v->spec.request.share_milli = thief->spec.request.share_milli = 300;
    submit(v, 0);
    expect(SCHED_START, v, 0);
    submit(w, 0);
    expect(SCHED_EVICT, v, 0);
    submit(thief, 0);
    expect_none(0);
    sched_ended(&s, v, SCHED_COMPLETED, 1);
    expect(SCHED_START, w, 1);
}

static void test_cpu_is_held(void **state)
{
    int queue = add_queue(root, 8);
    add_node(1, 1);
    struct sched_workload *v = started(queue, 0, 1, 0), *w = job(queue, 1, 1),
                          *thief = job(queue, 0, 0);
    w->spec.request.cpu = 60000;
    thief->spec.request.cpu = 10000;
    submit(w, 0);
    expect(SCHED_EVICT, v, 0);
    submit(thief, 0);
    expect_none(0);
    sched_ended(&s, v, SCHED_COMPLETED, 1);
    expect(SCHED_START, w, 1);
}

static void test_a_victim_that_stays(void **state)
{
    int queue = add_queue(root, 8);
    add_node(1, 2);
    struct sched_workload *stuck = started(queue, 0, 1, 0), *next = started(queue, 1, 1, 0),
                          *w = job(queue, 2, 1);
    submit(w, 0);
    expect(SCHED_EVICT, stuck, 0);
    expect_none(0);
    assert_int_equal(sched_wake_at(&s), SEC(60));
    expect_none(SEC(60) - 1);
    expect(SCHED_EVICT, next, SEC(60));
    sched_ended(&s, next, SCHED_COMPLETED, SEC(61));
    expect(SCHED_START, w, SEC(61));
    sched_ended(&s, stuck, SCHED_COMPLETED, SEC(62));
}

static void test_withdrawn(void **state)
{
    int queue = add_queue(root, 8);
    add_node(1, 1);
    struct sched_workload *v = started(queue, 0, 1, 0), *w = job(queue, 1, 1);
    submit(w, 0);
    expect(SCHED_EVICT, v, 0);
    sched_withdraw(&s, w, 0);
    assert_int_equal(v->evicted_for, 0);
    assert_null(sched_check(&s));
    sched_withdraw(&s, v, 0);
    assert_int_equal(place_available(&place).idle, 1);
    assert_int_equal(quota.usage[GPU][queue], 0);
}

/* ---- nodes ---- */

static void test_lost_rooms(void **state)
{
    int queue = add_queue(root, 8);
    struct place_node_spec spec = node_of(1, 2);
    add_node(1, 2);
    add_node(2, 1);
    struct sched_workload *faulty = started(queue, 0, 1, 0), *well = started(queue, 0, 1, 0),
                          *lost = started(queue, 0, 1, 0);
    spec.closed = true;
    assert_int_equal(sched_node_put(&s, &spec, 0), 0);
    expect_none(0); /* cordoned: what is there stays */
    spec.gpus[0].faulty = true;
    assert_int_equal(sched_node_put(&s, &spec, 0), 0);
    expect(SCHED_EVICT, faulty, 0);
    assert_int_equal(faulty->evict_why, SCHED_ROOM_LOST);
    sched_node_remove(&s, 2, 0);
    expect(SCHED_EVICT, lost, 0);
    expect_none(0);
    assert_int_equal(well->state, SCHED_RUNNING);
    sched_ended(&s, lost, SCHED_STOPPED, 0);
    sched_ended(&s, faulty, SCHED_STOPPED, 0);
    expect_none(SEC(9));
    add_node(3, 2);
    expect(SCHED_START, faulty, SEC(9));
    expect(SCHED_START, lost, SEC(9));
}

static void test_restore_all_or_nothing(void **state)
{
    int queue = add_queue(root, 8);
    add_node(1, 2);
    struct sched_workload *w = job(queue, 0, 1);
    w->spec.members_min = w->spec.members_max = w->members = 2;
    struct place_lease leases[2] = {
        {.owner = sched_owner(1, 0), .node = 1, .mib = 81920, .milli = PLACE_MILLI, .gpus = 1},
        {.owner = sched_owner(1, 1), .node = 7, .mib = 81920, .milli = PLACE_MILLI, .gpus = 2},
    };
    w->state = SCHED_RUNNING;
    assert_int_equal(sched_restore(&s, w, leases, 2, 0), ERR_NOT_FOUND);
    assert_int_equal(w->state, SCHED_OUT);
    assert_int_equal(place_available(&place).idle, 2);
    leases[1].node = 1;
    w->state = SCHED_RUNNING;
    assert_int_equal(sched_restore(&s, w, leases, 1, 0), ERR_INVALID);
    w->state = SCHED_RUNNING;
    assert_int_equal(sched_restore(&s, w, leases, 2, 0), 0);
    assert_int_equal(quota.usage[GPU][queue], 2000);
    expect_none(0);
}

/* ---- reservation ---- */

static struct sched_workload *lasts(struct sched_workload *w, nsec expected)
{
    w->spec.expected = expected;
    return w;
}

static struct sched_workload *started_for(int queue, int gpus, nsec expected, nsec now)
{
    struct sched_workload *w = lasts(job(queue, 0, gpus), expected);
    w->spec.preemptible = false;
    submit(w, now);
    expect(SCHED_START, w, now);
    return w;
}

static void test_backfill(void **state)
{
    int queue = add_queue(root, 99);
    add_node(1, 4);
    started_for(queue, 2, SEC(10), 0);
    struct sched_workload *large = job(queue, 0, 3), *unknown = job(queue, 0, 1),
                          *too_long = lasts(job(queue, 0, 2), SEC(11)),
                          *beside = lasts(job(queue, 0, 1), SEC(99)),
                          *in_time = lasts(job(queue, 0, 1), SEC(10));
    submit(large, 0);
    expect_none(0);
    assert_true(large->reserved);
    assert_int_equal(s.reservation.at, SEC(10));
    submit(too_long, 0);
    expect_none(0);
    assert_int_equal(too_long->why, SCHED_WHY_ROOM);
    submit(beside, 0);
    expect(SCHED_START, beside, 0); /* one GPU is no matter to the large one */
    submit(unknown, 0);
    expect_none(0);
    submit(in_time, 0);
    expect(SCHED_START, in_time, 0);
    sched_ended(&s, in_time, SCHED_COMPLETED, SEC(10));
    expect_none(SEC(10)); /* the first one is late; its room is not for the unknown one */
    sched_ended(&s, &all[0], SCHED_COMPLETED, SEC(12));
    expect(SCHED_START, large, SEC(12));
}

static void test_backfill_leaves_quota(void **state)
{
    int queue = add_queue(root, 4);
    add_node(1, 4);
    add_node(2, 1);
    started_for(queue, 1, SEC(10), 0);
    struct sched_workload *large = job(queue, 0, 4), *small = job(queue, 0, 1),
                          *in_time = lasts(job(queue, 0, 1), SEC(10));
    quota.nodes[queue].spec.nominal.of[GPU] = 0; /* what it borrows is the root's */
    struct quota_spec five = quota.nodes[root].spec;
    five.nominal.of[GPU] = 5000;
    assert_int_equal(quota_change(&quota, root, &five), 0);
    sched_changed(&s);
    submit(large, 0);
    submit(small, 0);
    submit(in_time, 0);
    expect(SCHED_START, in_time, 0);
    expect_none(0);
    assert_true(large->reserved);
    assert_int_equal(small->why, SCHED_WHY_RESERVED);
}

static void test_higher_priority_goes_past_a_reservation(void **state)
{
    int queue = add_queue(root, 99);
    add_node(1, 4);
    started_for(queue, 2, SEC(10), 0);
    struct sched_workload *large = job(queue, 0, 3), *urgent = lasts(job(queue, 1, 2), SEC(20));
    large->spec.preemptible = urgent->spec.preemptible = false;
    submit(large, 0);
    expect_none(0);
    submit(urgent, 0);
    expect(SCHED_START, urgent, 0);
    expect_none(0);
    assert_true(large->reserved);
    assert_int_equal(s.reservation.at, SEC(20)); /* worked out anew */
}

static void test_room_drains_for_the_oldest(void **state)
{
    int queue = add_queue(root, 99), other = add_queue(root, 99);
    nsec aged = SEC(3600) + 100;
    add_node(1, 4);
    started_for(queue, 2, 0, 0);
    struct sched_workload *younger = job(other, 0, 3), *older = job(queue, 0, 4),
                          *small = lasts(job(queue, 0, 1), 1);
    older->spec.created = 0;
    submit(younger, 0);
    submit(older, 0);
    expect_none(0);
    assert_null(s.reservation.of); /* nobody knows when, nor has waited for long */
    submit(small, aged);
    expect(SCHED_START, small, aged); /* others are asked after it */
    sched_ended(&s, small, SCHED_COMPLETED, aged);
    expect_none(aged);
    assert_true(older->reserved);
    assert_int_equal(s.reservation.at, NSEC_NEVER);
    submit(small, aged);
    expect_none(aged); /* however soon it would end */
    sched_ended(&s, &all[0], SCHED_COMPLETED, aged);
    expect(SCHED_START, older, aged);
}

static void test_a_reservation_outlives_a_restart(void **state)
{
    int queue = add_queue(root, 99);
    add_node(1, 4);
    struct sched_workload *first = started_for(queue, 2, SEC(10), 0), *large = job(queue, 0, 3);
    struct sched_workload *older = job(queue, 0, 4);
    submit(large, 0);
    expect_none(0);
    struct place_lease lease = *place_lease_find(&place, sched_owner(first->spec.id, 0));
    sched_fini(&s);
    place_release(&place, lease.owner);
    for (unsigned k = 0; k < s.reservation.ghosts.count; k++)
        place_release(&place, s.reservation.ghosts.first + k);
    struct quota_amount amount = first->spec.amount;
    assert_int_equal(quota_give_back(&quota, queue, &amount, 0), 0);
    struct sched_options options = s.options;
    sched_init(&s, &options, &place, &quota);
    older->spec.created = 0;
    submit(older, SEC(1));
    submit(large, SEC(1));
    assert_int_equal(sched_restore(&s, first, &lease, 1, SEC(1)), 0);
    expect_none(SEC(1));
    assert_true(large->reserved);
    assert_int_equal(s.reservation.at, SEC(10));
}

int main(void)
{
#define RULE(test) cmocka_unit_test_setup_teardown(test, begin, end)
    const struct CMUnitTest tests[] = {
        RULE(test_life),
        RULE(test_gang_is_whole_or_not_at_all),
        RULE(test_gang_takes_what_there_is),
        RULE(test_turns),
        RULE(test_who_cannot_start_blocks_nobody),
        RULE(test_limits),
        RULE(test_back_off),
        RULE(test_victims_are_minimal),
        RULE(test_the_cheapest_goes),
        RULE(test_who_is_never_evicted),
        RULE(test_reclaim),
        RULE(test_reclaim_comes_first),
        RULE(test_a_start_makes_a_borrower),
        RULE(test_no_circle_of_three),
        RULE(test_room_is_held),
        RULE(test_cpu_is_held),
        RULE(test_shares_left_of_a_victims_gpu_are_held),
        RULE(test_a_victim_that_stays),
        RULE(test_withdrawn),
        RULE(test_lost_rooms),
        RULE(test_restore_all_or_nothing),
        RULE(test_backfill),
        RULE(test_backfill_leaves_quota),
        RULE(test_higher_priority_goes_past_a_reservation),
        RULE(test_room_drains_for_the_oldest),
        RULE(test_a_reservation_outlives_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
