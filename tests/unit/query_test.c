/*
 * Query strings: decoding, repeated names, and the escapes that two readers
 * of one URL would take differently.
 */
#include "http/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    const char *query;
    enum query_result result;
    const char *want; /* where found */
} get_rows[] = {
    {"a=1", QUERY_FOUND, "1"},
    {"b=2&a=1&c=3", QUERY_FOUND, "1"},
    {"a=", QUERY_FOUND, ""},
    {"a", QUERY_FOUND, ""},
    {"&&a=1&&", QUERY_FOUND, "1"},
    {"a=1=2", QUERY_FOUND, "1=2"},
    {"a=x+y%20z", QUERY_FOUND, "x y z"},
    {"a=%C3%A9", QUERY_FOUND, "\xc3\xa9"},
    {"a=%c3%a9", QUERY_FOUND, "\xc3\xa9"},
    {"a=%26%3D%25", QUERY_FOUND, "&=%"},
    {"a=%2e%2e/", QUERY_FOUND, "../"},
    {"a=%0d%0aX", QUERY_FOUND, "\r\nX"},
    {"%61=1", QUERY_FOUND, "1"},
    {"a=123456789012345", QUERY_FOUND, "123456789012345"},
    {"bad=%zz&a=1", QUERY_FOUND, "1"},
    {"ab=2&a=1", QUERY_FOUND, "1"},
    {"", QUERY_ABSENT, NULL},
    {"&", QUERY_ABSENT, NULL},
    {"A=1", QUERY_ABSENT, NULL},
    {"aa=1", QUERY_ABSENT, NULL},
    {"=1", QUERY_ABSENT, NULL},
    {"b=a", QUERY_ABSENT, NULL},
    {NULL, QUERY_ABSENT, NULL},
    {"a=1&a=1", QUERY_BAD, NULL},
    {"a=1&b&%61=9", QUERY_BAD, NULL},
    {"a&a", QUERY_BAD, NULL},
    {"a=%", QUERY_BAD, NULL},
    {"a=%4", QUERY_BAD, NULL},
    {"a=%4&b=1", QUERY_BAD, NULL},
    {"a=%&41", QUERY_BAD, NULL},
    {"a=%zz", QUERY_BAD, NULL},
    {"a=%u0041", QUERY_BAD, NULL},
    {"a=x%00y", QUERY_BAD, NULL},
    {"a=%c0%ae", QUERY_BAD, NULL},
    {"a=%ff", QUERY_BAD, NULL},
    {"a=\xff", QUERY_BAD, NULL},
    {"a=%ed%a0%80", QUERY_BAD, NULL},
    {"a=1234567890123456", QUERY_BAD, NULL},
    {"a=1&%zz=2", QUERY_BAD, NULL},
    {"a%00=1", QUERY_BAD, NULL},
};

static void test_get(void **state)
{
    char out[16];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(get_rows); i++) {
        enum query_result got = query_get(get_rows[i].query, "a", out,
                                          sizeof out);

        if (got != get_rows[i].result ||
            (got == QUERY_FOUND && strcmp(out, get_rows[i].want) != 0))
            fail_msg("row %zu: %s", i, get_rows[i].query);
    }
}

static void test_next(void **state)
{
    static const char query[] = "a=1&&b&meta.x=%26&c=%zz&toolongname=1&d=2";
    static const struct {
        enum query_result result;
        const char *name;
        const char *value;
    } want[] = {
        {QUERY_FOUND, "a", "1"},      {QUERY_FOUND, "b", ""},
        {QUERY_FOUND, "meta.x", "&"}, {QUERY_BAD, NULL, NULL},
        {QUERY_BAD, NULL, NULL},      {QUERY_FOUND, "d", "2"},
        {QUERY_ABSENT, NULL, NULL},   {QUERY_ABSENT, NULL, NULL},
    };
    char name[8], value[8];
    size_t i, pos = 0;

    (void)state;
    for (i = 0; i < COUNT(want); i++) {
        assert_int_equal(
            query_next(query, &pos, name, sizeof name, value, sizeof value),
            want[i].result);
        if (want[i].result != QUERY_FOUND)
            continue;
        assert_string_equal(name, want[i].name);
        assert_string_equal(value, want[i].value);
    }
    pos = 0;
    assert_int_equal(
        query_next(NULL, &pos, name, sizeof name, value, sizeof value),
        QUERY_ABSENT);
}

static void test_encode(void **state)
{
    static const struct {
        const char *in;
        const char *segment;
        const char *path;
    } rows[] = {
        {"", "", ""},
        {"aZ09-._~", "aZ09-._~", "aZ09-._~"},
        {"a b", "a%20b", "a%20b"},
        {"dir/x", "dir%2Fx", "dir/x"},
        {"\xc3\xa9.png", "%C3%A9.png", "%C3%A9.png"},
        {"100%?#&+;=:@", "100%25%3F%23%26%2B%3B%3D%3A%40",
         "100%25%3F%23%26%2B%3B%3D%3A%40"},
        {"\"<'>\\\r\n", "%22%3C%27%3E%5C%0D%0A", "%22%3C%27%3E%5C%0D%0A"},
    };
    struct buf b;
    size_t i;

    (void)state;
    buf_init(&b, 1000);
    for (i = 0; i < COUNT(rows); i++) {
        buf_clear(&b);
        percent_encode(&b, rows[i].in);
        assert_string_equal(buf_text(&b), rows[i].segment);
        buf_clear(&b);
        percent_encode_path(&b, rows[i].in);
        assert_string_equal(buf_text(&b), rows[i].path);
    }
    buf_free(&b);
}

/* What is encoded is decoded to itself, for every byte that may occur. */
static void test_round_trip(void **state)
{
    char in[3] = "x", out[8];
    struct buf b;
    int c;

    (void)state;
    buf_init(&b, 100);
    for (c = 1; c < 0x80; c++) {
        in[1] = (char)c;
        buf_clear(&b);
        buf_puts(&b, "a=");
        percent_encode(&b, in);
        assert_int_equal(query_get(buf_text(&b), "a", out, sizeof out),
                         QUERY_FOUND);
        assert_string_equal(out, in);
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_encode),
        cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
