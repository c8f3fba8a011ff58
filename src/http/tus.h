/*
 * The header fields of tus 1.0.0 that have a grammar of their own. Pure;
 * results go to the caller's buffers, nothing is allocated.
 */
#ifndef SLIPWAY_HTTP_TUS_H
#define SLIPWAY_HTTP_TUS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

/* Upload-Metadata: pairs of a key and a base64 value, separated by commas;
 * blanks around a comma are let pass, and so is a key without value, with or
 * without the space. Keys have no control characters, space and comma, and
 * unique. More pairs than this are malformed too: it keeps the search for a
 * second key cheap. */
enum { TUS_METADATA_PAIRS = 256 };

/* What is wrong with the field in one sentence, or NULL if it is well formed.
 * NULL as field, or an empty one, is well formed. */
const char *tus_metadata_fault(const char *field);

/* Called for every pair of a well-formed field; the value is decoded, any
 * bytes. false from it ends the walk. */
typedef bool tus_metadata_pair(void *ctx, const char *key, size_t key_len,
                               const char *value, size_t value_len);

/* Walk a field. scratch takes each decoded value in turn. false if the
 * field is malformed, scratch is full or pair said so. */
bool tus_metadata_each(const char *field, struct buf *scratch,
                       tus_metadata_pair *pair, void *ctx);

/* Upload-Checksum: an algorithm's name, one space, base64. false if the field
 * is not of that form, the checksum is empty or anything is longer than its
 * buffer. */
enum { TUS_ALGORITHM_MAX = 32, TUS_CHECKSUM_MAX = 64 };
bool tus_checksum(const char *field, char algorithm[TUS_ALGORITHM_MAX],
                  unsigned char value[TUS_CHECKSUM_MAX], size_t *len);

/* Upload-Concat: FINAL has at least one URL; NULL is NONE. */
enum tus_concat {
    TUS_CONCAT_NONE,
    TUS_CONCAT_PARTIAL,
    TUS_CONCAT_FINAL,
    TUS_CONCAT_BAD
};
enum tus_concat tus_concat(const char *field);

/* The next URL in the list of a final one: call with *at at the field, until
 * false. The URL's path goes to path, still percent-encoded: scheme,
 * authority, query and fragment are cut off; it may be relative, and is "" if
 * it is longer than cap - 1 bytes. cap is not 0. */
bool tus_concat_next(const char **at, char *path, size_t cap);

#endif
