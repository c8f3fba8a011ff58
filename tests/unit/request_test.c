/*
 * Requests and their bodies: how CGI variables are read, and when a body is
 * complete.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "http/request.h"

/* One variable, the context of the request. */
struct variable {
    const char *name;  /* */
    const char *value; /* */
};

static const char *lookup(const void *ctx, const char *name)
{
    const struct variable *v = ctx;

    return strcmp(v->name, name) == 0 ? v->value : NULL;
}

static void length_is_digits_only(void **state)
{
    static const struct {
        const char *value;
        enum error_code code;
        uint64_t length;
    } rows[] = {
        {NULL, ERR_NONE, BODY_LENGTH_UNKNOWN},
        {"", ERR_NONE, BODY_LENGTH_UNKNOWN},
        {"0", ERR_NONE, 0},
        {"5", ERR_NONE, 5},
        {"005", ERR_NONE, 5},
        {"9223372036854775807", ERR_NONE, INT64_MAX},
        {"9223372036854775808", ERR_BAD_REQUEST, 0},
        {"18446744073709551615", ERR_BAD_REQUEST, 0},
        {"18446744073709551616", ERR_BAD_REQUEST, 0},
        {"1000000000000000000000000000000", ERR_BAD_REQUEST, 0},
        {"-1", ERR_BAD_REQUEST, 0},
        {"+5", ERR_BAD_REQUEST, 0},
        {" 5", ERR_BAD_REQUEST, 0},
        {"5 ", ERR_BAD_REQUEST, 0},
        {"0x10", ERR_BAD_REQUEST, 0},
        {"5,5", ERR_BAD_REQUEST, 0},
        {"5\r\n", ERR_BAD_REQUEST, 0},
        {"\xef\xbc\x95", ERR_BAD_REQUEST, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct variable v = {"CONTENT_LENGTH", rows[i].value};
        struct request r = {.variable = lookup, .variable_ctx = &v};
        struct error e;
        uint64_t length;

        assert_int_equal(request_length(&r, &length, &e), rows[i].code);
        if (rows[i].code == ERR_NONE)
            assert_int_equal(length, rows[i].length);
    }
}

/* Variables by name and value, up to a NULL. */
static const char *lookup_all(const void *ctx, const char *name)
{
    const char *const *v = ctx;

    for (; v[0]; v += 2)
        if (strcmp(v[0], name) == 0)
            return v[1];
    return NULL;
}

static void what_apache_cuts_is_not_whole(void **state)
{
    static const struct {
        const char *variables[7];
        enum error_code code; /* of the length */
        bool may_be_cut;
    } rows[] = {
        {{NULL}, ERR_NONE, false},
        {{"SERVER_SOFTWARE", "Apache/2.4.6", "SERVER_PROTOCOL", "HTTP/2.0"},
         ERR_NONE,
         true},
        {{"SERVER_SOFTWARE", "Apache", "SERVER_PROTOCOL", "HTTP/2",
          "CONTENT_LENGTH", "5"},
         ERR_NONE,
         false},
        {{"SERVER_SOFTWARE", "Apache", "SERVER_PROTOCOL", "HTTP/1.1"},
         ERR_NONE,
         false},
        {{"SERVER_SOFTWARE", "nginx/1.22", "SERVER_PROTOCOL", "HTTP/2.0"},
         ERR_NONE,
         false},
        {{"SSL_SLIPWAY_CHUNKED", "1", "CONTENT_LENGTH", "5"}, ERR_NONE, true},
        {{"SSL_SLIPWAY_LENGTH", "5", "CONTENT_LENGTH", "5"}, ERR_NONE, false},
        {{"SSL_SLIPWAY_LENGTH", "5"}, ERR_NONE, false},
        {{"SSL_SLIPWAY_LENGTH", "6", "CONTENT_LENGTH", "5"},
         ERR_REQUEST_TOO_LARGE,
         false},
        {{"SSL_SLIPWAY_LENGTH", "1073741825", "CONTENT_LENGTH", "0"},
         ERR_REQUEST_TOO_LARGE,
         false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct request r = {.variable = lookup_all,
                            .variable_ctx = rows[i].variables};
        struct error e;
        uint64_t length;

        assert_int_equal(request_length(&r, &length, &e), rows[i].code);
        assert_int_equal(request_may_be_cut(&r), rows[i].may_be_cut);
    }
}

static void header_names_become_variables(void **state)
{
    static const char *const rows[][2] = {
        {"If-Range", "HTTP_IF_RANGE"},
        {"accept", "HTTP_ACCEPT"},
        {"Content-Type", "CONTENT_TYPE"},
        {"X", "HTTP_X"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct variable v = {rows[i][1], "value"};
        struct request r = {.variable = lookup, .variable_ctx = &v};

        assert_string_equal(request_header(&r, rows[i][0]), "value");
        assert_null(request_header(&r, "Other"));
        v.value = "";
        assert_null(request_header(&r, rows[i][0]));
    }
}

/* A body that is handed out in the given pieces, then ends or breaks. */
struct pieces {
    struct body body;       /* first: found from it */
    const size_t *sizes;    /* 0 at the end */
    enum body_result after; /* what follows the last one */
};

static enum body_result next_piece(struct body *b, const void **data,
                                   size_t *len, int wait_ms, struct error *e)
{
    struct pieces *p = (struct pieces *)b;

    (void)wait_ms;
    if (*p->sizes == 0) {
        if (p->after == BODY_FAILED)
            error_set(e, ERR_CLIENT_GONE, "Gone.");
        return p->after;
    }
    *data = "xxxxxxxx";
    *len = *p->sizes++;
    return BODY_DATA;
}

static void completeness_is_exact(void **state)
{
    static const struct {
        uint64_t length;
        size_t sizes[4];
        enum body_result after;
        enum error_code code;
    } rows[] = {
        {5, {5, 0}, BODY_END, ERR_NONE},
        {5, {2, 3, 0}, BODY_END, ERR_NONE},
        {0, {0}, BODY_END, ERR_NONE},
        {BODY_LENGTH_UNKNOWN, {0}, BODY_END, ERR_NONE},
        {BODY_LENGTH_UNKNOWN, {4, 4, 0}, BODY_END, ERR_NONE},
        {5, {4, 0}, BODY_END, ERR_TRUNCATED},
        {5, {0}, BODY_END, ERR_TRUNCATED},
        {5, {5, 0}, BODY_FAILED, ERR_CLIENT_GONE},
        {BODY_LENGTH_UNKNOWN, {4, 0}, BODY_FAILED, ERR_CLIENT_GONE},
        {5, {6, 0}, BODY_END, ERR_BAD_REQUEST},
        {5, {3, 3, 0}, BODY_END, ERR_BAD_REQUEST},
        {0, {1, 0}, BODY_END, ERR_BAD_REQUEST},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct pieces p = {
            .body = {.next = next_piece, .length = rows[i].length},
            .sizes = rows[i].sizes,
            .after = rows[i].after};
        struct error e = {0};
        enum body_result r;
        const void *data;
        size_t len;

        do
            r = body_next(&p.body, &data, &len, 0, &e);
        while (r == BODY_DATA);
        assert_int_equal(r, rows[i].code == ERR_NONE ? BODY_END : BODY_FAILED);
        assert_int_equal(e.code, rows[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(length_is_digits_only),
        cmocka_unit_test(what_apache_cuts_is_not_whole),
        cmocka_unit_test(header_names_become_variables),
        cmocka_unit_test(completeness_is_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
