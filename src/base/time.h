/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Time as a value: `nsec` counts nanoseconds and says so. It is either a duration or an instant on
 * a clock that starts anywhere and never goes back. Pure code is given instants; only services read
 * the clock (base/clock.h).
 */
#ifndef FAIRWAY_BASE_TIME_H
#define FAIRWAY_BASE_TIME_H

#include <stdint.h>

#include "base/str.h"

typedef int64_t nsec;

#define NSEC_PER_USEC ((nsec)1000)
#define NSEC_PER_MSEC ((nsec)1000 * 1000)
#define NSEC_PER_SEC  ((nsec)1000 * 1000 * 1000)
#define NSEC_NEVER    INT64_MAX /* an instant that is never reached; a deadline of "none" */

#define MSEC(n) ((nsec)(n)*NSEC_PER_MSEC)
#define SEC(n)  ((nsec)(n)*NSEC_PER_SEC)

static inline double nsec_to_seconds(nsec t)
{
    return (double)t / 1e9;
}

/* The instant `delay` after `now`; NSEC_NEVER instead of an overflow. */
static inline nsec nsec_after(nsec now, nsec delay)
{
    nsec sum;
    return __builtin_add_overflow(now, delay, &sum) ? NSEC_NEVER : sum;
}

/* "150ms", "10s", "2m30s", "1h", "0s": ERR_PARSE for anything else, ERR_INVALID when out of range.
 */
[[nodiscard]] int nsec_parse(struct str text, nsec *ret_duration);

/* Formats a duration for people in at most two units: "1.5ms", "2m30s", "3d4h". Returns text. */
enum { NSEC_TEXT_MAX = 32 };
char *nsec_format(nsec duration, char text[NSEC_TEXT_MAX]);

#endif
