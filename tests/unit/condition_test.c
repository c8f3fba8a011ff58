/*
 * Conditional requests against a file with the tag "abc" that was modified at
 * 08:49:37 on the sixth of November 1994.
 */
#include "http/condition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define TAG          "\"abc\""
#define MODIFIED     INT64_C(784111777)
#define NOW          INT64_C(1785000000)
#define BEFORE       "Sun, 06 Nov 1994 08:49:36 GMT"
#define SAME         "Sun, 06 Nov 1994 08:49:37 GMT"
#define AFTER        "Sun, 06 Nov 1994 08:49:38 GMT"

static const struct {
    struct conditions c;
    enum condition_result get; /* for GET and HEAD */
    enum condition_result put; /* for other methods */
} rows[] = {
    {{0}, CONDITION_GO, CONDITION_GO},
    /* If-Match: strong */
    {{.if_match = TAG}, CONDITION_GO, CONDITION_GO},
    {{.if_match = "*"}, CONDITION_GO, CONDITION_GO},
    {{.if_match = " * "}, CONDITION_GO, CONDITION_GO},
    {{.if_match = "\"x\", " TAG}, CONDITION_GO, CONDITION_GO},
    {{.if_match = ",\"x\"\t,," TAG " ,"}, CONDITION_GO, CONDITION_GO},
    {{.if_match = "\"a,b\"," TAG}, CONDITION_GO, CONDITION_GO},
    {{.if_match = "\"x\""}, CONDITION_FAILED, CONDITION_FAILED},
    {{.if_match = "W/" TAG}, CONDITION_FAILED, CONDITION_FAILED},
    {{.if_match = ""}, CONDITION_FAILED, CONDITION_FAILED},
    {{.if_match = "abc"}, CONDITION_FAILED, CONDITION_FAILED},
    {{.if_match = "\"abc"}, CONDITION_FAILED, CONDITION_FAILED},
    {{.if_match = "\"ab\""}, CONDITION_FAILED, CONDITION_FAILED},
    {{.if_match = "\"abcd\""}, CONDITION_FAILED, CONDITION_FAILED},
    {{.if_match = "\"ABC\""}, CONDITION_FAILED, CONDITION_FAILED},
    {{.if_match = "\"x\" " TAG}, CONDITION_FAILED, CONDITION_FAILED},
    {{.if_match = "*, " TAG}, CONDITION_FAILED, CONDITION_FAILED},
    {{.if_match = TAG "x"}, CONDITION_FAILED, CONDITION_FAILED},
    {{.if_match = "\"\\\"abc\""}, CONDITION_FAILED, CONDITION_FAILED},
    /* If-Unmodified-Since, only without If-Match */
    {{.if_unmodified_since = BEFORE}, CONDITION_FAILED, CONDITION_FAILED},
    {{.if_unmodified_since = SAME}, CONDITION_GO, CONDITION_GO},
    {{.if_unmodified_since = AFTER}, CONDITION_GO, CONDITION_GO},
    {{.if_unmodified_since = "never"}, CONDITION_GO, CONDITION_GO},
    {{.if_unmodified_since = "Sunday, 06-Nov-94 08:49:36 GMT"},
     CONDITION_FAILED,
     CONDITION_FAILED},
    {{.if_match = TAG, .if_unmodified_since = BEFORE},
     CONDITION_GO,
     CONDITION_GO},
    {{.if_match = "\"x\"", .if_unmodified_since = AFTER},
     CONDITION_FAILED,
     CONDITION_FAILED},
    /* If-None-Match: weak */
    {{.if_none_match = TAG}, CONDITION_NOT_MODIFIED, CONDITION_FAILED},
    {{.if_none_match = "W/" TAG}, CONDITION_NOT_MODIFIED, CONDITION_FAILED},
    {{.if_none_match = "*"}, CONDITION_NOT_MODIFIED, CONDITION_FAILED},
    {{.if_none_match = "W/\"x\", W/" TAG},
     CONDITION_NOT_MODIFIED,
     CONDITION_FAILED},
    {{.if_none_match = "\"x\""}, CONDITION_GO, CONDITION_GO},
    {{.if_none_match = "w/" TAG}, CONDITION_GO, CONDITION_GO},
    {{.if_none_match = "W/ " TAG}, CONDITION_GO, CONDITION_GO},
    {{.if_none_match = "abc"}, CONDITION_GO, CONDITION_GO},
    {{.if_none_match = ""}, CONDITION_GO, CONDITION_GO},
    {{.if_none_match = "\""}, CONDITION_GO, CONDITION_GO},
    /* If-Modified-Since, only without If-None-Match and for GET */
    {{.if_modified_since = SAME}, CONDITION_NOT_MODIFIED, CONDITION_GO},
    {{.if_modified_since = AFTER}, CONDITION_NOT_MODIFIED, CONDITION_GO},
    {{.if_modified_since = BEFORE}, CONDITION_GO, CONDITION_GO},
    {{.if_modified_since = "0"}, CONDITION_GO, CONDITION_GO},
    {{.if_modified_since = SAME " "}, CONDITION_GO, CONDITION_GO},
    {{.if_none_match = "\"x\"", .if_modified_since = AFTER},
     CONDITION_GO,
     CONDITION_GO},
    {{.if_none_match = TAG, .if_modified_since = BEFORE},
     CONDITION_NOT_MODIFIED,
     CONDITION_FAILED},
    /* the order of section 13.2.2 */
    {{.if_match = "\"x\"", .if_none_match = TAG},
     CONDITION_FAILED,
     CONDITION_FAILED},
    {{.if_match = TAG, .if_none_match = TAG},
     CONDITION_NOT_MODIFIED,
     CONDITION_FAILED},
    {{.if_match = TAG, .if_modified_since = SAME},
     CONDITION_NOT_MODIFIED,
     CONDITION_GO},
    {{.if_unmodified_since = BEFORE, .if_modified_since = SAME},
     CONDITION_FAILED,
     CONDITION_FAILED},
};

static void test_check(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++)
        if (condition_check(&rows[i].c, TAG, MODIFIED, true) != rows[i].get ||
            condition_check(&rows[i].c, TAG, MODIFIED, false) != rows[i].put)
            fail_msg("row %zu", i);
}

static void test_if_range(void **state)
{
    static const struct {
        const char *header;
        bool want;
    } ranges[] = {
        {NULL, true},
        {TAG, true},
        {SAME, true},
        {"Sunday, 06-Nov-94 08:49:37 GMT", true},
        {"Sun Nov  6 08:49:37 1994", true},
        {"W/" TAG, false},
        {"\"x\"", false},
        {TAG " ", false},
        {TAG ", \"x\"", false},
        {"\"x\", " TAG, false},
        {"*", false},
        {"abc", false},
        {"\"abc", false},
        {"", false},
        {BEFORE, false},
        {AFTER, false},
        {"Wed, 06 Nov 1994 08:49:37 GMT", true},
        {"Wed", false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(ranges); i++)
        if (condition_if_range(ranges[i].header, TAG, MODIFIED, NOW) !=
            ranges[i].want)
            fail_msg("row %zu: %s", i, ranges[i].header);
    /* a date within the second of the change is not a strong validator */
    assert_false(condition_if_range(SAME, TAG, MODIFIED, MODIFIED));
    assert_false(condition_if_range(SAME, TAG, MODIFIED, MODIFIED - 1));
    assert_true(condition_if_range(SAME, TAG, MODIFIED, MODIFIED + 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_if_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
