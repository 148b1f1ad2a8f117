/* SPDX-License-Identifier: Apache-2.0 */
#include "net/resolve.h"
#include "test.h"

static struct loop *loop;
static struct resolve_answer got;
static int answers;

static void on_answer(void *ctx, const struct resolve_answer *answer)
{
    got = *answer;
    answers++;
    loop_stop(loop);
}

static int setup(void **state)
{
    loop = loop_new();
    answers = 0;
    return 0;
}

static int teardown(void **state)
{
    loop_free(loop);
    return 0;
}

static void test_localhost(void **state)
{
    resolve_start(loop, STR("localhost"), on_answer, NULL);
    assert_int_equal(answers, 0);
    loop_run(loop);
    assert_int_equal(answers, 1);
    assert_null(got.failure);
    bool found = false;
    for (size_t i = 0; i < got.count; i++)
        found |= !strcmp(got.addresses[i], "127.0.0.1") || !strcmp(got.addresses[i], "::1");
    assert_true(found);
}

static void test_an_address_stays_what_it_is(void **state)
{
    resolve_start(loop, STR("127.0.0.7"), on_answer, NULL);
    loop_run(loop);
    assert_int_equal(got.count, 1);
    assert_string_equal(got.addresses[0], "127.0.0.7");
}

static void test_no_such_name(void **state)
{
    resolve_start(loop, STR("no..name"), on_answer, NULL);
    loop_run(loop);
    assert_int_equal(answers, 1);
    assert_non_null(got.failure);
    assert_int_equal(got.count, 0);
}

/* The look-up may be under way when the loop goes. */
static void test_cancel(void **state)
{
    for (int i = 0; i < 20; i++)
        resolve_cancel(resolve_start(loop, STR("localhost"), on_answer, NULL));
}

static int teardown_cancelled(void **state)
{
    loop_free(loop);
    assert_int_equal(answers, 0);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_localhost, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_address_stays_what_it_is, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_such_name, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown_cancelled),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
