/*
 * Where the directories of the store are: for the guard, which finds out
 * whether the web shows them, and remembers what it has found. Thread-safe,
 * except for place_set_url.
 */
#ifndef SLIPWAY_STORE_PLACE_H
#define SLIPWAY_STORE_PLACE_H

#include <stdbool.h>

#include "store/store.h"

/* Real paths; they live as long as the store. */
const char *place_data(const struct store *s);
const char *place_uploads(const struct store *s);

/* The path of the URL of the uploads directory, without a slash at the end;
 * and another, in place of the configured one. Call
 * before the first request is answered. false without memory. */
const char *place_uploads_url(const struct store *s);
bool place_set_url(struct store *s, const char *url);

/* Facts that are believed for a while, for all processes. place_recall:
 * whether name was remembered, for at most ms from now on; false also if the
 * database fails. */
void place_remember(struct store *s, const char *name, int64_t ms);
bool place_recall(struct store *s, const char *name, int64_t ms);

#endif
