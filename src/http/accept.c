/*
 * Content negotiation. What is malformed in an element of the list makes
 * that element not count; the others stand.
 *
 * Pure; safe from any thread.
 */
#include "http/accept.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "http/token.h"

static const struct {
    const char *type;      /* in lower case */
    enum accept_type form; /* what it asks for */
} forms[] = {
    {"application/json", ACCEPT_JSON},
    {"application/problem+json", ACCEPT_JSON},
    {"text/html", ACCEPT_HTML},
    {"text/plain", ACCEPT_TEXT},
    {"text/event-stream", ACCEPT_EVENTS},
};

/* The end of one element: the next comma that is not in a quoted string. */
static const char *element_end(const char *s)
{
    bool quoted = false;

    for (; *s != '\0' && (quoted || *s != ','); s++) {
        if (*s == '"')
            quoted = !quoted;
        else if (quoted && *s == '\\' && s[1] != '\0')
            s++;
    }
    return s;
}

static bool find_form(const char *s, size_t len, enum accept_type *form)
{
    size_t i;

    for (i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (token_equal_ci(s, len, forms[i].type)) {
            *form = forms[i].form;
            return true;
        }
    return false;
}

/* A qvalue (RFC 9110 section 12.4.2) in thousandths; -1 if malformed. */
static int read_quality(const char *s, const char *end)
{
    int value, scale = 100;

    if (s == end || (*s != '0' && *s != '1'))
        return -1;
    value = (*s++ - '0') * 1000;
    if (s < end && *s == '.')
        for (s++; s < end && *s >= '0' && *s <= '9' && scale > 0; s++) {
            value += (*s - '0') * scale;
            scale /= 10;
        }
    while (s < end && token_is_blank(*s))
        s++;
    return s == end && value <= 1000 ? value : -1;
}

/* The weight of an element, from the first ';' behind its type on. */
static int quality(const char *s, const char *end)
{
    while (s < end) {
        const char *next;

        s = token_skip_blanks(s + 1);
        if (end - s >= 2 && token_lower(*s) == 'q' && s[1] == '=') {
            next = memchr(s, ';', (size_t)(end - s));
            return read_quality(s + 2, next ? next : end);
        }
        while (s < end && *s != ';') {
            if (*s == '"')
                for (s++; s < end && *s != '"'; s++)
                    if (*s == '\\' && s + 1 < end)
                        s++;
            if (s < end)
                s++;
        }
    }
    return 1000;
}

enum accept_type accept_choose(const char *header, enum accept_type fallback)
{
    enum accept_type best = fallback, form;
    int best_quality = 0;

    while (header && *header != '\0') {
        const char *start = token_skip_blanks(header);
        const char *end = element_end(start);
        size_t len = 0;

        while (start + len < end &&
               (token_is_char(start[len]) || start[len] == '/'))
            len++;
        if (find_form(start, len, &form)) {
            const char *rest = token_skip_blanks(start + len);
            int q = -1;

            if (rest >= end)
                q = 1000;
            else if (*rest == ';')
                q = quality(rest, end);
            if (q > best_quality) {
                best_quality = q;
                best = form;
            }
        }
        header = *end == ',' ? end + 1 : end;
    }
    return best;
}
