/*
 * Where the directories of the store are: for the guard, which finds out
 * whether the web shows them, and remembers what it has found. Thread-safe,
 * except for place_set_url.
 */
#ifndef SLIPWAY_STORE_PLACE_H
#define SLIPWAY_STORE_PLACE_H

#include <stdbool.h>

#include "store/id.h"
#include "store/store.h"

/* Real paths; they live as long as the store. */
const char *place_data(const struct store *s);
const char *place_uploads(const struct store *s);

/* The URL of the uploads directory, in place of the configured one. Call
 * before the first request is answered. false without memory. */
bool place_set_url(struct store *s, const char *url);

/* A file in the data directory that the web might show. */
struct place_token {
    char name[ID_LENGTH + 8];    /* of the file, below the data directory */
    char content[ID_LENGTH + 1]; /* all of it */
};

/* Make it, as readable as an upload under way would be. */
enum error_code place_put_token(struct store *s, struct place_token *t,
                                struct error *e);
void place_remove_token(struct store *s, const struct place_token *t);

/* Facts that are believed for a while, for all processes. place_recall:
 * whether name was remembered, for at most ms from now on; false also if the
 * database fails. */
void place_remember(struct store *s, const char *name, int64_t ms);
bool place_recall(struct store *s, const char *name, int64_t ms);

#endif
