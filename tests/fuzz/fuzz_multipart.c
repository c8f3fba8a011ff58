/*
 * Fuzzing of the form parser. The body is fed whole and again in pieces; the
 * events and the result must be the same. The first byte of the input says
 * how to cut, the rest is the body, under the boundary of the corpus.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "http/multipart.h"

#define TYPE "multipart/form-data; boundary=XyZ"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool ok)
{
    if (!ok)
        abort();
}

static enum error_code on_begin(void *ctx, const struct multipart_part *part,
                                struct error *e)
{
    (void)e;
    check(part->name && *part->name != '\0');
    buf_printf(ctx, "<%s|%s|%s>", part->name,
               part->filename ? part->filename : "-",
               part->type ? part->type : "-");
    return ERR_NONE;
}

static enum error_code on_data(void *ctx, const void *data, size_t len,
                               struct error *e)
{
    (void)e;
    check(len > 0);
    buf_append(ctx, data, len);
    return ERR_NONE;
}

static enum error_code on_end(void *ctx, struct error *e)
{
    (void)e;
    buf_puts(ctx, "</>");
    return ERR_NONE;
}

static const struct multipart_events events = {on_begin, on_data, on_end};

/* seed 0 feeds the body whole; else it drives the lengths of the pieces. */
static enum error_code run(const uint8_t *body, size_t len, uint32_t seed,
                           struct buf *log)
{
    struct multipart *m = multipart_new(TYPE, &events, log, NULL);
    enum error_code code = ERR_NONE;

    check(m);
    while (len > 0 && code == ERR_NONE) {
        size_t n = len;
        uint8_t *piece;

        if (seed > 0) {
            seed = seed * 1664525u + 1013904223u;
            n = 1 + (seed >> 24) % (1 + (seed >> 8) % 16);
            n = n < len ? n : len;
        }
        piece = malloc(n);
        check(piece);
        memcpy(piece, body, n);
        code = multipart_feed(m, piece, n, NULL);
        free(piece);
        body += n;
        len -= n;
    }
    if (code == ERR_NONE)
        code = multipart_end(m, NULL);
    check(code == ERR_NONE || code == ERR_BAD_MULTIPART ||
          code == ERR_TRUNCATED);
    check(code != ERR_NONE || multipart_closed(m));
    multipart_free(m);
    return code;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf whole, pieces;

    if (size == 0)
        return 0;
    buf_init(&whole, 1 << 24);
    buf_init(&pieces, 1 << 24);
    check(run(data + 1, size - 1, 0, &whole) ==
          run(data + 1, size - 1, data[0] + 1u, &pieces));
    check(whole.len == pieces.len &&
          memcmp(buf_text(&whole), buf_text(&pieces), whole.len) == 0);
    buf_free(&whole);
    buf_free(&pieces);
    return 0;
}
