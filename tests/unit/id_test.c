/*
 * Ids: which a caller may choose, which are ours, and that ours are random.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "store/id.h"

#define CHARS_64 \
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-"

static void chosen_ids(void **state)
{
    static const struct {
        const char *id;
        bool ok;
    } rows[] = {
        {"12345678", true},
        {"1234567", false},
        {CHARS_64, true},
        {CHARS_64 "x", false},
        {"", false},
        {"abcd efgh", false},
        {"../../etc", false},
        {"abcdefg/", false},
        {"abcdefg\n", false},
        {"abcdefg%00", false},
        {"abcdefg.txt", false},
        {"\xc3\xa9\xc3\xa9\xc3\xa9\xc3\xa9", false},
        {"--------", true},
        {"' OR 1=1", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (id_is_upload(rows[i].id) != rows[i].ok)
            fail_msg("row %zu: %s", i, rows[i].id);
}

static void generated_ids(void **state)
{
    char a[ID_LENGTH + 1], b[ID_LENGTH + 1];
    struct error e;

    (void)state;
    assert_int_equal(id_new(a, &e), ERR_NONE);
    assert_int_equal(id_new(b, &e), ERR_NONE);
    assert_true(id_is_generated(a) && id_is_upload(a));
    assert_string_not_equal(a, b);
    a[0] = '1';
    assert_false(id_is_generated(a));
    a[0] = 'A';
    assert_false(id_is_generated(a));
    b[ID_LENGTH - 1] = '\0';
    assert_false(id_is_generated(b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chosen_ids),
        cmocka_unit_test(generated_ids),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
