/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms": years begin in March, so that the
 * leap day is the last of its year; 400 years have 146,097 days, and 719,468 days lie between
 * 0000-03-01 and 1970-01-01.
 */
#include "core/limit/calendar.h"

enum { DAYS_400_YEARS = 146097, DAYS_TO_1970 = 719468, DAYS_OF_YEAR = 365 };

static int64_t divide_down(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

int64_t calendar_day(nsec wall)
{
    return divide_down(wall, CALENDAR_DAY);
}

nsec calendar_day_start(int64_t day)
{
    return day * CALENDAR_DAY;
}

int64_t calendar_month(nsec wall)
{
    int64_t days = calendar_day(wall) + DAYS_TO_1970;
    int64_t era = divide_down(days, DAYS_400_YEARS), day = days - era * DAYS_400_YEARS;
    int64_t year = (day - day / 1460 + day / 36524 - day / 146096) / DAYS_OF_YEAR;
    int64_t day_of_year = day - (DAYS_OF_YEAR * year + year / 4 - year / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    return (era * 400 + year) * 12 + month_from_march + 2;
}

nsec calendar_month_start(int64_t month)
{
    int64_t from_march = month - 2, years = divide_down(from_march, 12);
    int64_t era = divide_down(years, 400), year = years - era * 400;
    int64_t day_of_year = (153 * (from_march - years * 12) + 2) / 5;
    int64_t day = year * DAYS_OF_YEAR + year / 4 - year / 100 + day_of_year;
    return calendar_day_start(era * DAYS_400_YEARS + day - DAYS_TO_1970);
}
