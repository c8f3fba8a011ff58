/*
 * Dates. The arithmetic is that of the proleptic Gregorian calendar, done
 * here because strftime() and timegm() depend on the locale or are not in C.
 *
 * Pure; safe from any thread.
 */
#include "http/date.h"

#include <stdio.h>
#include <string.h>

#define DAY_SECONDS INT64_C(86400)

/* 0000-01-01 and 9999-12-31T23:59:59, between which years have four digits. */
#define SECONDS_MIN INT64_C(-62167219200)
#define SECONDS_MAX INT64_C(253402300799)

static const char days[][10] = {
    "Sunday",   "Monday", "Tuesday",  "Wednesday",
    "Thursday", "Friday", "Saturday",
};

static const char months[][4] = {
    "Jan", "Feb", "Mar", "Apr", "May", "Jun",
    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
};

struct civil {
    int year;    /* 0 to 9999 */
    int month;   /* 0 to 11 */
    int day;     /* 1 to 31 */
    int hour;    /* 0 to 23 */
    int minute;  /* 0 to 59 */
    int second;  /* 0 to 60 */
    int weekday; /* 0 is Sunday; not set by parsing */
};

static bool is_leap(int year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int year, int month)
{
    static const int length[] = {31, 28, 31, 30, 31, 30,
                                 31, 31, 30, 31, 30, 31};

    return length[month] + (month == 1 && is_leap(year));
}

/* Days from 0000-01-01 to the first of January of year. */
static int64_t year_start(int64_t year)
{
    int64_t before = year - 1;

    if (year == 0)
        return 0;
    return year * 365 + before / 4 - before / 100 + before / 400 + 1;
}

static int64_t to_seconds(const struct civil *c)
{
    int64_t day = year_start(c->year) + c->day - 1;
    int month;

    for (month = 0; month < c->month; month++)
        day += month_days(c->year, month);
    return SECONDS_MIN + day * DAY_SECONDS + c->hour * 3600 + c->minute * 60 +
           c->second;
}

static struct civil from_seconds(int64_t seconds)
{
    struct civil c = {0, 0, 1, 0, 0, 0, 0};
    int64_t day;
    int rest;

    if (seconds < SECONDS_MIN)
        seconds = SECONDS_MIN;
    if (seconds > SECONDS_MAX)
        seconds = SECONDS_MAX;
    seconds -= SECONDS_MIN;
    day = seconds / DAY_SECONDS;
    rest = (int)(seconds % DAY_SECONDS);
    c.hour = rest / 3600;
    c.minute = rest / 60 % 60;
    c.second = rest % 60;
    c.weekday = (int)((day + 6) % 7); /* 0000-01-01 is a Saturday */
    c.year = (int)(day / 366);
    while (year_start(c.year + 1) <= day)
        c.year++;
    day -= year_start(c.year);
    while (day >= month_days(c.year, c.month))
        day -= month_days(c.year, c.month++);
    c.day += (int)day;
    return c;
}

void date_http(char out[DATE_MAX], int64_t seconds)
{
    struct civil c = from_seconds(seconds);

    (void)snprintf(out, DATE_MAX, "%.3s, %02d %s %04d %02d:%02d:%02d GMT",
                   days[c.weekday], c.day, months[c.month], c.year, c.hour,
                   c.minute, c.second);
}

void date_rfc3339(char out[DATE_MAX], int64_t seconds)
{
    struct civil c = from_seconds(seconds);

    (void)snprintf(out, DATE_MAX, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year,
                   c.month + 1, c.day, c.hour, c.minute, c.second);
}

/* Each reader takes *s at its item and leaves it behind; false if the item
 * is not there. */
static bool read_text(const char **s, const char *text)
{
    size_t len = strlen(text);

    if (strncmp(*s, text, len) != 0)
        return false;
    *s += len;
    return true;
}

static bool read_digits(const char **s, int count, int *out)
{
    int i, value = 0;

    for (i = 0; i < count; i++) {
        if ((*s)[i] < '0' || (*s)[i] > '9')
            return false;
        value = value * 10 + ((*s)[i] - '0');
    }
    *s += count;
    *out = value;
    return true;
}

static bool read_month(const char **s, int *month)
{
    for (*month = 0; *month < 12; ++*month)
        if (read_text(s, months[*month]))
            return true;
    return false;
}

static bool read_clock(const char **s, struct civil *c)
{
    return read_digits(s, 2, &c->hour) && read_text(s, ":") &&
           read_digits(s, 2, &c->minute) && read_text(s, ":") &&
           read_digits(s, 2, &c->second);
}

/* The name of a day, whole or its first three letters; says which. */
static bool read_day(const char **s, bool *whole)
{
    size_t i;

    for (i = 0; i < sizeof days / sizeof days[0]; i++) {
        *whole = read_text(s, days[i]);
        if (*whole)
            return true;
        if (strncmp(*s, days[i], 3) == 0) {
            *s += 3;
            return true;
        }
    }
    return false;
}

/* `, 06 Nov 1994 08:49:37 GMT` */
static bool read_fixdate(const char **s, struct civil *c)
{
    return read_text(s, ", ") && read_digits(s, 2, &c->day) &&
           read_text(s, " ") && read_month(s, &c->month) && read_text(s, " ") &&
           read_digits(s, 4, &c->year) && read_text(s, " ") &&
           read_clock(s, c) && read_text(s, " GMT");
}

/* `, 06-Nov-94 08:49:37 GMT` */
static bool read_rfc850(const char **s, struct civil *c)
{
    return read_text(s, ", ") && read_digits(s, 2, &c->day) &&
           read_text(s, "-") && read_month(s, &c->month) && read_text(s, "-") &&
           read_digits(s, 2, &c->year) && read_text(s, " ") &&
           read_clock(s, c) && read_text(s, " GMT");
}

/* ` Nov  6 08:49:37 1994` */
static bool read_asctime(const char **s, struct civil *c)
{
    return read_text(s, " ") && read_month(s, &c->month) && read_text(s, " ") &&
           (read_text(s, " ") ? read_digits(s, 1, &c->day)
                              : read_digits(s, 2, &c->day)) &&
           read_text(s, " ") && read_clock(s, c) && read_text(s, " ") &&
           read_digits(s, 4, &c->year);
}

/* A second of 60 is a leap second. */
static bool in_range(const struct civil *c)
{
    return c->day >= 1 && c->day <= month_days(c->year, c->month) &&
           c->hour <= 23 && c->minute <= 59 && c->second <= 60;
}

/* Two digits mean the latest year that is not more than 50 years ahead. */
static int full_year(int two_digits, int64_t now)
{
    int latest = from_seconds(now).year + 50;

    return latest - ((latest - two_digits) % 100 + 100) % 100;
}

bool date_parse(const char *s, int64_t now, int64_t *seconds)
{
    struct civil c = {0, 0, 0, 0, 0, 0, 0};
    bool whole, ok;

    if (!s || !read_day(&s, &whole))
        return false;
    if (whole)
        ok = read_rfc850(&s, &c);
    else if (*s == ',')
        ok = read_fixdate(&s, &c);
    else
        ok = read_asctime(&s, &c);
    if (ok && whole)
        c.year = full_year(c.year, now);
    if (!ok || *s != '\0' || !in_range(&c))
        return false;
    *seconds = to_seconds(&c);
    return true;
}
