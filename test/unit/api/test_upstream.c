/* SPDX-License-Identifier: Apache-2.0 */
#include "api/upstream.h"
#include "net/http_client.h"
#include "test.h"

static void check(const char *url, const char *authority, const char *base_path)
{
    struct upstream *u = upstream_new(str_from(url), NULL, STR("secret"));
    struct http_call_request request = {.target = STR("/v1/models")};
    upstream_prepare(u, &request);
    assert_true(str_eq(request.authority, str_from(authority)));
    assert_true(str_eq(request.base_path, str_from(base_path)));
    assert_true(str_eq(u->authorization, STR("Bearer secret")));
    assert_true(str_eq(upstream_key(u), STR("secret")));
    upstream_unref(u);
}

static void test_the_path_in_front_of_v1_is_kept(void **state)
{
    check("http://gpu1:8000", "gpu1:8000", "");
    check("http://gpu1/v1", "gpu1", "");
    check("http://gpu1/v1/", "gpu1", "");
    check("http://gpu1/openai/v1", "gpu1", "/openai");
    check("http://[::1]:80/openai/", "[::1]:80", "/openai");
    check("http://gpu1/mv1", "gpu1", "/mv1");
}

static void test_without_a_key(void **state)
{
    struct upstream *u = upstream_new(STR("http://gpu1"), NULL, STR_NONE);
    assert_int_equal(u->authorization.len, 0);
    assert_int_equal(upstream_key(u).len, 0);
    upstream_unref(upstream_ref(u));
    upstream_unref(u);
    assert_null(upstream_ref(NULL));
    upstream_unref(NULL);
}

static void test_what_a_header_can_carry(void **state)
{
    assert_null(upstream_check_key(STR("sk-a.B_9~")));
    assert_non_null(upstream_check_key(STR("two words")));
    assert_non_null(upstream_check_key(STR("a\r\nhost:b")));
    assert_non_null(upstream_check_key(STR("k\xC3\xA9")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_path_in_front_of_v1_is_kept),
        cmocka_unit_test(test_without_a_key),
        cmocka_unit_test(test_what_a_header_can_carry),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
