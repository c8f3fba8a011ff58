/*
 * The log: see log.h. The target and level are set before threads start and
 * only read afterwards; the request and its count of lines belong to the
 * thread. A line is built on the stack and leaves in one write(2) of at most
 * PIPE_BUF bytes, which a pipe takes whole. A line that cannot be written is
 * lost: there is nowhere else to complain. errno is kept.
 */
#include "base/log.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"

enum {
    LINE_SIZE = PIPE_BUF,   /* bytes in a line with its newline */
    TEXT_SIZE = 2048,       /* bytes of a formatted message */
    LINES_PER_REQUEST = 50, /* then one more says that the rest is lost */
    ESCAPED = 4             /* bytes of \xNN */
};

static const char cut_mark[] = "...";

struct line {
    char data[LINE_SIZE]; /* not NUL-terminated */
    size_t len;           /* bytes used; leaves room for mark and newline */
    bool cut;             /* something did not fit */
};

static int target = STDERR_FILENO;
static enum log_level threshold = LOG_INFO;

static _Thread_local const char *request;
static _Thread_local unsigned request_lines;

void log_open(int fd, enum log_level level)
{
    target = fd;
    threshold = level;
}

void log_request(const char *id)
{
    request = id;
    request_lines = 0;
}

/* Add bytes whole or not at all. After one refusal nothing is added, so that
 * a line never has a hole. */
static void put(struct line *l, const char *bytes, size_t len)
{
    size_t room = sizeof l->data - sizeof cut_mark - l->len;

    if (l->cut || len > room) {
        l->cut = true;
        return;
    }
    memcpy(l->data + l->len, bytes, len);
    l->len += len;
}

static void put_text(struct line *l, const char *s)
{
    put(l, s, strlen(s));
}

/* How many bytes at s may stand in a line as they are; 0 if the first one
 * must be escaped. C1 controls (U+0080 to U+009F) steer terminals as well. */
static size_t plain_bytes(const char *s, bool quoted)
{
    unsigned char first = (unsigned char)s[0];

    if (first < 0x80)
        return first >= 0x20 && first != 0x7F && first != '\\' &&
               !(quoted && first == '"');
    if (first == 0xC2 && (unsigned char)s[1] < 0xA0)
        return 0;
    size_t left = strnlen(s, 4);
    for (size_t n = 2; n <= left; n++)
        if (text_is_utf8(s, n))
            return n;
    return 0;
}

/* Add what may come from a client. quoted: it stands between quotes. */
static void put_escaped(struct line *l, const char *s, bool quoted)
{
    while (*s && !l->cut) {
        size_t n = plain_bytes(s, quoted);
        if (n > 0) {
            put(l, s, n);
            s += n;
        } else {
            char hex[ESCAPED + 1] = "\\x";
            text_hex(hex + 2, s, 1);
            put(l, hex, ESCAPED);
            s++;
        }
    }
}

/* Open a line: time, level, slug and request, each followed by a space. */
static void begin(struct line *l, enum log_level level, const char *slug)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    time_t now = time(NULL);
    struct tm tm;
    char stamp[32];

    l->len = 0;
    l->cut = false;
    if (gmtime_r(&now, &tm) &&
        strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%SZ ", &tm) > 0)
        put_text(l, stamp);
    put_text(l, names[level]);
    put_text(l, " ");
    if (slug) {
        put_text(l, slug);
        put_text(l, " ");
    }
    if (request) {
        put_text(l, "req=");
        put_escaped(l, request, true);
        put_text(l, " ");
    }
}

static void finish(struct line *l)
{
    ssize_t done;

    if (l->cut) {
        memcpy(l->data + l->len, cut_mark, sizeof cut_mark - 1);
        l->len += sizeof cut_mark - 1;
    }
    l->data[l->len++] = '\n';
    do {
        done = write(target, l->data, l->len);
    } while (done < 0 && errno == EINTR);
}

/* May this thread write a line now? The first refusal is itself written. */
static bool admitted(enum log_level level)
{
    if (level > threshold)
        return false;
    if (!request || request_lines < LINES_PER_REQUEST) {
        request_lines++;
        return true;
    }
    if (request_lines == LINES_PER_REQUEST) {
        struct line l;

        request_lines++;
        begin(&l, LOG_WARNING, NULL);
        put_text(&l, "further lines of this request are left out");
        finish(&l);
    }
    return false;
}

void log_write(enum log_level level, const char *fmt, ...)
{
    int saved = errno;
    struct line l;
    char text[TEXT_SIZE];
    va_list ap;

    if (!admitted(level)) {
        errno = saved;
        return;
    }
    errno = saved;
    va_start(ap, fmt);
    int len = vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (len < 0)
        (void)snprintf(text, sizeof text, "(message cannot be formatted)");
    bool cut = len >= (int)sizeof text;
    if (cut)
        text_cut_utf8(text, sizeof text - 1);

    begin(&l, level, NULL);
    put_escaped(&l, text, false);
    l.cut |= cut;
    finish(&l);
    errno = saved;
}

/* The sentence comes last: it may quote the client, and nothing that is read
 * by its name follows it. */
void log_failure(enum log_level level, const struct error *e)
{
    int saved = errno;
    struct line l;
    char field[160];

    if (!admitted(level)) {
        errno = saved;
        return;
    }
    begin(&l, level, error_slug(e->code));
    if (e->limit) {
        (void)snprintf(field, sizeof field, "limit=%s:%llu ", e->limit,
                       (unsigned long long)e->limit_value);
        put_text(&l, field);
    }
    if (e->sys) {
        errno = e->sys;
        (void)snprintf(field, sizeof field, "errno=%d(%m) ", e->sys);
        put_escaped(&l, field, false);
    }
    if (e->file[0]) {
        put_text(&l, "file=\"");
        put_escaped(&l, e->file, true);
        put_text(&l, "\" ");
    }
    put_escaped(&l, e->detail, false);
    finish(&l);
    errno = saved;
}
