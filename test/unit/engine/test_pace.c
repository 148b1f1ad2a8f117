/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/pace.h"
#include "test.h"

static void test_without_streams_the_whole_budget(void **state)
{
    struct pace pace = {0};
    assert_int_equal(pace_budget(&pace, MSEC(100), 0, 32, 256), 256);
}

static void test_before_anything_is_measured_the_least(void **state)
{
    struct pace pace = {0};
    assert_int_equal(pace_budget(&pace, MSEC(100), 3, 32, 256), 32);
}

static void test_what_fits_beside_generating(void **state)
{
    struct pace pace = {0};
    for (int i = 0; i < 100; i++) {
        pace_note(&pace, 0, 4, MSEC(20));
        pace_note(&pace, 64, 4, MSEC(20) + MSEC(64)); /* a millisecond per prompt token */
    }
    assert_in_range(pace_budget(&pace, MSEC(100), 4, 32, 256), 78, 82);
    assert_int_equal(pace_budget(&pace, MSEC(10), 4, 32, 256), 32); /* a prompt always advances */
    assert_int_equal(pace_budget(&pace, SEC(9), 4, 32, 256), 256);
}

static void test_the_speed_of_today_counts(void **state)
{
    struct pace pace = {0};
    pace_note(&pace, 100, 0, MSEC(100));
    for (int i = 0; i < 50; i++)
        pace_note(&pace, 100, 0, MSEC(1000));
    assert_in_range(pace_budget(&pace, SEC(1), 1, 1, 1000), 95, 105);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_streams_the_whole_budget),
        cmocka_unit_test(test_before_anything_is_measured_the_least),
        cmocka_unit_test(test_what_fits_beside_generating),
        cmocka_unit_test(test_the_speed_of_today_counts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
