/*
 * Segment lists: every range over every way of cutting the same bytes into
 * segments must give the same bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "http/segment.h"

static const char bytes[] = "abcdefghij";
enum { SIZE = sizeof bytes - 1 };

/* A source over bytes. */
static struct source source = {.size = SIZE};

/* Three segments split at i and j; the middle one is a slice. */
static void build(struct segment_list *l, struct arena *a, size_t i, size_t j)
{
    assert_true(segment_literal(l, a, bytes, i));
    assert_true(segment_slice(l, a, &source, i, j - i));
    assert_true(segment_literal(l, a, bytes + j, SIZE - j));
}

static void read_back(const struct segment_list *l, char out[SIZE + 1])
{
    size_t n = 0;

    for (const struct segment *s = l->first; s; s = s->next) {
        const char *from = s->literal ? s->literal : bytes + s->offset;

        assert_true(n + s->length <= SIZE);
        memcpy(out + n, from, s->length);
        n += s->length;
    }
    assert_int_equal(n, l->length);
    out[n] = '\0';
}

static void cuts_are_exact(void **state)
{
    struct arena *a = arena_new(1024 * 1024);
    char got[SIZE + 1], want[SIZE + 1];

    (void)state;
    for (size_t i = 0; i <= SIZE; i++)
        for (size_t j = i; j <= SIZE; j++)
            for (size_t first = 0; first < SIZE; first++)
                for (size_t len = 1; first + len <= SIZE; len++) {
                    struct segment_list whole = {0}, part = {0};
                    struct range r = {first, len};

                    arena_reset(a);
                    build(&whole, a, i, j);
                    assert_int_equal(whole.length, SIZE);
                    assert_true(segment_cut(&part, a, &whole, r));
                    read_back(&part, got);
                    (void)snprintf(want, sizeof want, "%.*s", (int)len,
                                   bytes + first);
                    assert_string_equal(got, want);
                }
    arena_free(a);
}

static void whole_source_is_recognised(void **state)
{
    struct arena *a = arena_new(64 * 1024);
    struct segment_list l = {0}, part = {0}, two = {0};

    (void)state;
    assert_null(segment_whole_source(&l));
    assert_true(segment_slice(&l, a, &source, 0, SIZE));
    assert_ptr_equal(segment_whole_source(&l), &source);
    assert_true(segment_slice(&part, a, &source, 1, SIZE - 1));
    assert_null(segment_whole_source(&part));
    assert_true(segment_slice(&two, a, &source, 0, SIZE));
    assert_true(segment_literal(&two, a, "x", 1));
    assert_null(segment_whole_source(&two));
    arena_free(a);
}

static void full_arena_is_reported(void **state)
{
    struct arena *a = arena_new(4096);
    struct segment_list l = {0};
    bool ok = true;

    (void)state;
    for (int i = 0; i < 1000 && ok; i++)
        ok = segment_literal(&l, a, "x", 1);
    assert_false(ok);
    arena_free(a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cuts_are_exact),
        cmocka_unit_test(whole_source_is_recognised),
        cmocka_unit_test(full_arena_is_reported),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
