/*
 * Whether the web can read a directory of slipway's: slipway asks its own web
 * server for a file in there (a witness).
 *
 * That the file is refused proves nothing by itself: the port asked is the
 * one that the client's Host field names, as Apache tells it, and on a TLS
 * site port 80 may show another site. So the same address, port and host must
 * also be shown to serve this site: by the witness in the uploads directory
 * or, if that is barred or served elsewhere, by an answer of slipway's own.
 *
 * Where asking leads nowhere, as on most TLS sites, the .htaccess of cgi-bin/
 * may vouch for the directory (vouch.h).
 */
#ifndef SLIPWAY_PROBE_REACH_H
#define SLIPWAY_PROBE_REACH_H

#include "http/request.h"
#include "store/store.h"

/* From best to worst. */
enum reach {
    REACH_BARRED,   /* the web server of this site refuses it, or is to */
    REACH_UNKNOWN,  /* no answer, or one that tells nothing */
    REACH_REACHABLE /* the web server hands it out */
};

/* Ask for the data directory, which the web server of req would show at the
 * path data_url. May take some seconds. Thread-safe. */
enum reach reach_ask(struct store *s, const struct request *req,
                     const char *data_url);

/* What an answer to the request for a file that holds content means. Pure. */
enum reach reach_verdict(const char *answer, const char *content);

#endif
