/* SPDX-License-Identifier: Apache-2.0 */
#include "core/queue/queue.h"
#include "test.h"

#include "base/err.h"

enum { A = 1, B = 2, C = 3 };

static void setup(struct queue *q)
{
    struct queue_limits limits = queue_limits_default();
    limits.max_length = 4;
    limits.promote_after = SEC(10);
    queue_init(q, &limits);
}

static struct queue_entry entry(uint32_t tenant, enum queue_band band, nsec arrived)
{
    return (struct queue_entry){.tenant = tenant,
                                .band = band,
                                .arrived = arrived,
                                .deadline = NSEC_NEVER,
                                .input_tokens = 10};
}

static void put_all(struct queue *q, struct queue_entry *entries, size_t count)
{
    for (size_t i = 0; i < count; i++)
        queue_put(q, &entries[i]);
}

static void remove_all(struct queue *q)
{
    struct queue_entry *e;
    while ((e = queue_peek(q, 0)))
        queue_remove(q, e);
}

static int64_t counter(const struct queue_entry *e)
{
    return e->account->counter;
}

/* Serves `e`, which must be the next; it stays under way. */
static struct queue_reason serve(struct queue *q, struct queue_entry *e, nsec now)
{
    struct queue_reason reason;
    assert_ptr_equal(queue_peek(q, now), e);
    queue_serve(q, e, &reason);
    assert_false(queue_has(e));
    return reason;
}

/* A whole life: arrives, is served, is charged for output, ends. */
static void use(struct queue *q, uint32_t tenant, uint64_t output_tokens)
{
    struct queue_entry e = entry(tenant, QUEUE_BAND_HIGH, 0);
    struct queue_reason reason;
    queue_put(q, &e);
    queue_serve(q, &e, &reason);
    queue_settle(q, &e, 0, output_tokens);
    queue_end(q, &e);
}

static void test_first_come_first_served(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_entry a = entry(A, QUEUE_BAND_NORMAL, 0), b = entry(A, QUEUE_BAND_NORMAL, 1);
    queue_put(&q, &a);
    queue_put(&q, &b);
    assert_int_equal(q.queued_tokens, 20);
    assert_ptr_equal(queue_peek(&q, 2), &a);
    queue_remove(&q, &a);
    assert_false(queue_has(&a));
    assert_ptr_equal(queue_peek(&q, 2), &b);
    queue_remove(&q, &b);
    assert_null(queue_peek(&q, 2));
    queue_fini(&q);
}

static void test_bands_are_strict_until_promotion(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_entry low = entry(A, QUEUE_BAND_LOW, 0), high = entry(A, QUEUE_BAND_HIGH, SEC(1));
    queue_put(&q, &low);
    queue_put(&q, &high);
    assert_ptr_equal(queue_peek(&q, SEC(10)), &high);
    assert_ptr_equal(queue_peek(&q, SEC(10) + 1), &low);
    remove_all(&q);
    queue_fini(&q);
}

static void test_promotion_is_no_way_around_fairness(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_entry flood[3] = {entry(A, QUEUE_BAND_NORMAL, 0), entry(A, QUEUE_BAND_NORMAL, 0),
                                   entry(A, QUEUE_BAND_NORMAL, 0)};
    struct queue_entry fresh = entry(B, QUEUE_BAND_NORMAL, SEC(20));
    put_all(&q, flood, 3);
    serve(&q, &flood[0], SEC(20));
    queue_put(&q, &fresh); /* lifted to A's counter, which arrived first */
    serve(&q, &flood[1], SEC(20));
    serve(&q, &fresh, SEC(20)); /* though another of A's is promoted */
    serve(&q, &flood[2], SEC(20));
    for (int i = 0; i < 3; i++)
        queue_end(&q, &flood[i]);
    queue_end(&q, &fresh);
    queue_fini(&q);
}

static void test_what_is_promoted_waits_for_nothing_lower(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_entry normal = entry(A, QUEUE_BAND_NORMAL, 0);
    struct queue_entry low = entry(B, QUEUE_BAND_LOW, SEC(19));
    use(&q, C, 5);
    queue_put(&q, &low);
    use(&q, A, 1000000); /* A has had far more */
    queue_put(&q, &normal);
    assert_ptr_equal(queue_peek(&q, SEC(20)), &normal);
    remove_all(&q);
    queue_fini(&q);
}

static void test_who_comes_back_stands_in_front(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_entry a = entry(A, QUEUE_BAND_NORMAL, 0), b = entry(A, QUEUE_BAND_NORMAL, 1),
                       c = entry(A, QUEUE_BAND_NORMAL, 2);
    queue_put(&q, &a);
    queue_put(&q, &b);
    serve(&q, &a, 2);
    serve(&q, &b, 2);
    queue_put(&q, &c);
    queue_put(&q, &b);
    queue_put(&q, &a);
    serve(&q, &a, 3);
    assert_ptr_equal(queue_peek(&q, 3), &b);
    queue_end(&q, &a);
    remove_all(&q);
    queue_fini(&q);
}

static void test_who_comes_back_is_not_charged_for_the_failure(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_entry a = entry(A, QUEUE_BAND_NORMAL, 0);
    queue_put(&q, &a);
    serve(&q, &a, 0);
    queue_charge(&q, &a, 7);
    assert_int_equal(counter(&a), 17000);
    queue_put(&q, &a);
    assert_int_equal(counter(&a), 0);
    queue_remove(&q, &a);
    queue_fini(&q);
}

static void test_deadlines_expire_in_order(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_entry a = entry(A, QUEUE_BAND_NORMAL, 0), b = entry(A, QUEUE_BAND_HIGH, 0);
    a.deadline = 20;
    b.deadline = 10;
    queue_put(&q, &a);
    queue_put(&q, &b);
    assert_int_equal(queue_next_deadline(&q), 10);
    assert_null(queue_expired(&q, 9));
    assert_ptr_equal(queue_expired(&q, 25), &b);
    queue_remove(&q, &b);
    assert_ptr_equal(queue_expired(&q, 25), &a);
    queue_remove(&q, &a);
    assert_int_equal(queue_next_deadline(&q), NSEC_NEVER);
    queue_fini(&q);
}

static void test_full_at_max_length(void **state)
{
    struct queue q;
    struct queue_entry entries[4];
    setup(&q);
    for (int i = 0; i < 4; i++) {
        assert_false(queue_full(&q));
        entries[i] = entry(A, QUEUE_BAND_NORMAL, i);
        queue_put(&q, &entries[i]);
    }
    assert_true(queue_full(&q));
    remove_all(&q);
    queue_fini(&q);
}

static void test_a_tenant_is_full_at_its_own_cap(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_entry a = entry(A, QUEUE_BAND_NORMAL, 0), b = entry(B, QUEUE_BAND_NORMAL, 0);
    assert_int_equal(queue_set_tenant(&q, A, 1, 1), 0);
    assert_false(queue_tenant_full(&q, A));
    queue_put(&q, &a);
    queue_put(&q, &b);
    assert_true(queue_tenant_full(&q, A));
    assert_false(queue_tenant_full(&q, B));
    assert_int_equal(queue_set_tenant(&q, A, 1, 0), 0);
    assert_false(queue_tenant_full(&q, A));
    remove_all(&q);
    queue_fini(&q);
}

static void test_the_tenant_with_less_is_next(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_entry a[2] = {entry(A, QUEUE_BAND_NORMAL, 0), entry(A, QUEUE_BAND_NORMAL, 0)};
    struct queue_entry b[2] = {entry(B, QUEUE_BAND_NORMAL, 0), entry(B, QUEUE_BAND_NORMAL, 0)};
    put_all(&q, a, 2);
    put_all(&q, b, 2);
    serve(&q, &a[0], 0);
    serve(&q, &b[0], 0);
    queue_charge(&q, &a[0], 1); /* 11 tokens beside 10 */
    serve(&q, &b[1], 0);
    serve(&q, &a[1], 0);
    for (int i = 0; i < 2; i++) {
        queue_end(&q, &a[i]);
        queue_end(&q, &b[i]);
    }
    queue_fini(&q);
}

static void test_weights_divide_the_charge(void **state)
{
    struct queue q;
    setup(&q);
    assert_int_equal(queue_set_tenant(&q, A, 3, 0), 0);
    struct queue_entry a = entry(A, QUEUE_BAND_NORMAL, 0);
    queue_put(&q, &a);
    serve(&q, &a, 0);
    assert_int_equal(counter(&a), 3333);
    for (int i = 0; i < 5; i++)
        queue_charge(&q, &a, 1);
    assert_int_equal(counter(&a), 5000); /* no thousandth is lost */
    queue_end(&q, &a);
    queue_fini(&q);
}

static void test_costs_of_input_and_output(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_limits limits = q.limits;
    limits.output_cost = 2000; /* the paper's 1:2 */
    queue_set_limits(&q, &limits);
    struct queue_entry a = entry(A, QUEUE_BAND_NORMAL, 0);
    queue_put(&q, &a);
    serve(&q, &a, 0);
    queue_charge(&q, &a, 10);
    assert_int_equal(counter(&a), 30000);
    queue_end(&q, &a);
    queue_fini(&q);
}

static void test_settling_puts_the_real_usage_in_place(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_entry a = entry(A, QUEUE_BAND_NORMAL, 0);
    queue_put(&q, &a);
    serve(&q, &a, 0);
    queue_charge(&q, &a, 4);
    queue_settle(&q, &a, 3, 5);
    assert_int_equal(counter(&a), 8000);
    queue_settle(&q, &a, 30, 5);
    assert_int_equal(counter(&a), 35000);
    queue_end(&q, &a);
    queue_fini(&q);
}

static void test_who_begins_to_wait_is_lifted(void **state)
{
    struct queue q;
    setup(&q);
    use(&q, A, 100);
    use(&q, B, 50); /* lifted to the 100 of A, who waited last; now 150 */
    struct queue_entry a = entry(A, QUEUE_BAND_NORMAL, 0), c = entry(C, QUEUE_BAND_NORMAL, 0);
    queue_put(&q, &a);
    assert_int_equal(counter(&a), 150000); /* nobody waits: to B's, who waited last */
    queue_put(&q, &c);
    assert_int_equal(counter(&c), 150000); /* to the least of those that wait */
    remove_all(&q);
    use(&q, C, 1000);
    queue_put(&q, &c);
    assert_int_equal(counter(&c), 1150000); /* never lowered */
    remove_all(&q);
    queue_fini(&q);
}

static void test_requests_as_the_unit(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_limits limits = q.limits;
    limits.fairness = QUEUE_FAIR_REQUESTS;
    queue_set_limits(&q, &limits);
    struct queue_entry a = entry(A, QUEUE_BAND_NORMAL, 0);
    queue_put(&q, &a);
    serve(&q, &a, 0);
    queue_charge(&q, &a, 1000);
    queue_settle(&q, &a, 1000, 1000);
    assert_int_equal(counter(&a), 1000);
    queue_end(&q, &a);
    queue_fini(&q);
}

static void test_another_fairness_begins_even(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_limits limits = q.limits;
    struct queue_entry a = entry(A, QUEUE_BAND_NORMAL, 0), b = entry(B, QUEUE_BAND_NORMAL, 0),
                       c = entry(A, QUEUE_BAND_NORMAL, 0);
    queue_put(&q, &a);
    queue_put(&q, &c);
    queue_put(&q, &b);
    serve(&q, &a, 0);
    assert_ptr_equal(queue_peek(&q, 0), &b);
    limits.fairness = QUEUE_FIFO;
    queue_set_limits(&q, &limits);
    assert_ptr_equal(queue_peek(&q, 0), &c);
    limits.fairness = QUEUE_FAIR_TOKENS;
    queue_set_limits(&q, &limits);
    queue_settle(&q, &a, 0, 0); /* charged before: no correction now */
    assert_int_equal(counter(&a), 0);
    assert_ptr_equal(queue_peek(&q, 0), &c);
    queue_end(&q, &a);
    remove_all(&q);
    queue_fini(&q);
}

static void test_a_reason_explains_the_turn(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_entry a[2] = {entry(A, QUEUE_BAND_NORMAL, 0), entry(A, QUEUE_BAND_NORMAL, 0)};
    struct queue_entry b = entry(B, QUEUE_BAND_NORMAL, 0);
    put_all(&q, a, 2);
    queue_put(&q, &b);
    serve(&q, &a[0], 0);
    serve(&q, &b, 0);
    struct queue_reason reason = serve(&q, &a[1], 0);
    assert_int_equal(reason.counter, 10000);
    assert_int_equal(reason.tenants_waiting, 1);
    assert_int_equal(reason.position, 1);
    assert_int_equal(reason.others_served, 1);
    queue_end(&q, &a[0]);
    queue_end(&q, &a[1]);
    queue_end(&q, &b);
    queue_fini(&q);
}

/* Far more tenants than are remembered; one that used much comes back later. */
static void test_forgetting_is_bounded_and_gives_nothing_away(void **state)
{
    struct queue q;
    setup(&q);
    use(&q, A, 500);
    for (uint32_t id = 100; id < 100 + 4 * QUEUE_TENANTS_MAX; id++)
        use(&q, id, id % 7);
    assert_true(q.tenants.count <= QUEUE_TENANTS_MAX);
    struct queue_entry a = entry(A, QUEUE_BAND_NORMAL, 0);
    queue_put(&q, &a);
    assert_true(counter(&a) >= 500000);
    queue_remove(&q, &a);
    queue_fini(&q);
}

static void test_tenants_beyond_all_room_share_an_account(void **state)
{
    struct queue q;
    setup(&q);
    for (uint32_t id = 0; id < QUEUE_TENANTS_MAX; id++)
        assert_int_equal(queue_set_tenant(&q, id, 2, 0), 0);
    assert_int_equal(queue_set_tenant(&q, QUEUE_TENANTS_MAX, 2, 0), ERR_FULL);
    struct queue_entry a = entry(QUEUE_TENANTS_MAX, QUEUE_BAND_NORMAL, 0),
                       b = entry(QUEUE_TENANTS_MAX + 1, QUEUE_BAND_NORMAL, 0);
    queue_put(&q, &a);
    queue_put(&q, &b);
    assert_ptr_equal(a.account, b.account);
    remove_all(&q);
    assert_int_equal(queue_set_tenant(&q, 5, 1, 0), 0); /* may be forgotten now */
    assert_int_equal(queue_set_tenant(&q, QUEUE_TENANTS_MAX, 2, 0), 0);
    queue_fini(&q);
}

static void test_positions_in_the_line(void **state)
{
    struct queue q;
    setup(&q);
    struct queue_entry a[3] = {entry(A, QUEUE_BAND_NORMAL, 0), entry(A, QUEUE_BAND_NORMAL, 0),
                               entry(A, QUEUE_BAND_NORMAL, 0)};
    struct queue_entry b = entry(B, QUEUE_BAND_NORMAL, 0), low = entry(C, QUEUE_BAND_LOW, 0);
    put_all(&q, a, 3);
    queue_put(&q, &b);
    queue_put(&q, &low);
    assert_int_equal(queue_position(&q, &a[0]), 0);
    assert_int_equal(queue_position(&q, &b), 1);
    assert_int_equal(queue_position(&q, &a[1]), 2);
    assert_int_equal(queue_position(&q, &a[2]), 3);
    assert_int_equal(queue_position(&q, &low), 4);
    queue_remove(&q, &a[0]);
    assert_int_equal(queue_position(&q, &a[2]), 2);
    struct queue_limits limits = q.limits;
    limits.fairness = QUEUE_FIFO;
    queue_set_limits(&q, &limits);
    assert_int_equal(queue_position(&q, &a[2]), 1);
    assert_int_equal(queue_position(&q, &b), 2);
    remove_all(&q);
    queue_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_bands_are_strict_until_promotion),
        cmocka_unit_test(test_promotion_is_no_way_around_fairness),
        cmocka_unit_test(test_what_is_promoted_waits_for_nothing_lower),
        cmocka_unit_test(test_who_comes_back_stands_in_front),
        cmocka_unit_test(test_who_comes_back_is_not_charged_for_the_failure),
        cmocka_unit_test(test_deadlines_expire_in_order),
        cmocka_unit_test(test_full_at_max_length),
        cmocka_unit_test(test_a_tenant_is_full_at_its_own_cap),
        cmocka_unit_test(test_the_tenant_with_less_is_next),
        cmocka_unit_test(test_weights_divide_the_charge),
        cmocka_unit_test(test_costs_of_input_and_output),
        cmocka_unit_test(test_settling_puts_the_real_usage_in_place),
        cmocka_unit_test(test_who_begins_to_wait_is_lifted),
        cmocka_unit_test(test_requests_as_the_unit),
        cmocka_unit_test(test_another_fairness_begins_even),
        cmocka_unit_test(test_a_reason_explains_the_turn),
        cmocka_unit_test(test_forgetting_is_bounded_and_gives_nothing_away),
        cmocka_unit_test(test_tenants_beyond_all_room_share_an_account),
        cmocka_unit_test(test_positions_in_the_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
