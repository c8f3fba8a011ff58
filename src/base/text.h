/*
 * Small pure helpers over C strings that the C library lacks. ASCII only and
 * independent of the locale; lengths are bytes.
 */
#ifndef SLIPWAY_BASE_TEXT_H
#define SLIPWAY_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decimal digits only: no sign, no space, no overflow past UINT64_MAX. */
bool text_parse_u64(const char *s, size_t len, uint64_t *out);

/* ASCII case-insensitive equality of two strings, or of prefix and start. */
bool text_equal_ci(const char *a, const char *b);
bool text_starts_ci(const char *s, const char *prefix);
bool text_ends_ci(const char *s, const char *suffix);

/* true if the len bytes are valid UTF-8 (RFC 3629: no surrogates, no
 * overlong forms). */
bool text_is_utf8(const char *s, size_t len);

/* Cut s to at most max bytes without leaving half a UTF-8 sequence. */
void text_cut_utf8(char *s, size_t max);

/* What follows dir in path, without a slash in front; "" if they are the same,
 * NULL if path is not below dir. Both are real paths. */
const char *text_path_below(const char *path, const char *dir);

/* How deep brackets and braces are nested in JSON, those within strings aside;
 * of other text an upper bound. */
size_t text_nesting(const char *json);

/* Lower-case hex of n bytes; out holds 2 * n + 1. */
void text_hex(char *out, const void *bytes, size_t n);

/* RFC 4648 base32 in lower case without padding of 16 bytes: exactly 26
 * characters and a NUL. */
void text_base32_16(char out[27], const unsigned char bytes[16]);

#endif
