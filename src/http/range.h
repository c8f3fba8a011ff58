/*
 * Byte ranges (RFC 9110 section 14): the Range header against a length.
 *
 * Pure. Bounded: at most RANGE_MAX ranges are honoured; a set with more, or
 * with ranges that overlap or are not ascending, is ignored as section 14.2
 * allows, so that a small request cannot ask for more than the file.
 */
#ifndef SLIPWAY_HTTP_RANGE_H
#define SLIPWAY_HTTP_RANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RANGE_MAX = 16 };

struct range {
    uint64_t first;  /* offset of the first byte */
    uint64_t length; /* number of bytes, never 0 */
};

enum range_result {
    RANGE_IGNORE,       /* no header, another unit, or malformed: send all */
    RANGE_OK,           /* ranges[0..count) are satisfiable */
    RANGE_UNSATISFIABLE /* valid, but no byte of it exists: 416 */
};

enum range_result range_parse(const char *header, uint64_t length,
                              struct range ranges[RANGE_MAX], size_t *count);

/* The request's Content-Range of a PUT (RFC 9110 section 14.5): true if it is
 * `bytes 0-(N-1)/N` and covers length exactly. */
bool range_is_whole(const char *content_range, uint64_t length);

#endif
