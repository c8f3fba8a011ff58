/*
 * A request of slipway to its own web server: plain HTTP to the address that
 * the request at hand came in by, under the same host name. Thread-safe.
 *
 * The port, as Apache tells it, and the host are the client's choice: what
 * answers may be anybody's.
 */
#ifndef SLIPWAY_PROBE_SELFCALL_H
#define SLIPWAY_PROBE_SELFCALL_H

#include "http/request.h"
#include "probe/client.h"

/* Make the call, at port or, if that is 0, at the port of the request at
 * hand. The host of call is filled in; else as client_exchange. */
bool selfcall(const struct request *req, int port, struct client_call *call,
              char *answer, size_t cap);

/* A header field, Slipway-Self, by which slipway knows a request of its own
 * should it come back: it must be answered before anything is waited for. The
 * value is SELFCALL_FILE or, where slipway itself is to answer, the name of a
 * witness whose content is wanted. */
#define SELFCALL_MARK "Slipway-Self"
#define SELFCALL_FILE "1"

/* The mark if the request at hand is one of these (or says so), else NULL. */
const char *selfcall_mark(const struct request *req);

/* Did it come over TLS? */
bool selfcall_is_tls(const struct request *req);

#endif
