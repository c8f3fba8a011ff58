/*
 * Content negotiation: what browsers, scripts and libraries send.
 */
#include "http/accept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    const char *header;
    int form; /* -1: the fallback */
} rows[] = {
    {"application/json", ACCEPT_JSON},
    {"application/problem+json", ACCEPT_JSON},
    {"text/html", ACCEPT_HTML},
    {"text/plain", ACCEPT_TEXT},
    {"text/event-stream", ACCEPT_EVENTS},
    {"APPLICATION/JSON", ACCEPT_JSON},
    {" \tapplication/json ", ACCEPT_JSON},
    {"application/json;charset=utf-8", ACCEPT_JSON},
    {"application/json, text/plain, */*", ACCEPT_JSON},
    {"text/plain, application/json", ACCEPT_TEXT},
    {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,"
     "image/webp,image/apng,*/*;q=0.8",
     ACCEPT_HTML},
    {"text/html;q=0.5, application/json", ACCEPT_JSON},
    {"text/html;q=0.5, application/json;q=0.51", ACCEPT_JSON},
    {"text/html;q=0.5, application/json;q=0.5", ACCEPT_HTML},
    {"text/html;q=0.999, application/json;q=1.000", ACCEPT_JSON},
    {"text/html ; q=0.1 , application/json ; q=0.2", ACCEPT_JSON},
    {"text/html;level=1;q=0.1, application/json;Q=0.2", ACCEPT_JSON},
    {"text/html;x=\"a,b;q=0\", application/json;q=0.9", ACCEPT_HTML},
    {"text/html;x=\"\\\",\";q=0.1, application/json;q=0.9", ACCEPT_JSON},
    {"text/html;x=\"unclosed, application/json", ACCEPT_HTML},
    {",,application/json,,", ACCEPT_JSON},
    {"application/json;q=0, text/html;q=0.1", ACCEPT_HTML},
    {"application/json;", ACCEPT_JSON},
    {"application/json;;q=0.1, text/html;q=0.2", ACCEPT_HTML},
    /* only types that are named in full */
    {NULL, -1},
    {"", -1},
    {"*/*", -1},
    {"text/*", -1},
    {"application/*", -1},
    {"image/png", -1},
    {"json", -1},
    {"application/jsonx", -1},
    {"application/json+x", -1},
    {"application/jso", -1},
    {"application/json;q=0", -1},
    {"application/json;q=0.000", -1},
    /* malformed elements do not count */
    {"application/json;q=", -1},
    {"application/json;q=2", -1},
    {"application/json;q=1.1", -1},
    {"application/json;q=0.1234", -1},
    {"application/json;q=-1", -1},
    {"application/json;q=.5", -1},
    {"application/json;q=a", -1},
    {"application/json;q=1e9", -1},
    {"application/json x", -1},
    {"application/json;q=x, text/plain;q=0.1", ACCEPT_TEXT},
};

static void test_form(void **state)
{
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        enum accept_type fallback;

        for (fallback = ACCEPT_TEXT; fallback <= ACCEPT_EVENTS; fallback++) {
            enum accept_type want = rows[i].form < 0
                                        ? fallback
                                        : (enum accept_type)rows[i].form;

            if (accept_choose(rows[i].header, fallback) != want)
                fail_msg("row %zu: %s", i, rows[i].header);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_form),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
