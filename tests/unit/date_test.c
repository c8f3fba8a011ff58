/*
 * HTTP dates: the three forms, and everything that is nearly one.
 */
#include "http/date.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define NOW          INT64_C(1785000000) /* July 2026 */
#define BAD          INT64_MIN

static void test_format(void **state)
{
    static const struct {
        int64_t seconds;
        const char *http;
        const char *rfc3339;
    } rows[] = {
        {0, "Thu, 01 Jan 1970 00:00:00 GMT", "1970-01-01T00:00:00Z"},
        {784111777, "Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37Z"},
        {951782399, "Mon, 28 Feb 2000 23:59:59 GMT", "2000-02-28T23:59:59Z"},
        {951782400, "Tue, 29 Feb 2000 00:00:00 GMT", "2000-02-29T00:00:00Z"},
        {951868800, "Wed, 01 Mar 2000 00:00:00 GMT", "2000-03-01T00:00:00Z"},
        {4107542400, "Mon, 01 Mar 2100 00:00:00 GMT", "2100-03-01T00:00:00Z"},
        {2147483648, "Tue, 19 Jan 2038 03:14:08 GMT", "2038-01-19T03:14:08Z"},
        {-1, "Wed, 31 Dec 1969 23:59:59 GMT", "1969-12-31T23:59:59Z"},
        {INT64_C(253402300799), "Fri, 31 Dec 9999 23:59:59 GMT",
         "9999-12-31T23:59:59Z"},
        {INT64_MAX, "Fri, 31 Dec 9999 23:59:59 GMT", "9999-12-31T23:59:59Z"},
        {INT64_MIN, "Sat, 01 Jan 0000 00:00:00 GMT", "0000-01-01T00:00:00Z"},
    };
    char out[DATE_MAX];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        date_http(out, rows[i].seconds);
        assert_string_equal(out, rows[i].http);
        date_rfc3339(out, rows[i].seconds);
        assert_string_equal(out, rows[i].rfc3339);
    }
}

static const struct {
    const char *text;
    int64_t seconds; /* BAD: refused */
} parse_rows[] = {
    {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
    {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
    {"Sun Nov  6 08:49:37 1994", 784111777},
    {"Wed Nov 16 08:49:37 1994", 784975777},
    {"Thu, 01 Jan 1970 00:00:00 GMT", 0},
    {"Wed, 31 Dec 1969 23:59:59 GMT", -1},
    {"Tue, 29 Feb 2000 00:00:00 GMT", 951782400},
    {"Fri, 31 Dec 9999 23:59:59 GMT", INT64_C(253402300799)},
    {"Sat, 01 Jan 0000 00:00:00 GMT", INT64_C(-62167219200)},
    {"Sat, 31 Dec 2016 23:59:60 GMT", 1483228800}, /* a leap second */
    /* the day of the week is not checked against the date */
    {"Mon, 06 Nov 1994 08:49:37 GMT", 784111777},
    /* centuries: at most 50 years ahead of 2026 */
    {"Monday, 01-Jan-70 00:00:00 GMT", INT64_C(3155760000)},
    {"Monday, 01-Jan-76 00:00:00 GMT", INT64_C(3345062400)},
    {"Monday, 01-Jan-77 00:00:00 GMT", 220924800},
    {"Monday, 01-Jan-00 00:00:00 GMT", 946684800},
    {"Monday, 01-Jan-26 00:00:00 GMT", 1767225600},
    {"", BAD},
    {"0", BAD},
    {"Sun", BAD},
    {"Sun,", BAD},
    {"yesterday", BAD},
    {" Sun, 06 Nov 1994 08:49:37 GMT", BAD},
    {"Sun, 06 Nov 1994 08:49:37 GMT ", BAD},
    {"Sun, 06 Nov 1994 08:49:37", BAD},
    {"Sun, 06 Nov 1994 08:49:37 UTC", BAD},
    {"Sun, 06 Nov 1994 08:49:37 gmt", BAD},
    {"Sun, 06 Nov 1994 08:49:37 +0000", BAD},
    {"sun, 06 Nov 1994 08:49:37 GMT", BAD},
    {"Sun, 06 nov 1994 08:49:37 GMT", BAD},
    {"Son, 06 Nov 1994 08:49:37 GMT", BAD},
    {"Sun, 06 Okt 1994 08:49:37 GMT", BAD},
    {"Sun, 6 Nov 1994 08:49:37 GMT", BAD},
    {"Sun,06 Nov 1994 08:49:37 GMT", BAD},
    {"Sun, 06  Nov 1994 08:49:37 GMT", BAD},
    {"Sun, 06-Nov-1994 08:49:37 GMT", BAD},
    {"Sun, 06 Nov 94 08:49:37 GMT", BAD},
    {"Sunday, 06 Nov 1994 08:49:37 GMT", BAD},
    {"Sunday, 06-Nov-1994 08:49:37 GMT", BAD},
    {"Sun, 06-Nov-94 08:49:37 GMT", BAD},
    {"Sun, 00 Nov 1994 08:49:37 GMT", BAD},
    {"Sun, 31 Nov 1994 08:49:37 GMT", BAD},
    {"Sun, 32 Dec 1994 08:49:37 GMT", BAD},
    {"Sun, 29 Feb 1995 08:49:37 GMT", BAD},
    {"Sun, 29 Feb 2100 08:49:37 GMT", BAD},
    {"Sun, 06 Nov 1994 24:00:00 GMT", BAD},
    {"Sun, 06 Nov 1994 08:60:37 GMT", BAD},
    {"Sun, 06 Nov 1994 08:49:61 GMT", BAD},
    {"Sun, 06 Nov 1994 8:49:37 GMT", BAD},
    {"Sun, 06 Nov 1994 08:49 GMT", BAD},
    {"Sun, -6 Nov 1994 08:49:37 GMT", BAD},
    {"Sun, 06 Nov 19945 08:49:37 GMT", BAD},
    {"Sun, 06 Nov -994 08:49:37 GMT", BAD},
    {"Sun, 06 Nov 1994 0x:49:37 GMT", BAD},
    {"Sun Nov 6 08:49:37 1994", BAD},
    {"Sun Nov  6 08:49:37 94", BAD},
    {"Sun Nov  6 08:49:37 1994 GMT", BAD},
    {"Sun Nov 06 08:49:37 1994\n", BAD},
    {"1994-11-06T08:49:37Z", BAD},
    {NULL, BAD},
};

static void test_parse(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(parse_rows); i++) {
        int64_t got = BAD;

        if (!date_parse(parse_rows[i].text, NOW, &got))
            assert_true(got == BAD);
        if (got != parse_rows[i].seconds)
            fail_msg("%s: %lld", parse_rows[i].text, (long long)got);
    }
}

/* Every day of four centuries, and the C library's view of it. */
static void test_every_day(void **state)
{
    int64_t day;

    (void)state;
    for (day = -36525; day < 4 * 36525; day++) {
        int64_t seconds = day * 86400 + day * 86399 % 86400, back;
        time_t t = (time_t)(seconds);
        char out[DATE_MAX], want[DATE_MAX];
        struct tm tm;

        date_rfc3339(out, seconds);
        assert_non_null(gmtime_r(&t, &tm));
        assert_true(strftime(want, sizeof want, "%Y-%m-%dT%H:%M:%SZ", &tm));
        assert_string_equal(out, want);
        date_http(out, seconds);
        assert_true(date_parse(out, NOW, &back));
        assert_true(back == seconds);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_every_day),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
