/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Days and months of the UTC calendar (proleptic Gregorian), numbered: days from 1970-01-01, months
 * from January of the year 0. Instants are nanoseconds from 1970-01-01. Pure functions; years 1678
 * to 2262, which is what nsec can say.
 */
#ifndef FAIRWAY_CORE_LIMIT_CALENDAR_H
#define FAIRWAY_CORE_LIMIT_CALENDAR_H

#include "base/time.h"

#define CALENDAR_DAY (24 * 3600 * NSEC_PER_SEC)

int64_t calendar_day(nsec wall);
int64_t calendar_month(nsec wall);
nsec calendar_day_start(int64_t day);
nsec calendar_month_start(int64_t month);

#endif
