/*
 * The push parser for multipart/form-data.
 *
 * Everything between two parts hangs on one string, the delimiter CRLF "--"
 * boundary. It holds one CR, its first byte, because a boundary cannot hold
 * any. So a failed match never hides the start of another one: what was held
 * back is data, and the search goes on at the byte that did not match. That
 * makes the scan linear, and a piece of the body is compared at most once.
 *
 * Inside data the search runs from CR to CR. At each it looks first at the
 * byte where the delimiter would end, and skips ahead as far as that byte
 * allows (Horspool), so that data full of line ends is no slower than other.
 *
 * Once a feed has failed, the parser stays failed.
 *
 * Pure: no globals; one thread at a time for each parser.
 */
#include "http/multipart.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "http/params.h"
#include "http/token.h"

enum {
    DELIMITER_MAX = 4 + MULTIPART_BOUNDARY_MAX, /* CRLF, "--", boundary */
    PADDING_MAX = 64 /* blanks after a delimiter (RFC 2046 section 5.1.1) */
};

enum state {
    STATE_START,      /* before the first delimiter */
    STATE_DATA,       /* in the data of a part */
    STATE_AFTER,      /* behind a delimiter: "--", padding or CR */
    STATE_AFTER_CR,   /* LF must follow */
    STATE_HEADERS,    /* in the header block of a part */
    STATE_CLOSE_DASH, /* the second '-' of the closing delimiter */
    STATE_CLOSED,     /* behind it: padding or the end of its line */
    STATE_EPILOGUE    /* ignored, but counted */
};

/* Headers that may occur once only; bits of multipart.seen. */
enum { SEEN_DISPOSITION = 1, SEEN_TYPE = 2, SEEN_ENCODING = 4 };

struct multipart {
    const struct multipart_events *events; /* the caller's */
    void *ctx;                             /* for the events */
    enum state state;                      /* what the next byte is part of */
    enum error_code failed;                /* the first error, or ERR_NONE */
    bool closed;                           /* closing delimiter was seen */

    char delimiter[DELIMITER_MAX + 1]; /* CRLF, "--", boundary, NUL */
    size_t delimiter_len;              /* bytes, without the NUL */
    size_t matched;                    /* bytes of it at the end of the input */
    size_t borrowed;                   /* of these, bytes that are not data */
    uint8_t skip[256];  /* step of the window by its last byte, 0: compare */
    uint8_t after_last; /* step where the last byte fits but the rest not */
    size_t extra;       /* bytes of padding or epilogue so far */

    char line[MULTIPART_HEADER_MAX + 1]; /* the header line being read */
    size_t line_len;                     /* bytes of it so far */
    size_t block_len;                    /* bytes of the header block so far */
    unsigned lines;                      /* header lines of the part so far */
    unsigned seen;                       /* SEEN_ bits */

    struct multipart_part part;          /* what the events are shown */
    char text[MULTIPART_HEADER_MAX + 1]; /* its strings, one after another */
    size_t text_len;                     /* bytes of text in use */
    bool is_charset;                     /* the part is the _charset_ field */
    size_t charset_len; /* bytes of its value that agree with utf-8 so far */
};

/* A cursor over the piece being fed. */
struct piece {
    const char *p;   /* next byte */
    const char *end; /* behind the last */
};

static enum error_code bad(struct error *e, const char *detail)
{
    return error_set(e, ERR_BAD_MULTIPART, "%s", detail);
}

/* --- the boundary ------------------------------------------------------ */

/* bchars of RFC 2046 section 5.1.1; a blank must not be the last. */
static bool boundary_valid(const char *s)
{
    size_t i, len = strlen(s);

    for (i = 0; i < len; i++)
        if (!token_is_alnum(s[i]) && !strchr("'()+_,-./:=? ", s[i]))
            return false;
    return len > 0 && s[len - 1] != ' ';
}

static void set_delimiter(struct multipart *m, const char *boundary)
{
    size_t i, last;

    memcpy(m->delimiter, "\r\n--", 4);
    memcpy(m->delimiter + 4, boundary, strlen(boundary) + 1);
    m->delimiter_len = strlen(m->delimiter);
    last = m->delimiter_len - 1;
    memset(m->skip, (int)m->delimiter_len, sizeof m->skip);
    m->after_last = (uint8_t)m->delimiter_len;
    for (i = 0; i < last; i++) {
        m->skip[(unsigned char)m->delimiter[i]] = (uint8_t)(last - i);
        if (m->delimiter[i] == m->delimiter[last])
            m->after_last = (uint8_t)(last - i);
    }
    m->skip[(unsigned char)m->delimiter[last]] = 0;
}

struct multipart *multipart_new(const char *content_type,
                                const struct multipart_events *events,
                                void *ctx, struct error *e)
{
    char type[32], boundary[MULTIPART_BOUNDARY_MAX + 1];
    struct multipart *m;

    if (!params_value(content_type, type, sizeof type) ||
        strcmp(type, "multipart/form-data") != 0) {
        bad(e, "The body is not multipart/form-data.");
        return NULL;
    }
    if (params_get(content_type, "boundary", boundary, sizeof boundary) !=
            PARAMS_FOUND ||
        !boundary_valid(boundary)) {
        bad(e, "The boundary of the form data is missing or malformed.");
        return NULL;
    }
    if (!(m = calloc(1, sizeof *m))) {
        error_set(e, ERR_MEMORY, "There is no memory for the form.");
        return NULL;
    }
    m->events = events;
    m->ctx = ctx;
    set_delimiter(m, boundary);
    return m;
}

void multipart_free(struct multipart *m)
{
    free(m);
}

/* --- the headers of a part --------------------------------------------- */

/* Browsers write the three bytes that they must escape in a name as %22, %0D
 * and %0A and leave every other '%' alone (WHATWG HTML, multipart/form-data
 * encoding), so exactly these are decoded, in place. */
static void decode_browser_escapes(char *s)
{
    char *out = s;

    while (*s != '\0') {
        int byte = -1;

        if (strncmp(s, "%22", 3) == 0)
            byte = '"';
        else if (strncmp(s, "%0D", 3) == 0)
            byte = '\r';
        else if (strncmp(s, "%0A", 3) == 0)
            byte = '\n';
        *out++ = byte < 0 ? *s : (char)byte;
        s += byte < 0 ? 1 : 3;
    }
    *out = '\0';
}

/* Takes one parameter of Content-Disposition into m->text. Always fits: a
 * decoded value is shorter than the line it came from. */
static enum params_result take(struct multipart *m, const char *value,
                               const char *name, const char **out)
{
    char *to = m->text + m->text_len;
    enum params_result result = params_get(value, name, to,
                                           sizeof m->text - m->text_len);

    if (result == PARAMS_FOUND) {
        decode_browser_escapes(to);
        *out = to;
        m->text_len += strlen(to) + 1;
    }
    return result;
}

static enum error_code read_disposition(struct multipart *m, const char *value,
                                        struct error *e)
{
    char scratch[16];

    if (!params_value(value, scratch, sizeof scratch) ||
        strcmp(scratch, "form-data") != 0)
        return bad(e, "A part of the form is not of the kind form-data.");
    if (take(m, value, "name", &m->part.name) != PARAMS_FOUND ||
        *m->part.name == '\0')
        return bad(e, "A part of the form has no valid name.");
    if (params_get(value, "filename*", scratch, sizeof scratch) !=
            PARAMS_ABSENT ||
        params_get(value, "name*", scratch, sizeof scratch) != PARAMS_ABSENT)
        return bad(e, "A part of the form uses name* or filename*, which "
                      "RFC 7578 does not allow.");
    if (take(m, value, "filename", &m->part.filename) == PARAMS_BAD)
        return bad(e, "A part of the form has a malformed file name.");
    return ERR_NONE;
}

static enum error_code read_type(struct multipart *m, const char *value)
{
    size_t len = strlen(value);

    m->part.type = memcpy(m->text + m->text_len, value, len + 1);
    m->text_len += len + 1;
    return ERR_NONE;
}

static enum error_code read_encoding(const char *value, struct error *e)
{
    if (text_equal_ci(value, "binary") || text_equal_ci(value, "8bit") ||
        text_equal_ci(value, "7bit"))
        return ERR_NONE;
    return bad(e, "A part of the form has a transfer encoding.");
}

/* value has no blanks around it. */
static enum error_code read_header(struct multipart *m, const char *name,
                                   const char *value, struct error *e)
{
    unsigned bit = 0;

    if (text_equal_ci(name, "Content-Disposition"))
        bit = SEEN_DISPOSITION;
    else if (text_equal_ci(name, "Content-Type"))
        bit = SEEN_TYPE;
    else if (text_equal_ci(name, "Content-Transfer-Encoding"))
        bit = SEEN_ENCODING;
    if (m->seen & bit)
        return bad(e, "A part of the form has a header twice.");
    m->seen |= bit;
    if (bit == SEEN_DISPOSITION)
        return read_disposition(m, value, e);
    if (bit == SEEN_TYPE)
        return read_type(m, value);
    if (bit == SEEN_ENCODING)
        return read_encoding(value, e);
    return ERR_NONE;
}

/* Checks the line in m->line, without its CRLF, and splits it in place. */
static enum error_code read_line(struct multipart *m, struct error *e)
{
    char *line = m->line, *end = line + m->line_len;
    size_t i, name = token_span(line);

    for (i = 0; i < m->line_len; i++)
        if (token_is_control(line[i]) && line[i] != '\t')
            return bad(e, "A part of the form has a control character in "
                          "its header.");
    if (!text_is_utf8(line, m->line_len))
        return bad(e, "A part of the form has a header that is not UTF-8.");
    if (++m->lines > MULTIPART_HEADERS_MAX)
        return bad(e, "A part of the form has too many headers.");
    if (name == 0 || line[name] != ':')
        return bad(e, "A part of the form has a malformed header.");
    line[name] = '\0';
    while (end > line + name + 1 && token_is_blank(end[-1]))
        end--;
    *end = '\0';
    return read_header(m, line, token_skip_blanks(line + name + 1), e);
}

/* A form says the encoding of a field in Content-Type. Field values are kept
 * as UTF-8, so only that and what agrees with it in ASCII is taken: filters
 * in front read a field otherwise than we do where it is anything else. */
static bool field_charset_known(const char *type)
{
    char charset[16];

    switch (params_get(type, "charset", charset, sizeof charset)) {
    case PARAMS_ABSENT:
        return true;
    case PARAMS_FOUND:
        return text_equal_ci(charset, "utf-8") ||
               text_equal_ci(charset, "us-ascii") ||
               text_equal_ci(charset, "iso-8859-1");
    default:
        return false;
    }
}

static enum error_code begin_part(struct multipart *m, struct error *e)
{
    if (!(m->seen & SEEN_DISPOSITION))
        return bad(e, "A part of the form has no Content-Disposition.");
    if (!m->part.filename && !field_charset_known(m->part.type))
        return bad(e, "A field of the form is not in UTF-8.");
    m->is_charset = !m->part.filename &&
                    text_equal_ci(m->part.name, "_charset_");
    m->charset_len = 0;
    m->state = STATE_DATA;
    m->matched = m->borrowed = 2;
    return m->events->part_begin(m->ctx, &m->part, e);
}

static enum error_code end_line(struct multipart *m, struct error *e)
{
    enum error_code code;

    if (m->line_len < 2 || m->line[m->line_len - 2] != '\r')
        return bad(e, "A header line of the form does not end with CRLF.");
    m->line_len -= 2;
    m->line[m->line_len] = '\0';
    code = m->line_len == 0 ? begin_part(m, e) : read_line(m, e);
    m->line_len = 0;
    return code;
}

static enum error_code feed_headers(struct multipart *m, struct piece *in,
                                    struct error *e)
{
    size_t len = (size_t)(in->end - in->p);
    const char *newline = memchr(in->p, '\n', len);

    if (newline)
        len = (size_t)(newline + 1 - in->p);
    if (len > MULTIPART_HEADER_MAX - m->block_len)
        return bad(e, "A part of the form has a header that is too long.");
    memcpy(m->line + m->line_len, in->p, len);
    m->line_len += len;
    m->block_len += len;
    in->p += len;
    return newline ? end_line(m, e) : ERR_NONE;
}

static void reset_part(struct multipart *m)
{
    m->state = STATE_HEADERS;
    m->line_len = m->block_len = m->text_len = 0;
    m->lines = m->seen = 0;
    m->part = (struct multipart_part){NULL, NULL, NULL};
}

/* --- the data of a part ------------------------------------------------ */

static const char charset_value[] = "utf-8";

/* The value of the field that names the encoding of all others (WHATWG HTML,
 * `_charset_`) is compared as it comes. */
static void follow_charset(struct multipart *m, const char *data, size_t len)
{
    size_t i;

    for (i = 0; i < len; i++)
        if (m->charset_len < sizeof charset_value - 1 &&
            token_lower(data[i]) == charset_value[m->charset_len])
            m->charset_len++;
        else
            m->charset_len = sizeof charset_value; /* never right again */
}

static enum error_code give_data(struct multipart *m, const char *data,
                                 size_t len, struct error *e)
{
    if (len == 0)
        return ERR_NONE;
    if (m->is_charset)
        follow_charset(m, data, len);
    return m->events->part_data(m->ctx, data, len, e);
}

static enum error_code end_part(struct multipart *m, struct error *e)
{
    if (m->is_charset && m->charset_len != sizeof charset_value - 1)
        return bad(e, "The form is not in UTF-8.");
    m->state = STATE_AFTER;
    m->extra = 0;
    return m->events->part_end(m->ctx, e);
}

/* The first place in [p, end) where the whole delimiter stands, or else where
 * a beginning of it stands at the end, or else end. */
static const char *find_delimiter(const struct multipart *m, const char *p,
                                  const char *end)
{
    while ((p = memchr(p, '\r', (size_t)(end - p)))) {
        size_t left = (size_t)(end - p), step = 1;

        if (left < m->delimiter_len) {
            if (memcmp(p, m->delimiter, left) == 0)
                return p;
        } else {
            step = m->skip[(unsigned char)p[m->delimiter_len - 1]];
            if (step == 0) {
                if (memcmp(p, m->delimiter, m->delimiter_len) == 0)
                    return p;
                step = m->after_last;
            }
        }
        p += step;
    }
    return end;
}

/* Goes on with a delimiter that began at the end of the last piece; gives
 * what was held back as data if it was none. A part without data may end at
 * once: the blank line behind its headers is then the CRLF of the delimiter
 * (body-part in RFC 2046 section 5.1.1), borrowed from the headers. */
static enum error_code feed_held(struct multipart *m, struct piece *in,
                                 struct error *e)
{
    size_t held = m->matched, borrowed = m->borrowed;

    while (in->p < in->end && m->matched < m->delimiter_len &&
           *in->p == m->delimiter[m->matched]) {
        in->p++;
        m->matched++;
    }
    if (m->matched == m->delimiter_len)
        return end_part(m, e);
    if (in->p == in->end)
        return ERR_NONE;
    m->borrowed = 0;
    in->p -= m->matched - held;
    m->matched = 0;
    return give_data(m, m->delimiter + borrowed, held - borrowed, e);
}

static enum error_code feed_data(struct multipart *m, struct piece *in,
                                 struct error *e)
{
    const char *start = in->p, *found;
    enum error_code code;

    if (m->matched > 0)
        return feed_held(m, in, e);
    found = find_delimiter(m, start, in->end);
    m->matched = (size_t)(in->end - found);
    if (m->matched > m->delimiter_len)
        m->matched = m->delimiter_len;
    in->p = found + m->matched;
    code = give_data(m, start, (size_t)(found - start), e);
    if (code == ERR_NONE && m->matched == m->delimiter_len)
        code = end_part(m, e);
    return code;
}

/* --- what stands around the parts -------------------------------------- */

/* The first delimiter, whose CRLF may be missing. */
static enum error_code feed_start(struct multipart *m, struct piece *in,
                                  struct error *e)
{
    if (m->matched == 0 && *in->p == '-')
        m->matched = 2;
    if (*in->p++ != m->delimiter[m->matched])
        return bad(e, "The form does not begin with its boundary.");
    if (++m->matched == m->delimiter_len)
        m->state = STATE_AFTER;
    return ERR_NONE;
}

static enum error_code feed_after(struct multipart *m, char c, struct error *e)
{
    if (token_is_blank(c) && ++m->extra <= PADDING_MAX)
        return ERR_NONE;
    if (c == '\r')
        m->state = STATE_AFTER_CR;
    else if (c == '-' && m->extra == 0)
        m->state = STATE_CLOSE_DASH;
    else
        return bad(e, "A boundary of the form is followed by other bytes.");
    return ERR_NONE;
}

static enum error_code feed_close(struct multipart *m, char c, struct error *e)
{
    if (m->state == STATE_CLOSE_DASH && c == '-') {
        m->state = STATE_CLOSED;
        m->closed = true;
        m->extra = 0;
        return ERR_NONE;
    }
    if (m->state == STATE_CLOSED && (c == '\r' || c == '\n'))
        m->state = STATE_EPILOGUE;
    else if (m->state != STATE_CLOSED || !token_is_blank(c) ||
             m->extra >= PADDING_MAX)
        return bad(e, "The last boundary of the form is followed by other "
                      "bytes.");
    m->extra++;
    return ERR_NONE;
}

static enum error_code feed_epilogue(struct multipart *m, struct piece *in,
                                     struct error *e)
{
    m->extra += (size_t)(in->end - in->p);
    in->p = in->end;
    if (m->extra > MULTIPART_EPILOGUE_MAX)
        return bad(e, "The form goes on behind its last boundary.");
    return ERR_NONE;
}

static enum error_code step(struct multipart *m, struct piece *in,
                            struct error *e)
{
    switch (m->state) {
    case STATE_START:
        return feed_start(m, in, e);
    case STATE_DATA:
        return feed_data(m, in, e);
    case STATE_AFTER:
        return feed_after(m, *in->p++, e);
    case STATE_AFTER_CR:
        reset_part(m);
        if (*in->p++ != '\n')
            return bad(e, "A boundary line of the form does not end with "
                          "CRLF.");
        return ERR_NONE;
    case STATE_HEADERS:
        return feed_headers(m, in, e);
    case STATE_CLOSE_DASH:
    case STATE_CLOSED:
        return feed_close(m, *in->p++, e);
    case STATE_EPILOGUE:
        return feed_epilogue(m, in, e);
    }
    return error_set(e, ERR_INTERNAL, "The form parser is lost.");
}

enum error_code multipart_feed(struct multipart *m, const void *data,
                               size_t len, struct error *e)
{
    struct piece in = {data, (const char *)data + len};

    if (m->failed != ERR_NONE)
        return error_set(e, m->failed, "The form was refused before.");
    while (in.p < in.end && m->failed == ERR_NONE)
        m->failed = step(m, &in, e);
    return m->failed;
}

enum error_code multipart_end(struct multipart *m, struct error *e)
{
    if (m->failed != ERR_NONE)
        return error_set(e, m->failed, "The form was refused before.");
    if (!m->closed)
        return error_set(e, ERR_TRUNCATED,
                         "The form ends before its last boundary.");
    return ERR_NONE;
}

bool multipart_closed(const struct multipart *m)
{
    return m->closed;
}
