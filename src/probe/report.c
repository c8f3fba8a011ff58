/*
 * See report.h.
 */
#include "probe/report.h"

#include <stdarg.h>
#include <stdio.h>

enum { TEXT_MAX = 2048 };

void report_init(struct report *r, struct arena *a)
{
    *r = (struct report){.arena = a};
}

void report_add(struct report *r, const char *check, enum verdict v,
                const char *fmt, ...)
{
    struct finding *f = arena_alloc(r->arena, sizeof *f);
    char text[TEXT_MAX];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (!f || !(f->why = arena_strdup(r->arena, text))) {
        r->failed = true;
        return;
    }
    f->check = check;
    f->verdict = v;
    if (r->last)
        r->last->next = f;
    else
        r->first = f;
    r->last = f;
    r->wrong += v == VERDICT_WRONG;
}

void report_remedy(struct report *r, const char *fmt, ...)
{
    char text[TEXT_MAX];
    va_list args;

    if (r->failed)
        return;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    r->last->remedy = arena_strdup(r->arena, text);
    r->failed = !r->last->remedy;
}

const char *report_word(enum verdict v)
{
    static const char *const words[] = {
        [VERDICT_FINE] = "fine",
        [VERDICT_WRONG] = "wrong",
        [VERDICT_UNKNOWN] = "unknown",
    };

    return words[v];
}

void report_text(const struct report *r, struct buf *out)
{
    for (const struct finding *f = r->first; f; f = f->next) {
        buf_printf(out, "%-8s %-20s %s\n", report_word(f->verdict), f->check,
                   f->why);
        if (f->remedy)
            buf_printf(out, "%-29s To do: %s\n", "", f->remedy);
    }
    if (r->failed)
        buf_puts(out, "There was no memory for all of it.\n");
}
