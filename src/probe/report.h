/*
 * What an examination finds: a list of findings, each of which is fine, wrong
 * or not known, says why and, unless it is fine, what to do. Everything lives
 * in an arena. One thread at a time.
 */
#ifndef SLIPWAY_PROBE_REPORT_H
#define SLIPWAY_PROBE_REPORT_H

#include "base/arena.h"
#include "base/buf.h"

enum verdict { VERDICT_FINE, VERDICT_WRONG, VERDICT_UNKNOWN };

struct finding {
    const char *check;    /* what was looked at: a few words, stable */
    enum verdict verdict; /* on it */
    const char *why;      /* one or two sentences; may hold paths */
    const char *remedy;   /* what to do, NULL if nothing */
    struct finding *next;
};

struct report {
    struct arena *arena;   /* of the texts */
    struct finding *first; /* in the order they were added */
    struct finding *last;
    unsigned wrong; /* findings with that verdict */
    bool failed;    /* no memory: some are missing */
};

void report_init(struct report *r, struct arena *a);

/* Add a finding; check must be a literal. */
void report_add(struct report *r, const char *check, enum verdict v,
                const char *fmt, ...) __attribute__((format(printf, 4, 5)));

/* The remedy of the finding that was added last. */
void report_remedy(struct report *r, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* "fine", "wrong" or "unknown". */
const char *report_word(enum verdict v);

/* A line for each finding, and below it the remedy. */
void report_text(const struct report *r, struct buf *out);

#endif
