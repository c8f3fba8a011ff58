/*
 * A request of slipway to its own web server: plain HTTP to the address that
 * the request at hand came in by, under the same host name. Thread-safe.
 *
 * It carries a header field, Slipway-Self, by which slipway knows it should
 * it come back: it must be answered before anything is waited for. The value
 * is SELFCALL_FILE or, where slipway itself is to answer, the name of a
 * witness whose content is wanted.
 *
 * The port, as Apache tells it, and the host are the client's choice: what
 * answers may be anybody's.
 */
#ifndef SLIPWAY_GATEWAY_SELFCALL_H
#define SLIPWAY_GATEWAY_SELFCALL_H

#include <stdbool.h>
#include <stddef.h>

#include "http/request.h"

#define SELFCALL_FILE "1"

struct selfcall {
    const char *path; /* to GET, as in a request line */
    const char *mark; /* value of the header field */
    int port;         /* 0 for that of the request at hand */
    int limit_ms;     /* for all of it */
};

/* The beginning of the answer, head and body as they come, goes to answer as
 * a string. false if there was none. */
bool selfcall_get(const struct request *req, const struct selfcall *call,
                  char *answer, size_t cap);

/* The mark if the request at hand is one of these (or says so), else NULL. */
const char *selfcall_mark(const struct request *req);

/* Did it come over TLS? */
bool selfcall_is_tls(const struct request *req);

#endif
