/*
 * Tests of base/text.h.
 */
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct number {
    const char *text;
    bool valid;
    uint64_t value;
};

static void parses_decimal_numbers(void **state)
{
    static const struct number rows[] = {
        {"0", true, 0},
        {"7", true, 7},
        {"0009", true, 9},
        {"18446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"18446744073709551620", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"+1", false, 0},
        {"-1", false, 0},
        {"1.0", false, 0},
        {"0x10", false, 0},
        {"1e3", false, 0},
        {"\xD9\xA1", false, 0}, /* ARABIC-INDIC DIGIT ONE */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        uint64_t n = 42;
        bool ok = text_parse_u64(rows[i].text, strlen(rows[i].text), &n);
        if (ok != rows[i].valid)
            fail_msg("row %zu: \"%s\"", i, rows[i].text);
        assert_true(n == (ok ? rows[i].value : 42));
    }
}

static void parses_no_further_than_told(void **state)
{
    uint64_t n;

    (void)state;
    assert_true(text_parse_u64("123x", 3, &n));
    assert_true(n == 123);
    assert_false(text_parse_u64("1\0002", 3, &n));
}

static void compares_without_case(void **state)
{
    (void)state;
    assert_true(text_equal_ci("", ""));
    assert_true(text_equal_ci("Content-Type", "CONTENT-type"));
    assert_false(text_equal_ci("abc", "abcd"));
    assert_false(text_equal_ci("abcd", "abc"));
    assert_false(text_equal_ci("@", "`"));
    assert_false(text_equal_ci("[", "{"));
    assert_false(text_equal_ci("\xC4", "\xE4"));
    assert_true(text_starts_ci("Bearer x", "bearer "));
    assert_true(text_starts_ci("x", ""));
    assert_false(text_starts_ci("bear", "bearer"));
    assert_true(text_ends_ci("a.TAR.gz", ".tar.GZ"));
    assert_true(text_ends_ci("x", ""));
    assert_false(text_ends_ci("gz", ".gz"));
}

struct sample {
    const char *text;
    size_t len;
    bool valid;
};

static void knows_utf8(void **state)
{
    static const struct sample rows[] = {
        {"", 0, true},
        {"a\0b", 3, true},
        {"\x7F", 1, true},
        {"\xC2\x80", 2, true},
        {"\xDF\xBF", 2, true},
        {"\xE0\xA0\x80", 3, true},
        {"\xED\x9F\xBF", 3, true},
        {"\xEE\x80\x80", 3, true},
        {"\xEF\xBF\xBF", 3, true},
        {"\xF0\x90\x80\x80", 4, true},
        {"\xF4\x8F\xBF\xBF", 4, true},
        {"\x80", 1, false},
        {"\xBF", 1, false},
        {"\xC0\xAF", 2, false},
        {"\xC1\xBF", 2, false},
        {"\xC2", 1, false},
        {"\xC2\x41", 2, false},
        {"\xE0\x9F\xBF", 3, false},
        {"\xE2\x82", 2, false},
        {"\xE2\x82\x41", 3, false},
        {"\xED\xA0\x80", 3, false},
        {"\xED\xBF\xBF", 3, false},
        {"\xF0\x8F\xBF\xBF", 4, false},
        {"\xF0\x9F\x98", 3, false},
        {"\xF0\x9F\x98\x41", 4, false},
        {"\xF4\x90\x80\x80", 4, false},
        {"\xF5\x80\x80\x80", 4, false},
        {"\xF8\x88\x80\x80\x80", 5, false},
        {"\xFF", 1, false},
        {"ok\xC3\xA4\xC3", 5, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (text_is_utf8(rows[i].text, rows[i].len) != rows[i].valid)
            fail_msg("row %zu", i);
}

struct cut {
    const char *text;
    size_t max;
    const char *expected;
};

static void cuts_between_characters(void **state)
{
    static const struct cut rows[] = {
        {"", 0, ""},
        {"abc", 0, ""},
        {"abc", 2, "ab"},
        {"abc", 3, "abc"},
        {"abc", 99, "abc"},
        {"a\xC3\xA4", 2, "a"},
        {"a\xC3\xA4", 3, "a\xC3\xA4"},
        {"\xE2\x82\xAC", 1, ""},
        {"\xE2\x82\xAC", 2, ""},
        {"\xE2\x82\xAC", 3, "\xE2\x82\xAC"},
        {"x\xF0\x9F\x98\x80", 4, "x"},
        {"x\xF0\x9F\x98\x80", 5, "x\xF0\x9F\x98\x80"},
        {"a\xC3", 9, "a"}, /* half a sequence already, as snprintf leaves */
        {"\x80\x80\x80\x80\x80", 4, "\x80\x80\x80\x80"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char s[32];
        (void)snprintf(s, sizeof s, "%s", rows[i].text);
        text_cut_utf8(s, rows[i].max);
        if (strcmp(s, rows[i].expected) != 0)
            fail_msg("row %zu", i);
    }
}

static void writes_hex(void **state)
{
    char out[9];

    (void)state;
    text_hex(out, "", 0);
    assert_string_equal(out, "");
    text_hex(out, "\x00\x7F\x80\xFF", 4);
    assert_string_equal(out, "007f80ff");
}

static void writes_base32(void **state)
{
    unsigned char bytes[16];
    char out[27];

    (void)state;
    memset(bytes, 0, sizeof bytes);
    text_base32_16(out, bytes);
    assert_string_equal(out, "aaaaaaaaaaaaaaaaaaaaaaaaaa");
    memset(bytes, 0xFF, sizeof bytes);
    text_base32_16(out, bytes);
    assert_string_equal(out, "77777777777777777777777774");
    /* RFC 4648 section 10: foobar is MZXW6YTBOI, here 6 of 16 bytes. */
    memset(bytes, 0, sizeof bytes);
    memcpy(bytes, "foobar", 6);
    text_base32_16(out, bytes);
    assert_string_equal(out, "mzxw6ytboiaaaaaaaaaaaaaaaa");
}

static void counts_nesting(void **state)
{
    static const struct {
        const char *json;
        size_t depth;
    } rows[] = {
        {"", 0},
        {"1", 0},
        {"[]", 1},
        {"[[],{}]", 2},
        {"{\"a\":[1]}", 2},
        {"[\"[[[\"]", 1},
        {"[\"\\\"[\"]", 1},
        {"]]][", 1},
        {"\"\\", 0},
        {"[[[[", 4},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(text_nesting(rows[i].json), rows[i].depth);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_nesting),
        cmocka_unit_test(parses_decimal_numbers),
        cmocka_unit_test(parses_no_further_than_told),
        cmocka_unit_test(compares_without_case),
        cmocka_unit_test(knows_utf8),
        cmocka_unit_test(cuts_between_characters),
        cmocka_unit_test(writes_hex),
        cmocka_unit_test(writes_base32),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
