/*
 * The listening socket of `slipway serve --socket PATH`.
 */
#ifndef SLIPWAY_GATEWAY_LISTEN_H
#define SLIPWAY_GATEWAY_LISTEN_H

#include <stdbool.h>

#include "base/error.h"

/* Bind and listen on a unix socket at path, mode 0660. A dead socket is
 * replaced; a live one, or anything that is not a socket, is left alone and
 * is an error. -1 on failure. */
int listen_unix(const char *path, struct error *e);

/* Whether fd is a listening socket: how a front server starts a FastCGI
 * program, on fd 0. */
bool listen_is_listener(int fd);

/* Whether a connection waits to be accepted. */
bool listen_is_waiting(int fd);

#endif
