/* SPDX-License-Identifier: Apache-2.0 */
#include "base/time.h"

#include <stdio.h>

#include "base/err.h"

static const struct {
    struct str name;
    nsec size;
} units[] = {
    {STR("d"), 24 * 3600 * NSEC_PER_SEC},
    {STR("h"), 3600 * NSEC_PER_SEC},
    {STR("m"), 60 * NSEC_PER_SEC},
    {STR("s"), NSEC_PER_SEC},
    {STR("ms"), NSEC_PER_MSEC},
    {STR("us"), NSEC_PER_USEC},
    {STR("ns"), 1},
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int nsec_parse(struct str text, nsec *ret_duration)
{
    nsec total = 0;
    nsec previous_unit = NSEC_NEVER;
    if (text.len == 0)
        return ERR_PARSE;
    while (text.len) {
        size_t digits = 0, letters;
        while (digits < text.len && is_digit(text.ptr[digits]))
            digits++;
        for (letters = digits; letters < text.len && !is_digit(text.ptr[letters]);)
            letters++;
        uint64_t count;
        int error = str_to_u64(str_sub(text, 0, digits), &count);
        if (error)
            return error;
        nsec unit = 0, part;
        for (size_t i = 0; i < ARRAY_LEN(units); i++)
            if (str_eq(units[i].name, str_sub(text, digits, letters)))
                unit = units[i].size;
        if (unit == 0 || unit >= previous_unit)
            return ERR_PARSE;
        if (__builtin_mul_overflow(count, (uint64_t)unit, &part) ||
            __builtin_add_overflow(total, part, &total))
            return ERR_INVALID;
        previous_unit = unit;
        text = str_sub(text, letters, text.len);
    }
    *ret_duration = total;
    return 0;
}

char *nsec_format(nsec duration, char text[NSEC_TEXT_MAX])
{
    const char *sign = duration < 0 ? "-" : "";
    if (duration < 0)
        duration = duration == INT64_MIN ? INT64_MAX : -duration;
    double seconds = nsec_to_seconds(duration);
    /* Three digits round 999.5 up to 1000, which belongs to the next unit. */
    if (duration < NSEC_PER_MSEC - NSEC_PER_MSEC / 2000)
        snprintf(text, NSEC_TEXT_MAX, "%s%.3gus", sign, seconds * 1e6);
    else if (duration < NSEC_PER_SEC - NSEC_PER_SEC / 2000)
        snprintf(text, NSEC_TEXT_MAX, "%s%.3gms", sign, seconds * 1e3);
    else if (duration < 60 * NSEC_PER_SEC)
        snprintf(text, NSEC_TEXT_MAX, "%s%.3gs", sign, seconds);
    else if (duration < 3600 * NSEC_PER_SEC)
        snprintf(text, NSEC_TEXT_MAX, "%s%dm%ds", sign, (int)(seconds / 60), (int)seconds % 60);
    else if (duration < 24 * 3600 * NSEC_PER_SEC)
        snprintf(text, NSEC_TEXT_MAX, "%s%dh%dm", sign, (int)(seconds / 3600),
                 (int)(seconds / 60) % 60);
    else
        snprintf(text, NSEC_TEXT_MAX, "%s%dd%dh", sign, (int)(seconds / 86400),
                 (int)(seconds / 3600) % 24);
    return text;
}
