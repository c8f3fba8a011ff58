/*
 * The FastCGI responder: the only user of libfcgi.
 *
 * Idle worker threads wait for connections; when the last idle one gets work,
 * a new thread is made, up to the configured limit, and threads that stay
 * idle leave. A slow client thus holds one thread with a small stack and nobody
 * else. Each connection carries one request and is closed after it, whatever
 * the front server asked for: an idle kept connection would hold a thread,
 * and the rest of an unread body would be taken for the next request.
 */
#ifndef SLIPWAY_GATEWAY_FASTCGI_H
#define SLIPWAY_GATEWAY_FASTCGI_H

#include "routes/app.h"

/* Serve connections of the listening socket fd until SIGTERM, SIGINT or
 * SIGHUP comes or the executable is replaced; then finish what runs within a
 * few seconds and return. Call from the main thread before any other thread
 * exists. ERR_BUSY if some thread still runs, and so still uses app. */
enum error_code fastcgi_serve(struct app *app, int fd, struct error *e);

#endif
