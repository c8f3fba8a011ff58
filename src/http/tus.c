/*
 * The grammars of the tus header fields. Every reader takes the place where
 * its part starts and looks no further than the NUL at the end.
 *
 * Pure; safe from any thread.
 */
#include "http/tus.h"

#include <string.h>

#include "http/base64.h"
#include "http/token.h"

struct pair {
    const char *key;    /* in the field, not terminated */
    size_t key_len;     /* bytes */
    const char *base64; /* in the field, well formed */
    size_t base64_len;  /* characters, may be 0 */
};

static bool is_key_char(char c)
{
    return (unsigned char)c > ' ' && c != 0x7f && c != ',';
}

/* Reads the pair at *s and the blanks behind it. Gives what is wrong. */
static const char *read_pair(const char **s, struct pair *pair)
{
    const char *p = *s;
    size_t size;

    pair->key = p;
    while (is_key_char(*p))
        p++;
    pair->key_len = (size_t)(p - pair->key);
    if (pair->key_len != strcspn(pair->key, ", \t"))
        return "A key has control characters.";
    if (pair->key_len == 0)
        return "A key is empty.";
    pair->base64 = *p == ' ' ? p + 1 : p;
    pair->base64_len = *p == ' ' ? strcspn(p + 1, ", \t") : 0;
    p = token_skip_blanks(pair->base64 + pair->base64_len);
    if (*p != ',' && *p != '\0')
        return "There is more between two commas than a key, one space and a "
               "value.";
    if (!base64_size(pair->base64, pair->base64_len, &size))
        return "A value is not padded base64.";
    *s = p;
    return NULL;
}

static bool same_key(const struct pair *a, const struct pair *b)
{
    return a->key_len == b->key_len && memcmp(a->key, b->key, a->key_len) == 0;
}

/* Reads a whole field. Gives what is wrong, or NULL. */
static const char *read_pairs(const char *field,
                              struct pair pairs[TUS_METADATA_PAIRS],
                              size_t *count)
{
    const char *s = token_skip_blanks(field ? field : "");
    const char *fault;
    size_t i;

    *count = 0;
    if (*s == '\0')
        return NULL;
    for (;;) {
        if (*count == TUS_METADATA_PAIRS)
            return "There are too many pairs.";
        if ((fault = read_pair(&s, &pairs[*count])) != NULL)
            return fault;
        for (i = 0; i < *count; i++)
            if (same_key(&pairs[i], &pairs[*count]))
                return "A key is there twice.";
        ++*count;
        if (*s == '\0')
            return NULL;
        s = token_skip_blanks(s + 1);
    }
}

const char *tus_metadata_fault(const char *field)
{
    struct pair pairs[TUS_METADATA_PAIRS];
    size_t count;

    return read_pairs(field, pairs, &count);
}

/* Puts the value of a pair in scratch, in place of what was there. */
static bool decode_value(const struct pair *pair, struct buf *scratch)
{
    unsigned char bytes[96];
    enum { STEP = sizeof bytes / 3 * 4 };
    size_t done, size;

    buf_clear(scratch);
    for (done = 0; done < pair->base64_len; done += STEP) {
        size_t left = pair->base64_len - done;

        if (!base64_decode(pair->base64 + done, left < STEP ? left : STEP,
                           bytes, sizeof bytes, &size))
            return false;
        buf_append(scratch, bytes, size);
    }
    return !buf_failed(scratch);
}

bool tus_metadata_each(const char *field, struct buf *scratch,
                       tus_metadata_pair *pair, void *ctx)
{
    struct pair pairs[TUS_METADATA_PAIRS];
    size_t count, i;

    if (read_pairs(field, pairs, &count))
        return false;
    for (i = 0; i < count; i++)
        if (!decode_value(&pairs[i], scratch) ||
            !pair(ctx, pairs[i].key, pairs[i].key_len, buf_text(scratch),
                  scratch->len))
            return false;
    return true;
}

bool tus_checksum(const char *field, char algorithm[TUS_ALGORITHM_MAX],
                  unsigned char value[TUS_CHECKSUM_MAX], size_t *len)
{
    size_t name_len;

    *len = 0;
    algorithm[0] = '\0';
    if (!field)
        return false;
    name_len = token_span(field);
    if (name_len == 0 || name_len >= TUS_ALGORITHM_MAX ||
        field[name_len] != ' ')
        return false;
    memcpy(algorithm, field, name_len);
    algorithm[name_len] = '\0';
    field += name_len + 1;
    return base64_decode(field, strlen(field), value, TUS_CHECKSUM_MAX, len) &&
           *len > 0;
}

/* Behind "final;", or NULL if a field does not start so. */
static const char *final_list(const char *field)
{
    static const char prefix[] = "final;";

    return strncmp(field, prefix, strlen(prefix)) == 0 ? field + strlen(prefix)
                                                       : NULL;
}

enum tus_concat tus_concat(const char *field)
{
    const char *list;

    if (!field)
        return TUS_CONCAT_NONE;
    if (strcmp(field, "partial") == 0)
        return TUS_CONCAT_PARTIAL;
    list = final_list(field);
    return list && *token_skip_blanks(list) != '\0' ? TUS_CONCAT_FINAL
                                                    : TUS_CONCAT_BAD;
}

/* The length of a scheme (RFC 3986 section 3.1) and its colon, or 0. */
static size_t scheme_span(const char *url)
{
    size_t n = 0;

    if (url[0] >= '0' && url[0] <= '9')
        return 0;
    while (token_is_alnum(url[n]) ||
           (n > 0 && url[n] != '\0' && strchr("+-.", url[n])))
        n++;
    return n > 0 && url[n] == ':' ? n + 1 : 0;
}

/* Where the path of a URL starts; where it ends, if it has no authority but a
 * scheme, and so is no place on a server. */
static const char *find_path(const char *url)
{
    const char *p = url + scheme_span(url);

    if (p[0] == '/' && p[1] == '/')
        return p + 2 + strcspn(p + 2, "/?# \t");
    return p == url ? url : p + strcspn(p, "?# \t");
}

bool tus_concat_next(const char **at, char *path, size_t cap)
{
    const char *s = *at;
    const char *start;
    size_t len;

    path[0] = '\0';
    if (s && *s != '\0' && !token_is_blank(*s))
        s = final_list(s);
    if (!s)
        return false;
    s = token_skip_blanks(s);
    *at = s + strcspn(s, " \t");
    start = find_path(s);
    len = strcspn(start, "?# \t");
    if (len < cap) {
        memcpy(path, start, len);
        path[len] = '\0';
    }
    return *s != '\0';
}
