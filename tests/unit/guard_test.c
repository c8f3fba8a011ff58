/*
 * The pure parts of the guard: paths below paths, what an answer means, what
 * the owner is told to write.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "gateway/guard.h"

#include "base/text.h"
#include "probe/reach.h"

static void paths_below(void **state)
{
    static const struct {
        const char *path, *dir, *rest; /* */
    } cases[] = {
        {"/srv/www/data", "/srv/www", "data"},
        {"/srv/www/a/b", "/srv/www/", "a/b"},
        {"/srv/www", "/srv/www", ""},
        {"/srv/www2/data", "/srv/www", NULL},
        {"/srv", "/srv/www", NULL},
        {"/data", "/", "data"},
        {"/srv/data", "/srv/www", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *rest = text_path_below(cases[i].path, cases[i].dir);

        if (cases[i].rest)
            assert_string_equal(rest, cases[i].rest);
        else
            assert_null(rest);
    }
}

static void answers_and_what_they_mean(void **state)
{
    static const struct {
        const char *answer; /* */
        enum reach reach;   /* */
    } cases[] = {
        {"HTTP/1.1 403 Forbidden\r\n\r\n", REACH_BARRED},
        {"HTTP/1.1 404 Not Found\r\n\r\ntoken", REACH_BARRED},
        {"HTTP/1.0 401 Unauthorized\r\n\r\n", REACH_BARRED},
        {"HTTP/1.1 200 OK\r\n\r\ntoken", REACH_REACHABLE},
        {"HTTP/1.1 200 OK\r\n\r\nwelcome", REACH_UNKNOWN},
        {"HTTP/1.1 301 Moved\r\nLocation: https://x/token\r\n\r\n",
         REACH_UNKNOWN},
        {"HTTP/1.1 400 Bad\r\n\r\n", REACH_UNKNOWN},
        {"HTTP/1.1 500 Error\r\n\r\ntoken", REACH_UNKNOWN},
        {"HTTP/1.1 4034 Odd\r\n\r\n", REACH_UNKNOWN},
        {"403 Forbidden", REACH_UNKNOWN},
        {"\x15\x03\x01", REACH_UNKNOWN},
        {"", REACH_UNKNOWN},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(reach_verdict(cases[i].answer, "token"),
                         cases[i].reach);
}

static void a_place_beside_the_document_root(void **state)
{
    static const struct {
        const char *ini, *root, *line; /* */
    } cases[] = {
        {"/home/u/public_html", "/home/u/public_html", "../slipway-data"},
        {"/home/u/public_html/slipway", "/home/u/public_html",
         "../../slipway-data"},
        {"/home/u/www/a/b", "/home/u/www/", "../../../slipway-data"},
        {"/etc", "/home/u/www", ""},
    };
    char out[64];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        guard_suggest(cases[i].ini, cases[i].root, out, sizeof out);
        assert_string_equal(out, cases[i].line);
    }
    guard_suggest("/a/b/c/d/e/f", "/a", out, 8);
    assert_string_equal(out, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(paths_below),
        cmocka_unit_test(answers_and_what_they_mean),
        cmocka_unit_test(a_place_beside_the_document_root),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
