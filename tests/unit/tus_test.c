/*
 * The tus header fields: each row is a field and what comes of it.
 */
#include "http/tus.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* "key=value|..." with the values as they are; NULL: malformed */
static const struct {
    const char *field;
    const char *want;
} metadata[] = {
    {NULL, ""},
    {"", ""},
    {"  ", ""},
    {"filename d29ybGQudHh0", "filename=world.txt|"},
    {"filename d29ybGQudHh0,type dGV4dA==", "filename=world.txt|type=text|"},
    {"a YQ== , b Yg==\t,\t c Yw==", "a=a|b=b|c=c|"},
    {" a YQ== ", "a=a|"},
    {"a", "a=|"},
    {"a ", "a=|"},
    {"a,b ,c Yw==", "a=|b=|c=c|"},
    {"a  ,b", "a=|b=|"},
    {"a\t,b", "a=|b=|"},
    {"a YQ==,A YQ==", "a=a|A=a|"},
    {"a YQ==,aa YQ==", "a=a|aa=a|"},
    {"!\"#;=~:/ YQ==", "!\"#;=~:/=a|"},
    {"a 4oKs", "a=\xe2\x82\xac|"},
    {"a +/+/", "a=\xfb\xff\xbf|"},
    /* keys */
    {",", NULL},
    {"a YQ==,", NULL},
    {",a YQ==", NULL},
    {"a YQ==,,b Yg==", NULL},
    {"a YQ==, ,b Yg==", NULL},
    {"a YQ==,a Yg==", NULL},
    {"a,b,a", NULL},
    {"a,b,b", NULL},
    {"a YQ==,b Yg==,a YQ==", NULL},
    {"\xc3\xa9 YQ==", "\xc3\xa9=a|"},
    {"a\x80 YQ==", "a\x80=a|"},
    {"a\x01 YQ==", NULL},
    {"a\x7f YQ==", NULL},
    /* the space */
    {"a  YQ==", NULL},
    {"a\tYQ==", NULL},
    {"a \tYQ==", NULL},
    {"a YQ== b", NULL},
    {"a YQ== YQ==", NULL},
    {"a YQ==\tYQ==", NULL},
    {"a YQ==\n", NULL},
    /* base64 */
    {"a Y", NULL},
    {"a YQ", NULL},
    {"a YQ=", NULL},
    {"a YQ===", NULL},
    {"a =", NULL},
    {"a ====", NULL},
    {"a Y===", NULL},
    {"a A===", NULL},
    {"a YR==", NULL},
    {"a YWJ=", NULL},
    {"a YQ==YQ==", NULL},
    {"a =YQ=", NULL},
    {"a Y=Q=", NULL},
    {"a YWJj====", NULL},
    {"a Y\x80==", NULL},
    {"a Y-_=", NULL},
    {"a Y-JjYWJj", NULL},
    {"a YWJ_YWJj", NULL},
    {"a YW jYWJj", NULL},
    {"a YWJ=YWJj", NULL},
    {"a YWJ\x0b", NULL},
    {"a YW\r\nJj", NULL},
    {"a \"YWJj\"", NULL},
    {"b Yg==,a YQ", NULL},
};

/* Where the pairs go. */
struct seen {
    char text[4000]; /* as in the table */
    size_t len;      /* bytes in text */
    size_t pairs;    /* calls so far */
    size_t stop_at;  /* false from this call */
};

static bool collect(void *ctx, const char *key, size_t key_len,
                    const char *value, size_t value_len)
{
    struct seen *seen = ctx;

    seen->len += (size_t)snprintf(seen->text + seen->len,
                                  sizeof seen->text - seen->len, "%.*s=%.*s|",
                                  (int)key_len, key, (int)value_len, value);
    return ++seen->pairs != seen->stop_at;
}

/* A malformed field is refused before the first pair of it is given. */
static void test_metadata(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(metadata); i++) {
        const char *field = metadata[i].field, *want = metadata[i].want;
        struct seen seen = {.text = ""};
        struct buf scratch;
        bool ok;

        buf_init(&scratch, 1000);
        ok = tus_metadata_each(field, &scratch, collect, &seen);
        buf_free(&scratch);
        if (ok != (want != NULL) || (tus_metadata_fault(field) == NULL) != ok ||
            strcmp(seen.text, want ? want : "") != 0)
            fail_msg("row %zu: %s: %s", i, field ? field : "NULL", seen.text);
    }
}

/* Each wrong has a sentence of its own. */
static void test_faults(void **state)
{
    static const struct {
        const char *field;
        const char *word;
    } faults[] = {
        {"a YQ==,", "empty"},     {"a,a", "twice"},
        {"a YQ", "base64"},       {"a  YQ==", "more between"},
        {"\x7f YQ==", "control"},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(faults); i++) {
        const char *fault = tus_metadata_fault(faults[i].field);

        assert_non_null(fault);
        if (!strstr(fault, faults[i].word))
            fail_msg("%s: %s", faults[i].field, fault);
    }
}

static bool compare(void *ctx, const char *key, size_t key_len,
                    const char *value, size_t value_len)
{
    const unsigned char *n = ctx;
    size_t i;

    if (key_len != 1 || *key != 'k' || value_len != *n)
        return false;
    for (i = 0; i < value_len; i++)
        if (value[i] != 0)
            return false;
    return value[value_len] == '\0';
}

/* Values of every length around those that are decoded at a time. */
static void test_metadata_lengths(void **state)
{
    static const char *const padding[] = {"", "==", "="};
    struct buf field, scratch;
    char digits[336];
    unsigned char n;

    (void)state;
    memset(digits, 'A', sizeof digits);
    buf_init(&field, 1000);
    buf_init(&scratch, 250);
    for (n = 0; n <= 250; n++) {
        buf_clear(&field);
        buf_puts(&field, "k ");
        buf_append(&field, digits, (n * 8u + 5) / 6);
        buf_puts(&field, padding[n % 3]);
        if (!tus_metadata_each(buf_text(&field), &scratch, compare, &n))
            fail_msg("%d bytes: %s", n, buf_text(&field));
    }
    buf_free(&scratch);
    buf_free(&field);
}

/* The callback can stop; a value takes the place of the one before; one that
 * scratch cannot hold is not given. */
static void test_metadata_stop(void **state)
{
    struct seen seen = {.text = "", .stop_at = 2};
    struct buf scratch;

    (void)state;
    buf_init(&scratch, 3);
    assert_false(
        tus_metadata_each("a YQ==,b YWJj,c", &scratch, collect, &seen));
    assert_string_equal(seen.text, "a=a|b=abc|");
    seen = (struct seen){.text = ""};
    assert_true(tus_metadata_each("a YWJj,b YWJj,c", &scratch, collect, &seen));
    assert_string_equal(seen.text, "a=abc|b=abc|c=|");
    seen = (struct seen){.text = ""};
    assert_false(
        tus_metadata_each("a YWJj,b YWJjZA==,c", &scratch, collect, &seen));
    assert_string_equal(seen.text, "a=abc|");
    buf_free(&scratch);
}

static void test_metadata_count(void **state)
{
    struct buf field;
    int i;

    (void)state;
    buf_init(&field, 10000);
    for (i = 0; i < TUS_METADATA_PAIRS; i++)
        buf_printf(&field, "%s%d", i ? "," : "", i);
    assert_null(tus_metadata_fault(buf_text(&field)));
    buf_puts(&field, ",x");
    assert_non_null(tus_metadata_fault(buf_text(&field)));
    buf_free(&field);
}

static void test_checksum(void **state)
{
    static const struct {
        const char *field;
        const char *want; /* name and hex; NULL: malformed */
    } rows[] = {
        {"sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=",
         "sha1 2aae6c35c94fcfb415dbe95f408b9ce91ee846ed"},
        {"crc32c 4waSgw==", "crc32c e3069283"},
        {"unknown-name AA==", "unknown-name 00"},
        {"a23456789012345678901234567890b AA==",
         "a23456789012345678901234567890b 00"},
        {"a23456789012345678901234567890bc AA==", NULL},
        {NULL, NULL},
        {"", NULL},
        {" ", NULL},
        {"sha1", NULL},
        {"sha1 ", NULL},
        {" AA==", NULL},
        {"sha1  AA==", NULL},
        {"sha1\tAA==", NULL},
        {"sha1 \tAA==", NULL},
        {" sha1 AA==", NULL},
        {"sha1 AA== ", NULL},
        {"sha1 AA==\n", NULL},
        {"sha1 AA== AA==", NULL},
        {"sha1,md5 AA==", NULL},
        {"sha1 AA==,md5 AA==", NULL},
        {"sha1 AA", NULL},
        {"sha1 A===", NULL},
        {"sha1 AB==", NULL},
        {"sha1 ====", NULL},
        {"sha1 AA==AA==", NULL},
        {"sha1 A A=", NULL},
        {"sha1 -_-_", NULL},
        {"sh\xc3\xa9 AA==", NULL},
        {"sha1:AA==", NULL},
    };
    char algorithm[TUS_ALGORITHM_MAX], hex[2 * TUS_CHECKSUM_MAX + 1];
    char got[sizeof algorithm + sizeof hex];
    unsigned char value[TUS_CHECKSUM_MAX];
    size_t i, len;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        bool ok = tus_checksum(rows[i].field, algorithm, value, &len);

        if (ok != (rows[i].want != NULL))
            fail_msg("row %zu: %s", i, rows[i].field ? rows[i].field : "NULL");
        if (!ok)
            continue;
        text_hex(hex, value, len);
        (void)snprintf(got, sizeof got, "%s %s", algorithm, hex);
        assert_string_equal(got, rows[i].want);
    }
}

/* 64 bytes fit, 65 do not. */
static void test_checksum_length(void **state)
{
    char field[200], algorithm[TUS_ALGORITHM_MAX];
    unsigned char value[TUS_CHECKSUM_MAX];
    size_t len;

    (void)state;
    memset(field, 'A', sizeof field);
    memcpy(field, "sha512 ", 7);
    memcpy(field + 7 + 86, "==", 3);
    assert_true(tus_checksum(field, algorithm, value, &len));
    assert_int_equal(len, 64);
    memcpy(field + 7 + 86, "A=", 3);
    assert_false(tus_checksum(field, algorithm, value, &len));
    memcpy(field + 7 + 86, "AA", 3);
    assert_false(tus_checksum(field, algorithm, value, &len));
}

/* The paths of a list, each in brackets, cut at 20 bytes with the NUL. */
static const struct {
    const char *field;
    enum tus_concat kind;
    const char *paths;
} lists[] = {
    {NULL, TUS_CONCAT_NONE, ""},
    {"partial", TUS_CONCAT_PARTIAL, ""},
    {"final;/a /b", TUS_CONCAT_FINAL, "[/a][/b]"},
    {"final;/a /a", TUS_CONCAT_FINAL, "[/a][/a]"},
    {"final; /a \t /b ", TUS_CONCAT_FINAL, "[/a][/b]"},
    {"final;/a\t/b", TUS_CONCAT_FINAL, "[/a][/b]"},
    {"final;http://h/a/b https://h:80/c", TUS_CONCAT_FINAL, "[/a/b][/c]"},
    {"final;http://user:pw@[::1]:80/a", TUS_CONCAT_FINAL, "[/a]"},
    {"final;HTTP://H/a //h/b", TUS_CONCAT_FINAL, "[/a][/b]"},
    {"final;x+y.z-1://h/a", TUS_CONCAT_FINAL, "[/a]"},
    {"final;http:///a", TUS_CONCAT_FINAL, "[/a]"},
    {"final;/a?b#c /d#e?f /g#", TUS_CONCAT_FINAL, "[/a][/d][/g]"},
    {"final;http://h/a?http://h/b", TUS_CONCAT_FINAL, "[/a]"},
    {"final;/a/../b%2F%00/c", TUS_CONCAT_FINAL, "[/a/../b%2F%00/c]"},
    {"final;/a//b/", TUS_CONCAT_FINAL, "[/a//b/]"},
    {"final;/", TUS_CONCAT_FINAL, "[/]"},
    {"final;/a,/b", TUS_CONCAT_FINAL, "[/a,/b]"},
    {"final;/a final;/b", TUS_CONCAT_FINAL, "[/a][final;/b]"},
    {"final;final;/b", TUS_CONCAT_FINAL, "[final;/b]"},
    {"final;/a;final;", TUS_CONCAT_FINAL, "[/a;final;]"},
    /* no absolute path */
    {"final;a/b", TUS_CONCAT_FINAL, "[a/b]"},
    {"final;http://h /b", TUS_CONCAT_FINAL, "[][/b]"},
    {"final;http://h?/a", TUS_CONCAT_FINAL, "[]"},
    {"final;http://h#/a", TUS_CONCAT_FINAL, "[]"},
    {"final;//h", TUS_CONCAT_FINAL, "[]"},
    {"final;// /a", TUS_CONCAT_FINAL, "[][/a]"},
    {"final;http:/a", TUS_CONCAT_FINAL, "[]"},
    {"final;http: //h/a", TUS_CONCAT_FINAL, "[][/a]"},
    {"final;1http://h/a", TUS_CONCAT_FINAL, "[1http://h/a]"},
    {"final;+://h/a", TUS_CONCAT_FINAL, "[+://h/a]"},
    {"final;://h/a", TUS_CONCAT_FINAL, "[://h/a]"},
    {"final;ht_tp://h/a", TUS_CONCAT_FINAL, "[ht_tp://h/a]"},
    {"final;?/a #/b ../c", TUS_CONCAT_FINAL, "[][][../c]"},
    {"final;\\a", TUS_CONCAT_FINAL, "[\\a]"},
    /* too long is not cut short */
    {"final;/234567890123456789", TUS_CONCAT_FINAL, "[/234567890123456789]"},
    {"final;/2345678901234567890 /b", TUS_CONCAT_FINAL, "[][/b]"},
    {"final;/234567890123456789?x", TUS_CONCAT_FINAL, "[/234567890123456789]"},
    /* other words */
    {"", TUS_CONCAT_BAD, ""},
    {"final", TUS_CONCAT_BAD, ""},
    {"final;", TUS_CONCAT_BAD, ""},
    {"final; \t", TUS_CONCAT_BAD, ""},
    {"final /a", TUS_CONCAT_BAD, ""},
    {"final ;/a", TUS_CONCAT_BAD, ""},
    {" final;/a", TUS_CONCAT_BAD, NULL},
    {"Final;/a", TUS_CONCAT_BAD, ""},
    {"finale;/a", TUS_CONCAT_BAD, ""},
    {"Partial", TUS_CONCAT_BAD, ""},
    {"partial ", TUS_CONCAT_BAD, ""},
    {"partial;", TUS_CONCAT_BAD, ""},
    {"partial;/a", TUS_CONCAT_BAD, ""},
    {"none", TUS_CONCAT_BAD, ""},
};

static void test_concat(void **state)
{
    char path[20], got[200];
    size_t i, len;

    (void)state;
    for (i = 0; i < COUNT(lists); i++) {
        const char *at = lists[i].field;

        if (tus_concat(lists[i].field) != lists[i].kind)
            fail_msg("row %zu: %s", i, lists[i].field);
        if (!lists[i].paths)
            continue;
        got[0] = '\0';
        for (len = 0; tus_concat_next(&at, path, sizeof path);)
            len += (size_t)snprintf(got + len, sizeof got - len, "[%s]", path);
        if (strcmp(got, lists[i].paths) != 0)
            fail_msg("row %zu: %s: %s", i, lists[i].field, got);
        assert_string_equal(path, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_metadata_lengths),
        cmocka_unit_test(test_metadata_stop),
        cmocka_unit_test(test_metadata_count),
        cmocka_unit_test(test_checksum),
        cmocka_unit_test(test_checksum_length),
        cmocka_unit_test(test_concat),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
