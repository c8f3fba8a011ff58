/*
 * Tests of base/arena.h. The sanitizers see overlaps and leaks.
 */
#include "base/arena.h"

#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { CEILING = 1 << 20 };

static void gives_zeroed_aligned_memory(void **state)
{
    struct arena *a = arena_new(CEILING);

    (void)state;
    assert_non_null(a);
    for (int round = 0; round < 3; round++) {
        for (size_t size = 0; size < 300; size++) {
            unsigned char *p = arena_alloc(a, size);
            assert_non_null(p);
            assert_true((uintptr_t)p % alignof(max_align_t) == 0);
            for (size_t i = 0; i < size; i++)
                assert_int_equal(p[i], 0);
            memset(p, 0xA5, size);
        }
        arena_reset(a);
    }
    arena_free(a);
}

static void keeps_allocations_apart(void **state)
{
    static const size_t sizes[] = {1, 40000, 16, 2000, 16384, 9000, 3, 100};
    enum { COUNT = 200 };
    struct arena *a = arena_new(8 * CEILING);
    unsigned char *blocks[COUNT];

    (void)state;
    for (size_t i = 0; i < COUNT; i++) {
        blocks[i] = arena_alloc(a, sizes[i % 8]);
        assert_non_null(blocks[i]);
        memset(blocks[i], (int)i, sizes[i % 8]);
    }
    for (size_t i = 0; i < COUNT; i++)
        for (size_t k = 0; k < sizes[i % 8]; k++)
            if (blocks[i][k] != i)
                fail_msg("block %zu byte %zu", i, k);
    arena_free(a);
}

static void stops_at_the_ceiling(void **state)
{
    struct arena *a = arena_new(CEILING);
    size_t got = 0;

    (void)state;
    while (arena_alloc(a, 1000))
        got += 1000;
    assert_true(got <= CEILING);
    assert_true(got > CEILING / 10 * 9);
    assert_null(arena_alloc(a, CEILING));
    arena_reset(a);
    assert_non_null(arena_alloc(a, CEILING / 2));
    assert_null(arena_alloc(a, CEILING / 2));
    arena_free(a);
}

static void refuses_absurd_sizes(void **state)
{
    struct arena *a = arena_new(SIZE_MAX);

    (void)state;
    for (size_t less = 0; less < 100; less++)
        assert_null(arena_alloc(a, SIZE_MAX - less));
    assert_non_null(arena_alloc(a, 1));
    arena_free(a);
}

static void works_under_tiny_ceilings(void **state)
{
    (void)state;
    for (size_t ceiling = 0; ceiling < 5000; ceiling += 7) {
        struct arena *a = arena_new(ceiling);
        size_t got = 0;
        assert_non_null(a);
        while (arena_alloc(a, 16))
            got += 16;
        assert_true(got <= ceiling);
        arena_free(a);
    }
    arena_free(NULL);
}

static void copies_strings(void **state)
{
    struct arena *a = arena_new(CEILING);
    char unterminated[3] = {'x', 'y', 'z'};

    (void)state;
    assert_string_equal(arena_strdup(a, ""), "");
    assert_string_equal(arena_strdup(a, "abc"), "abc");
    assert_string_equal(arena_strndup(a, unterminated, 3), "xyz");
    assert_string_equal(arena_strndup(a, "abc", 2), "ab");
    assert_string_equal(arena_strndup(a, "abc", 10), "abc");
    assert_string_equal(arena_strndup(a, "abc", 0), "");
    arena_free(a);
}

static void prints(void **state)
{
    struct arena *a = arena_new(CEILING);

    (void)state;
    assert_string_equal(arena_printf(a, "%s-%d", "a", 7), "a-7");
    char *wide = arena_printf(a, "%050000d", 1);
    assert_non_null(wide);
    assert_int_equal(strlen(wide), 50000);
    assert_null(arena_printf(a, "%02000000d", 1));
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gives_zeroed_aligned_memory),
        cmocka_unit_test(keeps_allocations_apart),
        cmocka_unit_test(stops_at_the_ceiling),
        cmocka_unit_test(refuses_absurd_sizes),
        cmocka_unit_test(works_under_tiny_ceilings),
        cmocka_unit_test(copies_strings),
        cmocka_unit_test(prints),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
