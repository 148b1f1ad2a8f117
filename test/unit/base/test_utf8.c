/* SPDX-License-Identifier: Apache-2.0 */
#include "base/check.h"
#include "base/utf8.h"
#include "test.h"

/* Every code point, there and back; what utf8_put makes is one valid character of that length. */
static void test_every_code_point(void **state)
{
    for (uint32_t c = 0; c <= 0x10FFFF; c++) {
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        char bytes[4];
        size_t length = utf8_put(c, bytes);
        assert_int_equal(length, c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4);
        assert_int_equal(utf8_length(bytes, bytes + length), length);
        for (size_t cut = 0; cut < length; cut++)
            assert_int_equal(utf8_length(bytes, bytes + cut), 0);
    }
}

/* Of all sequences of three bytes exactly the encodings of code points are valid. */
static void test_count_of_valid_sequences(void **state)
{
    size_t valid[4] = {0};
    for (uint32_t x = 0; x < 1 << 24; x++) {
        char bytes[] = {(char)(x >> 16), (char)(x >> 8), (char)x};
        valid[utf8_length(bytes, bytes + 3)]++;
    }
    assert_int_equal(valid[1], 0x80 << 16);
    assert_int_equal(valid[2], (0x800 - 0x80) << 8);
    assert_int_equal(valid[3], 0x10000 - 0x800 - 0x800);
}

static void test_bad_sequences(void **state)
{
    static const struct str bad[] = {STR("\x80"),
                                     STR("\xC0\x80"),
                                     STR("\xC1\xBF"),
                                     STR("\xE0\x9F\xBF"),
                                     STR("\xED\xA0\x80"),
                                     STR("\xF0\x8F\xBF\xBF"),
                                     STR("\xF4\x90\x80\x80"),
                                     STR("\xF5\x80\x80\x80"),
                                     STR("\xFF"),
                                     STR("\xF0\x9F\x98(")};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(utf8_valid(bad[i]));
    assert_true(utf8_valid(STR("a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\0")));
    assert_true(utf8_valid(STR_NONE));
}

static void test_cut(void **state)
{
    struct str s = STR("a\xC3\xA9\xE2\x82\xAC");
    static const size_t lengths[] = {0, 1, 1, 3, 3, 3, 6, 6};
    for (size_t max = 0; max < ARRAY_LEN(lengths); max++)
        assert_int_equal(utf8_cut(s, max).len, lengths[max]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_code_point),
        cmocka_unit_test(test_count_of_valid_sequences),
        cmocka_unit_test(test_bad_sequences),
        cmocka_unit_test(test_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
