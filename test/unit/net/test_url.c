/* SPDX-License-Identifier: Apache-2.0 */
#include "net/url.h"
#include "test.h"

static struct url parse(const char *text)
{
    struct url u;
    if (url_parse(str_from(text), &u))
        fail_msg("%s is refused", text);
    return u;
}

static void check(const char *text, bool tls, const char *host, bool numeric, uint16_t port,
                  const char *path)
{
    struct url u = parse(text);
    assert_int_equal(u.tls, tls);
    assert_true(str_eq(u.host, str_from(host)));
    assert_int_equal(u.numeric, numeric);
    assert_int_equal(u.port, port);
    assert_true(str_eq(u.path, str_from(path)));
}

static void test_parts(void **state)
{
    check("https://gpu1.example", true, "gpu1.example", false, 443, "");
    check("http://gpu1:8000/", false, "gpu1", false, 8000, "");
    check("http://10.0.0.7", false, "10.0.0.7", true, 80, "");
    check("https://[::1]:8443/openai/v1//", true, "::1", true, 8443, "/openai/v1");
    check("http://[2001:db8::2]", false, "2001:db8::2", true, 80, "");
    assert_true(str_eq(parse("https://gpu1.example:8443/v1").authority, STR("gpu1.example:8443")));
    assert_true(str_eq(parse("http://[::1]/v1").authority, STR("[::1]")));
}

static void test_what_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "gpu1",
        "ftp://gpu1",
        "HTTP//gpu1",
        "http://",
        "http:///v1",
        "http://:80",
        "http://key@gpu1",
        "http://user:key@gpu1/v1",
        "http://gpu1:0",
        "http://gpu1:65536",
        "http://gpu1:",
        "http://gpu1:8o",
        "http://[::1",
        "http://::1",
        "http://[gpu1]",
        "http://[127.0.0.1]",
        "http://gpu 1",
        "http://gpu1/v1?key=1",
        "http://gpu1/v1#top",
        "http://gpu1/a b",
        "http://gpu1/a\r\nx: y",
        "http://gpu1\r\nx: y/",
    };
    struct url u;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (url_parse(str_from(bad[i]), &u) != ERR_INVALID)
            fail_msg("%s is taken", bad[i]);
    assert_int_equal(url_parse((struct str){"http://a\0b", 10}, &u), ERR_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_what_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
