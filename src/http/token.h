/*
 * The byte classes that the header grammars share (RFC 9110 section 5.6).
 * Pure; independent of the locale.
 */
#ifndef SLIPWAY_HTTP_TOKEN_H
#define SLIPWAY_HTTP_TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

static inline bool token_is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') ||
           (c >= 'a' && c <= 'z');
}

/* tchar: what a token is made of (section 5.6.2). */
static inline bool token_is_char(char c)
{
    return token_is_alnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c));
}

/* The number of tchar that s begins with. */
static inline size_t token_span(const char *s)
{
    size_t n = 0;

    while (token_is_char(s[n]))
        n++;
    return n;
}

/* SP or HTAB, of which OWS is made (section 5.6.3). */
static inline bool token_is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static inline const char *token_skip_blanks(const char *s)
{
    while (token_is_blank(*s))
        s++;
    return s;
}

static inline bool token_is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static inline char token_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/* Whether len bytes are the NUL-terminated word, in any case. */
static inline bool token_equal_ci(const char *s, size_t len, const char *word)
{
    size_t i;

    for (i = 0; i < len && word[i] != '\0'; i++)
        if (token_lower(s[i]) != token_lower(word[i]))
            return false;
    return i == len && word[i] == '\0';
}

/* The value of a hexadecimal digit, or -1. */
static inline int token_hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = token_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The byte that the three characters %XX at s stand for, or -1. */
static inline int token_percent(const char *s)
{
    int high, low;

    if (s[0] != '%' || (high = token_hex(s[1])) < 0 ||
        (low = token_hex(s[2])) < 0)
        return -1;
    return high * 16 + low;
}

#endif
