/*
 * Tests of base/config.h and of what it stands on: units, the scan of the ini
 * file, the values. Runs in the root of the repository.
 */
#include "base/config.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/option_value.h"
#include "base/text.h"
#include "base/units.h"

enum { FILE_MAX = 65536 };

static char directory[] = "/tmp/slipway-config-test-XXXXXX";
static char path[PATH_MAX]; /* the ini file in it */

static int make_directory(void **state)
{
    (void)state;
    if (!mkdtemp(directory))
        return -1;
    (void)snprintf(path, sizeof path, "%s/test.ini", directory);
    return 0;
}

static int remove_directory(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(directory);
}

static void write_file(const char *bytes, size_t len)
{
    FILE *out = fopen(path, "we");

    assert_non_null(out);
    assert_int_equal(fwrite(bytes, 1, len, out), len);
    assert_int_equal(fclose(out), 0);
}

static struct config *load_text(const char *text, struct error *e)
{
    write_file(text, strlen(text));
    return config_load(path, e);
}

static struct config *load_good(const char *text)
{
    struct error e;
    struct config *c = load_text(text, &e);

    if (!c)
        fail_msg("\"%s\": %s", text, e.detail);
    return c;
}

/* The whole of a stream that was written, NUL-terminated; freed by caller. */
static char *contents(FILE *f)
{
    char *text = calloc(1, FILE_MAX);

    assert_non_null(text);
    rewind(f);
    size_t n = fread(text, 1, FILE_MAX - 1, f);
    assert_true(n < FILE_MAX - 1);
    assert_int_equal(fclose(f), 0);
    return text;
}

static char *printed(const struct config *c)
{
    FILE *f = tmpfile();

    assert_non_null(f);
    config_print(c, f);
    return contents(f);
}

/* Units. */

struct unit_row {
    const char *text;
    bool valid;
    uint64_t value;
};

static const struct unit_row size_rows[] = {
    {"0", true, 0},
    {"1", true, 1},
    {"64K", true, 65536},
    {"64k", true, 65536},
    {"512M", true, UINT64_C(512) << 20},
    {"16G", true, UINT64_C(16) << 30},
    {"2T", true, UINT64_C(2) << 40},
    {"3P", true, UINT64_C(3) << 50},
    {"15E", true, UINT64_C(15) << 60},
    {"18446744073709551615", true, UINT64_MAX},
    {"16E", false, 0},
    {"16384P", false, 0},
    {"18446744073709551616", false, 0},
    {"18446744073709551615K", false, 0},
    {"000000000000000000000000000001", false, 0},
    {"", false, 0},
    {"K", false, 0},
    {"5X", false, 0},
    {"5KB", false, 0},
    {"5KiB", false, 0},
    {"5 K", false, 0},
    {" 5K", false, 0},
    {"5K ", false, 0},
    {"-1", false, 0},
    {"+1", false, 0},
    {"1.5G", false, 0},
    {"0x10", false, 0},
    {"1e3", false, 0},
    {"unlimited", false, 0},
    {"5[", false, 0},
    {"5\xC3\xA4", false, 0},
};

static const struct unit_row duration_rows[] = {
    {"0", true, 0},
    {"90", true, 90},
    {"90s", true, 90},
    {"15m", true, 900},
    {"2h", true, 7200},
    {"7d", true, 604800},
    {"7w", false, 0},
    {"7D", false, 0},
    {"15M", false, 0},
    {"1h30m", false, 0},
    {"", false, 0},
    {"s", false, 0},
    {"1 s", false, 0},
    {"-1s", false, 0},
    {"0.5s", false, 0},
    {"10ms", false, 0},
    {"213503982334602d", false, 0},
};

static void reads_units(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof size_rows / sizeof *size_rows; i++) {
        const struct unit_row *r = &size_rows[i];
        uint64_t n = 0;
        if (units_parse_size(r->text, &n) != r->valid || n != r->value)
            fail_msg("size \"%s\"", r->text);
    }
    for (size_t i = 0; i < sizeof duration_rows / sizeof *duration_rows; i++) {
        const struct unit_row *r = &duration_rows[i];
        uint64_t n = 0;
        if (units_parse_duration(r->text, &n) != r->valid || n != r->value)
            fail_msg("duration \"%s\"", r->text);
    }
}

static void writes_units(void **state)
{
    static const uint64_t numbers[] = {
        0,          1,    59,   60,    90,     1023,
        1024,       1536, 3600, 86400, 604800, UINT64_C(1) << 60,
        UINT64_MAX,
    };
    char out[UNITS_TEXT_MAX];

    (void)state;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uint64_t back = 1;
        units_format_size(out, numbers[i]);
        assert_true(units_parse_size(out, &back) && back == numbers[i]);
        units_format_duration(out, numbers[i]);
        assert_true(units_parse_duration(out, &back) && back == numbers[i]);
    }
    units_format_size(out, 0);
    assert_string_equal(out, "0");
    units_format_size(out, UINT64_C(16) << 30);
    assert_string_equal(out, "16G");
    units_format_size(out, 1536);
    assert_string_equal(out, "1536");
    units_format_duration(out, 0);
    assert_string_equal(out, "0s");
    units_format_duration(out, 900);
    assert_string_equal(out, "15m");
}

/* The table. */

static bool is_choice(enum option_type type)
{
    return type == OPTION_CHOICE || type == OPTION_WORDS;
}

static void has_a_sound_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < OPT_COUNT_; i++) {
        const struct config_option *o = &config_options[i];
        uint64_t number;
        char expected[OPTION_EXPECTED_MAX];
        assert_true(option_parse(o, o->standard, &number));
        assert_true((o->choices != NULL) == is_choice(o->type));
        assert_true(strlen(o->help) > 20);
        assert_int_equal(o->help[strlen(o->help) - 1], '.');
        option_expected(o, expected);
        assert_true(strlen(expected) < sizeof expected - 1);
        for (size_t k = 0; k < i; k++)
            assert_true(strcmp(config_options[k].section, o->section) != 0 ||
                        strcmp(config_options[k].key, o->key) != 0);
    }
}

static void has_the_decided_defaults(void **state)
{
    struct error e;
    struct config *c = config_load(NULL, &e);

    (void)state;
    assert_non_null(c);
    assert_string_equal(config_text(c, OPT_UPLOADS_URL), "/_upload");
    assert_string_equal(config_text(c, OPT_ACCEPT), "");
    assert_string_equal(config_text(c, OPT_OFFLOAD_PREFIX), "");
    assert_int_equal(config_text(c, OPT_DATA)[0], '/');
    assert_true(text_ends_ci(config_text(c, OPT_DATA), "/data"));
    assert_true(text_ends_ci(config_text(c, OPT_UPLOADS_DIR), "/uploads"));
    assert_int_equal(config_choice(c, OPT_DURABILITY), 0);
    assert_int_equal(config_choice(c, OPT_DIGEST), 0);
    assert_int_equal(config_choice(c, OPT_OFFLOAD), 0);
    assert_int_equal(config_choice(c, OPT_ANONYMOUS), 3);
    assert_int_equal(config_choice(c, OPT_LOG_LEVEL), 2);
    assert_true(config_number(c, OPT_MIN_FREE_SPACE) == UINT64_C(128) << 20);
    assert_true(config_number(c, OPT_MAX_FILE_SIZE) == UINT64_C(16) << 30);
    assert_int_equal(config_number(c, OPT_MIN_FILE_SIZE), 0);
    assert_int_equal(config_number(c, OPT_MAX_FILES), 1000);
    assert_int_equal(config_number(c, OPT_MAX_REQUEST_SIZE), 0);
    assert_int_equal(config_number(c, OPT_MAX_FIELDS), 100);
    assert_int_equal(config_number(c, OPT_MAX_FIELDS_SIZE), 65536);
    assert_int_equal(config_number(c, OPT_PROGRESS_KEEP), 900);
    assert_int_equal(config_number(c, OPT_IDLE_TIMEOUT), 60);
    assert_int_equal(config_number(c, OPT_MAX_THREADS), 2000);
    config_free(c);
    config_free(NULL);
}

/* Good files. */

static void reads_every_type(void **state)
{
    struct config *c = load_good("");

    (void)state;
    config_free(c);
    c = load_good("; comment\n# comment = 1\n   # [comment]\n\n \t \r\n"
                  "[ Storage ]\n"
                  "  DATA\t=\t/srv/a b ; comment\n"
                  "durability=process #\n"
                  "[limits]\r\nmax_file_size = 5g\r\n"
                  "accept = .PDF , image/*,text/x-c++ # comment\n"
                  "[access]\nanonymous = list \t delete\n"
                  "[upload]\nidle_timeout = 2\n"
                  "[storage]\nmin_free_space = 0");
    assert_string_equal(config_text(c, OPT_DATA), "/srv/a b");
    assert_int_equal(config_choice(c, OPT_DURABILITY), 1);
    assert_true(config_number(c, OPT_MAX_FILE_SIZE) == UINT64_C(5) << 30);
    assert_string_equal(config_text(c, OPT_ACCEPT),
                        ".PDF , image/*,text/x-c++");
    assert_int_equal(config_choice(c, OPT_ANONYMOUS), 12);
    assert_int_equal(config_number(c, OPT_IDLE_TIMEOUT), 2);
    assert_int_equal(config_number(c, OPT_MIN_FREE_SPACE), 0);
    config_free(c);
}

struct quoted {
    const char *written;
    const char *read;
};

static void reads_quotes(void **state)
{
    static const struct quoted rows[] = {
        {"\"/a;b#c\"", "/a;b#c"},
        {"'/a;b'  ; comment \"x\"", "/a;b"},
        {"\"/a\"# comment", "/a"},
        {"\"/it's\"", "/it's"},
        {"'/say \"hi\"; '", "/say \"hi\"; "},
        {"/say\"hi\"", "/say\"hi\""},
        {"/a=b", "/a=b"},
        {"\"/ends in \\\"", "/ends in \\"},
        {"\"/a \"", "/a "},
        {"/a\\b", "/a\\b"},
        {"/\xC3\xA4", "/\xC3\xA4"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char text[200];
        (void)snprintf(text, sizeof text, "[storage]\ndata = %s\n",
                       rows[i].written);
        struct config *c = load_good(text);
        if (strcmp(config_text(c, OPT_DATA), rows[i].read) != 0)
            fail_msg("%s: %s", text, config_text(c, OPT_DATA));

        /* What is printed must read back the same. */
        char *again = printed(c);
        config_free(c);
        c = load_good(again);
        assert_string_equal(config_text(c, OPT_DATA), rows[i].read);
        config_free(c);
        free(again);
    }
}

static void takes_the_longest_line(void **state)
{
    char text[1100];
    int start = snprintf(text, sizeof text, "[storage]\ndata = /");
    size_t line = (size_t)start - strlen("[storage]\n");

    (void)state;
    memset(text + start, 'x', 1000 - line);
    memcpy(text + start + 1000 - line, "\n[log]\nlevel=error\n", 20);
    struct config *c = load_good(text);
    assert_int_equal(strlen(config_text(c, OPT_DATA)),
                     1001 - strlen("data = /"));
    assert_int_equal(config_choice(c, OPT_LOG_LEVEL), 0);
    config_free(c);
}

static void resolves_paths(void **state)
{
    char expected[PATH_MAX + 16];
    char before[PATH_MAX];
    struct config *c = load_good("[storage]\ndata = ../x\n");

    (void)state;
    (void)snprintf(expected, sizeof expected, "%s/../x", directory);
    assert_string_equal(config_text(c, OPT_DATA), expected);
    (void)snprintf(expected, sizeof expected, "%s/uploads", directory);
    assert_string_equal(config_text(c, OPT_UPLOADS_DIR), expected);
    config_free(c);

    struct error e;
    assert_non_null(getcwd(before, sizeof before));
    assert_int_equal(chdir(directory), 0);
    c = config_load("test.ini", &e);
    assert_int_equal(chdir(before), 0);
    assert_non_null(c);
    assert_string_equal(config_text(c, OPT_UPLOADS_DIR), expected);
    config_free(c);
}

static void accepts_values(void **state)
{
    static const char *const rows[] = {
        "[uploads]\nurl = /a/b.c~d",
        "[limits]\nmax_file_size = 0",
        "[limits]\nmax_file_size = 1E",
        "[limits]\nmax_file_size = 0\nmin_file_size = 5",
        "[limits]\nmax_file_size = 5\nmin_file_size = 5",
        "[limits]\nmax_files = 1",
        "[limits]\nmax_files = 10000",
        "[limits]\nmax_fields = 0\nmax_fields_size = 0",
        "[limits]\naccept = \"\"",
        "[limits]\naccept = .tar.gz",
        "[limits]\naccept = application/vnd.oasis.opendocument.text,.x",
        "[upload]\nprogress_keep = 10",
        "[upload]\nprogress_keep = 168h",
        "[download]\noffload = xsendfile",
        "[download]\noffload = xaccel\noffload_prefix = /internal",
        "[download]\noffload_prefix=",
        "[access]\nanonymous=",
        "[access]\nanonymous = delete delete",
        "[access]\nprobe_token =",
        "[access]\nprobe_token = sixteen_secrets-",
        "[server]\nmax_threads = 30000",
        "[log]\nlevel = \"debug\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        config_free(load_good(rows[i]));
}

static void takes_tokens_that_need_no_escape(void **state)
{
    static const char good[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                               "abcdefghijklmnopqrstuvwxyz0123456789-_";
    char token[132] = "", text[160];
    struct config *c;
    struct error e;

    (void)state;
    for (size_t len = 1; len < sizeof token - 1; len++) {
        token[len - 1] = good[len % (sizeof good - 1)];
        (void)snprintf(text, sizeof text, "[access]\nprobe_token = %s", token);
        c = load_text(text, &e);
        assert_int_equal(c != NULL, len >= 16 && len <= 128);
        if (c)
            assert_string_equal(config_text(c, OPT_PROBE_TOKEN), token);
        config_free(c);
    }
    for (int byte = '!'; byte <= '~'; byte++) {
        (void)snprintf(text, sizeof text,
                       "[access]\nprobe_token = '0123456789abcde%c'", byte);
        c = load_text(text, &e);
        assert_int_equal(c != NULL, strchr(good, byte) != NULL);
        config_free(c);
    }
}

/* Bad files. */

struct bad {
    const char *text;
    const char *message; /* the start of what follows "test.ini:" */
};

static const struct bad bad_rows[] = {
    /* Structure. */
    {"max_files = 1\n", "1: expected a [section] before the first key"},
    {"[limit]\n", "1: [limit]: unknown section; the sections are storage, "
                  "uploads, limits, upload, download, access, server, log"},
    {"[a:b]\n", "1: [a:b]: unknown section"},
    {"[limits]\n\nmaxfiles = 1\n",
     "3: [limits] maxfiles: unknown key; the keys there are max_file_size, "
     "min_file_size, max_files,"},
    {"[uploads]\nmax_files = 1\n", "2: [uploads] max_files: unknown key; the "
                                   "keys there are directory, url"},
    {"[limits]\nmax files = 1\n", "2: [limits] max files: unknown key"},
    {"[limits]\nmax_files ; x = 1\n", "2: [limits] max_files ; x: unknown"},
    {"[limits]\nlimits:max_files = 1\n", "2: [limits] limits:max_files: unkn"},
    {"[limits]\nmax_files = 1\nmax_files = 2\n",
     "3: [limits] max_files is given twice, first in line 2"},
    {"[limits]\nmax_files = 1\n[log]\n[LIMITS]\nMax_Files = 1\n",
     "5: [limits] max_files is given twice, first in line 2"},
    {"[]\n", "1: a section needs a name"},
    {"[ \t ]\n", "1: a section needs a name"},
    {"[limits\n", "1: expected ] after the name of the section"},
    {"[log]\n[limits = 5\n", "2: expected ] after"},
    {"[limits] x\n", "1: nothing may follow ]"},
    {"[limits] ; comment\n", "1: nothing may follow ]"},
    {"[limits][log]\n", "1: nothing may follow ]"},
    {"[limits]max_files=1\n", "1: nothing may follow ]"},
    {"[limits]\nmax_files\n", "2: expected [section] or key = value"},
    {"[limits]\nmax_files: 5\n", "2: expected [section] or key = value"},
    {"[limits]\n= 5\n", "2: expected a key before ="},
    {"[limits]\n \t = 5\n", "2: expected a key before ="},
    {"<?xml version='1.0'?>\n", "1: expected a [section] before"},
    {"{\"limits\": {}}\n", "1: expected [section] or key"},
    /* What iniparser would cut or join silently. */
    {"[storage]\ndata = \"a\n", "2: [storage] data: the quote is not closed"},
    {"[storage]\ndata = '\n", "2: [storage] data: the quote is not closed"},
    {"[storage]\ndata = \"a\" b\n", "2: [storage] data: only a comment may"},
    {"[storage]\ndata = \"a\\\"b\"\n", "2: [storage] data: only a comment may"},
    {"[storage]\ndata = 'it''s'\n", "2: [storage] data: only a comment may"},
    {"[storage]\ndata = /srv/a#b\n", "2: [storage] data: ; and # start a"},
    {"[storage]\ndata = /srv/a;b\n", "2: [storage] data: ; and # start a"},
    {"[storage]\ndata = /a\\\n/b\n", "2: ends in a backslash"},
    {"[storage]\n# comment \\\ndata = /b\n", "2: ends in a backslash"},
    {"[storage]\ndata = /a\\ \t \n", "2: ends in a backslash"},
    {"# comment\\ \r\n[storage]\n", "1: ends in a backslash"},
    {"[storage]\ndata = \\", "2: ends in a backslash"},
    /* Bytes. */
    {"\xEF\xBB\xBF[log]\n", "1: starts with a byte order mark"},
    {"[storage]\ndata = /\xE4\n", "2: is not UTF-8"},
    {"[log]\n# \xC0\xAF\n", "2: is not UTF-8"},
    {"[storage]\ndata = /a\x01\n", "2: contains a control character"},
    {"[storage]\ndata = /a\x1B[31m\n", "2: contains a control character"},
    {"[storage]\ndata = /a\rb\n", "2: contains a control character"},
    {"[storage]\rdata = /a\r", "1: contains a control character"},
    {"[log]\n\f\n", "2: contains a control character"},
    /* Values. */
    {"[limits]\nmax_file_size = 5X\n",
     "2: [limits] max_file_size = \"5X\": expected a size such as 512M, from 0 "
     "to 1E"},
    {"[limits]\nmax_file_size =\n", "2: [limits] max_file_size = \"\": expect"},
    {"[limits]\nmax_file_size = -1\n", "2: [limits] max_file_size = \"-1\": e"},
    {"[limits]\nmax_file_size = 2E\n", "2: [limits] max_file_size = \"2E\": e"},
    {"[limits]\nmax_file_size = 99999999999999999999\n",
     "2: [limits] max_file_size = \"99999999999999999999\": expected a size"},
    {"[limits]\nmax_file_size = = 5\n", "2: [limits] max_file_size = \"= 5\""},
    {"[limits]\nmin_file_size = 5 M\n", "2: [limits] min_file_size = \"5 M\""},
    {"[limits]\nmax_fields_size = 2M\n",
     "2: [limits] max_fields_size = \"2M\": expected a size such as 512M, from "
     "0 to 1M"},
    {"[limits]\nmax_files = 0\n",
     "2: [limits] max_files = \"0\": expected a number from 1 to 10000"},
    {"[limits]\nmax_files = 100001\n", "2: [limits] max_files = \"100001\": "},
    {"[limits]\nmax_files = 1K\n", "2: [limits] max_files = \"1K\": expected"},
    {"[limits]\nmax_files = \"10\n\"", "2: [limits] max_files: the quote"},
    {"[limits]\nmax_fields = 10001\n", "2: [limits] max_fields = \"10001\": "},
    {"[server]\nmax_threads = 0\n", "2: [server] max_threads = \"0\": expect"},
    {"[upload]\nidle_timeout = 0\n",
     "2: [upload] idle_timeout = \"0\": expected a duration such as 90s or "
     "15m, from 1s to 1h"},
    {"[upload]\nidle_timeout = 61m\n", "2: [upload] idle_timeout = \"61m\": "},
    {"[upload]\nprogress_keep = 9s\n", "2: [upload] progress_keep = \"9s\": "},
    {"[upload]\nprogress_keep = 8d\n", "2: [upload] progress_keep = \"8d\": "},
    {"[upload]\ndigest = md5\n",
     "2: [upload] digest = \"md5\": expected one word of: sha256 none"},
    {"[upload]\ndigest = sha256 none\n", "2: [upload] digest = \"sha256 none"},
    {"[upload]\ndigest = SHA256\n", "2: [upload] digest = \"SHA256\": expect"},
    {"[upload]\ndigest =\n", "2: [upload] digest = \"\": expected one word"},
    {"[upload]\ndigest = sha\n", "2: [upload] digest = \"sha\": expected one"},
    {"[access]\nanonymous = upload, list\n",
     "2: [access] anonymous = \"upload, list\": expected any words of: upload "
     "download list delete; or nothing"},
    {"[access]\nanonymous = none\n", "2: [access] anonymous = \"none\": expec"},
    {"[storage]\ndata =\n", "2: [storage] data = \"\": expected the path of"},
    {"[storage]\ndata = \"\"\n", "2: [storage] data = \"\": expected the path"},
    {"[uploads]\nurl =\n", "2: [uploads] url = \"\": expected the path of a "
                           "URL such as /name, with a slash at the start and "
                           "none at the end"},
    {"[uploads]\nurl = /\n", "2: [uploads] url = \"/\": expected the path"},
    {"[uploads]\nurl = _upload\n", "2: [uploads] url = \"_upload\": expected"},
    {"[uploads]\nurl = /_upload/\n", "2: [uploads] url = \"/_upload/\": expe"},
    {"[uploads]\nurl = //evil/x\n", "2: [uploads] url = \"//evil/x\": expec"},
    {"[uploads]\nurl = /a?b\n", "2: [uploads] url = \"/a?b\": expected"},
    {"[uploads]\nurl = '/a#b'\n", "2: [uploads] url = \"/a#b\": expected"},
    {"[uploads]\nurl = /a b\n", "2: [uploads] url = \"/a b\": expected"},
    {"[uploads]\nurl = http://x/y\n", "2: [uploads] url = \"http://x/y\": ex"},
    {"[download]\noffload_prefix = x\n", "2: [download] offload_prefix = \"x"},
    {"[limits]\naccept = pdf\n",
     "2: [limits] accept = \"pdf\": expected a list such as .pdf, image/*, "
     "text/plain; or nothing"},
    {"[limits]\naccept = .\n", "2: [limits] accept = \".\": expected a list"},
    {"[limits]\naccept = .a.\n", "2: [limits] accept = \".a.\": expected"},
    {"[limits]\naccept = .a/b\n", "2: [limits] accept = \".a/b\": expected"},
    {"[limits]\naccept = .a .b\n", "2: [limits] accept = \".a .b\": expected"},
    {"[limits]\naccept = .pdf,\n", "2: [limits] accept = \".pdf,\": expected"},
    {"[limits]\naccept = ,.pdf\n", "2: [limits] accept = \",.pdf\": expected"},
    {"[limits]\naccept = .a,,.b\n", "2: [limits] accept = \".a,,.b\": expec"},
    {"[limits]\naccept = image/\n", "2: [limits] accept = \"image/\": expec"},
    {"[limits]\naccept = /png\n", "2: [limits] accept = \"/png\": expected"},
    {"[limits]\naccept = */*\n", "2: [limits] accept = \"*/*\": expected"},
    {"[limits]\naccept = image/*x\n", "2: [limits] accept = \"image/*x\": ex"},
    {"[limits]\naccept = a/b/c\n", "2: [limits] accept = \"a/b/c\": expected"},
    {"[log]\nlevel = 2\n", "2: [log] level = \"2\": expected one word of: "
                           "error warning info debug"},
    /* A secret is not shown to visitors. */
    {"[access]\nprobe_token = fifteen-secrets\n",
     "2: [access] probe_token = \"...\": expected 16 to 128 of the characters "
     "A-Z a-z 0-9 - _, or nothing"},
    {"[access]\nprobe_token = sixteen-secrets!\n",
     "2: [access] probe_token = \"...\": expected"},
    /* Values that do not go together. */
    {"[download]\noffload = xaccel\n",
     "2: [download] offload = \"xaccel\": needs offload_prefix as well"},
    {"[download]\noffload_prefix =\noffload = local-redirect\n",
     "3: [download] offload = \"local-redirect\": needs offload_prefix"},
    {"[limits]\nmin_file_size = 17G\n",
     "2: [limits] min_file_size = \"17G\": is more than max_file_size, which "
     "is 16G"},
    {"[limits]\nmin_file_size = 2\nmax_file_size = 1\n",
     "3: [limits] min_file_size = \"2\": is more than max_file_size, which is "
     "1"},
};

/* Load what must be refused and compare the start of the message. */
static void refuse(const char *bytes, size_t len, const char *message)
{
    struct error e = {0};
    char expected[ERROR_DETAIL_MAX];

    write_file(bytes, len);
    struct config *c = config_load(path, &e);
    if (c) {
        config_free(c);
        fail_msg("accepted: %s", bytes);
    }
    (void)snprintf(expected, sizeof expected, "test.ini:%s", message);
    if (!text_starts_ci(e.detail, expected))
        fail_msg("%s\n  got:      %s\n  expected: %s", bytes, e.detail,
                 expected);
    assert_int_equal(e.code, ERR_CONFIG);
    assert_null(strchr(e.detail, '\n'));
    assert_null(strstr(e.detail, directory));
    assert_true(text_is_utf8(e.detail, strlen(e.detail)));
    assert_true(strlen(e.detail) < ERROR_DETAIL_MAX - 1);
}

static void refuses_bad_files(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_rows / sizeof *bad_rows; i++)
        refuse(bad_rows[i].text, strlen(bad_rows[i].text), bad_rows[i].message);
}

static void refuses_nul_bytes(void **state)
{
    static const char hidden[] = "[log]\nlevel = info\0 x\n";

    (void)state;
    refuse(hidden, sizeof hidden - 1, "2: contains a NUL byte");
}

static void refuses_long_lines(void **state)
{
    static const char start[] = "[log]\n# ";
    char text[5000];

    (void)state;
    for (size_t line = 1001; line < 4500; line += line < 1030 ? 1 : 500) {
        size_t len = line - 2;
        memcpy(text, start, sizeof start);
        memset(text + sizeof start - 1, 'x', len);
        memcpy(text + sizeof start - 1 + len, "\n", 2);
        refuse(text, strlen(text), "2: the line is longer than 1000 bytes");
    }
}

static void cuts_long_names_in_messages(void **state)
{
    char text[1100];
    char name[901] = "";

    (void)state;
    for (size_t i = 0; i < 900; i += 2)
        memcpy(name + i, "\xC3\xA4", 3);
    (void)snprintf(text, sizeof text, "[x%s]\n", name);
    refuse(text, strlen(text), "1: [x\xC3\xA4");
    (void)snprintf(text, sizeof text, "[storage]\nx%s = 1\n", name);
    refuse(text, strlen(text), "2: [storage] x\xC3\xA4");
    (void)snprintf(text, sizeof text, "[log]\nlevel = x%s\n", name);
    refuse(text, strlen(text), "2: [log] level = \"x\xC3\xA4");
}

static void refuses_what_is_not_a_file(void **state)
{
    char missing[PATH_MAX];
    struct error e;

    (void)state;
    (void)unlink(path);
    assert_null(config_load(path, &e));
    assert_int_equal(e.code, ERR_CONFIG);
    assert_string_equal(e.detail,
                        "test.ini: cannot be read: No such file or directory");

    (void)snprintf(missing, sizeof missing, "%.100s/none/x.ini", directory);
    assert_null(config_load(missing, &e));
    assert_string_equal(e.detail,
                        "x.ini: cannot be read: No such file or directory");

    assert_int_equal(mkdir(path, 0700), 0);
    assert_null(config_load(path, &e));
    assert_int_equal(rmdir(path), 0);
    assert_string_equal(e.detail, "test.ini: is not a regular file");

    assert_null(config_load(path, NULL));
    assert_null(load_text("[x]\n", NULL));
}

/* Printing. */

static void prints_where_values_come_from(void **state)
{
    struct config *c = load_good("[limits]\n\nmax_files = 7\n");
    char *text = printed(c);

    (void)state;
    assert_non_null(strstr(text, "# test.ini:3\nmax_files = 7\n"));
    assert_non_null(strstr(text, "# default\nmax_file_size = 16G\n"));
    assert_non_null(strstr(text, "/uploads)\ndirectory = uploads\n"));
    config_free(c);

    c = load_good(text);
    for (size_t i = 0; i < OPT_COUNT_; i++)
        assert_non_null(config_text(c, (enum option_id)i));
    assert_int_equal(config_number(c, OPT_MAX_FILES), 7);
    config_free(c);
    free(text);
}

static char *sample(void)
{
    FILE *f = tmpfile();

    assert_non_null(f);
    config_print_sample(f);
    return contents(f);
}

static void ships_the_sample(void **state)
{
    FILE *shipped = fopen("cgi-bin/slipway.ini", "re");
    char *expected = sample();

    (void)state;
    if (!shipped)
        fail_msg("cgi-bin/slipway.ini is missing");
    char *text = contents(shipped);
    if (strcmp(text, expected) != 0)
        fail_msg(
            "write it anew: slipway config --sample > cgi-bin/slipway.ini");
    free(text);
    free(expected);
}

/* As it is, the sample changes nothing; uncommented, it gives the defaults. */
static void has_a_sample_that_loads(void **state)
{
    char *text = sample();
    struct config *as_is = load_good(text);
    char *commented = printed(as_is);

    (void)state;
    for (char *p = strstr(text, "\n;"); p; p = strstr(p + 1, "\n;"))
        p[1] = ' ';
    struct config *plain = load_good(text);
    for (size_t i = 0; i < OPT_COUNT_; i++) {
        enum option_id id = (enum option_id)i;
        assert_string_equal(config_text(as_is, id), config_text(plain, id));
        assert_true(config_number(as_is, id) == config_number(plain, id));
    }
    assert_null(strstr(commented, "test.ini:"));
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
        assert_true(strcspn(line, "\n") < 80);
    config_free(as_is);
    config_free(plain);
    free(commented);
    free(text);
}

/* Text of the table must not become requests of roff. */
static void prints_a_manual_without_surprises(void **state)
{
    static const char *const requests[] = {".Ss [", ".Bl -tag", ".It Cm ",
                                           ".br\n", ".El\n"};
    FILE *f = tmpfile();
    size_t items = 0;

    (void)state;
    assert_non_null(f);
    config_print_manual(f);
    char *text = contents(f);
    for (const char *line = text; *line; line += strcspn(line, "\n") + 1) {
        bool known = !strchr(".' \n", *line);
        for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
            known |= strncmp(line, requests[i], strlen(requests[i])) == 0;
        if (!known)
            fail_msg("\"%.*s\"", (int)strcspn(line, "\n"), line);
        items += strncmp(line, ".It ", 4) == 0;
    }
    assert_int_equal(items, OPT_COUNT_);
    assert_non_null(strstr(text, "[limits]\n.Bl -tag -width Ds\n"
                                 ".It Cm max_file_size\nThe largest file.\n"));
    assert_non_null(strstr(text, "local\\-redirect as in RFC 3875.\n"));
    assert_non_null(strstr(text, "image/*, text/plain; or nothing\n.br\n"
                                 "Default: nothing\n"));
    free(text);
}

static void finds_the_file(void **state)
{
    (void)state;
    assert_int_equal(setenv("SLIPWAY_CONFIG", "/from/env.ini", 1), 0);
    char *found = config_find("flag.ini");
    assert_string_equal(found, "flag.ini");
    free(found);
    found = config_find(NULL);
    assert_string_equal(found, "/from/env.ini");
    free(found);
    assert_int_equal(setenv("SLIPWAY_CONFIG", "", 1), 0);
    assert_null(config_find(NULL));
    assert_int_equal(unsetenv("SLIPWAY_CONFIG"), 0);
    assert_null(config_find(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_units),
        cmocka_unit_test(writes_units),
        cmocka_unit_test(has_a_sound_table),
        cmocka_unit_test(has_the_decided_defaults),
        cmocka_unit_test(reads_every_type),
        cmocka_unit_test(reads_quotes),
        cmocka_unit_test(takes_the_longest_line),
        cmocka_unit_test(resolves_paths),
        cmocka_unit_test(accepts_values),
        cmocka_unit_test(takes_tokens_that_need_no_escape),
        cmocka_unit_test(refuses_bad_files),
        cmocka_unit_test(refuses_nul_bytes),
        cmocka_unit_test(refuses_long_lines),
        cmocka_unit_test(cuts_long_names_in_messages),
        cmocka_unit_test(refuses_what_is_not_a_file),
        cmocka_unit_test(prints_where_values_come_from),
        cmocka_unit_test(ships_the_sample),
        cmocka_unit_test(has_a_sample_that_loads),
        cmocka_unit_test(prints_a_manual_without_surprises),
        cmocka_unit_test(finds_the_file),
    };

    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
