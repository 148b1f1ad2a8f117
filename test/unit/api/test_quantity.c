/* SPDX-License-Identifier: Apache-2.0 */
#include "api/quantity.h"
#include "base/check.h"
#include "base/err.h"
#include "test.h"

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        int64_t unit, parts;
    } good[] = {
        {"0", 1, 0},
        {"20Gi", 1, INT64_C(20) << 30},
        {"1.5Gi", 1, INT64_C(3) << 29},
        {"500M", 1, 500000000},
        {"1k", 1, 1000},
        {"0.5Ki", 1, 512},
        {"2000m", 1, 2},
        {"7Ei", 1, INT64_C(7) << 60},
        {"9223372036854775807", 1, INT64_MAX},
        {"500m", 1000, 500},
        {"2", 1000, 2000},
        {"1.5", 1000, 1500},
        {"0.001", 1000, 1},
        {"1k", 1000, 1000000},
        {"0.15", QUANTITY_MILLIONTHS, 150000},
        {"12.5", QUANTITY_MILLIONTHS, 12500000},
        {"100", QUANTITY_MILLIONTHS, 100000000},
    };
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        int64_t parts = -1;
        assert_int_equal(quantity_parse(str_from(good[i].text), good[i].unit, &parts), 0);
        assert_true(parts == good[i].parts);
    }
    static const struct {
        const char *text;
        int64_t unit;
        int error;
    } bad[] = {
        {"", 1, ERR_PARSE},
        {"Gi", 1, ERR_PARSE},
        {"-1", 1, ERR_PARSE},
        {"+1", 1, ERR_PARSE},
        {"1 Gi", 1, ERR_PARSE},
        {"1GiB", 1, ERR_PARSE},
        {"1g", 1, ERR_PARSE},
        {"1K", 1, ERR_PARSE},
        {"1.Gi", 1, ERR_PARSE},
        {".5", 1, ERR_PARSE},
        {"1e3", 1, ERR_PARSE},
        {"1.5", 1, ERR_INVALID},
        {"500m", 1, ERR_INVALID},
        {"8Ei", 1, ERR_INVALID},
        {"9223372036854775808", 1, ERR_INVALID},
        {"0.5m", 1000, ERR_INVALID},
        {"9223372036854775807", 1000, ERR_INVALID},
        {"99999999999999999999", 1, ERR_INVALID},
        {"1.0000000000", 1, ERR_INVALID},
        {"0.0000001", QUANTITY_MILLIONTHS, ERR_INVALID},
        {"18446744073709551615.999999999Ei", 1000, ERR_INVALID},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        int64_t parts = -1;
        int error = quantity_parse(str_from(bad[i].text), bad[i].unit, &parts);
        if (error != bad[i].error || parts != -1)
            fail_msg("%s: %d", bad[i].text, error);
    }
}

static void test_format(void **state)
{
    static const struct {
        int64_t parts, unit;
        const char *text;
    } cases[] = {
        {0, 1, "0"},
        {1, 1, "1"},
        {1024, 1, "1Ki"},
        {1000, 1, "1k"},
        {1536, 1, "1536"},
        {INT64_C(20) << 30, 1, "20Gi"},
        {500, 1000, "500m"},
        {2000, 1000, "2"},
        {1500, 1000, "1500m"},
        {0, 1000, "0"},
        {INT64_MAX, 1, "9223372036854775807"},
        {INT64_MAX, 1000, "9223372036854775807m"},
        {0, QUANTITY_MILLIONTHS, "0"},
        {150000, QUANTITY_MILLIONTHS, "0.15"},
        {10000000, QUANTITY_MILLIONTHS, "10"},
        {12500000, QUANTITY_MILLIONTHS, "12.5"},
        {INT64_MAX, QUANTITY_MILLIONTHS, "9223372036854.775807"},
    };
    char text[QUANTITY_TEXT_MAX];
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(quantity_format(cases[i].parts, cases[i].unit, text), cases[i].text);
}

static void test_round_trip(void **state)
{
    uint64_t seed = test_seed(1), chance = seed;
    for (int i = 0; i < 20000; i++) {
        char text[QUANTITY_TEXT_MAX];
        static const int64_t units[] = {1, 1000, QUANTITY_MILLIONTHS};
        int64_t unit = units[i % 3], again = -1;
        int64_t parts = (int64_t)(test_random(&chance) >> (1 + test_below(&chance, 63)));
        parts &= -1 - (int64_t)((UINT64_C(1) << test_below(&chance, 60)) - 1);
        PROPERTY(quantity_parse(str_from(quantity_format(parts, unit, text)), unit, &again) == 0,
                 seed, i);
        PROPERTY(again == parts, seed, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_round_trip),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
