/*
 * Tests of base/error.h: the table is complete, and what is filled in is cut
 * cleanly.
 */
#include "base/error.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

static void has_a_row_for_every_code(void **state)
{
    (void)state;
    for (enum error_code c = ERR_NONE; c < ERR_COUNT_; c++) {
        const char *slug = error_slug(c);
        assert_non_null(slug);
        assert_non_null(error_title(c));
        assert_non_null(error_remedy(c));
        assert_true(strlen(error_title(c)) > 0);
        assert_true(strlen(slug) > 1);
        assert_int_equal(strspn(slug, "abcdefghijklmnopqrstuvwxyz-"),
                         strlen(slug));
        if (c != ERR_NONE)
            assert_in_range(error_status(c), 400, 599);
    }
    assert_int_equal(error_status(ERR_NONE), 200);
}

static void has_no_slug_twice(void **state)
{
    (void)state;
    for (enum error_code a = ERR_NONE; a < ERR_COUNT_; a++)
        for (enum error_code b = ERR_NONE; b < a; b++)
            assert_string_not_equal(error_slug(a), error_slug(b));
}

static void takes_a_wild_code_for_an_internal_error(void **state)
{
    (void)state;
    assert_string_equal(error_slug(ERR_COUNT_), "internal");
    assert_int_equal(error_status(ERR_COUNT_), 500);
}

static void sets_and_clears(void **state)
{
    struct error e;

    (void)state;
    memset(&e, 0x55, sizeof e);
    assert_int_equal(error_set(&e, ERR_BAD_ID, "id %d", 5), ERR_BAD_ID);
    assert_int_equal(e.code, ERR_BAD_ID);
    assert_string_equal(e.detail, "id 5");
    assert_string_equal(e.file, "");
    assert_null(e.limit);
    assert_int_equal(e.sys, 0);
    assert_int_equal(error_set(NULL, ERR_IO, "x"), ERR_IO);
}

static void keeps_the_limit(void **state)
{
    struct error e;

    (void)state;
    assert_int_equal(
        error_limit(&e, ERR_TOO_MANY_FILES, "max_files", 3, "Only %d.", 3),
        ERR_TOO_MANY_FILES);
    assert_string_equal(e.limit, "max_files");
    assert_int_equal(e.limit_value, 3);
    assert_string_equal(e.detail, "Only 3.");
    assert_int_equal(error_limit(NULL, ERR_TOO_MANY_FILES, "x", 1, "y"),
                     ERR_TOO_MANY_FILES);
}

static void maps_errno(void **state)
{
    static const struct {
        int sys;
        enum error_code code;
    } rows[] = {
        {ENOSPC, ERR_NO_SPACE},
        {EDQUOT, ERR_NO_SPACE},
        {EFBIG, ERR_FILE_TOO_LARGE},
        {ENOMEM, ERR_MEMORY},
        {EIO, ERR_IO},
        {EACCES, ERR_IO},
        {0, ERR_IO},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error e;
        assert_int_equal(error_errno(&e, rows[i].sys, "Writing the file"),
                         rows[i].code);
        assert_int_equal(e.sys, rows[i].sys);
        assert_string_equal(e.detail, "Writing the file failed.");
    }
    assert_int_equal(error_errno(NULL, EIO, "x"), ERR_IO);
}

static void cuts_at_a_character(void **state)
{
    struct error e;
    char long_text[1024] = "";

    (void)state;
    for (size_t i = 0; i + 3 < sizeof long_text; i += 3)
        memcpy(long_text + i, "\xE2\x82\xAC", 4);
    for (size_t shift = 0; shift < 3; shift++) {
        error_set(&e, ERR_IO, "%.*s%s", (int)shift, "ab", long_text);
        error_file(&e, long_text + 3);
        assert_true(strlen(e.detail) < ERROR_DETAIL_MAX);
        assert_true(strlen(e.detail) > ERROR_DETAIL_MAX - 5);
        assert_true(text_is_utf8(e.detail, strlen(e.detail)));
        assert_true(strlen(e.file) < ERROR_FILE_MAX);
        assert_true(text_is_utf8(e.file, strlen(e.file)));
    }
    error_file(NULL, "x");
    error_file(&e, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(has_a_row_for_every_code),
        cmocka_unit_test(has_no_slug_twice),
        cmocka_unit_test(takes_a_wild_code_for_an_internal_error),
        cmocka_unit_test(sets_and_clears),
        cmocka_unit_test(keeps_the_limit),
        cmocka_unit_test(maps_errno),
        cmocka_unit_test(cuts_at_a_character),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
