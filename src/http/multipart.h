/*
 * A push parser for multipart/form-data (RFC 7578, RFC 2046 section 5.1).
 *
 * The caller feeds the body in pieces of any size; the parser calls back for
 * the begin, data and end of every part. The events do not depend on how the
 * body was split, except that the data of a part may come in several calls.
 *
 * State is bounded: one delimiter, one header block (MULTIPART_HEADER_MAX)
 * and a few counters, whatever the body. Data is passed on without a copy,
 * except for the few bytes that could have begun a delimiter. The scan is
 * linear for any input.
 *
 * Strict, because what is ambiguous is an attack: no preamble except one
 * CRLF, no header folding, no NUL, one Content-Disposition per part with type
 * form-data and a non-empty name, no filename* (RFC 7578 section 4.2), no
 * Content-Transfer-Encoding but 7bit, 8bit or binary, nothing but CRLF,
 * blanks or at most a short epilogue after the closing delimiter.
 *
 * Pure: no I/O, no globals, one thread at a time.
 */
#ifndef SLIPWAY_HTTP_MULTIPART_H
#define SLIPWAY_HTTP_MULTIPART_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum {
    MULTIPART_BOUNDARY_MAX = 70,  /* RFC 2046 section 5.1.1 */
    MULTIPART_HEADER_MAX = 4096,  /* bytes of one part's header block */
    MULTIPART_HEADERS_MAX = 16,   /* header lines of one part */
    MULTIPART_EPILOGUE_MAX = 1024 /* bytes after the closing delimiter */
};

struct multipart_part {
    const char *name;     /* UTF-8, never empty */
    const char *filename; /* as sent (UTF-8, unescaped); NULL for a field */
    const char *type;     /* Content-Type value, or NULL; not validated */
};

/* Each returns ERR_NONE to go on; anything else stops the parser, and
 * multipart_feed returns it. The part is valid until part_end returns. */
struct multipart_events {
    enum error_code (*part_begin)(void *ctx, const struct multipart_part *part,
                                  struct error *e);
    enum error_code (*part_data)(void *ctx, const void *data, size_t len,
                                 struct error *e);
    enum error_code (*part_end)(void *ctx, struct error *e);
};

struct multipart;

/* content_type: the request's Content-Type value, from which the boundary is
 * taken. NULL with e filled if it is not multipart/form-data with a usable
 * boundary (ERR_BAD_MULTIPART) or there is no memory (ERR_MEMORY). */
struct multipart *multipart_new(const char *content_type,
                                const struct multipart_events *events,
                                void *ctx, struct error *e);
void multipart_free(struct multipart *m);

enum error_code multipart_feed(struct multipart *m, const void *data,
                               size_t len, struct error *e);

/* The body has ended: ERR_NONE if the closing delimiter was seen, else
 * ERR_TRUNCATED. */
enum error_code multipart_end(struct multipart *m, struct error *e);

/* true once the closing delimiter has been seen. */
bool multipart_closed(const struct multipart *m);

#endif
