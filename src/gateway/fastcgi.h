/*
 * The FastCGI responder. connection.c is the only user of libfcgi.
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

#include "gateway/service.h"

enum fastcgi_end {
    FASTCGI_LEAVE,    /* a signal came */
    FASTCGI_REPLACED, /* the executable was replaced: leave when nobody waits */
    FASTCGI_AGAIN,    /* the service is stale: open it anew and serve on */
    FASTCGI_STUCK     /* some thread still runs, and so still uses the service;
                         or the socket cannot be used */
};

/* Serve connections of the listening socket fd until there is a reason to
 * stop; then finish what runs within a few seconds and return. Call from the
 * main thread while no other thread exists. respawned: whoever gave us the
 * socket starts another process when this one leaves, so it leaves when its
 * executable is replaced. */
enum fastcgi_end fastcgi_serve(struct service *s, int fd, bool respawned);

#endif
