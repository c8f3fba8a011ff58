/*
 * Requests without a network. One thread per call.
 */
#include "transport.h"

#include <string.h>

#include "gateway/exchange.h"

enum { SCRATCH_SIZE = 4096 };

struct memory {
    struct body body; /* first: the body is found from it */
    const struct memory_request *mr;
    size_t pos; /* bytes of the body handed out */
    struct buf *out;
    char scratch[SCRATCH_SIZE]; /* for sending files */
};

static enum body_result next(struct body *b, const void **data, size_t *len,
                             int wait_ms, struct error *e)
{
    struct memory *m = (struct memory *)b;
    size_t left = m->mr->body_len - m->pos;

    (void)wait_ms;
    if (left == 0 && m->mr->cut) {
        error_set(e, ERR_CLIENT_GONE, "The connection was closed.");
        return BODY_FAILED;
    }
    if (left == 0)
        return BODY_END;
    *len = m->mr->piece && m->mr->piece < left ? m->mr->piece : left;
    *data = (const char *)m->mr->body + m->pos;
    m->pos += *len;
    return BODY_DATA;
}

static const char *variable(const void *ctx, const char *name)
{
    const struct memory_request *mr = ctx;

    for (size_t i = 0; i < mr->variable_count; i++)
        if (strcmp(mr->variables[i].name, name) == 0)
            return mr->variables[i].value;
    return NULL;
}

static bool put(void *ctx, const void *data, size_t len)
{
    struct memory *m = ctx;

    buf_append(m->out, data, len);
    return !buf_failed(m->out);
}

static bool flush(void *ctx)
{
    (void)ctx;
    return true;
}

static bool gone(void *ctx)
{
    const struct memory *m = ctx;

    return buf_failed(m->out);
}

void memory_serve(struct app *app, const struct memory_request *mr,
                  struct buf *out)
{
    struct memory m = {.mr = mr, .out = out};
    struct request req = {
        .variable = variable, .variable_ctx = mr, .body = &m.body};
    struct transport t = {put, flush, gone, &m, m.scratch, sizeof m.scratch};

    m.body.next = next;
    m.body.length = BODY_LENGTH_UNKNOWN;
    exchange_serve(app, &req, &t);
}
