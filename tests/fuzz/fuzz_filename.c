/*
 * Fuzzing of file names: what comes out is safe whatever goes in, and
 * cleaning it again changes nothing.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/text.h"
#include "http/filename.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_name(const char *name)
{
    char again[FILENAME_MAX_BYTES + 1];
    utf8proc_uint8_t *nfc;
    size_t len = strlen(name), i;

    check(len > 0 && len <= FILENAME_MAX_BYTES);
    check(text_is_utf8(name, len));
    check(!strpbrk(name, "/\\:*?\"<>|"));
    check(!strchr(".-~ ", name[0]));
    check(name[len - 1] != '.' && name[len - 1] != ' ');
    check(!text_ends_ci(name, ".php") && !text_equal_ci(name, "web.config"));
    for (i = 0; i < len; i++)
        check((unsigned char)name[i] >= ' ' && name[i] != 0x7f);
    nfc = utf8proc_NFC((const utf8proc_uint8_t *)name);
    check(nfc && strcmp((char *)nfc, name) == 0);
    free(nfc);
    check(filename_clean(name, again) && strcmp(again, name) == 0);
}

static void check_path(const char *path)
{
    char out[FILENAME_PATH_MAX + 1], again[FILENAME_PATH_MAX + 1];
    char *part, *next;
    int depth = 0;

    if (!filename_clean_path(path, out))
        return;
    check(strlen(out) <= FILENAME_PATH_MAX);
    check(filename_clean_path(out, again) && strcmp(again, out) == 0);
    for (part = out; part; part = next, depth++) {
        next = strchr(part, '/');
        if (next)
            *next++ = '\0';
        check_name(part);
    }
    check(depth <= FILENAME_DEPTH_MAX + 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char name[FILENAME_MAX_BYTES + 1], numbered[FILENAME_MAX_BYTES + 1];
    char *text = malloc(size + 1);

    check(text);
    memcpy(text, data, size);
    text[size] = '\0';
    if (filename_clean(text, name)) {
        check_name(name);
        filename_numbered(name, (unsigned)size, numbered);
        check(strcmp(name, numbered) != 0);
        check_name(numbered);
    }
    check_path(text);
    free(text);
    return 0;
}
