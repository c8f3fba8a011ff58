/*
 * The rule when a body is complete, for all transports. No state of its own.
 */
#include "http/body.h"

#include <inttypes.h>

static enum body_result surplus(const struct body *b, struct error *e)
{
    error_set(e, ERR_BAD_REQUEST,
              "The body is longer than its Content-Length of %" PRIu64 ".",
              b->length);
    return BODY_FAILED;
}

enum body_result body_next(struct body *b, const void **data, size_t *len,
                           int wait_ms, struct error *e)
{
    enum body_result r = b->next(b, data, len, wait_ms, e);

    if (r == BODY_DATA) {
        b->received += *len;
        if (b->received > b->length)
            return surplus(b, e);
    }
    if (r == BODY_END && b->length != BODY_LENGTH_UNKNOWN &&
        b->received < b->length) {
        error_set(e, ERR_TRUNCATED,
                  "The body ended after %" PRIu64 " of %" PRIu64 " bytes.",
                  b->received, b->length);
        return BODY_FAILED;
    }
    return r;
}
