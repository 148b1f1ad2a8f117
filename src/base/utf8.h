/* SPDX-License-Identifier: Apache-2.0 */
/*
 * UTF-8 (RFC 3629) checked strictly: no overlong forms, no surrogates, nothing above U+10FFFF.
 *
 * Thread rule: none; all functions work on their arguments only.
 */
#ifndef FAIRWAY_BASE_UTF8_H
#define FAIRWAY_BASE_UTF8_H

#include "base/str.h"

static inline bool utf8_is_tail(char c)
{
    return ((unsigned char)c & 0xC0) == 0x80;
}

/* Bytes of the character that starts at `at`; 0 when the bytes up to `end` hold no whole valid one.
 */
static inline size_t utf8_length(const char *at, const char *end)
{
    size_t left = (size_t)(end - at);
    unsigned char lead = left ? (unsigned char)at[0] : 0xFF;
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2 || left < 2 || !utf8_is_tail(at[1]))
        return 0;
    if (lead < 0xE0)
        return 2;
    unsigned char second = (unsigned char)at[1];
    if (left < 3 || !utf8_is_tail(at[2]))
        return 0;
    if (lead < 0xF0)
        return (lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ? 0 : 3;
    if (lead > 0xF4 || left < 4 || !utf8_is_tail(at[3]))
        return 0;
    return (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F) ? 0 : 4;
}

bool utf8_valid(struct str s);

/* Writes a code point (at most U+10FFFF, no surrogate) as 1 to 4 bytes; returns how many. */
size_t utf8_put(uint32_t code_point, char out[4]);

/* At most `max` bytes of valid UTF-8 from the front, never ending inside a character. */
struct str utf8_cut(struct str s, size_t max);

#endif
