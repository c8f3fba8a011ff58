/*
 * Content-Disposition: names that would break out of a header, and names
 * that a request tries to bring in.
 */
#include "http/disposition.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void test_format(void **state)
{
    static const struct {
        const char *name;
        const char *want; /* behind `attachment; filename=` */
    } rows[] = {
        {"a.txt", "\"a.txt\""},
        {"a b;c='d'.txt", "\"a b;c='d'.txt\""},
        {"", "\"\""},
        {"\u00e9.txt", "\"__.txt\"; filename*=UTF-8''%C3%A9.txt"},
        {"\u65e5\u672c", "\"______\"; filename*=UTF-8''%E6%97%A5%E6%9C%AC"},
        {"100%.txt", "\"100_.txt\"; filename*=UTF-8''100%25.txt"},
        {"%41", "\"_41\"; filename*=UTF-8''%2541"},
        {"setup.bat\";x=.txt",
         "\"setup.bat_;x=.txt\"; filename*=UTF-8''setup.bat%22%3Bx%3D.txt"},
        {"a\\b", "\"a_b\"; filename*=UTF-8''a%5Cb"},
        {"a\r\nSet-Cookie: b=c",
         "\"a__Set-Cookie: b=c\"; "
         "filename*=UTF-8''a%0D%0ASet-Cookie%3A%20b%3Dc"},
        {"\t\x1b\x7f", "\"___\"; filename*=UTF-8''%09%1B%7F"},
        {"\u00e9!#$&+-.^_`|~",
         "\"__!#$&+-.^_`|~\"; filename*=UTF-8''%C3%A9!#$&+-.^_`|~"},
        {"\u00e9*'()/:;<=>?@[]{},",
         "\"__*'()/:;<=>?@[]{},\"; filename*=UTF-8''%C3%A9%2A%27%28%29%2F%3A"
         "%3B%3C%3D%3E%3F%40%5B%5D%7B%7D%2C"},
    };
    struct buf b;
    size_t i;

    (void)state;
    buf_init(&b, 1000);
    for (i = 0; i < COUNT(rows); i++) {
        buf_clear(&b);
        disposition_format(&b, false, rows[i].name);
        assert_memory_equal(buf_text(&b), "attachment; filename=", 21);
        assert_string_equal(buf_text(&b) + 21, rows[i].want);
    }
    buf_clear(&b);
    disposition_format(&b, true, "a.png");
    assert_string_equal(buf_text(&b), "inline; filename=\"a.png\"");
    buf_free(&b);
}

static const struct {
    const char *header;
    const char *want; /* NULL: none */
} read_rows[] = {
    {"attachment; filename=a.txt", "a.txt"},
    {"attachment; filename=\"a b.txt\"", "a b.txt"},
    {"ATTACHMENT; FILENAME=\"a\"", "a"},
    {"form-data; name=x; filename=a", "a"},
    {"attachment; filename=\"\u00e9\"", "\u00e9"},
    {"attachment; filename=\"a\\\"b\"", "a\"b"},
    {"attachment; filename=\"a%22b\"", "a%22b"},
    {"attachment; filename*=UTF-8''%C3%A9.txt", "\u00e9.txt"},
    {"attachment; filename*=utf-8'en'a", "a"},
    {"attachment; filename=\"a\"; filename*=UTF-8''b", "b"},
    {"attachment; filename*=UTF-8''b; filename=\"a\"", "b"},
    /* only the part behind the last separator */
    {"attachment; filename=\"/etc/cron.d/x\"", "x"},
    {"attachment; filename=\"C:\\dir\\x.txt\"", "x.txt"},
    {"attachment; filename=\"..\\../x\"", "x"},
    {"attachment; filename*=UTF-8''..%2f..%5Cx", "x"},
    {"attachment; filename=\"a/\"", NULL},
    {"attachment; filename*=UTF-8''a%2F", NULL},
    /* filename* that is not valid does not count */
    {"attachment; filename=a; filename*=UTF-8''%ZZ", "a"},
    {"attachment; filename=a; filename*=UTF-8''%4", "a"},
    {"attachment; filename=a; filename*=UTF-8''%", "a"},
    {"attachment; filename=a; filename*=UTF-8''%FF", "a"},
    {"attachment; filename=a; filename*=UTF-8''x%00y", "a"},
    {"attachment; filename=a; filename*=UTF-8''x%0d%0ay", "a"},
    {"attachment; filename=a; filename*=UTF-8''x*y", "a"},
    {"attachment; filename=a; filename*=UTF-8'x", "a"},
    {"attachment; filename=a; filename*=UTF-8", "a"},
    {"attachment; filename=a; filename*=ISO-8859-1''%E9", "a"},
    {"attachment; filename=a; filename*=''b", "a"},
    {"attachment; filename=a; filename*=\"UTF-8''b c\"", "a"},
    {"attachment; filename*=UTF-8''%ZZ", NULL},
    /* none, malformed or ambiguous */
    {NULL, NULL},
    {"", NULL},
    {"attachment", NULL},
    {"attachment; filename=", NULL},
    {"attachment; filename=\"\"", NULL},
    {"attachment; filename=\"a", NULL},
    {"attachment; filename=a; filename=b", NULL},
    {"attachment; filename=a; filename*=UTF-8''b; filename*=UTF-8''c", NULL},
    {"attachment; filename=a b", NULL},
    {"attachment; filename=\"a\nb\"", NULL},
    {"attachment; filename=\"\xff\"", NULL},
    {"filename=a", NULL},
    /* 15 bytes fit */
    {"attachment; filename=123456789012345", "123456789012345"},
    {"attachment; filename=1234567890123456", NULL},
    {"attachment; filename=\"/a/b/123456789012345\"", "123456789012345"},
};

static void test_filename(void **state)
{
    char out[16];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(read_rows); i++) {
        bool ok = disposition_filename(read_rows[i].header, out, sizeof out);

        if (ok != (read_rows[i].want != NULL) ||
            (ok && strcmp(out, read_rows[i].want) != 0))
            fail_msg("row %zu: %s", i, read_rows[i].header);
    }
}

/* What is written is read back. */
static void test_round_trip(void **state)
{
    static const char *const names[] = {
        "a.txt",
        "\u65e5\u672c.txt",
        "100% \"x\"; y=z'*.txt",
        "~`!@#$^&()[]{}",
    };
    char out[100];
    struct buf b;
    size_t i;

    (void)state;
    buf_init(&b, 1000);
    for (i = 0; i < COUNT(names); i++) {
        buf_clear(&b);
        disposition_format(&b, i % 2, names[i]);
        assert_true(disposition_filename(buf_text(&b), out, sizeof out));
        assert_string_equal(out, names[i]);
    }
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_format),
        cmocka_unit_test(test_filename),
        cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
