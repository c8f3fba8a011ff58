/*
 * Tests of base/log.h through a pipe: whatever is logged, each event is one
 * line that nothing can forge or break.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"

static int ends[2];      /* the pipe: reading end, writing end */
static char seen[65536]; /* what read_log found, NUL-terminated */

static int open_pipe(void **state)
{
    (void)state;
    if (pipe(ends) != 0 || fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0)
        return -1;
    log_open(ends[1], LOG_DEBUG);
    log_request(NULL);
    return 0;
}

static int close_pipe(void **state)
{
    (void)state;
    log_open(STDERR_FILENO, LOG_INFO);
    close(ends[0]);
    close(ends[1]);
    return 0;
}

static const char *read_log(void)
{
    ssize_t n = read(ends[0], seen, sizeof seen - 1);

    seen[n > 0 ? n : 0] = '\0';
    return seen;
}

static size_t count_lines(const char *s)
{
    size_t lines = 0;

    for (; *s; s++)
        lines += *s == '\n';
    return lines;
}

/* What follows the time stamp of the only line; checks the stamp. */
static const char *only_line(void)
{
    static const char form[] = "dddd-dd-ddTdd:dd:ddZ ";
    const char *s = read_log();

    assert_int_equal(count_lines(s), 1);
    assert_int_equal(s[strlen(s) - 1], '\n');
    for (size_t i = 0; form[i]; i++)
        if (form[i] == 'd' ? s[i] < '0' || s[i] > '9' : s[i] != form[i])
            fail_msg("bad time stamp: %s", s);
    return s + strlen(form);
}

static void writes_one_line(void **state)
{
    (void)state;
    log_write(LOG_INFO, "started %d", 7);
    assert_string_equal(only_line(), "info started 7\n");
    log_request("k3v");
    log_write(LOG_ERROR, "x");
    assert_string_equal(only_line(), "error req=k3v x\n");
    log_write(LOG_WARNING, "%s", "");
    assert_string_equal(only_line(), "warning req=k3v \n");
}

struct escape {
    const char *text;
    const char *written;
};

static void escapes_what_could_forge(void **state)
{
    static const struct escape rows[] = {
        {"a\nb", "a\\x0ab"},
        {"a\r\nb", "a\\x0d\\x0ab"},
        {"\x1B[31m", "\\x1b[31m"},
        {"\t", "\\x09"},
        {"\x01\x7F", "\\x01\\x7f"},
        {"\\x0a", "\\x5cx0a"},
        {"\"quoted\"", "\"quoted\""},
        {"\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80",
         "\xC3\xA4 \xE2\x82\xAC \xF0\x9F\x98\x80"},
        {"\xC2\x85", "\\xc2\\x85"}, /* NEXT LINE, a C1 control */
        {"\xC2\x9B", "\\xc2\\x9b"}, /* the 8-bit form of ESC [ */
        {"\xC2\xA0", "\xC2\xA0"},
        {"\xC3", "\\xc3"},
        {"\xC3\nx", "\\xc3\\x0ax"},
        {"\xFF\xFE", "\\xff\\xfe"},
        {"\xC0\x8A", "\\xc0\\x8a"}, /* overlong newline */
        {"\xED\xA0\x80", "\\xed\\xa0\\x80"},
        {"\xE2\x82", "\\xe2\\x82"},
        {"%s%n", "%s%n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        log_write(LOG_INFO, "%s", rows[i].text);
        const char *line = only_line() + strlen("info ");
        size_t len = strlen(rows[i].written);
        if (strncmp(line, rows[i].written, len) != 0 || line[len] != '\n')
            fail_msg("row %zu: %s", i, line);
    }
}

static void escapes_the_request_id(void **state)
{
    (void)state;
    log_request("a\nb");
    log_write(LOG_INFO, "x");
    assert_string_equal(only_line(), "info req=a\\x0ab x\n");
}

static void cuts_long_lines(void **state)
{
    static const char *const units[] = {"a", "\n", "\xE2\x82\xAC", "\xFF"};
    char text[9000];

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        size_t n = strlen(units[i]);
        size_t len = 0;
        for (; len + n < sizeof text; len += n)
            memcpy(text + len, units[i], n);
        text[len] = '\0';
        log_write(LOG_INFO, "%s", text);
        const char *line = only_line();
        size_t written = strlen(seen);
        assert_in_range(written, 2000, PIPE_BUF);
        assert_true(text_is_utf8(line, strlen(line)));
        assert_string_equal(seen + written - 4, "...\n");
    }
}

static void reports_a_failure(void **state)
{
    struct error e;

    (void)state;
    error_set(&e, ERR_NOT_FOUND, "No such file.");
    log_failure(LOG_INFO, &e);
    assert_string_equal(only_line(), "info not-found No such file.\n");

    log_request("k3v");
    error_limit(&e, ERR_FILE_TOO_LARGE, "max_file_size", 1024, "Too big.");
    error_file(&e, "a \"b\".txt");
    log_failure(LOG_WARNING, &e);
    assert_string_equal(only_line(), "warning file-too-large req=k3v "
                                     "limit=max_file_size:1024 "
                                     "file=\"a \\x22b\\x22.txt\" Too big.\n");

    error_errno(&e, ENOSPC, "Writing");
    log_failure(LOG_ERROR, &e);
    assert_string_equal(only_line(),
                        "error no-space req=k3v errno=28(No space left on "
                        "device) Writing failed.\n");
}

static void keeps_a_hostile_failure_on_one_line(void **state)
{
    struct error e;
    char hostile[1024];

    (void)state;
    memset(hostile, '\n', sizeof hostile - 1);
    hostile[sizeof hostile - 1] = '\0';
    error_set(&e, ERR_BAD_NAME, "%s", hostile);
    error_file(&e, hostile);
    log_failure(LOG_INFO, &e);
    only_line();
    assert_true(strlen(seen) <= PIPE_BUF);
}

static void leaves_out_lower_levels(void **state)
{
    (void)state;
    log_open(ends[1], LOG_WARNING);
    log_write(LOG_INFO, "x");
    log_write(LOG_DEBUG, "x");
    assert_string_equal(read_log(), "");
    log_write(LOG_WARNING, "x");
    log_write(LOG_ERROR, "x");
    assert_int_equal(count_lines(read_log()), 2);
}

static void bounds_the_lines_of_a_request(void **state)
{
    struct error e;

    (void)state;
    error_set(&e, ERR_BAD_NAME, "x");
    log_request("flood");
    for (int i = 0; i < 1000; i++) {
        log_write(LOG_INFO, "x");
        log_failure(LOG_ERROR, &e);
    }
    assert_int_equal(count_lines(read_log()), 51);
    assert_non_null(strstr(seen, "further lines of this request"));
    log_write(LOG_ERROR, "x");
    assert_string_equal(read_log(), "");

    log_request("next");
    log_write(LOG_INFO, "x");
    assert_string_equal(only_line(), "info req=next x\n");
    log_request(NULL);
    for (int i = 0; i < 200; i++)
        log_write(LOG_INFO, "x");
    assert_int_equal(count_lines(read_log()), 200);
}

static void keeps_errno(void **state)
{
    (void)state;
    log_open(-1, LOG_DEBUG);
    errno = ENOENT;
    log_write(LOG_INFO, "x");
    assert_int_equal(errno, ENOENT);

    struct error e;
    error_errno(&e, EIO, "x");
    errno = ENOENT;
    log_failure(LOG_INFO, &e);
    assert_int_equal(errno, ENOENT);
}

#define with_pipe(test) \
    cmocka_unit_test_setup_teardown(test, open_pipe, close_pipe)

int main(void)
{
    const struct CMUnitTest tests[] = {
        with_pipe(writes_one_line),
        with_pipe(escapes_what_could_forge),
        with_pipe(escapes_the_request_id),
        with_pipe(cuts_long_lines),
        with_pipe(reports_a_failure),
        with_pipe(keeps_a_hostile_failure_on_one_line),
        with_pipe(leaves_out_lower_levels),
        with_pipe(bounds_the_lines_of_a_request),
        with_pipe(keeps_errno),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
