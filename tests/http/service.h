/*
 * Slipway in this process for the HTTP cases: one service, with a store in a
 * temporary directory of its own, for each configuration and kind of run.
 * What requests leave behind is counted from outside, from the file system
 * and through a read-only connection to the database. One thread at a time.
 */
#ifndef SLIPWAY_TESTS_HTTP_SERVICE_H
#define SLIPWAY_TESTS_HTTP_SERVICE_H

#include <jansson.h>

#include "base/buf.h"
#include "routes/app.h"

struct services; /* all of them, their directory and their log */
struct service;  /* one */

/* What there is now. */
struct traces {
    long files;    /* in the uploads directory, whatever they are */
    long rows;     /* in the table file */
    long incoming; /* entries of incoming/, one for each upload under way */
};

/* NULL if there is no temporary directory. services_close removes it. */
struct services *services_open(void);
void services_close(struct services *all);

/* The service for these ini values (or NULL) over the defaults and this size
 * of pieces; made where it is new. NULL adds to wrong why not. */
struct service *service_get(struct services *all, json_t *config, size_t piece,
                            struct buf *wrong);

struct app *service_app(struct service *s);

/* All -1 if it cannot be told. */
struct traces service_traces(const struct service *s);

/* Adds to wrong each log line since the last call that is not a line of
 * printable UTF-8, and each answer that names the temporary directory. */
void service_check_log(struct services *all, struct buf *wrong);
bool service_named_in(const struct services *all, const char *text, size_t len);

/* The next service, NULL at the end; after is NULL at the start. */
struct service *service_next(const struct services *all,
                             const struct service *after);

/* Adds to wrong if the database is damaged, or if it and the uploads directory
 * do not hold the same files. */
void service_check_store(const struct service *s, struct buf *wrong);

#endif
