/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static nsec read_clock(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return t.tv_sec * NSEC_PER_SEC + t.tv_nsec;
}

nsec clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

nsec clock_wall(void)
{
    return read_clock(CLOCK_REALTIME);
}

char *clock_rfc3339(nsec wall, char text[CLOCK_RFC3339_MAX])
{
    time_t seconds = (time_t)(wall / NSEC_PER_SEC);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    size_t len = strftime(text, CLOCK_RFC3339_MAX, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + len, CLOCK_RFC3339_MAX - len, ".%03dZ",
             (int)(wall % NSEC_PER_SEC / NSEC_PER_MSEC));
    return text;
}

nsec clock_parse_rfc3339(struct str text)
{
    char copy[CLOCK_RFC3339_MAX];
    struct tm utc = {0};
    uint64_t milliseconds;
    if (text.len >= sizeof(copy))
        return 0;
    snprintf(copy, sizeof(copy), "%.*s", STR_ARG(text));
    const char *rest = strptime(copy, "%Y-%m-%dT%H:%M:%S", &utc);
    struct str fraction = rest ? str_from(rest) : STR_NONE; /* ".123Z" */
    if (fraction.len != 5 || fraction.ptr[0] != '.' || fraction.ptr[4] != 'Z' ||
        str_to_u64(str_sub(fraction, 1, 4), &milliseconds))
        return 0;
    return (nsec)timegm(&utc) * NSEC_PER_SEC + (nsec)milliseconds * NSEC_PER_MSEC;
}
