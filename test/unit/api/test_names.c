/* SPDX-License-Identifier: Apache-2.0 */
#include "api/names.h"
#include "base/check.h"
#include "test.h"

static void check(const char *(*rule)(struct str), const char *good, const char *bad)
{
    struct str rest = str_from(good), part;
    while (str_split(&rest, ' ', &part))
        if (rule(part))
            fail_msg("refused %.*s: %s", STR_ARG(part), rule(part));
    rest = str_from(bad);
    while (str_split(&rest, ' ', &part))
        if (!rule(part))
            fail_msg("accepted %.*s", STR_ARG(part));
    assert_non_null(rule(STR("")));
    assert_non_null(rule(STR("a b")));
    assert_non_null(rule(STR("a\0b")));
    assert_non_null(rule(STR("\xC3\xA9")));
}

static struct str repeat(char c, size_t count)
{
    static char text[512];
    memset(text, c, count);
    return (struct str){text, count};
}

static void test_names(void **state)
{
    check(name_check_dns_label, "a chat gpt-4 0a", "A -a a- a.b a_b");
    assert_null(name_check_dns_label(repeat('a', 63)));
    assert_non_null(name_check_dns_label(repeat('a', 64)));
    check(name_check_label_key, "a Team a_b.c-d example.com/team x/y", "/a a/ a/b/c -a a- A.com/x");
    assert_non_null(name_check_label_key(repeat('a', 64)));
    check(name_check_env_variable, "A _x HOME9", "9A A-B A=B");
    check(name_check_model_alias, "gpt-4o-mini org/name:tag@1 m", "/a a/ -a a,b");
    assert_null(name_check_model_alias(repeat('a', 128)));
    assert_non_null(name_check_model_alias(repeat('a', 129)));
    check(name_check_sha256,
          "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
          "sha256: 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef "
          "sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef "
          "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_names)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
