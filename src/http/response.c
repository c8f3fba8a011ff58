/*
 * Filling a response. No state; a failed allocation is remembered in the
 * response and turns it into a 503 when it is sent.
 */
#include "http/response.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void response_init(struct response *r, struct arena *a)
{
    memset(r, 0, sizeof *r);
    r->status = 200;
    r->arena = a;
}

__attribute__((format(printf, 2, 0))) static char *
format_value(struct arena *a, const char *fmt, va_list ap)
{
    va_list again;
    char *value;
    int n;

    va_copy(again, ap);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    value = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
    if (!value)
        return NULL;
    (void)vsnprintf(value, (size_t)n + 1, fmt, ap);
    for (char *p = value; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '_';
    return value;
}

void response_header(struct response *r, const char *name, const char *fmt, ...)
{
    struct response_header *h = arena_alloc(r->arena, sizeof *h);
    va_list ap;

    if (h) {
        va_start(ap, fmt);
        h->value = format_value(r->arena, fmt, ap);
        va_end(ap);
    }
    if (!h || !h->value) {
        r->failed = true;
        return;
    }
    h->name = name;
    if (r->last)
        r->last->next = h;
    else
        r->first = h;
    r->last = h;
}

void response_page(struct response *r, const char *html, size_t len)
{
    response_header(r, "Content-Security-Policy",
                    "default-src 'none'; form-action 'self'; base-uri 'none'; "
                    "frame-ancestors 'self'");
    response_text(r, "text/html; charset=utf-8", html, len);
}

void response_text(struct response *r, const char *type, const char *text,
                   size_t len)
{
    char *copy = arena_strndup(r->arena, text, len);

    response_header(r, "Content-Type", "%s", type);
    if (!copy || !segment_literal(&r->body, r->arena, copy, len))
        r->failed = true;
}
