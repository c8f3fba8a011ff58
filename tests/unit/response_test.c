/*
 * Responses and HTML: nothing that a client sent can end a header line, an
 * attribute or an element.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "http/html.h"
#include "http/response.h"

static void header_values_stay_on_their_line(void **state)
{
    static const char *const rows[][2] = {
        {"plain", "plain"},
        {"a\r\nSet-Cookie: x", "a__Set-Cookie: x"},
        {"a\nb", "a_b"},
        {"a\rb", "a_b"},
        {"a\tb", "a_b"},
        {"\x1b[31m", "_[31m"},
        {"del\x7f", "del_"},
        {"\xc3\xa9", "\xc3\xa9"},
        {"", ""},
    };
    struct arena *a = arena_new(64 * 1024);

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct response r;

        response_init(&r, a);
        response_header(&r, "X-Test", "%s", rows[i][0]);
        assert_string_equal(r.first->value, rows[i][1]);
        assert_false(r.failed);
    }
    arena_free(a);
}

static void full_arena_fails_the_response(void **state)
{
    struct arena *a = arena_new(4096);
    struct response r;
    char long_value[3000];

    (void)state;
    memset(long_value, 'x', sizeof long_value - 1);
    long_value[sizeof long_value - 1] = '\0';
    response_init(&r, a);
    for (int i = 0; i < 3; i++)
        response_header(&r, "X-Test", "%s", long_value);
    assert_true(r.failed);
    arena_free(a);
}

static void html_is_text(void **state)
{
    static const char *const rows[][2] = {
        {"a&b", "a&amp;b"},
        {"<img src=x onerror=alert(1)>", "&lt;img src=x onerror=alert(1)&gt;"},
        {"\"><script>", "&quot;&gt;&lt;script&gt;"},
        {"' onload='", "&#39; onload=&#39;"},
        {"&lt;", "&amp;lt;"},
        {"\xc3\xa9", "\xc3\xa9"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct buf b;

        buf_init(&b, 1024);
        html_escape(&b, rows[i][0]);
        assert_string_equal(buf_text(&b), rows[i][1]);
        buf_free(&b);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_values_stay_on_their_line),
        cmocka_unit_test(full_arena_fails_the_response),
        cmocka_unit_test(html_is_text),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
