/*
 * Fuzzing of query strings. Both readers must agree on every name, and what
 * is encoded must decode to itself.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "http/query.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { CAP = 512 };

static void check(bool ok)
{
    if (!ok)
        abort();
}

static void check_readers(const char *query)
{
    char name[CAP], value[CAP], got[CAP];
    enum query_result result;
    size_t pos = 0, before = 0;

    while ((result = query_next(query, &pos, name, sizeof name, value,
                                sizeof value)) != QUERY_ABSENT) {
        check(pos > before && pos <= strlen(query));
        before = pos;
        if (result == QUERY_BAD)
            continue;
        check(text_is_utf8(name, strlen(name)) &&
              text_is_utf8(value, strlen(value)));
        result = query_get(query, name, got, sizeof got);
        check(result != QUERY_ABSENT);
        if (result == QUERY_FOUND)
            check(strcmp(got, value) == 0);
    }
}

static void check_round_trip(const char *text, size_t len)
{
    char back[CAP];
    struct buf b;

    buf_init(&b, 1 << 20);
    buf_puts(&b, "x=");
    percent_encode(&b, text);
    check(!buf_failed(&b));
    if (len < CAP && text_is_utf8(text, len))
        check(query_get(buf_text(&b), "x", back, sizeof back) == QUERY_FOUND &&
              strcmp(back, text) == 0);
    else
        check(query_get(buf_text(&b), "x", back, sizeof back) == QUERY_BAD);
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = malloc(size + 1);

    check(text);
    memcpy(text, data, size);
    text[size] = '\0';
    check_readers(text);
    check_round_trip(text, strlen(text));
    free(text);
    return 0;
}
