/*
 * Byte ranges: each row is a header, the length of the file and the slices
 * that come of it.
 */
#include "http/range.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define FOUR_GIB     (UINT64_C(1) << 32)

static const char ignored[] = "all", unsatisfiable[] = "416";

static const struct {
    const char *header;
    uint64_t length;
    const char *want; /* "first+length ...", or one of the two above */
} rows[] = {
    {"bytes=0-", 10, "0+10"},
    {"bytes=0-0", 10, "0+1"},
    {"bytes=0-9", 10, "0+10"},
    {"bytes=9-9", 10, "9+1"},
    {"bytes=2-5", 10, "2+4"},
    {"bytes=5-", 10, "5+5"},
    {"bytes=5-100", 10, "5+5"},
    {"bytes=-1", 10, "9+1"},
    {"bytes=-10", 10, "0+10"},
    {"bytes=-11", 10, "0+10"},
    {"BYTES=1-2", 10, "1+2"},
    {"bytes= \t1-2 ", 10, "1+2"},
    {"bytes=0-0,-1", 10, "0+1 9+1"},
    {"bytes=0-1, 4-5 ,8-", 10, "0+2 4+2 8+2"},
    {"bytes=,,0-0,,2-2,", 10, "0+1 2+1"},
    {"bytes=0-0,1-1", 10, "0+1 1+1"},
    {"bytes=0-0,20-30", 10, "0+1"},
    {"bytes=20-30,-1", 10, "9+1"},
    {"bytes=0-,20-", 10, "0+10"},
    {"bytes=007-008", 10, "7+2"},
    /* beyond 32 and 64 bits */
    {"bytes=4294967296-4294967297", FOUR_GIB + 10, "4294967296+2"},
    {"bytes=-4294967297", FOUR_GIB + 10, "9+4294967297"},
    {"bytes=0-18446744073709551615", 10, "0+10"},
    {"bytes=0-18446744073709551616", 10, "0+10"},
    {"bytes=0-", UINT64_MAX, "0+18446744073709551615"},
    {"bytes=0-18446744073709551615", UINT64_MAX, "0+18446744073709551615"},
    {"bytes=18446744073709551614-", UINT64_MAX, "18446744073709551614+1"},
    {"bytes=-9223372036854775808", 10, "0+10"},
    {"bytes=-99999999999999999999999999", 10, "0+10"},
    {"bytes=18446744073709551615-", 10, unsatisfiable},
    {"bytes=99999999999999999999999999-", 10, unsatisfiable},
    /* no byte of it exists */
    {"bytes=10-", 10, unsatisfiable},
    {"bytes=10-20,30-", 10, unsatisfiable},
    {"bytes=-0", 10, unsatisfiable},
    {"bytes=0-", 0, unsatisfiable},
    {"bytes=0-0", 0, unsatisfiable},
    {"bytes=-5", 0, unsatisfiable},
    /* out of order or overlapping */
    {"bytes=0-,0-", 10, ignored},
    {"bytes=0-5,5-9", 10, ignored},
    {"bytes=4-5,0-1", 10, ignored},
    {"bytes=0-0,-10", 10, ignored},
    {"bytes=0-0,-1", 1, ignored},
    {"bytes=-1,-1", 10, ignored},
    /* malformed: one bad range spoils all */
    {"bytes", 10, ignored},
    {"bytes=", 10, ignored},
    {"bytes=,", 10, ignored},
    {"bytes=-", 10, ignored},
    {"bytes=--1", 10, ignored},
    {"bytes=5", 10, ignored},
    {"bytes=5-2", 10, ignored},
    {"bytes=a-b", 10, ignored},
    {"bytes=0-a", 10, ignored},
    {"bytes=0x0-1", 10, ignored},
    {"bytes=+1-2", 10, ignored},
    {"bytes=1 -2", 10, ignored},
    {"bytes=1- 2", 10, ignored},
    {"bytes=1-2-3", 10, ignored},
    {"bytes=1-2;3-4", 10, ignored},
    {"bytes=1-2 3-4", 10, ignored},
    {"bytes=0-0,x", 10, ignored},
    {"bytes=0-0,5-2", 10, ignored},
    {"bytes =0-0", 10, ignored},
    {"bytes:0-0", 10, ignored},
    {"bits=0-0", 10, ignored},
    {"bytesx=0-0", 10, ignored},
    {"0-0", 10, ignored},
    {"", 10, ignored},
    {NULL, 10, ignored},
};

static void describe(char *out, size_t cap, const char *header, uint64_t length)
{
    struct range ranges[RANGE_MAX];
    size_t count, i, used = 0;

    switch (range_parse(header, length, ranges, &count)) {
    case RANGE_IGNORE:
        (void)snprintf(out, cap, "%s", ignored);
        break;
    case RANGE_UNSATISFIABLE:
        (void)snprintf(out, cap, "%s", unsatisfiable);
        break;
    case RANGE_OK:
        assert_true(count > 0 && count <= RANGE_MAX);
        for (i = 0; i < count; i++)
            used += (size_t)snprintf(out + used, cap - used,
                                     "%s%" PRIu64 "+%" PRIu64, i ? " " : "",
                                     ranges[i].first, ranges[i].length);
        break;
    }
}

static void test_parse(void **state)
{
    char got[1000];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        describe(got, sizeof got, rows[i].header, rows[i].length);
        if (strcmp(got, rows[i].want) != 0)
            fail_msg("row %zu: %s: %s", i, rows[i].header, got);
    }
}

/* n ranges of one byte each, two apart, or the same range n times. */
static enum range_result parse_many(size_t n, size_t apart)
{
    static char header[200000];
    struct range ranges[RANGE_MAX];
    size_t count, i, len = (size_t)snprintf(header, sizeof header, "bytes=");

    for (i = 0; i < n; i++)
        len += (size_t)snprintf(header + len, sizeof header - len, "%s%zu-%zu",
                                i ? "," : "", i * apart, i * apart);
    return range_parse(header, 1000000, ranges, &count);
}

static void test_count(void **state)
{
    (void)state;
    assert_int_equal(parse_many(RANGE_MAX, 2), RANGE_OK);
    assert_int_equal(parse_many(RANGE_MAX + 1, 2), RANGE_IGNORE);
    assert_int_equal(parse_many(10000, 2), RANGE_IGNORE);
    assert_int_equal(parse_many(2, 0), RANGE_IGNORE);
    assert_int_equal(parse_many(10000, 0), RANGE_IGNORE);
    /* ranges that do not exist count too */
    assert_int_equal(parse_many(RANGE_MAX, 2000000), RANGE_OK);
    assert_int_equal(parse_many(RANGE_MAX + 1, 2000000), RANGE_IGNORE);
}

static void test_whole(void **state)
{
    static const struct {
        const char *header;
        uint64_t length;
        bool want;
    } whole[] = {
        {"bytes 0-9/10", 10, true},
        {"Bytes 0-0/1", 1, true},
        {"bytes 0-4294967296/4294967297", FOUR_GIB + 1, true},
        {"bytes 0-9/10", 11, false},
        {"bytes 0-9/11", 10, false},
        {"bytes 0-8/10", 10, false},
        {"bytes 1-9/10", 10, false},
        {"bytes 0-9/*", 10, false},
        {"bytes */10", 10, false},
        {"bytes 0-/10", 10, false},
        {"bytes -9/10", 10, false},
        {"bytes 0-9", 10, false},
        {"bytes 0-9/", 10, false},
        {"bytes 0-9/10 ", 10, false},
        {"bytes  0-9/10", 10, false},
        {"bytes=0-9/10", 10, false},
        {"items 0-9/10", 10, false},
        {"bytes 0-18446744073709551615/0", 0, false},
        {"bytes 0-0/0", 0, false},
        {"", 10, false},
        {NULL, 10, false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(whole); i++)
        if (range_is_whole(whole[i].header, whole[i].length) != whole[i].want)
            fail_msg("row %zu: %s", i, whole[i].header);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
