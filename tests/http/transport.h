/*
 * The in-memory transport: a request given as CGI
 * variables and bytes, the response as bytes. The body is handed to the
 * handler in pieces of a chosen size, so that every split can be tried.
 */
#ifndef SLIPWAY_TESTS_TRANSPORT_H
#define SLIPWAY_TESTS_TRANSPORT_H

#include "base/buf.h"
#include "routes/app.h"

struct memory_variable {
    const char *name; /* CGI name, "HTTP_ACCEPT" */
    const char *value;
};

struct memory_request {
    const struct memory_variable *variables; /* first match counts */
    size_t variable_count;
    const void *body;
    size_t body_len;
    size_t piece; /* bytes per read, 0 for all at once */
    bool cut;     /* the connection breaks after the body */
};

/* out receives the CGI response: head, empty line, body. */
void memory_serve(struct app *app, const struct memory_request *mr,
                  struct buf *out);

#endif
