/*
 * A request body as it arrives. The gateway implements it, handlers read it;
 * this is one half of the seam between them.
 *
 * Bytes are lent, not copied: they stay valid until the next call. A body
 * counts as complete only if the transport says that it ended in order and
 * exactly the announced number of bytes came (or no number was announced).
 */
#ifndef SLIPWAY_HTTP_BODY_H
#define SLIPWAY_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define BODY_LENGTH_UNKNOWN UINT64_MAX

enum body_result {
    BODY_DATA,  /* *data and *len are set, *len > 0 */
    BODY_END,   /* the body is complete */
    BODY_WAIT,  /* nothing came within wait_ms; ask again */
    BODY_FAILED /* it will never be complete; e says why */
};

struct body_file;

struct body {
    /* Set by the transport. Its BODY_END means an orderly end of stream. */
    enum body_result (*next)(struct body *b, const void **data, size_t *len,
                             int wait_ms, struct error *e);
    uint64_t length;   /* announced bytes, or BODY_LENGTH_UNKNOWN */
    uint64_t received; /* bytes handed out so far */
    bool may_be_cut;   /* sent without length, and the front server may end it
                          in order though its sender did not */
    /* NULL, or where all of the body lies, to be moved away by whoever wants
     * it. */
    const struct body_file *file;
};

struct body_file {
    int dir;          /* open directory */
    const char *path; /* of a file below it */
};

/* The next piece, waiting for at most wait_ms milliseconds. */
enum body_result body_next(struct body *b, const void **data, size_t *len,
                           int wait_ms, struct error *e);

#endif
