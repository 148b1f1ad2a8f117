/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/err.h"
#include "test.h"

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        nsec value;
    } good[] = {{"0s", 0},
                {"150ms", MSEC(150)},
                {"2m30s", SEC(150)},
                {"1h", SEC(3600)},
                {"1d2h3m4s5ms6us7ns", SEC(86400 + 7384) + MSEC(5) + 6007},
                {"9223372036854775807ns", INT64_MAX}};
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        nsec value = -1;
        assert_int_equal(nsec_parse(str_from(good[i].text), &value), 0);
        assert_true(value == good[i].value);
    }
    static const struct {
        const char *text;
        int error;
    } bad[] = {{"", ERR_PARSE},          {"5", ERR_PARSE},
               {"s", ERR_PARSE},         {"-1s", ERR_PARSE},
               {"1.5s", ERR_PARSE},      {"1 s", ERR_PARSE},
               {"1s1m", ERR_PARSE},      {"1s1s", ERR_PARSE},
               {"1year", ERR_PARSE},     {"9223372036854775808ns", ERR_INVALID},
               {"200000d", ERR_INVALID}, {"106751d24h", ERR_INVALID}};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        nsec value = -1;
        assert_int_equal(nsec_parse(str_from(bad[i].text), &value), bad[i].error);
        assert_true(value == -1);
    }
}

static void test_format(void **state)
{
    static const struct {
        nsec value;
        const char *text;
    } cases[] = {{0, "0us"},
                 {1500, "1.5us"},
                 {MSEC(1) + 500000, "1.5ms"},
                 {999499, "999us"},
                 {999999, "1ms"},
                 {SEC(1) - 1, "1s"},
                 {MSEC(150), "150ms"},
                 {MSEC(1500), "1.5s"},
                 {SEC(150), "2m30s"},
                 {SEC(3600 * 5 + 60 * 7 + 3), "5h7m"},
                 {SEC(86400 * 3 + 3600 * 4), "3d4h"},
                 {-MSEC(150), "-150ms"}};
    char text[NSEC_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(nsec_format(cases[i].value, text), cases[i].text);
    nsec_format(INT64_MIN, text);
    assert_string_equal(text, "-106751d23h");
}

static void test_never(void **state)
{
    assert_true(nsec_after(5, 7) == 12);
    assert_true(nsec_after(NSEC_NEVER - 1, 2) == NSEC_NEVER);
    assert_true(nsec_after(1, NSEC_NEVER) == NSEC_NEVER);
}

static void test_clock(void **state)
{
    nsec before = clock_now();
    assert_true(clock_now() >= before);
    assert_true(clock_wall() > SEC(1700000000));
    char text[CLOCK_RFC3339_MAX];
    assert_string_equal(clock_rfc3339(SEC(1769860800) + MSEC(123), text),
                        "2026-01-31T12:00:00.123Z");
    assert_true(clock_parse_rfc3339(STR("2026-01-31T12:00:00.123Z")) ==
                SEC(1769860800) + MSEC(123));
    static const char *const others[] = {"",
                                         "2026-01-31",
                                         "2026-01-31T12:00:00Z",
                                         "2026-01-31T12:00:00.123+01:00",
                                         "2026-01-31T12:00:00.123Z ",
                                         "2026-01-31T12:00:00.123Z and a good deal more"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++)
        assert_true(clock_parse_rfc3339(str_from(others[i])) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_never),
        cmocka_unit_test(test_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
