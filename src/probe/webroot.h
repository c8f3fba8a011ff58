/*
 * The directories that the web server of a request maps to URLs. Thread-safe.
 */
#ifndef SLIPWAY_PROBE_WEBROOT_H
#define SLIPWAY_PROBE_WEBROOT_H

#include <stdbool.h>

#include "base/buf.h"
#include "http/request.h"

enum { WEBROOTS = 2 }; /* a request names so many */

struct webroot {
    char *path;         /* real path, NULL if there is none */
    const char *prefix; /* of its URLs; the request's */
};

void webroots_find(const struct request *req, struct webroot roots[WEBROOTS]);
void webroots_free(struct webroot roots[WEBROOTS]);

/* The path of the URL at which a root shows the real path, in place of what
 * out holds; false if it does not. */
bool webroot_url(const struct webroot *r, const char *path, struct buf *out);

#endif
