/* SPDX-License-Identifier: Apache-2.0 */
#include "core/queue/queue.h"
#include "test.h"

static const struct queue_limits limits = {.max_length = 4, .promote_after = SEC(10)};

static struct queue_entry entry(enum queue_band band, nsec arrived)
{
    return (struct queue_entry){
        .band = band, .arrived = arrived, .deadline = NSEC_NEVER, .tokens = 10};
}

static void test_first_come_first_served(void **state)
{
    struct queue q;
    queue_init(&q, &limits);
    struct queue_entry a = entry(QUEUE_BAND_NORMAL, 0), b = entry(QUEUE_BAND_NORMAL, 1);
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
    queue_init(&q, &limits);
    struct queue_entry low = entry(QUEUE_BAND_LOW, 0), high = entry(QUEUE_BAND_HIGH, SEC(1));
    queue_put(&q, &low);
    queue_put(&q, &high);
    assert_ptr_equal(queue_peek(&q, SEC(10)), &high);
    assert_ptr_equal(queue_peek(&q, SEC(10) + 1), &low);
    queue_remove(&q, &low);
    queue_remove(&q, &high);
    queue_fini(&q);
}

static void test_who_comes_back_stands_in_front(void **state)
{
    struct queue q;
    queue_init(&q, &limits);
    struct queue_entry a = entry(QUEUE_BAND_NORMAL, 0), b = entry(QUEUE_BAND_NORMAL, 1),
                       c = entry(QUEUE_BAND_NORMAL, 2);
    queue_put(&q, &a);
    queue_put(&q, &b);
    queue_remove(&q, &a);
    queue_remove(&q, &b);
    queue_put(&q, &c);
    queue_put(&q, &b);
    queue_put(&q, &a);
    assert_ptr_equal(queue_peek(&q, 3), &a);
    queue_remove(&q, &a);
    assert_ptr_equal(queue_peek(&q, 3), &b);
    queue_remove(&q, &b);
    queue_remove(&q, &c);
    queue_fini(&q);
}

static void test_deadlines_expire_in_order(void **state)
{
    struct queue q;
    queue_init(&q, &limits);
    struct queue_entry a = entry(QUEUE_BAND_NORMAL, 0), b = entry(QUEUE_BAND_HIGH, 0);
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
    queue_init(&q, &limits);
    for (int i = 0; i < 4; i++) {
        assert_false(queue_full(&q));
        entries[i] = entry(QUEUE_BAND_NORMAL, i);
        queue_put(&q, &entries[i]);
    }
    assert_true(queue_full(&q));
    for (int i = 0; i < 4; i++)
        queue_remove(&q, &entries[i]);
    queue_fini(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_come_first_served),
        cmocka_unit_test(test_bands_are_strict_until_promotion),
        cmocka_unit_test(test_who_comes_back_stands_in_front),
        cmocka_unit_test(test_deadlines_expire_in_order),
        cmocka_unit_test(test_full_at_max_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
