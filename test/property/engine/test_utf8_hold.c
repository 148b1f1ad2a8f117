/* SPDX-License-Identifier: Apache-2.0 */
/* Random bytes in random pieces come out as a decoder that sees the whole text would have them. */
#include "base/buf.h"
#include "base/utf8.h"
#include "engine/utf8_hold.h"
#include "test.h"

enum { ROUNDS = 3000, TEXT_MAX = 40 };

/* Which 1, 2 and 3 bytes start a character, from the list of all characters. */
static unsigned char starts[3][1 << 24];

static uint32_t packed(const char *bytes, size_t len)
{
    uint32_t value = 0;
    for (size_t i = 0; i < len; i++)
        value = value << 8 | (unsigned char)bytes[i];
    return value;
}

static void list_characters(void)
{
    for (uint32_t c = 0x80; c <= 0x10FFFF; c++) {
        char bytes[4];
        if (c >= 0xD800 && c <= 0xDFFF)
            continue;
        size_t len = utf8_put(c, bytes);
        for (size_t part = 1; part < len; part++)
            starts[part - 1][packed(bytes, part)] = 1;
    }
}

/* The W3C's rule: the longest start of a character that leads nowhere becomes one U+FFFD. */
static void oracle(struct str text, struct buf *out)
{
    while (text.len > 0) {
        size_t len = utf8_length(text.ptr, text.ptr + text.len);
        if (len > 0) {
            buf_put(out, str_sub(text, 0, len));
        } else {
            len = MIN(text.len, 3);
            while (len > 1 && !starts[len - 1][packed(text.ptr, len)])
                len--;
            buf_put(out, STR("\xEF\xBF\xBD"));
        }
        text = str_sub(text, len, text.len);
    }
}

static size_t random_text(uint64_t *chance, char *text)
{
    static const char *const pieces[] = {
        "a",    "\xC3\xA9",     "\xE2\x82\xAC", "\xF0\x9F\x98\x80", "\xE2",     "\xF0\x9F",
        "\x80", "\xED\xA0\x80", "\xC0",         "\xF4\x90\x80\x80", "\xE0\x80", "\xFF"};
    size_t len = 0;
    for (size_t i = test_below(chance, 10); i > 0; i--) {
        const char *piece = pieces[test_below(chance, ARRAY_LEN(pieces))];
        memcpy(text + len, piece, strlen(piece));
        len += strlen(piece);
    }
    for (size_t i = len; i > 0 && test_below(chance, 2); i--)
        text[test_below(chance, len)] = (char)test_random(chance);
    return len;
}

static void test_any_cut_gives_the_same_text(void **state)
{
    uint64_t seed = test_seed(1), chance = seed;
    list_characters();
    struct buf got, expected;
    buf_init(&got, 1 << 10);
    buf_init(&expected, 1 << 10);
    for (int round = 0; round < ROUNDS; round++) {
        char text[TEXT_MAX];
        size_t len = random_text(&chance, text);
        struct utf8_hold hold = {0};
        buf_clear(&got);
        buf_clear(&expected);
        oracle((struct str){text, len}, &expected);
        for (size_t at = 0; at < len;) {
            size_t wanted = 1 + test_below(&chance, 4), piece = MIN(wanted, len - at);
            utf8_hold_put(&hold, (struct str){text + at, piece}, &got);
            PROPERTY(utf8_valid(buf_str(&got)), seed, round);
            at += piece;
        }
        utf8_hold_end(&hold, &got);
        PROPERTY(str_eq(buf_str(&got), buf_str(&expected)), seed, round);
    }
    buf_fini(&got);
    buf_fini(&expected);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_any_cut_gives_the_same_text)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
