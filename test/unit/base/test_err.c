/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/err.h"
#include "test.h"

static void test_table(void **state)
{
    assert_string_equal(err_text(0), "ok");
    assert_int_equal(err_http_status(0), 200);
    assert_false(err_retryable(0));
    assert_string_equal(err_text(ERR_FULL), "limit reached");
    assert_int_equal(err_http_status(ERR_FULL), 429);
    assert_true(err_retryable(ERR_FULL));
    static const int codes[] = {
#define X(name, code, text, status, retryable) name,
        ERR_TABLE(X)
#undef X
    };
    for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
        assert_int_equal(codes[i], -(int)i - 1); /* dense, so that none is given twice */
        assert_true(err_http_status(codes[i]) >= 400);
    }
}

static void test_messages(void **state)
{
    struct err err = {0};
    assert_int_equal(err_set(&err, ERR_NOT_FOUND, "no file %s", "x"), ERR_NOT_FOUND);
    assert_int_equal(err_wrap(&err, ERR_IO, "model %s", "chat"), ERR_NOT_FOUND);
    assert_string_equal(err.message, "model chat: no file x");
    assert_int_equal(err_set(NULL, ERR_IO, "x"), ERR_IO);
    assert_int_equal(err_wrap(NULL, ERR_IO, "x"), ERR_IO);
}

static void test_long_messages_are_cut(void **state)
{
    char big[2 * ERR_MESSAGE_MAX];
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = 0;
    struct err err;
    err_set(&err, ERR_IO, "%s", big);
    assert_int_equal(strlen(err.message), ERR_MESSAGE_MAX - 1);
    err_wrap(&err, ERR_IO, "%s", "context");
    assert_int_equal(strlen(err.message), ERR_MESSAGE_MAX - 1);
    assert_memory_equal(err.message, "context: x", 10);
}

static void test_errno(void **state)
{
    assert_int_equal(err_from_errno(ENOENT), ERR_NOT_FOUND);
    assert_int_equal(err_from_errno(EACCES), ERR_FORBIDDEN);
    assert_int_equal(err_from_errno(ECONNRESET), ERR_CLOSED);
    assert_int_equal(err_from_errno(EXDEV), ERR_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_long_messages_are_cut),
        cmocka_unit_test(test_errno),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
