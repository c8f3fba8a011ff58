/*
 * One FastCGI connection: a request through libfcgi's FCGX interface.
 */
#ifndef SLIPWAY_GATEWAY_CONNECTION_H
#define SLIPWAY_GATEWAY_CONNECTION_H

#include <stdatomic.h>

#include "gateway/service.h"

struct connection; /* reusable; belongs to one thread */

/* Call once per process, before threads. */
void connection_library_init(void);

/* stop: becomes true when requests that are still receiving must end. */
struct connection *connection_new(const atomic_bool *stop);
void connection_free(struct connection *c);

/* Answer the one request that comes on the accepted socket fd, and close
 * it. */
void connection_serve(struct connection *c, struct service *s, int fd);

#endif
