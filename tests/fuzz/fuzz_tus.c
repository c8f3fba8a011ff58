/*
 * Fuzzing of the tus fields. The metadata that is read is written again and
 * must be read the same; the rest must keep to its buffers.
 */
#include <nettle/base64.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/tus.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CEILING = 1 << 20 };

static void check(bool ok)
{
    if (!ok)
        abort();
}

static bool write_pair(void *ctx, const char *key, size_t key_len,
                       const char *value, size_t value_len)
{
    struct buf *out = ctx;
    size_t len = BASE64_ENCODE_RAW_LENGTH(value_len);
    char *base64 = malloc(len + 1);

    check(base64 && key_len > 0);
    base64_encode_raw(base64, value_len, (const uint8_t *)value);
    if (out->len > 0)
        buf_puts(out, ",");
    buf_append(out, key, key_len);
    buf_puts(out, " ");
    buf_append(out, base64, len);
    free(base64);
    return true;
}

/* The field in the one form that every client would write. */
static bool rewrite(const char *field, struct buf *out)
{
    struct buf scratch;
    bool ok;

    buf_init(&scratch, CEILING);
    buf_init(out, CEILING);
    ok = tus_metadata_each(field, &scratch, write_pair, out);
    buf_free(&scratch);
    check(!buf_failed(out));
    return ok;
}

static void check_metadata(const char *field)
{
    struct buf once, twice;

    if (rewrite(field, &once)) {
        check(tus_metadata_fault(field) == NULL);
        check(rewrite(buf_text(&once), &twice));
        check(strcmp(buf_text(&once), buf_text(&twice)) == 0);
        buf_free(&twice);
    } else {
        check(tus_metadata_fault(field) != NULL && once.len == 0);
    }
    buf_free(&once);
}

static void check_checksum(const char *field)
{
    char algorithm[TUS_ALGORITHM_MAX];
    unsigned char value[TUS_CHECKSUM_MAX];
    size_t len, name_len;

    if (!tus_checksum(field, algorithm, value, &len))
        return;
    name_len = strlen(algorithm);
    check(len > 0 && len <= TUS_CHECKSUM_MAX);
    check(name_len > 0 && name_len < TUS_ALGORITHM_MAX);
    check(strlen(field) == name_len + 1 + BASE64_ENCODE_RAW_LENGTH(len));
}

static void check_concat(const char *field)
{
    enum tus_concat kind = tus_concat(field);
    const char *at = field, *before = field;
    size_t count = 0;
    char path[16];

    while (tus_concat_next(&at, path, sizeof path)) {
        check(at > before && at <= field + strlen(field));
        check(strcspn(path, "?# \t") == strlen(path));
        check(strlen(path) < sizeof path && !strpbrk(path, "?# \t"));
        before = at;
        count++;
    }
    check(kind != TUS_CONCAT_FINAL || count > 0);
    check(kind != TUS_CONCAT_PARTIAL || count == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *field = malloc(size + 1);

    check(field);
    memcpy(field, data, size);
    field[size] = '\0';
    check_metadata(field);
    check_checksum(field);
    check_concat(field);
    free(field);
    return 0;
}
