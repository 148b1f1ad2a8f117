/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/body_edit.h"

#include "test.h"

static void check(const struct body_edits *e, struct str body, const char *expected)
{
    struct buf edited = body_edits_apply(e, body);
    assert_true(str_eq(buf_str(&edited), str_from(expected)));
    buf_fini(&edited);
}

static void test_replacements_in_any_order(void **state)
{
    struct str body = STR("{\"model\":\"a\",\"n\":1}");
    struct body_edits e = {.count = 0};
    check(&e, body, "{\"model\":\"a\",\"n\":1}");
    body_edit(&e, body, str_sub(body, 17, 18), STR("22"));
    body_edit(&e, body, str_sub(body, 9, 12), STR("\"long name\""));
    body_edit(&e, body, str_sub(body, 1, 1), STR("\"x\":0,"));
    check(&e, body, "{\"x\":0,\"model\":\"long name\",\"n\":22}");
}

static void test_nothing_put_in_place_of_something(void **state)
{
    struct str body = STR("abc");
    struct body_edits e = {.count = 0};
    body_edit(&e, body, str_sub(body, 0, 1), STR(""));
    body_edit(&e, body, str_sub(body, 3, 3), STR("!"));
    check(&e, body, "bc!");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replacements_in_any_order),
        cmocka_unit_test(test_nothing_put_in_place_of_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
