/*
 * Fuzzing of Accept and of media types. The input is a header value, a
 * declared type, a list of accepted types and a file name at once.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "http/accept.h"
#include "http/mediatype.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_accept(const char *text)
{
    enum accept_type a = accept_choose(text, ACCEPT_TEXT);
    enum accept_type b = accept_choose(text, ACCEPT_HTML);

    check(a == b || (a == ACCEPT_TEXT && b == ACCEPT_HTML));
}

static void check_types(const char *text)
{
    char type[MEDIATYPE_MAX], again[MEDIATYPE_MAX];
    const char *s;

    mediatype_effective(type, NULL, text);
    for (s = type; *s != '\0'; s++)
        check(*s > ' ' && *s < 0x7f && !strchr(",;\"<>", *s));
    mediatype_effective(again, NULL, type);
    check(strcmp(type, again) == 0);
    check(mediatype_accepted(type, "a", type));
    mediatype_effective(type, text, text);
    if (mediatype_is_inline_safe(type))
        check(strncmp(type, "image/svg", 9) != 0 &&
              strcmp(type, "text/html") != 0);
    (void)mediatype_accepted(text, "a.png", "image/png");
    (void)mediatype_accepted(text, text, text);
    (void)mediatype_is_inline_safe(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    check(text);
    memcpy(text, data, size);
    text[size] = '\0';
    check_accept(text);
    check_types(text);
    free(text);
    return 0;
}
