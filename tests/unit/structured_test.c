/*
 * Structured fields: each row is a field and what comes of it, "absent",
 * "bad" or the value.
 */
#include "http/structured.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum { CAP = 4 }; /* of byte sequences */

static const char absent[] = "absent", bad[] = "bad";

struct row {
    const char *field;
    const char *want;
};

static const struct row integers[] = {
    {"0", "0"},
    {"42", "42"},
    {"-42", "-42"},
    {"-0", "0"},
    {"007", "7"},
    {"999999999999999", "999999999999999"},
    {"-999999999999999", "-999999999999999"},
    {"  7  ", "7"},
    {"7;a", "7"},
    {"7;a=1;b=\"x\";c=:AA==:;d=?0;e=t/k:;f=1.5;g=@-1;h=%\"%c3%a9\"", "7"},
    {"7; \t", bad},
    {"7;  a;  *b", "7"},
    {NULL, absent},
    /* digits */
    {"1000000000000000", bad},
    {"0000000000000001", bad},
    {"-1000000000000000", bad},
    {"18446744073709551616", bad},
    {"-", bad},
    {"--1", bad},
    {"+1", bad},
    {"- 1", bad},
    {"1e3", bad},
    {"0x10", bad},
    {"1_000", bad},
    /* what comes behind */
    {"", bad},
    {" ", bad},
    {"1\t", bad},
    {"\t1", bad},
    {"1 2", bad},
    {"1,2", bad},
    {"1, ", bad},
    {"1;", bad},
    {"1;A", bad},
    {"1;1", bad},
    {"1;a=", bad},
    {"1;a= 1", bad},
    {"1 ;a", bad},
    {"1;a;", bad},
    {"1;a=(1)", bad},
    {"1;a=1.", bad},
    {"1;a=\"x", bad},
    {"1\xc2\xa0", bad},
    /* other types */
    {"1.0", bad},
    {"?1", bad},
    {"\"1\"", bad},
    {"(1)", bad},
    {"@1", bad},
    {":MQ==:", bad},
    {"one", bad},
    {"%\"1\"", bad},
};

static const struct row booleans[] = {
    {"?0", "0"},   {"?1", "1"},     {" ?1 ", "1"}, {"?1;a=b", "1"},
    {"?0;a", "0"}, {NULL, absent},  {"", bad},     {"?", bad},
    {"?2", bad},   {"?true", bad},  {"?T", bad},   {"?10", bad},
    {"?1?1", bad}, {"?1, ?1", bad}, {"? 1", bad},  {"?1;", bad},
    {"1", bad},    {"0", bad},      {"true", bad}, {"\"?1\"", bad},
    {"(?1)", bad}, {"?1\x80", bad}, {"?-1", bad},  {"?1.0", bad},
};

/* Whether a bare item is well formed: it stands as a parameter's value. */
static const struct {
    const char *item;
    bool good;
} bare_items[] = {
    {"1", true},
    {"-1", true},
    {"1.5", true},
    {"-0.125", true},
    {"123456789012.123", true},
    {"1234567890123.1", false},
    {"123456789012345.1", false},
    {"1.1234", false},
    {"1.", false},
    {".5", false},
    {"-.5", false},
    {"1.-5", false},
    {"1.5.5", false},
    {"\"\"", true},
    {"\"a b ,;=()\"", true},
    {"\"\\\"\\\\\"", true},
    {"\"\\a\"", false},
    {"\"\\", false},
    {"\"\\\"", false},
    {"\"", false},
    {"\"a\tb\"", false},
    {"\"\x7f\"", false},
    {"\"\xc3\xa9\"", false},
    {"\"a\"b", false},
    {"'a'", false},
    {"a", true},
    {"A*!#$%&'+-.^_`|~:/9", true},
    {"*", true},
    {"a(b", false},
    {"a\"b", false},
    {"a@b", false},
    {"/a", false},
    {"_a", false},
    {"::", true},
    {":AA==:", true},
    {":AAA=:", true},
    {":+/9z:", true},
    {":AA:", false},
    {":AA=:", false},
    {":A===:", false},
    {":AAAA====:", false},
    {":AB==:", false},
    {":AA==AA==:", false},
    {":A A=:", false},
    {":AAA\n:", false},
    {":-_9z:", false},
    {":AA==", false},
    {":", false},
    {":AA==:A", false},
    {"?0", true},
    {"?", false},
    {"@0", true},
    {"@-1659578233", true},
    {"@", false},
    {"@-", false},
    {"@1.5", false},
    {"@1000000000000000", false},
    {"@ 1", false},
    {"@a", false},
    {"%\"\"", true},
    {"%\"plain\"", true},
    {"%\"f%c3%bc%c3%bc %e2%82%ac %f0%9f%98%80\"", true},
    {"%\"%00%25%22\"", true},
    {"%\"back\\\"", true},
    {"%\"%C3%BC\"", false},
    {"%\"%c3%bC\"", false},
    {"%\"%C3%bc\"", false},
    {"%\"%c3\"", false},
    {"%\"%c3x\"", false},
    {"%\"%c3%c3\"", false},
    {"%\"%e2%82\"", false},
    {"%\"%c0%80\"", false},
    {"%\"%bc\"", false},
    {"%\"%ed%a0%80\"", false},
    {"%\"%f4%90%80%80\"", false},
    {"%\"%ff\"", false},
    {"%\"%\"", false},
    {"%\"%2\"", false},
    {"%\"%2g\"", false},
    {"%\"%g2\"", false},
    {"%\"%%\"", false},
    {"%\"\xc3\xbc\"", false},
    {"%\"\t\"", false},
    {"%\"\x7f\"", false},
    {"%\"a", false},
    {"%\"%c3", false},
    {"%a", false},
    {"%a\"", false},
    {"%ab\"", false},
    {"%", false},
    {"", false},
    {"(1)", false},
    {"#", false},
    {"\x80", false},
};

/* The member "a", an Integer. */
static const struct row members[] = {
    {"a=1", "1"},
    {"a=-1;p=2", "-1"},
    {"  a=1  ", "1"},
    {"a=1\t", "1"},
    {"a=1,b=2", "1"},
    {"b=2 \t,\t a=1", "1"},
    {"b,a=1,c;x", "1"},
    {"b=(1 2);x;y=1,a=1", "1"},
    {"b=(),a=1", "1"},
    {"b=( 1;p  \"x\"  t ), a=1", "1"},
    {"b=?0, c=1.5, d=:AA==:, e=\"a=2\", f=t, g=@1, h=%\",\", a=1", "1"},
    {"a=1, a=2, a=3", "3"},
    {"a=?1, a=2", "2"},
    {"aa=2, *a=3, a.=4, a-=5, a_=6, a0=7, a*=8, a=1", "1"},
    {NULL, absent},
    {"", absent},
    {"   ", absent},
    {"b=1", absent},
    {"aa=1", absent},
    {"*=1", absent},
    {"b=\"a=1\"", absent},
    {"b;a=1", absent},
    {"b=(a);a=1", absent},
    /* another type, and the last one counts */
    {"a", bad},
    {"a;p", bad},
    {"a=?1", bad},
    {"a=1.0", bad},
    {"a=(1)", bad},
    {"a=:AA==:", bad},
    {"a=\"1\"", bad},
    {"a=@1", bad},
    {"a=2, a", bad},
    {"a=1, a=x", bad},
    /* malformed: one bad member spoils all */
    {"\t", bad},
    {"\ta=1", bad},
    {",", bad},
    {"a=1,", bad},
    {"a=1, ", bad},
    {",a=1", bad},
    {"a=1,,b=2", bad},
    {"a=1 b=2", bad},
    {"a=1;b=2 c", bad},
    {"a =1", bad},
    {"a= 1", bad},
    {"a=", bad},
    {"a=,b", bad},
    {"=1", bad},
    {"A=1, a=1", bad},
    {"a=1, B=1", bad},
    {"a=1, aB=1", bad},
    {"1a=1", bad},
    {"-a=1", bad},
    {"_a=1", bad},
    {".a=1", bad},
    {"a=1, b=", bad},
    {"a=1, b=:AA:", bad},
    {"a=1, b=\"", bad},
    {"a=1, b=(", bad},
    {"a=1, b=(1", bad},
    {"a=1, b=(1 ", bad},
    {"a=1, b=(1,2)", bad},
    {"a=1, b=(1\t2)", bad},
    {"a=1, b=(1 \t2)", bad},
    {"a=1, b=(\t1)", bad},
    {"a=1, b=(1\"x\")", bad},
    {"a=1, b=((1))", bad},
    {"a=1, b=(1))", bad},
    {"a=1, b=(1;)", bad},
    {"a=1, b=(1);", bad},
    {"a=1, b=(=)", bad},
    {"a=1, (1)", bad},
    {"a=1000000000000000", bad},
    {"a=1\x80", bad},
    {"\x80=1", bad},
    {"a=1\n", bad},
};

/* The member "a", a Byte Sequence, in hexadecimal. */
static const struct row sequences[] = {
    {"a=:AQIDBA==:", "01020304"},
    {"a=:AQID:;p", "010203"},
    {"a=:AP8=:", "00ff"},
    {"a=::", ""},
    {"b=:AQID:, a=:AA==:, c=1", "00"},
    {"a=:AQIDBAU=:, a=:AA==:", "00"},
    {"a=1, a=:AA==:", "00"},
    {NULL, absent},
    {"", absent},
    {"b=:AA==:", absent},
    {"a=:AQIDBAU=:", bad},
    {"a=:AQIDBAUG:", bad},
    {"a=:AA==:, a=:AQIDBAU=:", bad},
    {"a=:AA==:, a=1", bad},
    {"a=AA==", bad},
    {"a=\"AA==\"", bad},
    {"a=:AA==", bad},
    {"a=:AA=:", bad},
    {"a=:AA==:, b=:A:", bad},
    {"a=:AA==:,", bad},
    {"a=(:AA==:)", bad},
    {"a", bad},
};

static const char *name(enum structured_result result, const char *found)
{
    switch (result) {
    case STRUCTURED_ABSENT:
        return absent;
    case STRUCTURED_BAD:
        return bad;
    case STRUCTURED_FOUND:
        break;
    }
    return found;
}

static void check(const struct row *row, const char *got)
{
    if (strcmp(got, row->want) != 0)
        fail_msg("%s: %s, not %s", row->field ? row->field : "NULL", got,
                 row->want);
}

static void test_integer(void **state)
{
    enum structured_result result;
    char text[32];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(integers); i++) {
        int64_t value = INT64_MIN;

        result = structured_integer(integers[i].field, &value);
        (void)snprintf(text, sizeof text, "%" PRId64, value);
        check(&integers[i], name(result, text));
    }
}

static void test_boolean(void **state)
{
    enum structured_result result;
    bool value;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(booleans); i++) {
        /* the opposite of what is wanted */
        value = strcmp(booleans[i].want, "0") == 0;
        result = structured_boolean(booleans[i].field, &value);
        check(&booleans[i], name(result, value ? "1" : "0"));
    }
}

static void test_bare_items(void **state)
{
    char field[200];
    int64_t value;
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(bare_items); i++) {
        const char *item = bare_items[i].item;
        enum structured_result want = bare_items[i].good ? STRUCTURED_FOUND
                                                         : STRUCTURED_BAD;

        (void)snprintf(field, sizeof field, "1;p=%s", item);
        if (structured_integer(field, &value) != want)
            fail_msg("as a parameter: %s", item);
        (void)snprintf(field, sizeof field, "b=(%s), a=1", item);
        if (*item && *item != '(' &&
            structured_member_integer(field, "a", &value) != want)
            fail_msg("in a list: %s", item);
    }
}

static void test_member_integer(void **state)
{
    enum structured_result result;
    char text[32];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(members); i++) {
        int64_t value = INT64_MIN;

        result = structured_member_integer(members[i].field, "a", &value);
        (void)snprintf(text, sizeof text, "%" PRId64, value);
        check(&members[i], name(result, text));
    }
}

static void test_member_bytes(void **state)
{
    char text[2 * CAP + 1];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(sequences); i++) {
        unsigned char bytes[CAP + 1] = {[CAP] = 0x5a};
        size_t len = 99;
        enum structured_result result = structured_member_bytes(
            sequences[i].field, "a", bytes, CAP, &len);

        assert_true(len <= CAP);
        assert_true(result == STRUCTURED_FOUND || len == 0);
        assert_int_equal(bytes[CAP], 0x5a);
        text_hex(text, bytes, len);
        check(&sequences[i], name(result, text));
    }
}

/* What is not found leaves the caller's value alone. */
static void test_untouched(void **state)
{
    int64_t integer = 5;
    bool boolean = true;

    (void)state;
    (void)structured_integer("6 x", &integer);
    (void)structured_integer("6.5", &integer);
    (void)structured_member_integer("a=6, b=", "a", &integer);
    (void)structured_member_integer("a=6, a=?0", "a", &integer);
    (void)structured_boolean("?0x", &boolean);
    (void)structured_boolean("0", &boolean);
    assert_int_equal(integer, 5);
    assert_true(boolean);
}

/* A digest as a client sends it fits exactly. */
static void test_digest(void **state)
{
    static const char field[] =
        "md5=:AA==:, "
        "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:";
    unsigned char bytes[32];
    char text[65];
    size_t len;

    (void)state;
    assert_int_equal(
        structured_member_bytes(field, "sha-256", bytes, sizeof bytes, &len),
        STRUCTURED_FOUND);
    text_hex(text, bytes, len);
    assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb924"
                              "27ae41e4649b934ca495991b7852b855");
    assert_int_equal(
        structured_member_bytes(field, "sha-512", bytes, sizeof bytes, &len),
        STRUCTURED_ABSENT);
    assert_int_equal(structured_member_bytes(field, "sha-256", bytes, 31, &len),
                     STRUCTURED_BAD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_integer),
        cmocka_unit_test(test_boolean),
        cmocka_unit_test(test_bare_items),
        cmocka_unit_test(test_member_integer),
        cmocka_unit_test(test_member_bytes),
        cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_digest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
