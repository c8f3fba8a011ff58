/*
 * Query strings (application/x-www-form-urlencoded) and percent-encoding.
 *
 * Pure. Strict: a bad escape, a NUL or invalid UTF-8 after decoding makes the
 * value bad, and a name that occurs twice is an error where one value is
 * asked for, because the first and the last reader of a URL would disagree.
 */
#ifndef SLIPWAY_HTTP_QUERY_H
#define SLIPWAY_HTTP_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

enum query_result { QUERY_ABSENT, QUERY_FOUND, QUERY_BAD };

/* The value of the parameter name, decoded into out. query may be NULL. */
enum query_result query_get(const char *query, const char *name, char *out,
                            size_t cap);

/* Step through all parameters: *pos starts at 0. QUERY_ABSENT at the end. */
enum query_result query_next(const char *query, size_t *pos, char *name,
                             size_t name_cap, char *value, size_t value_cap);

/* Append s percent-encoded for one path segment or query value: everything
 * but RFC 3986 unreserved characters. */
void percent_encode(struct buf *out, const char *s);

/* The same but '/' stays: a relative path. */
void percent_encode_path(struct buf *out, const char *s);

#endif
