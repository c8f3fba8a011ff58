/*
 * The hostile table of file names. A row of file names says what is stored;
 * a row without a result is refused.
 */
#include "http/filename.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

struct row {
    const char *in;
    const char *want; /* NULL: refused */
};

static const struct row clean_rows[] = {
    /* what people send */
    {"photo.jpg", "photo.jpg"},
    {"My Holiday (2).JPG", "My Holiday (2).JPG"},
    {"no extension", "no extension"},
    {"a.tar.gz", "a.tar.gz"},
    {"r\u00e9sum\u00e9.pdf", "r\u00e9sum\u00e9.pdf"},
    {"\u65e5\u672c\u8a9e.txt", "\u65e5\u672c\u8a9e.txt"},
    {"\u0627\u0644\u0639\u0631\u0628\u064a\u0629.txt",
     "\u0627\u0644\u0639\u0631\u0628\u064a\u0629.txt"},
    {"\U0001f600\u2764\ufe0f.png", "\U0001f600\u2764\ufe0f.png"},
    {"100% & #1; 'x' +=@!^~`{}[]$,.txt", "100% & #1; 'x' +=@!^~`{}[]$,.txt"},
    /* NFC: e and an acute accent, Hangul letters, Angstrom, Kelvin */
    {"re\u0301sume\u0301", "r\u00e9sum\u00e9"},
    {"\u1112\u1161\u11ab", "\ud55c"},
    {"\u212b\u212a", "\u00c5K"},
    /* invalid UTF-8 */
    {"\xff", NULL},
    {"a\xc3", NULL},
    {"\xc0\xae\xc0\xae", NULL},
    {"\xed\xa0\x80", NULL},
    {"\xf4\x90\x80\x80", NULL},
    {"caf\xe9.txt", NULL},
    /* nothing left */
    {"", NULL},
    {".", NULL},
    {"..", NULL},
    {"....", NULL},
    {"   ", NULL},
    {" . . ", NULL},
    {"\u00a0\u3000", NULL},
    {"/", NULL},
    {"a/", NULL},
    {"....//", NULL},
    {"%2e%2e/", NULL},
    /* only the last component */
    {"/etc/cron.d/x", "x"},
    {"../../x", "x"},
    {"..\\x", "x"},
    {"..\\../x\\y", "y"},
    {"\\\\srv\\share\\x", "x"},
    {"//x", "x"},
    {"C:\\fakepath\\x.txt", "x.txt"},
    {"C:x", "C_x"},
    {"file:x", "file_x"},
    {"..%2fx", "%2fx"},
    {"%c0%ae%c0%ae", "%c0%ae%c0%ae"},
    /* controls and what others read as syntax */
    {"a\r\nSet-Cookie: x", "a__Set-Cookie_ x"},
    {"a\tb\x1b[31m\x7f", "a_b_[31m_"},
    {"a\xc2\x85"
     "b",
     "a_b"},
    {"a*b?c\"d<e>f|g", "a_b_c_d_e_f_g"},
    {"<script>alert(1)<\\script>", "script_"},
    {"setup.bat\";x=.txt", "setup.bat_;x=.txt"},
    /* invisible, reordering, private and unassigned characters */
    {"gpj.\u202eexe", "gpj._exe"},
    {"a\u200bb\u200dc\ufeffd\u2060e", "a_b_c_d_e"},
    {"a\u2066b\u2069", "a_b_"},
    {"a\u2028b\u2029c", "a_b_c"},
    {"a\u00adb\u034fc\u3164d\u2800e", "a_b_c_d_e"},
    {"a\ue000"
     "b\U000f0000c",
     "a_b_c"},
    {"a\u0378b\uffffc", "a_b_c"},
    {"a\U000e0041b", "a_b"},
    /* dots, blanks and dashes at the ends */
    {".htaccess", "htaccess"},
    {".htpasswd", "htpasswd"},
    {".user.ini", "user.ini"},
    {".env", "env"},
    {"..a", "a"},
    {" .a", "a"},
    {" a ", "a"},
    {"\u00a0a.txt\u2003", "a.txt"},
    {"a.", "a"},
    {"a. . .", "a"},
    {"-rf", "_rf"},
    {"--x", "_-x"},
    {" -x", "_x"},
    {"~", "_"},
    {"~root", "_root"},
    {"a-b~", "a-b~"},
    /* names of devices */
    {"CON", "_CON"},
    {"con.txt", "_con.txt"},
    {"nul.tar.gz", "_nul.tar.gz"},
    {"AUX ", "_AUX"},
    {"aux .txt", "_aux .txt"},
    {"prn.", "_prn"},
    {"COM1.txt", "_COM1.txt"},
    {"com0", "_com0"},
    {"LPT9", "_LPT9"},
    {"com\u00b9.log", "_com\u00b9.log"},
    {"lpt\u00b3", "_lpt\u00b3"},
    {"CONIN$", "_CONIN$"},
    {"conout$.x", "_conout$.x"},
    {"clock$", "_clock$"},
    {"nul:x", "nul_x"},
    {"com10", "com10"},
    {"console", "console"},
    {"icon", "icon"},
    {"a.con", "a.con"},
    /* what a server could run */
    {"a.php", "a.php_"},
    {"a.PhP", "a.PhP_"},
    {"a.php.jpg", "a.php_.jpg"},
    {"a.php.php", "a.php_.php_"},
    {"a.phtml", "a.phtml_"},
    {"a.pht", "a.pht_"},
    {"a.phar", "a.phar_"},
    {"a.php5", "a.php5_"},
    {"a.php.", "a.php_"},
    {"a.php ", "a.php_"},
    {"a.php\u00a0", "a.php_"},
    {"a.php::$DATA", "a.php__$DATA"},
    {"a.php%00.jpg", "a.php%00.jpg"},
    {"a.php\n.jpg", "a.php_.jpg"},
    {"a.cgi", "a.cgi_"},
    {"a.fcgi", "a.fcgi_"},
    {"a.pl", "a.pl_"},
    {"a.py.txt", "a.py_.txt"},
    {"a.sh", "a.sh_"},
    {"a.asp", "a.asp_"},
    {"a.aspx;.jpg", "a.aspx;.jpg"},
    {"a.asp;.jpg", "a.asp;.jpg"},
    {"a.jsp", "a.jsp_"},
    {"a.shtml", "a.shtml_"},
    {"a.var", "a.var_"},
    {"a.asis", "a.asis_"},
    {"world.imap.html", "world.imap_.html"},
    {".php", "php"},
    {"php", "php"},
    {"php.jpg", "php.jpg"},
    {"a.phpx", "a.phpx"},
    {"a.html", "a.html"},
    {"a.svg", "a.svg"},
    {"..php", "php"},
    {"a..php", "a..php_"},
    {"con.php", "_con.php_"},
    {"web.config", "_web.config"},
    {"WEB.CONFIG", "_WEB.CONFIG"},
    {".web.config.", "_web.config"},
    {"php.ini", "_php.ini"},
    {"web.config.txt", "web.config.txt"},
};

static void check_clean(const char *name)
{
    char again[FILENAME_MAX_BYTES + 1];

    assert_true(strlen(name) <= FILENAME_MAX_BYTES);
    assert_true(text_is_utf8(name, strlen(name)));
    assert_true(filename_clean(name, again));
    assert_string_equal(again, name);
}

static void test_clean(void **state)
{
    char out[FILENAME_MAX_BYTES + 1];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(clean_rows); i++) {
        bool ok = filename_clean(clean_rows[i].in, out);
        const char *want = clean_rows[i].want;

        if (ok != (want != NULL) || (ok && strcmp(out, want) != 0))
            fail_msg("row %zu: %s gives %s, not %s", i, clean_rows[i].in,
                     ok ? out : "(refused)", want ? want : "(refused)");
        if (ok)
            check_clean(out);
    }
}

/* head, count times fill, tail */
static const char *longname(const char *head, const char *fill, size_t count,
                            const char *tail)
{
    static char s[20000];
    size_t len = (size_t)snprintf(s, sizeof s, "%s", head), i;

    for (i = 0; i < count; i++)
        len += (size_t)snprintf(s + len, sizeof s - len, "%s", fill);
    (void)snprintf(s + len, sizeof s - len, "%s", tail);
    return s;
}

static void test_length(void **state)
{
    static const struct {
        const char *head, *fill;
        size_t count;
        const char *tail;
        size_t len;
        const char *end; /* what the result ends with */
    } rows[] = {
        {"", "a", 200, "", 200, "a"},
        {"", "a", 201, "", 200, "a"},
        {"", "a", 255, ".txt", 200, "a.txt"},
        {"", "a", 256, ".txt", 200, "a.txt"},
        {"", "a", 4096, ".tar.gz", 200, "a.tar.gz"},
        {"", "a", 16000, ".jpeg", 200, "a.jpeg"},
        {"", "\u00e9", 100, "", 200, "\u00e9"},
        {"a", "\u00e9", 100, "", 199, "\u00e9"},
        {"", "\U0001f600", 300, ".png", 200, "\U0001f600.png"},
        {"a", "\U0001f600", 300, ".png", 197, "\U0001f600.png"},
        {"a.", "b", 300, "", 200, "b"},
        {"a.", "b", 31, "", 33, "b"},
        /* a cut never leaves a dot, a blank or an active extension */
        {"a", ".", 300, "txt", 5, "a.txt"},
        {"a", " ", 300, "b.txt", 5, "a.txt"},
        {"a.php", "x", 300, ".jpg", 200, "x.jpg"},
        {"", "a", 192, ".phpxxxxxxx.jpg", 199, ".ph.jpg"},
        {"", "a", 194, ".pl.pl", 200, "a.p.pl_"},
        {"", "a", 196, ".php", 200, "a.php_"},
        {"", ".pl", 200, "", 200, "_.p.pl_"},
        /* nor does it bare the name of a device */
        {"nul", " ", 300, "x.txt", 8, "_nul.txt"},
        {"web.config", " ", 300, "x", 11, "_web.config"},
        {"con.", "a", 300, "", 200, "a"},
    };
    char out[FILENAME_MAX_BYTES + 1];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        const char *name = longname(rows[i].head, rows[i].fill, rows[i].count,
                                    rows[i].tail);

        assert_true(filename_clean(name, out));
        if (strlen(out) != rows[i].len || !text_ends_ci(out, rows[i].end))
            fail_msg("row %zu: %zu bytes: %s", i, strlen(out), out);
        check_clean(out);
    }
}

static const struct row path_rows[] = {
    {"a", "a"},
    {"a/b/c.txt", "a/b/c.txt"},
    {"a\\b/c", "a/b/c"},
    {"/a/b", "a/b"},
    {"./a/b", "a/b"},
    {"././a", "a"},
    {"/./a", "a"},
    {".\\a", "a"},
    {".git/config", "git/config"},
    {"a.php/b.php", "a.php_/b.php_"},
    {"con/nul.txt", "_con/_nul.txt"},
    {"-a/~b", "_a/_b"},
    {"a /b. ", "a/b"},
    {"e\u0301/x", "\u00e9/x"},
    {"ab:c/d", "ab_c/d"},
    {"..%2fx/y", "%2fx/y"},
    {"", NULL},
    {"/", NULL},
    {"./", NULL},
    {".", NULL},
    {"..", NULL},
    {"../a", NULL},
    {"a/../b", NULL},
    {"a/..", NULL},
    {"a\\..\\b", NULL},
    {"/../a", NULL},
    {"a//b", NULL},
    {"//a", NULL},
    {"\\\\srv\\x", NULL},
    {"a/", NULL},
    {"a/./b", NULL},
    {"a/.../b", NULL},
    {"a/ /b", NULL},
    {"C:/x", NULL},
    {"c:x", NULL},
    {"/C:\\x", NULL},
    {"a/\xff", NULL},
    {"a/b/\xc3/c", NULL},
    {"1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/f",
     "1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/f"},
    {"1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17/f", NULL},
};

static void test_path(void **state)
{
    char out[FILENAME_PATH_MAX + 1], again[FILENAME_PATH_MAX + 1];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(path_rows); i++) {
        bool ok = filename_clean_path(path_rows[i].in, out);
        const char *want = path_rows[i].want;

        if (ok != (want != NULL) || (ok && strcmp(out, want) != 0))
            fail_msg("row %zu: %s gives %s", i, path_rows[i].in,
                     ok ? out : "(refused)");
        if (ok) {
            assert_true(filename_clean_path(out, again));
            assert_string_equal(again, out);
        }
    }
}

static void test_path_length(void **state)
{
    char path[2000], out[FILENAME_PATH_MAX + 1];
    size_t i;

    (void)state;
    for (i = 0; i < sizeof path - 1; i++)
        path[i] = i % 100 == 99 ? '/' : 'a';
    path[FILENAME_PATH_MAX] = '\0';
    assert_true(filename_clean_path(path, out));
    assert_string_equal(out, path);
    path[FILENAME_PATH_MAX] = 'a';
    path[FILENAME_PATH_MAX + 1] = '\0';
    assert_false(filename_clean_path(path, out));
    path[FILENAME_PATH_MAX - 1] = '/';
    assert_false(filename_clean_path(path, out));
}

static void test_numbered(void **state)
{
    static const struct {
        const char *in;
        unsigned n;
        const char *want;
    } rows[] = {
        {"a.txt", 1, "a (1).txt"},
        {"a", 2, "a (2)"},
        {"a.tar.gz", 3, "a (3).tar.gz"},
        {"a.b.c", 4, "a.b (4).c"},
        {"a.php_", 5, "a (5).php_"},
        {"\u00e9.txt", 4294967295u, "\u00e9 (4294967295).txt"},
    };
    char out[FILENAME_MAX_BYTES + 1], name[FILENAME_MAX_BYTES + 1];
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(rows); i++) {
        filename_numbered(rows[i].in, rows[i].n, out);
        assert_string_equal(out, rows[i].want);
        check_clean(out);
    }
    assert_true(filename_clean(longname("", "\u00e9", 200, ".txt"), name));
    filename_numbered(name, 12, out);
    assert_int_equal(strlen(out), 199);
    assert_true(text_ends_ci(out, "\u00e9 (12).txt"));
    check_clean(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),    cmocka_unit_test(test_length),
        cmocka_unit_test(test_path),     cmocka_unit_test(test_path_length),
        cmocka_unit_test(test_numbered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
