/*
 * The scan of the ini file: see ini_scan.h. Keeps nothing between calls; one
 * thread at a time per FILE.
 */
#include "base/ini_scan.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base/text.h"

struct scan {
    FILE *in;                       /* what is read */
    struct ini_place place;         /* where it stands */
    char section[INI_LINE_MAX + 1]; /* the section of the lines to come */
    char text[INI_LINE_MAX + 1];    /* the current line without its end */
    ini_visit *visit;               /* whom to tell */
    void *ctx;                      /* for visit */
};

static enum error_code refuse(const struct scan *s, struct error *e,
                              const char *why)
{
    return error_set(e, ERR_CONFIG, "%s:%u: %s", s->place.file, s->place.line,
                     why);
}

/* Read the next line into text; *end is set when there is none. */
static enum error_code read_line(struct scan *s, bool *end, struct error *e)
{
    size_t len = 0;
    int c;

    s->place.line++;
    while ((c = getc(s->in)) != EOF && c != '\n') {
        if (c == '\0')
            return refuse(s, e, "contains a NUL byte");
        if (len == INI_LINE_MAX)
            return refuse(s, e, "the line is longer than 1000 bytes");
        s->text[len++] = (char)c;
    }
    if (ferror(s->in)) {
        int sys = errno;
        error_set(e, ERR_CONFIG, "%s: cannot be read: %s", s->place.file,
                  strerror(sys));
        if (e)
            e->sys = sys;
        return ERR_CONFIG;
    }
    *end = c == EOF && len == 0;
    if (len > 0 && s->text[len - 1] == '\r')
        len--;
    s->text[len] = '\0';
    return ERR_NONE;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* What makes a line unusable whatever it says, or NULL. */
static const char *line_fault(const struct scan *s)
{
    const char *text = s->text;
    size_t len = strlen(text);

    if (s->place.line == 1 && strncmp(text, "\xEF\xBB\xBF", 3) == 0)
        return "starts with a byte order mark; save it as UTF-8 without one";
    if (!text_is_utf8(text, len))
        return "is not UTF-8";
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') ||
            text[i] == 0x7F)
            return "contains a control character";
    while (len > 0 && is_blank(text[len - 1]))
        len--;
    if (len > 0 && text[len - 1] == '\\')
        return "ends in a backslash, which would join it with the next line";
    return NULL;
}

static char *skip_blanks(char *s)
{
    return s + strspn(s, " \t");
}

/* Cut blanks at both ends and fold ASCII letters to lower case. */
static char *name_of(char *s)
{
    s = skip_blanks(s);
    size_t len = strlen(s);
    while (len > 0 && is_blank(s[len - 1]))
        len--;
    s[len] = '\0';
    for (char *p = s; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            *p = (char)(*p - 'A' + 'a');
    return s;
}

static enum error_code scan_section(struct scan *s, char *line, struct error *e)
{
    char *close = strchr(line, ']');

    if (!close)
        return refuse(s, e, "expected ] after the name of the section");
    if (*skip_blanks(close + 1) != '\0')
        return refuse(s, e, "nothing may follow ] in the line of a section");
    *close = '\0';
    const char *name = name_of(line + 1);
    if (*name == '\0')
        return refuse(s, e, "a section needs a name");
    memcpy(s->section, name, strlen(name) + 1);
    s->place.key = NULL;
    return s->visit(s->ctx, &s->place, e);
}

/* What iniparser would cut from a value without a word, or NULL. */
static const char *value_fault(char *value)
{
    if (*value == '"' || *value == '\'') {
        const char quote[] = {*value, '\0'};
        char *close = strchr(value + 1, *quote);
        if (!close)
            return "the quote is not closed";
        const char *rest = skip_blanks(close + 1);
        return *rest == '\0' || *rest == ';' || *rest == '#'
                   ? NULL
                   : "only a comment may follow the closing quote";
    }
    size_t comment = strcspn(value, ";#");
    if (value[comment] != '\0' && comment > 0 && !is_blank(value[comment - 1]))
        return "; and # start a comment; put a value that has one in quotes, "
               "and a blank before a comment";
    return NULL;
}

static enum error_code scan_key(struct scan *s, char *line, struct error *e)
{
    char *equals = strchr(line, '=');

    if (!equals)
        return refuse(s, e, "expected [section] or key = value");
    *equals = '\0';
    s->place.key = name_of(line);
    if (s->place.key[0] == '\0')
        return refuse(s, e, "expected a key before =");
    if (s->section[0] == '\0')
        return refuse(s, e, "expected a [section] before the first key");

    enum error_code code = s->visit(s->ctx, &s->place, e);
    if (code != ERR_NONE)
        return code;
    const char *fault = value_fault(skip_blanks(equals + 1));
    if (fault)
        return error_set(e, ERR_CONFIG, "%s:%u: [%s] %s: %s", s->place.file,
                         s->place.line, s->place.section, s->place.key, fault);
    return ERR_NONE;
}

static enum error_code scan_line(struct scan *s, struct error *e)
{
    const char *fault = line_fault(s);

    if (fault)
        return refuse(s, e, fault);
    char *line = skip_blanks(s->text);
    switch (*line) {
    case '\0':
    case ';':
    case '#':
        return ERR_NONE;
    case '[':
        return scan_section(s, line, e);
    default:
        return scan_key(s, line, e);
    }
}

enum error_code ini_scan(FILE *in, const char *file, ini_visit *visit,
                         void *ctx, struct error *e)
{
    struct scan s = {.in = in, .visit = visit, .ctx = ctx};

    s.place.file = file;
    s.place.section = s.section;
    for (;;) {
        bool end = false;
        enum error_code code = read_line(&s, &end, e);
        if (code != ERR_NONE || end)
            return code;
        code = scan_line(&s, e);
        if (code != ERR_NONE)
            return code;
    }
}
