/*
 * One request and its response, the same for every transport: the transport
 * fills a struct request and offers a way to write, exchange_serve does the
 * rest. Handlers never learn which transport it was.
 */
#ifndef SLIPWAY_GATEWAY_EXCHANGE_H
#define SLIPWAY_GATEWAY_EXCHANGE_H

#include "routes/app.h"

struct transport {
    /* All of it, or false if the client is gone. */
    bool (*write)(void *ctx, const void *data, size_t len);
    bool (*flush)(void *ctx); /* what was written goes out now */
    bool (*gone)(void *ctx);  /* the client has left */
    void *ctx;                /* the transport's own */
    void *buffer;             /* scratch memory for sending files */
    size_t buffer_size;
};

/* Fills req->id, arena, base, path, query, method and the body's length from
 * the CGI variables; the caller has set req->variable, variable_ctx and
 * body. Then answers. */
void exchange_serve(struct app *app, struct request *req, struct transport *t);

/* The same, but answer with the failure why, without an application. */
void exchange_refuse(struct request *req, struct transport *t,
                     const struct error *why);

/* The same, but answer 200 with a text that nobody may keep. */
void exchange_tell(struct request *req, struct transport *t, const char *text);

#endif
