/*
 * Base64 as header fields carry it (RFC 4648 section 4), read strictly: the
 * standard alphabet, padded, nothing in between, unused bits zero.
 *
 * Pure; safe from any thread.
 */
#ifndef SLIPWAY_HTTP_BASE64_H
#define SLIPWAY_HTTP_BASE64_H

#include <stdbool.h>
#include <stddef.h>

/* Whether len characters are base64; *size is the bytes they stand for. */
bool base64_size(const char *s, size_t len, size_t *size);

/* Decode to at most cap bytes. false, with *size 0, if s is not base64 or
 * does not fit. */
bool base64_decode(const char *s, size_t len, unsigned char *out, size_t cap,
                   size_t *size);

#endif
