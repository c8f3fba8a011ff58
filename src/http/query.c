/*
 * Query strings and percent-encoding. Names are compared and values decoded
 * while reading, so nothing but the caller's buffers is used.
 *
 * Pure; safe from any thread.
 */
#include "http/query.h"

#include <string.h>

#include "base/text.h"
#include "http/token.h"

/* Decodes one name or value of len bytes. false for a bad escape, a NUL,
 * invalid UTF-8 or a result that does not fit. */
static bool decode(const char *s, size_t len, char *out, size_t cap)
{
    size_t i, n = 0;

    for (i = 0; i < len; i++) {
        char c = s[i] == '+' ? ' ' : s[i];

        if (s[i] == '%') {
            int byte = i + 2 < len ? token_percent(s + i) : -1;

            if (byte <= 0)
                return false;
            c = (char)byte;
            i += 2;
        }
        if (n + 1 >= cap)
            return false;
        out[n++] = c;
    }
    if (cap == 0)
        return false;
    out[n] = '\0';
    return text_is_utf8(out, n);
}

/* One `name=value` of a query; a missing '=' means an empty value. */
struct pair {
    const char *name;  /* not terminated */
    size_t name_len;   /* bytes */
    const char *value; /* not terminated */
    size_t value_len;  /* bytes */
};

static bool next_pair(const char *query, size_t *pos, struct pair *pair)
{
    const char *s = query + *pos, *equals;
    size_t len;

    while (*s == '&')
        s++;
    len = strcspn(s, "&");
    *pos = (size_t)(s - query) + len;
    if (len == 0)
        return false;
    equals = memchr(s, '=', len);
    pair->name = s;
    pair->name_len = equals ? (size_t)(equals - s) : len;
    pair->value = equals ? equals + 1 : s + len;
    pair->value_len = (size_t)(s + len - pair->value);
    return true;
}

/* QUERY_FOUND if the encoded name is the one wanted, QUERY_BAD if it cannot
 * be decoded. */
static enum query_result compare(const char *s, size_t len, const char *name)
{
    bool same = true;
    size_t i;

    for (i = 0; i < len; i++) {
        int byte = s[i] == '+' ? ' ' : (unsigned char)s[i];

        if (s[i] == '%') {
            byte = i + 2 < len ? token_percent(s + i) : -1;
            if (byte <= 0)
                return QUERY_BAD;
            i += 2;
        }
        same = same && *name != '\0' && (unsigned char)*name == byte;
        if (same)
            name++;
    }
    return same && *name == '\0' ? QUERY_FOUND : QUERY_ABSENT;
}

enum query_result query_get(const char *query, const char *name, char *out,
                            size_t cap)
{
    enum query_result result = QUERY_ABSENT;
    struct pair pair;
    size_t pos = 0;

    if (!query)
        return QUERY_ABSENT;
    while (next_pair(query, &pos, &pair)) {
        enum query_result match = compare(pair.name, pair.name_len, name);

        if (match == QUERY_ABSENT)
            continue;
        if (match == QUERY_BAD || result == QUERY_FOUND ||
            !decode(pair.value, pair.value_len, out, cap))
            return QUERY_BAD;
        result = QUERY_FOUND;
    }
    return result;
}

enum query_result query_next(const char *query, size_t *pos, char *name,
                             size_t name_cap, char *value, size_t value_cap)
{
    struct pair pair;

    if (!query || !next_pair(query, pos, &pair))
        return QUERY_ABSENT;
    if (!decode(pair.name, pair.name_len, name, name_cap) ||
        !decode(pair.value, pair.value_len, value, value_cap))
        return QUERY_BAD;
    return QUERY_FOUND;
}

static void encode(struct buf *out, const char *s, const char *keep)
{
    static const char hex[] = "0123456789ABCDEF";

    while (*s != '\0') {
        size_t n = 0;

        while (token_is_alnum(s[n]) || (s[n] != '\0' && strchr(keep, s[n])))
            n++;
        if (n > 0) {
            buf_append(out, s, n);
            s += n;
        } else {
            unsigned char c = (unsigned char)*s++;
            char escape[3] = {'%', hex[c >> 4], hex[c & 15]};

            buf_append(out, escape, sizeof escape);
        }
    }
}

void percent_encode(struct buf *out, const char *s)
{
    encode(out, s, "-._~");
}

void percent_encode_path(struct buf *out, const char *s)
{
    encode(out, s, "-._~/");
}
