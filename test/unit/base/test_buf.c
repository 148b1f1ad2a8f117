/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/err.h"
#include "test.h"

static void test_writers(void **state)
{
    struct buf b;
    buf_init(&b, 1000);
    buf_put(&b, STR("ab"));
    buf_put_char(&b, 'c');
    buf_put_u64(&b, 0);
    buf_put_u64(&b, UINT64_MAX);
    buf_printf(&b, "-%03d-%s", 7, "x");
    buf_put(&b, STR_NONE);
    assert_string_equal(buf_cstr(&b), "abc018446744073709551615-007-x");
    assert_int_equal(b.len, 30);
    buf_drop_front(&b, 3);
    buf_truncate(&b, 2);
    assert_true(str_eq(buf_str(&b), STR("01")));
    buf_fini(&b);
    assert_null(b.ptr);
}

static void test_maximum_is_sticky(void **state)
{
    struct buf b;
    buf_init(&b, 8);
    buf_put(&b, STR("12345678"));
    assert_int_equal(b.error, 0);
    buf_put_char(&b, '9');
    assert_int_equal(b.error, ERR_TOO_BIG);
    assert_true(str_eq(buf_str(&b), STR("12345678")));
    buf_truncate(&b, 0);
    buf_put_char(&b, 'x');
    assert_int_equal(b.len, 0); /* still in error */
    assert_null(buf_reserve(&b, 0));
    assert_null(buf_cstr(&b));
    buf_clear(&b);
    buf_put_char(&b, 'x');
    assert_true(str_eq(buf_str(&b), STR("x")));
    buf_fini(&b);
}

static void test_reserve_and_commit(void **state)
{
    struct buf b;
    buf_init(&b, 1 << 20);
    for (int i = 0; i < 1000; i++) {
        char *room = buf_reserve(&b, 100);
        memset(room, 'a' + i % 26, 100);
        buf_commit(&b, 100);
    }
    assert_int_equal(b.len, 100000);
    for (size_t i = 0; i < b.len; i++)
        assert_int_equal(b.ptr[i], 'a' + i / 100 % 26);
    buf_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writers),
        cmocka_unit_test(test_maximum_is_sticky),
        cmocka_unit_test(test_reserve_and_commit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
