/*
 * String helpers: see text.h. Pure; safe from any thread. The locale is never
 * asked, so a byte over 127 has no case.
 */
#include "base/text.h"

#include <string.h>

bool text_parse_u64(const char *s, size_t len, uint64_t *out)
{
    uint64_t n = 0;

    if (len == 0)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (s[i] < '0' || s[i] > '9')
            return false;
        uint64_t digit = (uint64_t)(s[i] - '0');
        if (n > (UINT64_MAX - digit) / 10)
            return false;
        n = n * 10 + digit;
    }
    *out = n;
    return true;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool text_equal_ci(const char *a, const char *b)
{
    while (*a && lower(*a) == lower(*b)) {
        a++;
        b++;
    }
    return *a == '\0' && *b == '\0';
}

bool text_starts_ci(const char *s, const char *prefix)
{
    while (*prefix && lower(*s) == lower(*prefix)) {
        s++;
        prefix++;
    }
    return *prefix == '\0';
}

bool text_ends_ci(const char *s, const char *suffix)
{
    size_t len = strlen(s);
    size_t tail = strlen(suffix);

    return tail <= len && text_equal_ci(s + len - tail, suffix);
}

/* The length of the sequence that lead starts, 0 if it starts none. */
static size_t sequence_length(unsigned char lead)
{
    if (lead < 0x80)
        return 1;
    if (lead >= 0xC2 && lead <= 0xDF)
        return 2;
    if (lead >= 0xE0 && lead <= 0xEF)
        return 3;
    if (lead >= 0xF0 && lead <= 0xF4)
        return 4;
    return 0;
}

static bool is_continuation(unsigned char byte)
{
    return (byte & 0xC0) == 0x80;
}

/* The second byte carries all the further limits of RFC 3629 section 4. */
static bool second_fits(unsigned char lead, unsigned char second)
{
    if (!is_continuation(second))
        return false;
    switch (lead) {
    case 0xE0: /* overlong below */
        return second >= 0xA0;
    case 0xED: /* surrogates above */
        return second <= 0x9F;
    case 0xF0: /* overlong below */
        return second >= 0x90;
    case 0xF4: /* past U+10FFFF above */
        return second <= 0x8F;
    default:
        return true;
    }
}

bool text_is_utf8(const char *s, size_t len)
{
    const unsigned char *p = (const unsigned char *)s;
    size_t i = 0;

    while (i < len) {
        size_t n = sequence_length(p[i]);
        if (n == 0 || n > len - i)
            return false;
        if (n > 1 && !second_fits(p[i], p[i + 1]))
            return false;
        for (size_t k = 2; k < n; k++)
            if (!is_continuation(p[i + k]))
                return false;
        i += n;
    }
    return true;
}

void text_cut_utf8(char *s, size_t max)
{
    size_t len = strnlen(s, max);
    size_t start = len;

    /* Step back to the last lead byte; at most three bytes follow it. */
    while (start > 0 && len - start < 3 &&
           is_continuation((unsigned char)s[start - 1]))
        start--;
    if (start > 0 &&
        sequence_length((unsigned char)s[start - 1]) > len - start + 1)
        len = start - 1;
    s[len] = '\0';
}

const char *text_path_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    while (len > 0 && dir[len - 1] == '/')
        len--;
    if (strncmp(path, dir, len) != 0)
        return NULL;
    if (path[len] == '/')
        return path + len + 1;
    return path[len] == '\0' ? path + len : NULL;
}

size_t text_nesting(const char *json)
{
    size_t depth = 0, deepest = 0;
    bool in_string = false;

    for (const char *p = json; *p; p++) {
        if (in_string && *p == '\\' && p[1])
            p++;
        else if (*p == '"')
            in_string = !in_string;
        else if (!in_string && (*p == '[' || *p == '{'))
            deepest = ++depth > deepest ? depth : deepest;
        else if (!in_string && (*p == ']' || *p == '}') && depth > 0)
            depth--;
    }
    return deepest;
}

void text_hex(char *out, const void *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *p = bytes;

    for (size_t i = 0; i < n; i++) {
        *out++ = digits[p[i] >> 4];
        *out++ = digits[p[i] & 15];
    }
    *out = '\0';
}

void text_base32_16(char out[27], const unsigned char bytes[16])
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned pending = 0; /* bits read and not written yet, at the low end */
    unsigned bits = 0;    /* how many */

    for (size_t i = 0; i < 16; i++) {
        pending = (pending << 8 | bytes[i]) & 0xFFF;
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            *out++ = letters[pending >> bits & 31];
        }
    }
    *out++ = letters[pending << (5 - bits) & 31];
    *out = '\0';
}
