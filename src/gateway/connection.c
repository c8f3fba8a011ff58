/*
 * libfcgi, with the rules that it leaves to its user:
 * - it knows no time limit, and its buffer hides from poll what it has read
 *   already. So the socket gets a receive timeout; a read that times out
 *   leaves the stream marked as failed with EAGAIN, and the mark is taken off
 *   again. That is sound as long as no part of a record's header had been
 *   consumed, which its read pointer tells. A front server sends a header in
 *   one piece with what follows; one that stalls within it loses the upload;
 * - a short read is not the end of a body: only a stream that ended without
 *   an error is (FCGX_GetError);
 * - the connection is always closed after the request.
 */
#define _GNU_SOURCE
#include "gateway/connection.h"

#include <errno.h>
#include <fcgiapp.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    BUFFER_SIZE = 64 * 1024,
    BUFFER_ALIGN = 4096, /* the kernel copies whole pages faster */
    ROLE_RESPONDER = 1,  /* FCGI_RESPONDER of the FastCGI specification */
    PARAMS_WAIT_MS = 30 * 1000, /* a front server sends them at once */
    NAP_NS = 20 * 1000,         /* to let it write more */
    NAP_BYTES = 256 * 1024,     /* still to come, for which that pays */
    FULL_READ = 8192 - 8        /* libfcgi's buffer, less a record's header */
};

struct connection {
    struct body body;  /* first: the body is found from it */
    FCGX_Request fcgi; /* reused for every request */
    char *buffer;      /* BUFFER_SIZE bytes, for reading and sending */
    const atomic_bool *stop;
    int timeout_ms; /* receive timeout of the socket, 0 if none */
    bool naps;      /* see let_gather */
    bool drained;   /* what libfcgi gave last was less than a full read */
};

void connection_library_init(void)
{
    (void)FCGX_Init();
}

struct connection *connection_new(const atomic_bool *stop)
{
    struct connection *c = calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->buffer = aligned_alloc(BUFFER_ALIGN, BUFFER_SIZE);
    c->stop = stop;
    if (!c->buffer || FCGX_InitRequest(&c->fcgi, -1, 0) != 0) {
        free(c->buffer);
        free(c);
        return NULL;
    }
    return c;
}

void connection_free(struct connection *c)
{
    FCGX_Free(&c->fcgi, 1);
    free(c->buffer);
    free(c);
}

/* Set how long a read may wait. */
static void set_timeout(struct connection *c, int wait_ms)
{
    struct timeval t = {wait_ms / 1000, (wait_ms % 1000) * 1000};

    if (c->timeout_ms == wait_ms)
        return;
    c->timeout_ms = wait_ms;
    (void)setsockopt(c->fcgi.ipcFd, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
}

/* Did libfcgi consume nothing, or only the padding that ends a record? Padding
 * is zeros; a header begins with the version, which is 1. */
static bool is_resumable(const unsigned char *before,
                         const unsigned char *after)
{
    while (before < after && *before == 0)
        before++;
    return before == after;
}

/* Where much is to come and nothing is there, leave lighttpd alone for a
 * moment. It writes each piece of a body as it gets it, and to be woken for
 * every one costs both processes more than the copying. nginx, which must wait
 * until a piece is read, would only wait longer. */
static void let_gather(const struct connection *c)
{
    const struct timespec moment = {0, NAP_NS};
    const struct body *b = &c->body;
    struct pollfd p = {.fd = c->fcgi.ipcFd, .events = POLLIN};

    if (c->naps && b->length - b->received > NAP_BYTES && poll(&p, 1, 0) == 0)
        nanosleep(&moment, NULL);
}

/* Let libfcgi get more, by one read at most. False at the end of the stream,
 * and after a timeout, which is the case if the stream is still open. */
static bool fill(struct connection *c)
{
    FCGX_Stream *in = c->fcgi.in;
    const unsigned char *before = in->rdNext;

    if (c->drained)
        let_gather(c);
    if (FCGX_UnGetChar(FCGX_GetChar(in), in) == EOF) {
        if (FCGX_GetError(in) == EAGAIN && is_resumable(before, in->rdNext)) {
            in->FCGI_errno = 0;
            in->isClosed = 0;
            in->stop = in->rdNext;
        }
        return false;
    }
    c->drained = in->stop - in->rdNext < FULL_READ;
    return true;
}

/* Copy what libfcgi has, or else what one read from the socket brings. The
 * number of bytes; 0 where fill() gives false. */
static size_t take(struct connection *c, char *out, size_t cap)
{
    FCGX_Stream *in = c->fcgi.in;
    size_t ready;

    if (in->rdNext == in->stop && !fill(c))
        return 0;
    ready = (size_t)(in->stop - in->rdNext);
    return (size_t)FCGX_GetStr(out, (int)(ready < cap ? ready : cap), in);
}

static enum body_result ended(const struct connection *c, struct error *e)
{
    if (FCGX_GetError(c->fcgi.in) == 0)
        return BODY_END;
    error_set(e, ERR_CLIENT_GONE, "The connection was closed in mid-body.");
    return BODY_FAILED;
}

/* Gathers until the buffer is full or wait_ms have passed, so that a fast
 * client is served in large pieces and a slow one in time. */
static enum body_result next(struct body *b, const void **data, size_t *len,
                             int wait_ms, struct error *e)
{
    struct connection *c = (struct connection *)b;
    FCGX_Stream *in = c->fcgi.in;
    int64_t until = clock_monotonic_ms() + wait_ms;
    size_t n = 0, got;

    if (atomic_load_explicit(c->stop, memory_order_relaxed)) {
        error_set(e, ERR_SHUTTING_DOWN, "The server is restarting.");
        return BODY_FAILED;
    }
    set_timeout(c, wait_ms);
    do {
        got = take(c, c->buffer + n, BUFFER_SIZE - n);
        n += got;
    } while (got > 0 && n < BUFFER_SIZE && clock_monotonic_ms() < until);
    *data = c->buffer;
    *len = n;
    if (n > 0)
        return BODY_DATA;
    return in->isClosed ? ended(c, e) : BODY_WAIT;
}

static const char *variable(const void *ctx, const char *name)
{
    const struct connection *c = ctx;

    return FCGX_GetParam(name, c->fcgi.envp);
}

static bool put(void *ctx, const void *data, size_t len)
{
    struct connection *c = ctx;

    return FCGX_PutStr(data, (int)len, c->fcgi.out) == (int)len;
}

static bool flush(void *ctx)
{
    struct connection *c = ctx;

    return FCGX_FFlush(c->fcgi.out) == 0;
}

static bool gone(void *ctx)
{
    const struct connection *c = ctx;
    struct pollfd p = {.fd = c->fcgi.ipcFd, .events = POLLRDHUP};

    return atomic_load(c->stop) || poll(&p, 1, 0) > 0;
}

static void answer(struct connection *c, struct service *s)
{
    struct request req = {.variable = variable, .variable_ctx = c};
    const char *software = variable(c, "SERVER_SOFTWARE");
    struct transport t = {put, flush, gone, c, c->buffer, BUFFER_SIZE};

    c->body = (struct body){.next = next, .length = BODY_LENGTH_UNKNOWN};
    req.body = &c->body;
    c->drained = true;
    c->naps = software && strncmp(software, "lighttpd", 8) == 0;
    service_answer(s, &req, &t);
}

void connection_serve(struct connection *c, struct service *s, int fd)
{
    static const char refused[] = "Status: 403 Forbidden\r\n\r\n";

    c->fcgi.ipcFd = fd;
    c->timeout_ms = 0;
    set_timeout(c, PARAMS_WAIT_MS);
    /* Keeps FCGX_Accept_r from closing fd before it has read from it; the
     * flag is read anew from the request, and overruled below. */
    c->fcgi.keepConnection = 1;
    if (FCGX_Accept_r(&c->fcgi) != 0)
        return;
    if (c->fcgi.role == ROLE_RESPONDER)
        answer(c, s);
    else
        (void)put(c, refused, sizeof refused - 1);
    c->fcgi.keepConnection = 0;
    FCGX_Finish_r(&c->fcgi);
}
