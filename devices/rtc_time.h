/* Dates for the real-time clock: the Gregorian calendar, without time zones. */
#pragma once
#include <stdint.h>

struct rtc_time {
    unsigned year;    /* 0 to 9999 */
    unsigned month;   /* 1 to 12 */
    unsigned day;     /* 1 to 31 */
    unsigned weekday; /* 0: Sunday */
    unsigned hour, minute, second;
};

/* Seconds since 1970 to a date, years taken modulo 10000; and back: members that are out of range
 * carry over, the weekday is ignored. */
void rtc_time_split(int64_t seconds, struct rtc_time *t);
int64_t rtc_time_join(const struct rtc_time *t);
