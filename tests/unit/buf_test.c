/*
 * Tests of base/buf.h.
 */
#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void starts_empty(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 10);
    assert_null(b.data);
    assert_string_equal(buf_text(&b), "");
    buf_append(&b, NULL, 0);
    buf_puts(&b, "");
    buf_printf(&b, "%s", "");
    assert_int_equal(b.len, 0);
    assert_false(buf_failed(&b));
    buf_clear(&b);
    buf_free(&b);
    buf_free(&b);
}

static void grows_and_stays_terminated(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 1 << 20);
    for (size_t i = 0; i < 10000; i++) {
        buf_printf(&b, "%04zu,", i);
        assert_int_equal(b.len, (i + 1) * 5);
        assert_int_equal(b.data[b.len], '\0');
        assert_true(b.len < b.cap);
    }
    assert_memory_equal(b.data + 49995, "9999,", 6);
    buf_clear(&b);
    assert_string_equal(buf_text(&b), "");
    buf_append(&b, "a\0b", 3);
    assert_int_equal(b.len, 3);
    assert_memory_equal(b.data, "a\0b", 4);
    buf_free(&b);
}

static void fills_to_the_ceiling_exactly(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 5);
    buf_puts(&b, "12345");
    assert_false(buf_failed(&b));
    assert_true(b.cap <= 6);
    buf_append(&b, "", 0);
    assert_false(buf_failed(&b));
    buf_puts(&b, "6");
    assert_true(buf_failed(&b));
    assert_string_equal(buf_text(&b), "12345");
    buf_free(&b);
}

static void ignores_appends_after_a_failure(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 5);
    buf_puts(&b, "abc");
    buf_printf(&b, "%s", "long text");
    assert_true(buf_failed(&b));
    buf_puts(&b, "d");
    buf_printf(&b, "%d", 1);
    assert_string_equal(buf_text(&b), "abc");
    buf_clear(&b);
    assert_false(buf_failed(&b));
    buf_puts(&b, "d");
    assert_string_equal(buf_text(&b), "d");
    buf_free(&b);
}

static void holds_nothing_under_a_zero_ceiling(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, 0);
    buf_puts(&b, "");
    assert_false(buf_failed(&b));
    buf_puts(&b, "a");
    assert_true(buf_failed(&b));
    assert_string_equal(buf_text(&b), "");
    buf_free(&b);
}

static void survives_absurd_lengths(void **state)
{
    struct buf b;

    (void)state;
    buf_init(&b, SIZE_MAX);
    buf_puts(&b, "abc");
    assert_false(buf_failed(&b));
    buf_append(&b, "x", SIZE_MAX);
    assert_true(buf_failed(&b));
    assert_string_equal(buf_text(&b), "abc");
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starts_empty),
        cmocka_unit_test(grows_and_stays_terminated),
        cmocka_unit_test(fills_to_the_ceiling_exactly),
        cmocka_unit_test(ignores_appends_after_a_failure),
        cmocka_unit_test(holds_nothing_under_a_zero_ceiling),
        cmocka_unit_test(survives_absurd_lengths),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
