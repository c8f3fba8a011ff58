/*
 * Header parameters: well-formed values of all clients, and the malformed
 * ones that must not be read in two ways.
 */
#include "http/params.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static void test_value(void **state)
{
    static const struct {
        const char *header;
        const char *want; /* NULL: refused */
    } rows[] = {
        {"text/plain", "text/plain"},
        {"Text/PLAIN; charset=utf-8", "text/plain"},
        {" \tform-data \t; name=x", "form-data"},
        {"attachment;", "attachment"},
        {"", NULL},
        {"  ", NULL},
        {";a=b", NULL},
        {" ; a=b", NULL},
        {"0123456789abcde", "0123456789abcde"},
        {"0123456789abcdef", NULL},
        {NULL, NULL},
    };
    char out[16];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        bool ok = params_value(rows[i].header, out, sizeof out);

        if (ok != (rows[i].want != NULL) ||
            (ok && strcmp(out, rows[i].want) != 0))
            fail_msg("row %zu: %s", i, rows[i].header);
    }
}

struct get_row {
    const char *header;
    const char *name;
    enum params_result result;
    const char *want; /* where found */
};

static const struct get_row get_rows[] = {
    {"multipart/form-data; boundary=abc", "boundary", PARAMS_FOUND, "abc"},
    {"multipart/form-data;boundary=\"a b:c\"", "boundary", PARAMS_FOUND,
     "a b:c"},
    {"multipart/form-data ; BOUNDARY=abc ", "boundary", PARAMS_FOUND, "abc"},
    {"form-data; name=a; filename=b", "name", PARAMS_FOUND, "a"},
    {"form-data; name=a; filename=b", "filename", PARAMS_FOUND, "b"},
    {"form-data; filename=b", "name", PARAMS_ABSENT, NULL},
    {"form-data; xname=b; name2=c", "name", PARAMS_ABSENT, NULL},
    {"form-data", "name", PARAMS_ABSENT, NULL},
    {"form-data;", "name", PARAMS_ABSENT, NULL},
    {"form-data;;; name=a;", "name", PARAMS_FOUND, "a"},
    {"form-data; name=\"\"", "name", PARAMS_FOUND, ""},
    {"form-data; name=\"a\\\"b\"", "name", PARAMS_FOUND, "a\"b"},
    {"form-data; name=\"a\\\\b\"", "name", PARAMS_FOUND, "a\\b"},
    {"form-data; name=\"C:\\dir\\x\"", "name", PARAMS_FOUND, "C:\\dir\\x"},
    {"form-data; name=\"a;b\"; c=d", "c", PARAMS_FOUND, "d"},
    {"form-data; name=\"a; c=x\"; c=d", "c", PARAMS_FOUND, "d"},
    {"form-data; name=\"%22%0D\"", "name", PARAMS_FOUND, "%22%0D"},
    {"form-data; name=\"\xc3\xa9\"", "name", PARAMS_FOUND, "\xc3\xa9"},
    {"form-data; name=\"a\tb\"", "name", PARAMS_FOUND, "a\tb"},
    {"a; filename*=UTF-8''x%20y", "filename*", PARAMS_FOUND, "UTF-8''x%20y"},
    {"a; filename*=UTF-8''x%20y", "filename", PARAMS_ABSENT, NULL},
    /* twice, in any case and even where it is the same */
    {"form-data; name=a; name=b", "name", PARAMS_BAD, NULL},
    {"form-data; name=a; NAME=a", "name", PARAMS_BAD, NULL},
    /* malformed anywhere */
    {"", "name", PARAMS_BAD, NULL},
    {"; name=a", "name", PARAMS_BAD, NULL},
    {"form-data name=a", "name", PARAMS_BAD, NULL},
    {"form-data; name", "name", PARAMS_BAD, NULL},
    {"form-data; name=", "name", PARAMS_BAD, NULL},
    {"form-data; =a", "name", PARAMS_BAD, NULL},
    {"form-data; name =a", "name", PARAMS_BAD, NULL},
    {"form-data; name= a", "name", PARAMS_BAD, NULL},
    {"form-data; name=a b", "name", PARAMS_BAD, NULL},
    {"form-data; name=\"a", "name", PARAMS_BAD, NULL},
    {"form-data; name=\"a\\\"", "name", PARAMS_BAD, NULL},
    {"form-data; name=\"a\"b", "name", PARAMS_BAD, NULL},
    {"form-data; name=\"a\nb\"", "name", PARAMS_BAD, NULL},
    {"form-data; name=\"a\x7f\"", "name", PARAMS_BAD, NULL},
    {"form-data; name=a; b", "name", PARAMS_BAD, NULL},
    {"form-data; name=a; b=\"\r\n\"", "name", PARAMS_BAD, NULL},
    {"form-data, name=a", "name", PARAMS_BAD, NULL},
    {"text//plain; name=a", "name", PARAMS_BAD, NULL},
    {"a/b/c; name=a", "name", PARAMS_BAD, NULL},
    {"form-data; name=\xc3\xa9", "name", PARAMS_BAD, NULL},
    /* length: 15 bytes fit */
    {"a; b=123456789012345", "b", PARAMS_FOUND, "123456789012345"},
    {"a; b=1234567890123456", "b", PARAMS_BAD, NULL},
    {"a; b=\"1234567890123456\"", "b", PARAMS_BAD, NULL},
    {"a; b=1; c=1234567890123456", "b", PARAMS_FOUND, "1"},
    {NULL, "b", PARAMS_ABSENT, NULL},
};

static void test_get(void **state)
{
    char out[16];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(get_rows); i++) {
        const struct get_row *row = &get_rows[i];
        enum params_result got = params_get(row->header, row->name, out,
                                            sizeof out);

        if (got != row->result ||
            (got == PARAMS_FOUND && strcmp(out, row->want) != 0))
            fail_msg("row %zu: %s", i, row->header);
    }
}

/* Thousands of quoted pairs take one pass and are halved. */
static void test_many_pairs(void **state)
{
    static char header[9000] = "form-data; name=\"", out[9000];
    size_t len = strlen(header), i;

    (void)state;
    for (i = 0; i < 4000; i++, len += 2)
        memcpy(header + len, "\\\\", 2);
    header[len] = '"';
    assert_int_equal(params_get(header, "name", out, sizeof out), PARAMS_FOUND);
    assert_int_equal(strlen(out), 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_value),
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_many_pairs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
