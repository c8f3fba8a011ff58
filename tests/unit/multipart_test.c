/*
 * The form parser: what clients send, what attackers send, and that the
 * events never depend on how the body was split.
 */
#include "http/multipart.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define TYPE         "multipart/form-data; boundary=XyZ"
#define DISPOSITION  "Content-Disposition: form-data; name=\"a\""
#define PART         "--XyZ\r\n" DISPOSITION "\r\n\r\n"
#define END          "\r\n--XyZ--\r\n"

/* --- events as text: <name|filename|type>data</> ------------------------ */

static enum error_code on_begin(void *ctx, const struct multipart_part *part,
                                struct error *e)
{
    (void)e;
    buf_printf(ctx, "<%s|%s|%s>", part->name,
               part->filename ? part->filename : "-",
               part->type ? part->type : "-");
    return ERR_NONE;
}

static enum error_code on_data(void *ctx, const void *data, size_t len,
                               struct error *e)
{
    (void)e;
    assert_true(len > 0);
    buf_append(ctx, data, len);
    return ERR_NONE;
}

static enum error_code on_end(void *ctx, struct error *e)
{
    (void)e;
    buf_puts(ctx, "</>");
    return ERR_NONE;
}

static const struct multipart_events recorder = {on_begin, on_data, on_end};

/* Feeds len bytes in pieces: the first of first bytes, the others of rest.
 * Each piece is a block of its own so that the sanitizer sees its ends. */
static enum error_code run(const char *type, const char *body, size_t len,
                           size_t first, size_t rest, struct buf *log)
{
    struct multipart *m = multipart_new(type, &recorder, log, NULL);
    enum error_code code = ERR_NONE;
    size_t done = 0;

    assert_non_null(m);
    while (done < len && code == ERR_NONE) {
        size_t n = done == 0 ? first : rest;
        char *piece;

        n = n < len - done ? n : len - done;
        piece = malloc(n ? n : 1);
        assert_non_null(piece);
        memcpy(piece, body + done, n);
        code = multipart_feed(m, piece, n, NULL);
        free(piece);
        done += n;
        if (n == 0)
            first = 1;
    }
    if (code == ERR_NONE)
        code = multipart_end(m, NULL);
    else
        assert_int_equal(multipart_end(m, NULL), code);
    assert_int_equal(code == ERR_NONE && !multipart_closed(m), 0);
    multipart_free(m);
    return code;
}

static void check_split(const char *body, size_t len, size_t first, size_t rest,
                        enum error_code want, const struct buf *events)
{
    struct buf log;

    buf_init(&log, SIZE_MAX / 2);
    if (run(TYPE, body, len, first, rest, &log) != want ||
        log.len != events->len ||
        memcmp(buf_text(&log), buf_text(events), log.len) != 0)
        fail_msg("pieces of %zu and %zu bytes: %s", first, rest,
                 buf_text(&log));
    buf_free(&log);
}

/* The same events in one piece, cut at every place, and in pieces of every
 * size that is shorter than two delimiters and more. */
static void check_all_splits(const char *body, size_t len, enum error_code want,
                             const struct buf *events)
{
    size_t i;

    for (i = 1; i < len; i++)
        check_split(body, len, i, len, want, events);
    for (i = 1; i < 40; i++)
        check_split(body, len, i, i, want, events);
}

struct row {
    const char *what;
    const char *body;
    enum error_code code;
    const char *events; /* NULL: not looked at */
};

static const struct row rows[] = {
    /* what clients send */
    {"one field", PART "x" END, ERR_NONE, "<a|-|->x</>"},
    {"empty form", "--XyZ--\r\n", ERR_NONE, ""},
    {"empty form, no CRLF", "--XyZ--", ERR_NONE, ""},
    {"CRLF first", "\r\n" PART "x" END, ERR_NONE, "<a|-|->x</>"},
    {"empty field", PART END, ERR_NONE, "<a|-|-></>"},
    {"empty field without its blank line", PART "--XyZ--", ERR_NONE,
     "<a|-|-></>"},
    {"two fields", PART "x\r\n" PART "y" END, ERR_NONE,
     "<a|-|->x</><a|-|->y</>"},
    {"file",
     "--XyZ\r\nContent-Disposition: form-data; name=\"f\"; "
     "filename=\"p.png\"\r\nContent-Type: image/png\r\n\r\n\x89PNG\r\n" END,
     ERR_NONE, "<f|p.png|image/png>\x89PNG\r\n</>"},
    {"empty file input",
     "--XyZ\r\nContent-Disposition: form-data; name=\"f\"; "
     "filename=\"\"\r\nContent-Type: application/octet-stream\r\n\r\n" END,
     ERR_NONE, "<f||application/octet-stream></>"},
    {"headers in any case and order",
     "--XyZ\r\ncontent-type:text/plain\r\nX-Other:\r\n"
     "CONTENT-DISPOSITION:form-data;name=a;filename=b\t \r\n\r\nx" END,
     ERR_NONE, "<a|b|text/plain>x</>"},
    {"transfer encodings that are none",
     "--XyZ\r\n" DISPOSITION "\r\nContent-Transfer-Encoding: BINARY\r\n\r\nx"
     "\r\n--XyZ\r\n" DISPOSITION "\r\nContent-Transfer-Encoding: 8bit\r\n"
     "\r\ny" END,
     ERR_NONE, "<a|-|->x</><a|-|->y</>"},
    {"browser escapes",
     "--XyZ\r\nContent-Disposition: form-data; name=\"a%22%0D%0A%41%\"; "
     "filename=\"%22%2F%0d%0.txt\"\r\n\r\nx" END,
     ERR_NONE, "<a\"\r\n%41%|\"%2F%0d%0.txt|->x</>"},
    {"quoted pairs",
     "--XyZ\r\nContent-Disposition: form-data; name=\"a\\\"b\"; "
     "filename=\"C:\\dir\\x\\\\y.txt\"\r\n\r\nx" END,
     ERR_NONE, "<a\"b|C:\\dir\\x\\y.txt|->x</>"},
    {"UTF-8 names",
     "--XyZ\r\nContent-Disposition: form-data; name=\"\u00e9\"; "
     "filename=\"\u65e5\u672c.txt\"\r\n\r\nx" END,
     ERR_NONE, "<\u00e9|\u65e5\u672c.txt|->x</>"},
    {"padding after the delimiters",
     "--XyZ \t \r\n" DISPOSITION "\r\n\r\nx\r\n--XyZ-- \t\r\n", ERR_NONE,
     "<a|-|->x</>"},
    {"epilogue", PART "x" END "bye\r\n--XyZ\r\n", ERR_NONE, "<a|-|->x</>"},
    {"LF behind the end", PART "x\r\n--XyZ--\n", ERR_NONE, "<a|-|->x</>"},
    {"_charset_",
     "--XyZ\r\nContent-Disposition: form-data; name=_charset_\r\n\r\nUTF-8" END,
     ERR_NONE, "<_charset_|-|->UTF-8</>"},
    {"charsets of a field",
     "--XyZ\r\n" DISPOSITION
     "\r\nContent-Type: text/plain; charset=ISO-8859-1\r\n\r\nx" END,
     ERR_NONE, "<a|-|text/plain; charset=ISO-8859-1>x</>"},
    {"charset of a file is its own",
     "--XyZ\r\n" DISPOSITION "; filename=b\r\n"
     "Content-Type: text/plain; charset=utf-16\r\n\r\nx" END,
     ERR_NONE, "<a|b|text/plain; charset=utf-16>x</>"},

    /* data that looks like a delimiter */
    {"CR at the end", PART "x\r" END, ERR_NONE, "<a|-|->x\r</>"},
    {"CRLF at the end", PART "x\r\n" END, ERR_NONE, "<a|-|->x\r\n</>"},
    {"CRs and LFs only", PART "\r\r\n\n\r\n\r\r\n\r\n-" END, ERR_NONE,
     "<a|-|->\r\r\n\n\r\n\r\r\n\r\n-</>"},
    {"dashes", PART "\r\n-\r\n--\r\n---\r\n--\r--X" END, ERR_NONE,
     "<a|-|->\r\n-\r\n--\r\n---\r\n--\r--X</>"},
    {"almost a delimiter", PART "\r\n--XyY\r\n--Xy\r\n--XY\r\n--xyZ" END,
     ERR_NONE, "<a|-|->\r\n--XyY\r\n--Xy\r\n--XY\r\n--xyZ</>"},
    {"a delimiter without CR", PART "\n--XyZ--\n --XyZ\r--XyZ" END, ERR_NONE,
     "<a|-|->\n--XyZ--\n --XyZ\r--XyZ</>"},
    {"prefixes one upon another", PART "\r\r\n\r\n-\r\n--\r\n--X\r\n--Xy" END,
     ERR_NONE, "<a|-|->\r\r\n\r\n-\r\n--\r\n--X\r\n--Xy</>"},
    {"ends of the boundary", PART "ZZZZZZyZyZXyZ--XyZ-XyZ\rZ\r\nZ" END,
     ERR_NONE, "<a|-|->ZZZZZZyZyZXyZ--XyZ-XyZ\rZ\r\nZ</>"},

    /* what stands around the parts */
    {"preamble", "hello\r\n" PART "x" END, ERR_BAD_MULTIPART, ""},
    {"two empty lines first", "\r\n\r\n" PART "x" END, ERR_BAD_MULTIPART, ""},
    {"LF first", "\n" PART "x" END, ERR_BAD_MULTIPART, ""},
    {"another boundary", "--XyY\r\n", ERR_BAD_MULTIPART, ""},
    {"single dash", "-XyZ\r\n", ERR_BAD_MULTIPART, ""},
    {"longer boundary", "--XyZ1\r\n" DISPOSITION "\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"longer boundary behind data", PART "x\r\n--XyZa\r\n", ERR_BAD_MULTIPART,
     "<a|-|->x</>"},
    {"bare LF after the boundary", "--XyZ\n" DISPOSITION "\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"bare CR after the boundary", "--XyZ\r" DISPOSITION "\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"one dash at the end", PART "x\r\n--XyZ-\r\n", ERR_BAD_MULTIPART,
     "<a|-|->x</>"},
    {"blank before the dashes", PART "x\r\n--XyZ --\r\n", ERR_BAD_MULTIPART,
     NULL},
    {"text behind the last boundary", PART "x\r\n--XyZ--x", ERR_BAD_MULTIPART,
     "<a|-|->x</>"},

    /* the body ends too soon */
    {"nothing", "", ERR_TRUNCATED, ""},
    {"in the first boundary", "--Xy", ERR_TRUNCATED, ""},
    {"behind the first boundary", "--XyZ", ERR_TRUNCATED, ""},
    {"in a header", "--XyZ\r\nContent-Dis", ERR_TRUNCATED, ""},
    {"headers never end", "--XyZ\r\n" DISPOSITION "\r\n", ERR_TRUNCATED, ""},
    {"in the data", PART "x", ERR_TRUNCATED, "<a|-|->x"},
    {"in a delimiter", PART "x\r\n--Xy", ERR_TRUNCATED, "<a|-|->x"},
    {"behind a delimiter", PART "x\r\n--XyZ", ERR_TRUNCATED, "<a|-|->x</>"},
    {"one dash", PART "x\r\n--XyZ-", ERR_TRUNCATED, "<a|-|->x</>"},
    {"boundary never comes", PART "\r\n--Xyz\r\n--Xyz--", ERR_TRUNCATED,
     "<a|-|->\r\n--Xyz\r\n--Xyz--"},

    /* headers */
    {"no headers", "--XyZ\r\n\r\nx" END, ERR_BAD_MULTIPART, ""},
    {"no disposition", "--XyZ\r\nContent-Type: text/plain\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"header begins with a blank",
     "--XyZ\r\n Content-Disposition: form-data; name=\"x\"\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"folded header",
     "--XyZ\r\nContent-Disposition: form-data;\r\n name=\"x\"\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"no colon", "--XyZ\r\n" DISPOSITION "\r\nabc\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"no header name", "--XyZ\r\n: x\r\n" DISPOSITION "\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"blank before the colon",
     "--XyZ\r\nContent-Disposition : form-data; name=\"x\"\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"bare LF in the headers", "--XyZ\r\n" DISPOSITION "\n\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"bare CR in a header", "--XyZ\r\nX: a\rb\r\n" DISPOSITION "\r\n\r\n" END,
     ERR_BAD_MULTIPART, ""},
    {"control in a header", "--XyZ\r\nX: a\x01\r\n" DISPOSITION "\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"DEL in a header", "--XyZ\r\nX: \x7f\r\n" DISPOSITION "\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"two dispositions",
     "--XyZ\r\n" DISPOSITION "\r\n" DISPOSITION "\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"two types",
     "--XyZ\r\n" DISPOSITION "\r\nContent-Type: a/b\r\ncontent-type: a/b\r\n"
     "\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"base64",
     "--XyZ\r\n" DISPOSITION "\r\nContent-Transfer-Encoding: base64\r\n\r\n"
     "eA==" END,
     ERR_BAD_MULTIPART, ""},
    {"quoted-printable",
     "--XyZ\r\n" DISPOSITION "\r\nContent-Transfer-Encoding: "
     "quoted-printable\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"two encodings",
     "--XyZ\r\n" DISPOSITION "\r\nContent-Transfer-Encoding: 8bit\r\n"
     "Content-Transfer-Encoding: 8bit\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"not form-data",
     "--XyZ\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"no name", "--XyZ\r\nContent-Disposition: form-data\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"empty name",
     "--XyZ\r\nContent-Disposition: form-data; name=\"\"\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"name twice",
     "--XyZ\r\nContent-Disposition: form-data; name=a; Name=a\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"file name twice",
     "--XyZ\r\n" DISPOSITION "; filename=a; FILENAME=b\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"filename*",
     "--XyZ\r\n" DISPOSITION
     "; filename=\"ok.jpg\"; filename*=UTF-8''evil.php\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"filename* with a bad escape",
     "--XyZ\r\n" DISPOSITION "; filename*=utf-8''%ZZ\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"long filename*",
     "--XyZ\r\n" DISPOSITION
     "; filename*=utf-8''0123456789abcdef0123456789\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"unclosed quote",
     "--XyZ\r\nContent-Disposition: form-data; name=\"a\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"name is not UTF-8",
     "--XyZ\r\nContent-Disposition: form-data; name=\"\xff\"\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"file name is not UTF-8",
     "--XyZ\r\n" DISPOSITION "; filename=\"caf\xe9\"\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"file name in overlong UTF-8",
     "--XyZ\r\n" DISPOSITION "; filename=\"\xc0\xae\"\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
    {"_charset_ of another encoding",
     "--XyZ\r\nContent-Disposition: form-data; name=_charset_\r\n\r\nutf-7" END,
     ERR_BAD_MULTIPART, "<_charset_|-|->utf-7"},
    {"_charset_ that goes on",
     "--XyZ\r\nContent-Disposition: form-data; name=_CHARSET_\r\n\r\n"
     "utf-8utf-8" END,
     ERR_BAD_MULTIPART, NULL},
    {"empty _charset_",
     "--XyZ\r\nContent-Disposition: form-data; name=_charset_\r\n\r\n" END,
     ERR_BAD_MULTIPART, NULL},
    {"field in another encoding",
     "--XyZ\r\n" DISPOSITION
     "\r\nContent-Type: text/plain; charset=utf-7\r\n\r\nx" END,
     ERR_BAD_MULTIPART, ""},
};

static void test_rows(void **state)
{
    struct buf log;
    size_t i;

    (void)state;
    buf_init(&log, 100000);
    for (i = 0; i < COUNT(rows); i++) {
        const struct row *row = &rows[i];
        size_t len = strlen(row->body);
        enum error_code code;

        buf_clear(&log);
        code = run(TYPE, row->body, len, len, len, &log);
        if (code != row->code ||
            (row->events && strcmp(buf_text(&log), row->events) != 0))
            fail_msg("%s: %d, %s", row->what, code, buf_text(&log));
        check_all_splits(row->body, len, code, &log);
    }
    buf_free(&log);
}

/* NUL cannot stand in the table. */
static void test_nul(void **state)
{
    static const char in_header[] = "--XyZ\r\nX: a\0b\r\n" DISPOSITION
                                    "\r\n\r\nx" END;
    static const char in_boundary[] = "--Xy\0Z\r\n" DISPOSITION "\r\n\r\nx" END;
    static const char in_name[] = "--XyZ\r\nContent-Disposition: form-data; "
                                  "name=\"a\0b\"\r\n\r\nx" END;
    static const char in_data[] = PART "\0\r\n--\0XyZ\0" END;
    struct buf log;

    (void)state;
    buf_init(&log, 1000);
    assert_int_equal(run(TYPE, in_header, sizeof in_header - 1, 1000, 1, &log),
                     ERR_BAD_MULTIPART);
    assert_int_equal(
        run(TYPE, in_boundary, sizeof in_boundary - 1, 1000, 1, &log),
        ERR_BAD_MULTIPART);
    assert_int_equal(run(TYPE, in_name, sizeof in_name - 1, 1000, 1, &log),
                     ERR_BAD_MULTIPART);
    buf_clear(&log);
    assert_int_equal(run(TYPE, in_data, sizeof in_data - 1, 1000, 1, &log),
                     ERR_NONE);
    assert_int_equal(log.len, 20);
    check_all_splits(in_data, sizeof in_data - 1, ERR_NONE, &log);
    buf_free(&log);
}

static void test_content_type(void **state)
{
    static const struct {
        const char *type;
        bool ok;
    } types[] = {
        {"multipart/form-data; boundary=a", true},
        {"Multipart/Form-Data;Boundary=\"a b'()+_,-./:=?\"", true},
        {"multipart/form-data; boundary=----WebKitFormBoundaryabc", true},
        {"multipart/form-data; charset=utf-8; boundary=a", true},
        {NULL, false},
        {"", false},
        {"text/plain; boundary=a", false},
        {"multipart/mixed; boundary=a", false},
        {"multipart/form-data", false},
        {"multipart/form-data;", false},
        {"multipart/form-data; boundary", false},
        {"multipart/form-data; boundary=", false},
        {"multipart/form-data; boundary=\"\"", false},
        {"multipart/form-data; boundary=\"a", false},
        {"multipart/form-data; boundary=\"a \"", false},
        {"multipart/form-data; boundary=\" \"", false},
        {"multipart/form-data; boundary=a; boundary=b", false},
        {"multipart/form-data; boundary=a; Boundary=a", false},
        {"multipart/form-data; boundary=a b", false},
        {"multipart/form-data, boundary=a", false},
        {"multipart/form-data; boundary=\"a\\\"b\"", false},
        {"multipart/form-data; boundary=\"a\tb\"", false},
        {"multipart/form-data; boundary=\"a\rb\"", false},
        {"multipart/form-data; boundary=\"\xc3\xa9\"", false},
        {"multipart/form-data; boundary=a*b", false},
        {"multipart/form-data; boundary=a%b", false},
        {"%{(#x='multipart/form-data')}; boundary=a", false},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(types); i++) {
        struct error e = {0};
        struct multipart *m = multipart_new(types[i].type, &recorder, NULL, &e);

        if ((m != NULL) != types[i].ok ||
            (!m && (e.code != ERR_BAD_MULTIPART || !*e.detail)))
            fail_msg("row %zu: %s", i, types[i].type);
        multipart_free(m);
    }
}

/* The lengths at which other parsers looped, slowed down or overflowed. */
static void test_boundary_length(void **state)
{
    static const size_t lengths[] = {1,    2,    69,   70,   71,   72,
                                     256,  4091, 4092, 4093, 4094, 4095,
                                     4096, 4097, 8192, 65536};
    static char type[70000], body[70000];
    struct buf log;
    size_t i;

    (void)state;
    buf_init(&log, 1000);
    for (i = 0; i < COUNT(lengths); i++) {
        int len = (int)lengths[i], n;
        char *boundary = calloc(1, lengths[i] + 1);
        struct multipart *m;

        assert_non_null(boundary);
        memset(boundary, 'b', lengths[i]);
        (void)snprintf(type, sizeof type, "multipart/form-data; boundary=%s",
                       boundary);
        m = multipart_new(type, &recorder, &log, NULL);
        assert_int_equal(m != NULL, len <= MULTIPART_BOUNDARY_MAX);
        multipart_free(m);
        if (m) {
            buf_clear(&log);
            n = snprintf(body, sizeof body,
                         "--%s\r\n" DISPOSITION "\r\n\r\nbbb\r\n--%.*s"
                         "\r\n--%s--",
                         boundary, len - 1, boundary, boundary);
            (void)run(type, body, (size_t)n, 7, 3, &log);
            assert_memory_equal(buf_text(&log), "<a|-|->bbb\r\n--", 14);
            assert_string_equal(buf_text(&log) + log.len - 3, "</>");
        }
        free(boundary);
    }
    buf_free(&log);
}

/* --- limits ------------------------------------------------------------ */

/* head, count times fill, tail: the result of feeding these */
static enum error_code feed_long(const char *head, const char *fill,
                                 size_t count, const char *tail)
{
    struct buf body, log;
    enum error_code code;
    size_t i;

    buf_init(&body, 16 << 20);
    buf_init(&log, 16 << 20);
    buf_puts(&body, head);
    for (i = 0; i < count; i++)
        buf_puts(&body, fill);
    buf_puts(&body, tail);
    assert_false(buf_failed(&body));
    code = run(TYPE, body.data, body.len, 4096, 4096, &log);
    buf_free(&body);
    buf_free(&log);
    return code;
}

static void test_limits(void **state)
{
    static const struct {
        const char *head, *fill;
        size_t count;
        const char *tail;
        enum error_code code;
    } limits[] = {
        /* a header block of exactly the limit, and one more */
        {"--XyZ\r\n" DISPOSITION "\r\nX: ", "x", 4047, "\r\n\r\n" END, 0},
        {"--XyZ\r\n" DISPOSITION "\r\nX: ", "x", 4048, "\r\n\r\n" END,
         ERR_BAD_MULTIPART},
        /* a header without a colon, a block without an end */
        {"--XyZ\r\n", "x", 80000, "\r\n\r\n" END, ERR_BAD_MULTIPART},
        {"--XyZ\r\n", "X: y\r\n", 100000, "\r\n" END, ERR_BAD_MULTIPART},
        {"--XyZ\r\n" DISPOSITION "\r\n", "X:\r\n", 15, "\r\n" END, 0},
        {"--XyZ\r\n" DISPOSITION "\r\n", "X:\r\n", 16, "\r\n" END,
         ERR_BAD_MULTIPART},
        /* long names, with pairs and escapes */
        {"--XyZ\r\n" DISPOSITION "; filename=\"", "x", 4000, "\"\r\n\r\nx" END,
         0},
        {"--XyZ\r\n" DISPOSITION "; filename=\"", "x", 8192, "\"\r\n\r\nx" END,
         ERR_BAD_MULTIPART},
        {"--XyZ\r\nContent-Disposition: form-data; name=\"", "a\\\\", 1300,
         "\"\r\n\r\nx" END, 0},
        {"--XyZ\r\nContent-Disposition: form-data; name=\"", "%22", 1300,
         "\"\r\n\r\nx" END, 0},
        /* line ends before the first boundary and behind the last */
        {"", "\r\n", 1000000, PART END, ERR_BAD_MULTIPART},
        {PART END, "\r\n", 511, "", 0},
        {PART END, "\r\n", 512, "", ERR_BAD_MULTIPART},
        {PART "\r\n--XyZ--", " ", 1000000, "", ERR_BAD_MULTIPART},
        {PART "\r\n--XyZ--", " ", 64, "\r\n", 0},
        {PART "\r\n--XyZ--", " ", 65, "\r\n", ERR_BAD_MULTIPART},
        {"--XyZ", "\t", 64, "\r\n" DISPOSITION "\r\n\r\n" END, 0},
        {"--XyZ", "\t", 65, "\r\n" DISPOSITION "\r\n\r\n" END,
         ERR_BAD_MULTIPART},
        /* many parts are the caller's limit; they pass in linear time */
        {"--XyZ", "\r\n" DISPOSITION "\r\n\r\n\r\n--XyZ", 20000, "--", 0},
        /* data made of line ends, dashes and beginnings of the delimiter */
        {PART, "\r\n", 1000000, END, 0},
        {PART, "\r", 1000000, END, 0},
        {PART, "\r\n--XyY", 500000, END, 0},
        {PART, "\r\n--Xy", 500000, END, 0},
        {PART, "Z", 1000000, END, 0},
        {PART, "-", 1000000, "", ERR_TRUNCATED},
    };
    size_t i;

    (void)state;
    for (i = 0; i < COUNT(limits); i++) {
        enum error_code code = feed_long(limits[i].head, limits[i].fill,
                                         limits[i].count, limits[i].tail);

        if (code != limits[i].code)
            fail_msg("limit %zu gives %d", i, code);
    }
}

/* Every way of placing the delimiter at the edge of a long piece. */
static void test_edges(void **state)
{
    enum { SIZE = 8192 };
    struct buf log;
    size_t at, split, len;

    (void)state;
    buf_init(&log, 100000);
    for (at = SIZE - 12; at < SIZE + 4; at++) {
        char *body = malloc(SIZE + 100), *s = body;

        assert_non_null(body);
        memcpy(s, PART, strlen(PART));
        memset(s + strlen(PART), 'x', SIZE);
        memcpy(s + at, END, strlen(END));
        len = at + strlen(END);
        for (split = SIZE - 20; split < len; split++) {
            buf_clear(&log);
            assert_int_equal(run(TYPE, body, len, split, 1, &log), ERR_NONE);
            assert_int_equal(log.len, at - strlen(PART) + 10);
        }
        free(body);
    }
    buf_free(&log);
}

/* --- errors of the events ---------------------------------------------- */

static enum error_code
refuse_begin(void *ctx, const struct multipart_part *part, struct error *e)
{
    (void)ctx;
    return error_set(e, ERR_TOO_MANY_FILES, "%s", part->name);
}

static enum error_code refuse_data(void *ctx, const void *data, size_t len,
                                   struct error *e)
{
    (void)ctx;
    (void)data;
    (void)len;
    return error_set(e, ERR_FILE_TOO_LARGE, "data");
}

static enum error_code refuse_end(void *ctx, struct error *e)
{
    (void)ctx;
    return error_set(e, ERR_FILE_TOO_SMALL, "end");
}

static void test_refusal(void **state)
{
    static const struct {
        struct multipart_events events;
        enum error_code code;
        const char *detail;
    } refusals[] = {
        {{refuse_begin, on_data, on_end}, ERR_TOO_MANY_FILES, "a"},
        {{on_begin, refuse_data, on_end}, ERR_FILE_TOO_LARGE, "data"},
        {{on_begin, on_data, refuse_end}, ERR_FILE_TOO_SMALL, "end"},
    };
    static const char body[] = PART "x\r\n--" END;
    struct error e;
    struct buf log;
    size_t i;

    (void)state;
    buf_init(&log, 1000);
    for (i = 0; i < COUNT(refusals); i++) {
        struct multipart *m = multipart_new(TYPE, &refusals[i].events, &log,
                                            NULL);

        assert_non_null(m);
        assert_int_equal(multipart_feed(m, body, sizeof body - 1, &e),
                         refusals[i].code);
        assert_int_equal(e.code, refusals[i].code);
        assert_string_equal(e.detail, refusals[i].detail);
        assert_int_equal(multipart_feed(m, body, 1, &e), refusals[i].code);
        assert_int_equal(multipart_end(m, &e), refusals[i].code);
        assert_false(multipart_closed(m));
        multipart_free(m);
    }
    buf_free(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_nul),
        cmocka_unit_test(test_content_type),
        cmocka_unit_test(test_boundary_length),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_refusal),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
