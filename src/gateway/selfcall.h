/*
 * A request of slipway to its own web server: plain HTTP to the address that
 * the request at hand came in by, under the same host name. Thread-safe.
 */
#ifndef SLIPWAY_GATEWAY_SELFCALL_H
#define SLIPWAY_GATEWAY_SELFCALL_H

#include <stdbool.h>
#include <stddef.h>

#include "http/request.h"

/* GET path (as in a request line) from port, 0 for that of the request. The
 * beginning of the answer, head and body as they come, goes to answer as a
 * string. false if there was none; all within two seconds. */
bool selfcall_get(const struct request *req, int port, const char *path,
                  char *answer, size_t cap);

/* Is the request at hand one of these? */
bool selfcall_is(const struct request *req);

/* Did it come over TLS? */
bool selfcall_is_tls(const struct request *req);

#endif
