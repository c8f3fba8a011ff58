/*
 * Byte strings of the HTTP cases: see spell.h. No state.
 */
#include "spell.h"

#include <stdlib.h>
#include <string.h>

#include <nettle/base64.h>

#include "base/buf.h"
#include "base/text.h"

enum { SPELLED_MAX = 64 * 1024 * 1024 };

static struct bytes keep(struct arena *a, const void *data, size_t len)
{
    char *copy = arena_alloc(a, len + 1);

    if (copy && len > 0)
        memcpy(copy, data, len);
    return (struct bytes){copy, len};
}

/* UTF-8 to bytes: U+0080 to U+00FF are C2 or C3 and one more byte. */
static bool add_characters(struct buf *out, const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c > 0xC3)
            return false;
        if (c >= 0x80)
            c = (unsigned char)((c & 0x03) << 6 | (s[++i] & 0x3F));
        buf_append(out, &c, 1);
    }
    return true;
}

static bool add_base64(struct buf *out, const char *text)
{
    struct base64_decode_ctx ctx;
    size_t len = strlen(text);
    size_t done;
    uint8_t *bytes = malloc(BASE64_DECODE_LENGTH(len) + 1);
    bool ok;

    base64_decode_init(&ctx);
    ok = bytes && base64_decode_update(&ctx, &done, bytes, len, text) &&
         base64_decode_final(&ctx);
    if (ok)
        buf_append(out, bytes, done);
    free(bytes);
    return ok;
}

static bool add_repeated(struct buf *out, const json_t *unit,
                         const json_t *times)
{
    size_t start = out->len;

    if (!json_is_string(unit) || !json_is_integer(times) ||
        !add_characters(out, json_string_value(unit), json_string_length(unit)))
        return false;

    size_t len = out->len - start;
    char *copy = malloc(len + 1);
    if (!copy)
        return false;
    memcpy(copy, buf_text(out) + start, len);
    for (json_int_t i = 1; i < json_integer_value(times); i++)
        buf_append(out, copy, len);
    free(copy);
    return json_integer_value(times) > 0;
}

static bool add(struct buf *out, const json_t *value)
{
    size_t i;
    json_t *part;

    if (!value)
        return true;
    if (json_is_string(value))
        return add_characters(out, json_string_value(value),
                              json_string_length(value));
    if (json_is_array(value)) {
        json_array_foreach(value, i, part) if (!add(out, part)) return false;
        return true;
    }
    part = json_object_get(value, "b64");
    if (part)
        return json_is_string(part) && add_base64(out, json_string_value(part));
    return add_repeated(out, json_object_get(value, "repeat"),
                        json_object_get(value, "times"));
}

struct bytes spell(struct arena *a, const json_t *value)
{
    struct bytes result = {NULL, 0};
    struct buf b;

    buf_init(&b, SPELLED_MAX);
    if (add(&b, value) && !buf_failed(&b))
        result = keep(a, buf_text(&b), b.len);
    buf_free(&b);
    return result;
}

/* Where the reference at s ends, if there is one: "${name}". */
static const char *reference_end(const char *s)
{
    size_t len;

    if (s[0] != '$' || s[1] != '{')
        return NULL;
    len = strspn(s + 2, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return len > 0 && s[2 + len] == '}' ? s + 2 + len : NULL;
}

struct bytes spell_fill(struct arena *a, struct bytes text,
                        const json_t *captured)
{
    struct bytes result = {NULL, 0};
    bool known = text.data != NULL;
    struct buf b;

    buf_init(&b, SPELLED_MAX);
    for (size_t i = 0; known && i < text.len; i++) {
        const char *end = reference_end(text.data + i);

        if (!end) {
            buf_append(&b, text.data + i, 1);
            continue;
        }
        const char *name = arena_strndup(a, text.data + i + 2,
                                         (size_t)(end - text.data) - i - 2);
        const json_t *value = name ? json_object_get(captured, name) : NULL;
        known = value != NULL;
        if (known)
            buf_append(&b, json_string_value(value), json_string_length(value));
        i = (size_t)(end - text.data);
    }
    if (known && !buf_failed(&b))
        result = keep(a, buf_text(&b), b.len);
    buf_free(&b);
    return result;
}

struct bytes spell_filled(struct arena *a, const json_t *value,
                          const json_t *captured)
{
    return spell_fill(a, spell(a, value), captured);
}

json_t *spell_member(const json_t *value, const char *path)
{
    json_t *found = NULL;

    while (value) {
        size_t len = strcspn(path, ".");
        uint64_t index;

        if (!json_is_array(value))
            found = json_object_getn(value, path, len);
        else if (text_parse_u64(path, len, &index))
            found = json_array_get(value, (size_t)index);
        else
            found = NULL;
        if (path[len] == '\0')
            return found;
        value = found;
        path += len + 1;
    }
    return NULL;
}
