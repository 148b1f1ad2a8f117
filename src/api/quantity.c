/* SPDX-License-Identifier: Apache-2.0 */
#include "api/quantity.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "base/err.h"

/* From the largest down, binary first: the order in which quantity_format prefers them. */
static const struct {
    const char *suffix;
    int64_t size;
} scales[] = {
    {"Ei", INT64_C(1) << 60},
    {"Pi", INT64_C(1) << 50},
    {"Ti", INT64_C(1) << 40},
    {"Gi", INT64_C(1) << 30},
    {"Mi", INT64_C(1) << 20},
    {"Ki", INT64_C(1) << 10},
    {"E", INT64_C(1000000000000000000)},
    {"P", INT64_C(1000000000000000)},
    {"T", INT64_C(1000000000000)},
    {"G", INT64_C(1000000000)},
    {"M", INT64_C(1000000)},
    {"k", INT64_C(1000)},
    {"", 1},
};

/* The suffix as a fraction; false for an unknown one. */
static bool find_scale(struct str suffix, int64_t *ret_size, int64_t *ret_divisor)
{
    *ret_divisor = str_eq(suffix, STR("m")) ? 1000 : 1;
    *ret_size = 1;
    if (*ret_divisor == 1000)
        return true;
    for (size_t i = 0; i < ARRAY_LEN(scales); i++) {
        if (str_eq(suffix, str_from(scales[i].suffix))) {
            *ret_size = scales[i].size;
            return true;
        }
    }
    return false;
}

static size_t count_digits(struct str text)
{
    size_t count = 0;
    while (count < text.len && text.ptr[count] >= '0' && text.ptr[count] <= '9')
        count++;
    return count;
}

int quantity_parse(struct str text, int64_t unit, int64_t *ret_parts)
{
    enum { FRACTION_MAX = 9 };
    size_t whole_len = count_digits(text);
    struct str rest = str_sub(text, whole_len, text.len), fraction = STR_NONE;
    if (str_starts(rest, STR("."))) {
        fraction = str_sub(rest, 1, 1 + count_digits(str_sub(rest, 1, rest.len)));
        rest = str_sub(rest, 1 + fraction.len, rest.len);
        if (fraction.len == 0)
            return ERR_PARSE;
    }
    int64_t size, divisor;
    uint64_t whole, part = 0;
    int error = str_to_u64(str_sub(text, 0, whole_len), &whole);
    if (error)
        return error;
    if (!find_scale(rest, &size, &divisor))
        return ERR_PARSE;
    if (fraction.len > FRACTION_MAX)
        return ERR_INVALID;
    for (size_t i = 0; i < fraction.len; i++) {
        part = part * 10 + (uint64_t)(fraction.ptr[i] - '0');
        divisor *= 10;
    }
    __int128 denominator = divisor, numerator;
    __int128 mantissa = (__int128)whole;
    for (size_t i = 0; i < fraction.len; i++)
        mantissa *= 10;
    mantissa += part;
    if (__builtin_mul_overflow(mantissa, (__int128)size * unit, &numerator) ||
        numerator % denominator != 0 || numerator / denominator > INT64_MAX)
        return ERR_INVALID;
    *ret_parts = (int64_t)(numerator / denominator);
    return 0;
}

/* "0.15", "12" */
static char *format_decimal(int64_t millionths, char text[QUANTITY_TEXT_MAX])
{
    int len = snprintf(text, QUANTITY_TEXT_MAX, "%" PRId64 ".%06" PRId64,
                       millionths / QUANTITY_MILLIONTHS, millionths % QUANTITY_MILLIONTHS);
    while (text[len - 1] == '0')
        len--;
    text[text[len - 1] == '.' ? len - 1 : len] = 0;
    return text;
}

char *quantity_format(int64_t parts, int64_t unit, char text[QUANTITY_TEXT_MAX])
{
    CHECK(parts >= 0 && (unit == 1 || unit == 1000 || unit == QUANTITY_MILLIONTHS));
    if (unit == QUANTITY_MILLIONTHS)
        return format_decimal(parts, text);
    if (parts % unit != 0) {
        snprintf(text, QUANTITY_TEXT_MAX, "%" PRId64 "m", parts);
        return text;
    }
    int64_t whole = parts / unit;
    size_t i = 0;
    while (scales[i].size > 1 && (whole == 0 || whole % scales[i].size != 0))
        i++;
    snprintf(text, QUANTITY_TEXT_MAX, "%" PRId64 "%s", whole / scales[i].size, scales[i].suffix);
    return text;
}
