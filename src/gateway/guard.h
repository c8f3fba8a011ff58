/*
 * Keeps the private directory private. Where the data directory lies below
 * the document root, slipway works only if its own web server refuses a file
 * in there (see reach.h).
 *
 * The answer is remembered for this address and port: for a day if the
 * directory is barred, else for a few seconds; in the database, so that other
 * processes need not ask, unless there was none. Where data lies elsewhere,
 * nothing is asked. Requests that slipway makes to itself
 * (selfcall.h) must not come here: they would wait for themselves.
 *
 * The first request also tells where the uploads directory is served, if the
 * ini file does not and the .htaccess vouches for that directory.
 */
#ifndef SLIPWAY_GATEWAY_GUARD_H
#define SLIPWAY_GATEWAY_GUARD_H

#include "base/config.h"
#include "http/request.h"
#include "store/store.h"

struct guard; /* safe from any thread */

/* What is passed must outlive it. NULL without memory. */
struct guard *guard_new(const struct config *c, struct store *s);
void guard_free(struct guard *g);

/* Whether the request may be answered; if not, why says what the owner is to
 * do. May take a few seconds when it has to find out. */
bool guard_admits(struct guard *g, const struct request *req,
                  struct error *why);

/* --- Pure parts -------------------------------------------------------------
 */

/* The value for [storage] data that puts it beside the document root: relative
 * to the directory of the ini file, or "" if that is not below the root. */
void guard_suggest(const char *ini_directory, const char *root, char *out,
                   size_t cap);

#endif
