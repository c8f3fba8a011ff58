/*
 * Structured fields (RFC 9651): the few types that the resumable upload and
 * the digest fields use. A field of any other type, or a malformed one, is as
 * good as absent, which is what those specifications ask for.
 *
 * Pure; parameters are checked and skipped. NULL counts as absent, an empty
 * field as an empty Dictionary. Byte Sequences must be padded.
 */
#ifndef SLIPWAY_HTTP_STRUCTURED_H
#define SLIPWAY_HTTP_STRUCTURED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum structured_result {
    STRUCTURED_ABSENT, /* no field, or no member of that key */
    STRUCTURED_FOUND,  /* the value is set */
    STRUCTURED_BAD     /* malformed, of another type, or too long */
};

/* An Item that is an Integer (at most 15 digits). */
enum structured_result structured_integer(const char *field, int64_t *out);

/* An Item that is a Boolean: ?0 or ?1. */
enum structured_result structured_boolean(const char *field, bool *out);

/* The member of a Dictionary: a Byte Sequence of at most cap bytes, or an
 * Integer. The last one of a key counts. BAD if the dictionary is malformed
 * anywhere. */
enum structured_result structured_member_bytes(const char *field,
                                               const char *key,
                                               unsigned char *out, size_t cap,
                                               size_t *len);
enum structured_result structured_member_integer(const char *field,
                                                 const char *key, int64_t *out);

#endif
