/*
 * A response under construction: status, header fields, and a body that is a
 * segment list or, for event streams, a live producer. Handlers fill it, the
 * gateway sends it. Everything lives in the request's arena.
 */
#ifndef SLIPWAY_HTTP_RESPONSE_H
#define SLIPWAY_HTTP_RESPONSE_H

#include <stdbool.h>

#include "base/arena.h"
#include "base/buf.h"
#include "http/segment.h"

enum { RESPONSE_LIVE_MAX = 64 * 1024 }; /* bytes of one live piece */

struct response_header {
    const char *name;
    const char *value; /* without control bytes */
    struct response_header *next;
};

/* A body made while it is sent. The next piece goes to out; blocks for at
 * most a second; false ends the body. */
typedef bool live_producer(void *ctx, struct buf *out);

struct response {
    int status;                    /* HTTP status code */
    struct arena *arena;           /* the request's */
    struct response_header *first; /* in the order they were added */
    struct response_header *last;
    struct segment_list body;    /* empty for none */
    live_producer *live;         /* NULL, or instead of body */
    void (*live_end)(void *ctx); /* called if the client leaves early */
    void *live_ctx;              /* argument of both */
    bool offload;                /* the front server may send a body that is
                                    one whole source */
    bool plain_error;            /* a failure as JSON is application/json with
                                    a member error, for widgets */
    bool failed;                 /* no memory while building: send a 503 */
};

void response_init(struct response *r, struct arena *a);

/* Add a header field. Control bytes in the value become '_': a value can
 * never end its line. name must be a literal. */
void response_header(struct response *r, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Set a page in HTML, which is copied. It has no scripts, styles or pictures,
 * and only this site may frame it. */
void response_page(struct response *r, const char *html, size_t len);

/* Set Content-Type and a body that is copied. */
void response_text(struct response *r, const char *type, const char *text,
                   size_t len);

#endif
