/*
 * Parameters of header values. One forward pass over the header; the whole
 * of it is checked even after the parameter asked for was found, so that two
 * readers of the same header cannot come to different answers.
 *
 * A backslash counts as the start of a quoted pair only before '"' and '\':
 * these two are all that RFC 9110 section 5.6.4 lets a sender escape, and
 * old browsers send Windows paths with single backslashes.
 *
 * Pure; safe from any thread.
 */
#include "http/params.h"

#include <string.h>

#include "http/token.h"

bool params_value(const char *header, char *out, size_t cap)
{
    const char *end;
    size_t i, len;

    if (!header)
        return false;
    header = token_skip_blanks(header);
    end = header + strcspn(header, ";");
    while (end > header && token_is_blank(end[-1]))
        end--;
    len = (size_t)(end - header);
    if (len == 0 || len >= cap)
        return false;
    for (i = 0; i < len; i++)
        out[i] = token_lower(header[i]);
    out[len] = '\0';
    return true;
}

/* Where a value goes; out is NULL for a value that is only checked. */
struct sink {
    char *out;  /* the caller's buffer or NULL */
    size_t cap; /* its size */
    size_t len; /* bytes stored */
};

static bool put(struct sink *sink, char c)
{
    if (!sink->out)
        return true;
    if (sink->len + 1 >= sink->cap)
        return false;
    sink->out[sink->len++] = c;
    sink->out[sink->len] = '\0';
    return true;
}

/* Each takes *p at the start of a value and leaves it behind the end. */
static bool read_token(const char **p, struct sink *sink)
{
    size_t i, len = token_span(*p);

    for (i = 0; i < len; i++)
        if (!put(sink, (*p)[i]))
            return false;
    *p += len;
    return len > 0;
}

static bool read_quoted(const char **p, struct sink *sink)
{
    const char *s = *p + 1;

    for (; *s != '"'; s++) {
        if (token_is_control(*s) && *s != '\t')
            return false;
        if (s[0] == '\\' && (s[1] == '"' || s[1] == '\\'))
            s++;
        if (!put(sink, *s))
            return false;
    }
    *p = s + 1;
    return true;
}

/* Steps *p over the value before the parameters, which is a token or a media
 * type, up to ';' or the end. */
static bool skip_value(const char **p)
{
    const char *s = token_skip_blanks(*p);
    size_t len = token_span(s);

    if (len == 0)
        return false;
    s += len;
    if (*s == '/') {
        s++;
        if ((len = token_span(s)) == 0)
            return false;
        s += len;
    }
    *p = token_skip_blanks(s);
    return **p == ';' || **p == '\0';
}

enum params_result params_get(const char *header, const char *name, char *out,
                              size_t cap)
{
    enum params_result result = PARAMS_ABSENT;
    const char *p = header;

    if (!header)
        return PARAMS_ABSENT;
    if (cap == 0 || !skip_value(&p))
        return PARAMS_BAD;
    while (*p == ';') {
        struct sink sink = {NULL, 0, 0};
        size_t len;

        p = token_skip_blanks(p + 1);
        if (*p == ';' || *p == '\0')
            continue; /* an empty parameter is allowed (section 5.6.6) */
        len = token_span(p);
        if (len == 0 || p[len] != '=')
            return PARAMS_BAD;
        if (token_equal_ci(p, len, name)) {
            if (result == PARAMS_FOUND)
                return PARAMS_BAD;
            result = PARAMS_FOUND;
            sink = (struct sink){out, cap, 0};
            out[0] = '\0';
        }
        p += len + 1;
        if (!(*p == '"' ? read_quoted(&p, &sink) : read_token(&p, &sink)))
            return PARAMS_BAD;
        p = token_skip_blanks(p);
    }
    return *p == '\0' ? result : PARAMS_BAD;
}
