/*
 * What a process offers: the application, or, while something is not in order,
 * a page for every request that says what is wrong and what to do.
 *
 * A configuration or a store that cannot be used is found when the service is
 * opened; a private directory that the web can reach, at the first request,
 * because only that says where the web begins.
 */
#ifndef SLIPWAY_GATEWAY_SERVICE_H
#define SLIPWAY_GATEWAY_SERVICE_H

#include <stdatomic.h>
#include <sys/stat.h>

#include "gateway/exchange.h"

struct guard;

struct service {
    struct app app;        /* store NULL: nothing but explanations */
    struct error why;      /* then the reason */
    struct guard *guard;   /* NULL without a store */
    struct config *loaded; /* app.config, to free */
    const char *flag;      /* of --config, or NULL; the caller's */
    char *ini;             /* path of the ini file, NULL: defaults */
    struct stat ini_was;   /* the file when it was read; all 0 if missing */
    struct stat ini_seen;  /* the same at the last look for a change */
    atomic_bool asked;     /* requests came since the last look */
};

/* Open what the ini file says. The log has a failure in full; without a store
 * the service explains itself to every request. flag: of --config, or NULL.
 * Call while there is no other thread. */
void service_open(struct service *s, const char *flag);

/* No request may be under way. */
void service_close(struct service *s);

/* Answer one request. Safe from any thread. */
void service_answer(struct service *s, struct request *req,
                    struct transport *t);

/* Whether the service should be closed and opened anew: its ini file has
 * changed, or what was wrong is mended or something else is wrong now. For
 * one thread, every few seconds. */
bool service_is_stale(struct service *s);

#endif
