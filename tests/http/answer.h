/*
 * An answer of the gateway, and whether it is what a case expects. What is
 * wrong is collected as text, several things at a time, so that one run of a
 * case tells all of it. One thread at a time.
 */
#ifndef SLIPWAY_TESTS_HTTP_ANSWER_H
#define SLIPWAY_TESTS_HTTP_ANSWER_H

#include <jansson.h>

#include "base/arena.h"
#include "base/buf.h"

struct answer {
    int status;       /* of the Status field; 0 if there was none */
    json_t *headers;  /* values by name in lower case, fields of one name
                         joined by ", "; not always UTF-8 */
    json_t *interim;  /* status and headers of each 1xx that came first */
    json_t *json;     /* what the body holds, NULL if it is not JSON */
    const char *body; /* lent by the raw answer */
    size_t body_len;  /* bytes */
};

/* Take a CGI response (RFC 3875 section 6) apart, with the interim ones before
 * it, which are heads only. Whatever the case, it is wrong if a head is
 * malformed or holds control bytes, if Content-Length is not the length of the
 * body, or if a body that calls itself JSON is none. raw must outlive a, and
 * answer_free frees the rest. */
void answer_parse(struct answer *a, const struct buf *raw, const char *method,
                  struct buf *wrong);
void answer_free(struct answer *a);

/* The last part of the problem type; "" if it is no problem document. */
const char *answer_slug(const struct answer *a);

/* What a `capture` entry names: a member of the JSON, "body" for all of it or,
 * after "header:", a header field. NULL where there is none. The result lives
 * in arena. */
const char *answer_pick(const struct answer *a, struct arena *arena,
                        const char *from);

/* Check all of an `expect` but the side effects. */
void answer_check(const struct answer *a, json_t *expect,
                  const json_t *captured, struct arena *arena,
                  struct buf *wrong);

/* Add one sentence to what is wrong. */
void wrong_add(struct buf *wrong, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Whether wanted, a number or an array of them, names this status. */
bool status_wanted(const json_t *wanted, int status);

#endif
