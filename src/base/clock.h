/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clocks of the machine. Services only: src/core must not include this header (checked).
 */
#ifndef FAIRWAY_BASE_CLOCK_H
#define FAIRWAY_BASE_CLOCK_H

#include "base/str.h"
#include "base/time.h"

nsec clock_now(void);  /* monotonic */
nsec clock_wall(void); /* since the Unix epoch */

/* "2026-01-31T12:00:00.123Z" */
enum { CLOCK_RFC3339_MAX = 32 };
char *clock_rfc3339(nsec wall, char text[CLOCK_RFC3339_MAX]);
nsec clock_parse_rfc3339(struct str text); /* what clock_rfc3339 wrote; 0: anything else */

#endif
