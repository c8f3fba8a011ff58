/*
 * A growable byte buffer with a named ceiling. Once an append would pass the
 * ceiling or memory runs out, the buffer is marked failed, keeps what it has
 * and ignores further appends; callers check buf_failed() once at the end.
 * The bytes are always followed by a NUL that is not counted.
 */
#ifndef SLIPWAY_BASE_BUF_H
#define SLIPWAY_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

struct buf {
    char *data;     /* NULL before the first byte, else NUL-terminated */
    size_t len;     /* bytes used, without the NUL */
    size_t cap;     /* bytes allocated */
    size_t ceiling; /* len never passes this */
    bool failed;    /* an append did not fit */
};

void buf_init(struct buf *b, size_t ceiling);
void buf_free(struct buf *b);
void buf_clear(struct buf *b); /* empties it and forgets a failure */

void buf_append(struct buf *b, const void *bytes, size_t len);
void buf_puts(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

bool buf_failed(const struct buf *b);
const char *buf_text(const struct buf *b); /* never NULL */

#endif
