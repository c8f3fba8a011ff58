/*
 * Fuzzing of structured fields. A field is read as an Item, as a Dictionary
 * and as what an Item becomes inside one; they must agree.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "http/structured.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CAP = 16 };

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_integer(const char *field, int64_t value)
{
    int64_t again;
    struct buf b;

    check(value >= -INT64_C(999999999999999) &&
          value <= INT64_C(999999999999999));
    /* what may stand as a field may stand as a member */
    field += strspn(field, " ");
    buf_init(&b, 1 << 20);
    buf_printf(&b, "k=(%s), a=1;b=?0, a=%s", "1 2", field);
    check(!buf_failed(&b));
    check(structured_member_integer(buf_text(&b), "a", &again) ==
          STRUCTURED_FOUND);
    check(again == value);
    check(structured_member_integer(buf_text(&b), "z", &again) ==
          STRUCTURED_ABSENT);
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum structured_result as_integer, as_bytes, as_none;
    unsigned char bytes[CAP];
    int64_t integer;
    bool boolean;
    size_t len;
    char *field = malloc(size + 1);

    check(field);
    memcpy(field, data, size);
    field[size] = '\0';
    if (structured_integer(field, &integer) == STRUCTURED_FOUND) {
        check_integer(field, integer);
        check(structured_boolean(field, &boolean) == STRUCTURED_BAD);
    }
    as_integer = structured_member_integer(field, "a", &integer);
    as_bytes = structured_member_bytes(field, "a", bytes, CAP, &len);
    as_none = structured_member_integer(field, "", &integer);
    check(len <= CAP && (as_bytes == STRUCTURED_FOUND || len == 0));
    check(as_integer != STRUCTURED_FOUND || as_bytes == STRUCTURED_BAD);
    check((as_integer == STRUCTURED_ABSENT) == (as_bytes == STRUCTURED_ABSENT));
    /* no member has an empty key, so that only tells if it is well formed */
    check(as_none != STRUCTURED_FOUND);
    check(as_none == STRUCTURED_ABSENT || as_integer == STRUCTURED_BAD);
    free(field);
    return 0;
}
