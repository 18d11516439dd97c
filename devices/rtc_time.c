/* Days since 1970 to year, month and day, and back. The year starts in March here, so that the
 * leap day is the last one; 400 years are 146097 days. */
#include "devices/rtc_time.h"

#define DAY INT64_C(86400)
#define ERA INT64_C(146097)            /* days of 400 years */
#define MARCH_0000 INT64_C(719468)     /* days from 1 March 0000 to 1 January 1970 */
#define TEN_MILLENNIA (25 * ERA * DAY) /* seconds of 10000 years */

/* days from 1 March to the first of month m (0: March) */
static int64_t rtc_time_month_start(int64_t m)
{
    return (153 * m + 2) / 5;
}

static int64_t rtc_time_year_start(int64_t y)
{
    return 365 * y + y / 4 - y / 100 + y / 400;
}

void rtc_time_split(int64_t seconds, struct rtc_time *t)
{
    int64_t days, year, month, rest;

    seconds %= TEN_MILLENNIA;
    seconds += MARCH_0000 * DAY;
    if (seconds < 0)
        seconds += TEN_MILLENNIA;
    days = seconds / DAY;
    rest = seconds % DAY;
    year = days / 365;
    while (rtc_time_year_start(year) > days)
        year--;
    t->weekday = (unsigned)((days + 3) % 7); /* 1 March 0000 was a Wednesday */
    days -= rtc_time_year_start(year);
    month = (5 * days + 2) / 153;
    t->day = (unsigned)(days - rtc_time_month_start(month) + 1);
    t->month = (unsigned)(month < 10 ? month + 3 : month - 9);
    t->year = (unsigned)((year + (month >= 10)) % 10000);
    t->hour = (unsigned)(rest / 3600);
    t->minute = (unsigned)(rest / 60 % 60);
    t->second = (unsigned)(rest % 60);
}

int64_t rtc_time_join(const struct rtc_time *t)
{
    int64_t months = (int64_t)t->year * 12 + t->month - 3; /* since March 0000; may be negative */
    int64_t year = (months + 12) / 12 - 1;
    int64_t days;

    months -= year * 12;
    /* year -1 has no leap day before March 0000, and 366 days if counted from March */
    days = (year < 0 ? -366 : rtc_time_year_start(year)) + rtc_time_month_start(months) +
           (int64_t)t->day - 1;
    return (days - MARCH_0000) * DAY + (int64_t)t->hour * 3600 + (int64_t)t->minute * 60 +
           (int64_t)t->second;
}
