/*
 * What cgi-bin/.htaccess vouches for. Its first rewrite rule sets variables
 * that no client can set; a request that has them was made where the rules
 * that follow are in force.
 */
#ifndef SLIPWAY_PROBE_VOUCH_H
#define SLIPWAY_PROBE_VOUCH_H

#include <stdbool.h>

#include "http/request.h"

/* The rules bar the directory with this real path from the web. */
bool vouch_bars(const struct request *req, const char *dir);

/* The rules serve it with the header fields for files of strangers. */
bool vouch_guards(const struct request *req, const char *dir);

#endif
