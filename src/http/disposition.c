/*
 * Content-Disposition, written and read.
 *
 * Pure; safe from any thread.
 */
#include "http/disposition.h"

#include <string.h>

#include "base/text.h"
#include "http/params.h"
#include "http/token.h"

enum { VALUE_MAX = 4096 }; /* bytes of a parameter that is read */

/* Printable ASCII that needs no escape in a quoted string and that no reader
 * takes for one. */
static bool is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '"' && c != '\\' && c != '%';
}

/* attr-char of RFC 8187 section 3.2.1: tchar without * ' % */
static bool is_attr_char(char c)
{
    return token_is_char(c) && c != '*' && c != '\'' && c != '%';
}

static void put_extended(struct buf *out, const char *name)
{
    static const char hex[] = "0123456789ABCDEF";

    for (; *name != '\0'; name++) {
        unsigned char c = (unsigned char)*name;
        char escape[3] = {'%', hex[c >> 4], hex[c & 15]};

        if (is_attr_char(*name))
            buf_append(out, name, 1);
        else
            buf_append(out, escape, sizeof escape);
    }
}

void disposition_format(struct buf *out, bool is_inline, const char *name)
{
    bool differs = false;
    const char *s;

    buf_puts(out, is_inline ? "inline" : "attachment");
    buf_puts(out, "; filename=\"");
    for (s = name; *s != '\0'; s++) {
        differs = differs || !is_plain(*s);
        buf_append(out, is_plain(*s) ? s : "_", 1);
    }
    buf_puts(out, "\"");
    if (!differs)
        return;
    buf_puts(out, "; filename*=UTF-8''");
    put_extended(out, name);
}

/* ext-value (RFC 8187 section 3.2.1) in UTF-8, decoded in place. false for
 * another charset, a bad escape, or a control byte. */
static bool decode_extended(char *value)
{
    char *out = value, *s;

    if (!text_starts_ci(value, "UTF-8'"))
        return false;
    s = strchr(value + strlen("UTF-8'"), '\'');
    if (!s)
        return false;
    for (s++; *s != '\0'; s++) {
        int byte = (unsigned char)*s;

        if (*s == '%') {
            byte = token_percent(s);
            s += 2;
        } else if (!is_attr_char(*s)) {
            return false;
        }
        if (byte < 0 || token_is_control((char)byte))
            return false;
        *out++ = (char)byte;
    }
    *out = '\0';
    return text_is_utf8(value, (size_t)(out - value));
}

/* Copies what follows the last separator. */
static bool copy_base(const char *name, char *out, size_t cap)
{
    const char *s;
    size_t len;

    for (s = name; *s != '\0'; s++)
        if (*s == '/' || *s == '\\')
            name = s + 1;
    len = strlen(name);
    if (len == 0 || len >= cap)
        return false;
    memcpy(out, name, len + 1);
    return true;
}

bool disposition_filename(const char *header, char *out, size_t cap)
{
    char value[VALUE_MAX];

    switch (params_get(header, "filename*", value, sizeof value)) {
    case PARAMS_BAD:
        return false;
    case PARAMS_FOUND:
        if (decode_extended(value))
            return copy_base(value, out, cap);
        break;
    case PARAMS_ABSENT:
        break;
    }
    return params_get(header, "filename", value, sizeof value) ==
               PARAMS_FOUND &&
           text_is_utf8(value, strlen(value)) && copy_base(value, out, cap);
}
