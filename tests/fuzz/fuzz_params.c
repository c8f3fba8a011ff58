/*
 * Fuzzing of header parameters and Content-Disposition. The input is one
 * header value; a second one is made from it as if it were a file name, which
 * must be read back unless it is no name.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "http/disposition.h"
#include "http/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void read_all(const char *header)
{
    static const char *const names[] = {"name", "filename", "filename*",
                                        "boundary", "charset"};
    char small[8], large[256];
    size_t i;

    if (params_value(header, small, sizeof small))
        check(*small != '\0' && strlen(small) < sizeof small);
    for (i = 0; i < sizeof names / sizeof names[0]; i++) {
        enum params_result a = params_get(header, names[i], small,
                                          sizeof small);
        enum params_result b = params_get(header, names[i], large,
                                          sizeof large);

        check((a == PARAMS_ABSENT) == (b == PARAMS_ABSENT));
        if (a == PARAMS_FOUND)
            check(b == PARAMS_FOUND && strcmp(small, large) == 0);
        if (b == PARAMS_FOUND)
            check(!strpbrk(large, "\r\n\x1b\x7f"));
    }
    if (disposition_filename(header, large, sizeof large))
        check(*large != '\0' && !strpbrk(large, "/\\\r\n") &&
              text_is_utf8(large, strlen(large)));
}

/* A header holds printable ASCII whatever the name. */
static void write_name(const char *name)
{
    char back[4096];
    struct buf b;
    size_t i;
    bool control = false;

    buf_init(&b, 1 << 20);
    disposition_format(&b, false, name);
    check(!buf_failed(&b));
    for (i = 0; i < b.len; i++)
        check(b.data[i] >= ' ' && b.data[i] <= '~');
    for (i = 0; name[i] != '\0'; i++)
        control = control || (unsigned char)name[i] < ' ' || name[i] == 0x7f;
    if (!control && i > 0 && i < 1000 && !strpbrk(name, "/\\") &&
        text_is_utf8(name, i))
        check(disposition_filename(buf_text(&b), back, sizeof back) &&
              strcmp(back, name) == 0);
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    check(text);
    memcpy(text, data, size);
    text[size] = '\0';
    read_all(text);
    write_name(text);
    free(text);
    return 0;
}
