/*
 * The parsing algorithms of RFC 9651 section 4.2, for Items and Dictionaries.
 * Each reader takes the place where its production starts and gives the place
 * behind it, or NULL if the field is malformed. Inner Lists do not nest, so
 * nothing here recurses.
 *
 * Pure; safe from any thread.
 */
#include "http/structured.h"

#include <string.h>

#include "base/text.h"
#include "http/base64.h"
#include "http/token.h"

enum { INTEGER_DIGITS = 15, WHOLE_DIGITS = 12, FRACTION_DIGITS = 3 };

enum type {
    TYPE_INTEGER,
    TYPE_BOOLEAN,
    TYPE_BYTES,
    TYPE_OTHER /* well formed, and nothing that anyone asks for */
};

struct value {
    enum type type;     /* which of the next counts */
    int64_t integer;    /* 0 or 1 if Boolean */
    const char *base64; /* in the field, well formed */
    size_t base64_len;  /* characters */
};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static const char *skip_spaces(const char *s)
{
    while (*s == ' ')
        s++;
    return s;
}

/* Integer or Decimal (section 4.2.4). */
static const char *read_number(const char *s, struct value *value)
{
    bool negative = *s == '-';
    size_t whole = 0, fraction = 0;
    int64_t integer = 0;

    for (s += negative; is_digit(*s); s++) {
        if (++whole > INTEGER_DIGITS)
            return NULL;
        integer = integer * 10 + (*s - '0');
    }
    if (whole == 0)
        return NULL;
    value->type = TYPE_INTEGER;
    value->integer = negative ? -integer : integer;
    if (*s != '.')
        return s;
    for (s++; is_digit(*s); s++)
        fraction++;
    if (whole > WHOLE_DIGITS || fraction == 0 || fraction > FRACTION_DIGITS)
        return NULL;
    value->type = TYPE_OTHER;
    return s;
}

/* String (section 4.2.5). */
static const char *read_string(const char *s)
{
    for (s++; *s != '"'; s++) {
        if (*s == '\\' && *++s != '"' && *s != '\\')
            return NULL;
        if (*s < ' ' || *s > '~')
            return NULL;
    }
    return s + 1;
}

/* Token (section 4.2.6). */
static const char *read_token(const char *s)
{
    while (token_is_char(*s) || *s == ':' || *s == '/')
        s++;
    return s;
}

/* Byte Sequence (section 4.2.7). */
static const char *read_bytes(const char *s, struct value *value)
{
    const char *end = strchr(s + 1, ':');
    size_t size;

    if (!end)
        return NULL;
    value->type = TYPE_BYTES;
    value->base64 = s + 1;
    value->base64_len = (size_t)(end - value->base64);
    return base64_size(value->base64, value->base64_len, &size) ? end + 1
                                                                : NULL;
}

/* Boolean (section 4.2.8). */
static const char *read_boolean(const char *s, struct value *value)
{
    if (s[1] != '0' && s[1] != '1')
        return NULL;
    value->type = TYPE_BOOLEAN;
    value->integer = s[1] - '0';
    return s + 2;
}

/* Date (section 4.2.9): an Integer behind the '@'. */
static const char *read_date(const char *s, struct value *value)
{
    s = read_number(s + 1, value);
    if (!s || value->type != TYPE_INTEGER)
        return NULL;
    value->type = TYPE_OTHER;
    return s;
}

/* The octet of a Display String that s begins with, or -1. */
static int display_octet(const char *s)
{
    if (*s != '%')
        return *s >= ' ' && *s <= '~' ? *s : -1;
    if (!is_digit(s[1]) && !is_lower(s[1]))
        return -1;
    return is_digit(s[2]) || is_lower(s[2]) ? token_percent(s) : -1;
}

/* Bytes of the UTF-8 sequence that a byte leads, if it leads one at all. */
static size_t utf8_length(int lead)
{
    if (lead < 0x80)
        return 1;
    return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* Display String (section 4.2.10). */
static const char *read_display(const char *s)
{
    char sequence[4];
    size_t i, length;
    int octet;

    if (s[1] != '"')
        return NULL;
    for (s += 2; *s != '"';) {
        length = utf8_length(display_octet(s));
        for (i = 0; i < length; i++) {
            if ((octet = display_octet(s)) < 0)
                return NULL;
            sequence[i] = (char)octet;
            s += *s == '%' ? 3 : 1;
        }
        if (!text_is_utf8(sequence, length))
            return NULL;
    }
    return s + 1;
}

/* Bare Item (section 4.2.3.1). */
static const char *read_bare_item(const char *s, struct value *value)
{
    value->type = TYPE_OTHER;
    switch (*s) {
    case '"':
        return read_string(s);
    case ':':
        return read_bytes(s, value);
    case '?':
        return read_boolean(s, value);
    case '@':
        return read_date(s, value);
    case '%':
        return read_display(s);
    case '*':
        return read_token(s);
    default:
        if (*s == '-' || is_digit(*s))
            return read_number(s, value);
        return token_is_alnum(*s) ? read_token(s) : NULL;
    }
}

/* Key (section 4.2.3.3). */
static const char *read_key(const char *s)
{
    if (!is_lower(*s) && *s != '*')
        return NULL;
    while (is_lower(*s) || is_digit(*s) || (*s != '\0' && strchr("_-.*", *s)))
        s++;
    return s;
}

/* Parameters (section 4.2.3.2), of which none matters here. */
static const char *read_parameters(const char *s)
{
    struct value skipped;

    while (s && *s == ';') {
        s = read_key(skip_spaces(s + 1));
        if (s && *s == '=')
            s = read_bare_item(s + 1, &skipped);
    }
    return s;
}

/* Item (section 4.2.3). */
static const char *read_item(const char *s, struct value *value)
{
    s = read_bare_item(s, value);
    return s ? read_parameters(s) : NULL;
}

/* Inner List (section 4.2.1.2). */
static const char *read_inner_list(const char *s, struct value *value)
{
    for (s = skip_spaces(s + 1); *s != ')'; s = skip_spaces(s)) {
        s = read_item(s, value);
        if (!s || (*s != ' ' && *s != ')'))
            return NULL;
    }
    value->type = TYPE_OTHER;
    return read_parameters(s + 1);
}

/* What follows the key of a Dictionary's member; no '=' stands for true. */
static const char *read_member(const char *s, struct value *value)
{
    if (*s == '=')
        return s[1] == '(' ? read_inner_list(s + 1, value)
                           : read_item(s + 1, value);
    value->type = TYPE_BOOLEAN;
    value->integer = 1;
    return read_parameters(s);
}

/* Dictionary (section 4.2.2); value is set if the key is found. */
static enum structured_result find_member(const char *field, const char *key,
                                          struct value *value)
{
    enum structured_result result = STRUCTURED_ABSENT;
    size_t key_len = strlen(key);
    const char *s, *name;
    struct value read;

    if (!field || *(s = skip_spaces(field)) == '\0')
        return STRUCTURED_ABSENT;
    for (;;) {
        bool matches;

        name = s;
        if (!(s = read_key(name)))
            return STRUCTURED_BAD;
        matches = (size_t)(s - name) == key_len &&
                  memcmp(name, key, key_len) == 0;
        if (!(s = read_member(s, &read)))
            return STRUCTURED_BAD;
        if (matches) {
            *value = read;
            result = STRUCTURED_FOUND;
        }
        s = token_skip_blanks(s);
        if (*s == '\0')
            return result;
        if (*s != ',')
            return STRUCTURED_BAD;
        s = token_skip_blanks(s + 1);
    }
}

/* A field that is one Item of the wanted type. */
static enum structured_result whole_item(const char *field, enum type type,
                                         struct value *value)
{
    const char *s;

    if (!field)
        return STRUCTURED_ABSENT;
    s = read_item(skip_spaces(field), value);
    return s && *skip_spaces(s) == '\0' && value->type == type
               ? STRUCTURED_FOUND
               : STRUCTURED_BAD;
}

enum structured_result structured_integer(const char *field, int64_t *out)
{
    struct value value;
    enum structured_result result = whole_item(field, TYPE_INTEGER, &value);

    if (result == STRUCTURED_FOUND)
        *out = value.integer;
    return result;
}

enum structured_result structured_boolean(const char *field, bool *out)
{
    struct value value;
    enum structured_result result = whole_item(field, TYPE_BOOLEAN, &value);

    if (result == STRUCTURED_FOUND)
        *out = value.integer == 1;
    return result;
}

enum structured_result structured_member_bytes(const char *field,
                                               const char *key,
                                               unsigned char *out, size_t cap,
                                               size_t *len)
{
    struct value value;
    enum structured_result result = find_member(field, key, &value);

    *len = 0;
    if (result != STRUCTURED_FOUND)
        return result;
    return value.type == TYPE_BYTES &&
                   base64_decode(value.base64, value.base64_len, out, cap, len)
               ? STRUCTURED_FOUND
               : STRUCTURED_BAD;
}

enum structured_result structured_member_integer(const char *field,
                                                 const char *key, int64_t *out)
{
    struct value value;
    enum structured_result result = find_member(field, key, &value);

    if (result != STRUCTURED_FOUND)
        return result;
    if (value.type != TYPE_INTEGER)
        return STRUCTURED_BAD;
    *out = value.integer;
    return STRUCTURED_FOUND;
}
