/*
 * Strict base64. Nettle decodes; it lets white space and "A===" pass, so the
 * characters and the padding are looked at first.
 *
 * Pure; safe from any thread.
 */
#include "http/base64.h"

#include <nettle/base64.h>

#include "http/token.h"

/* Decodes a length that is a multiple of 4, has no white space and ends in
 * at most two '='. */
static bool decode(const char *s, size_t len, unsigned char *out)
{
    struct base64_decode_ctx ctx;
    size_t i, size = 0;
    int got;

    base64_decode_init(&ctx);
    for (i = 0; i < len; i++) {
        got = base64_decode_single(&ctx, out + size, s[i]);
        if (got < 0)
            return false;
        size += (size_t)got;
    }
    return base64_decode_final(&ctx) == 1;
}

bool base64_size(const char *s, size_t len, size_t *size)
{
    unsigned char last[3];
    size_t digits = 0, padding;

    *size = 0;
    while (digits < len &&
           (token_is_alnum(s[digits]) || s[digits] == '+' || s[digits] == '/'))
        digits++;
    padding = len - digits;
    if (len % 4 != 0 || padding > 2)
        return false;
    /* what is not a digit, and the unused bits, show in the last four */
    if (len > 0 && !decode(s + len - 4, 4, last))
        return false;
    *size = len / 4 * 3 - padding;
    return true;
}

bool base64_decode(const char *s, size_t len, unsigned char *out, size_t cap,
                   size_t *size)
{
    if (base64_size(s, len, size) && *size <= cap && decode(s, len, out))
        return true;
    *size = 0;
    return false;
}
