/*
 * The translator of tus 1.0.0 (https://tus.io/protocols/resumable-upload) with
 * the extensions in TUS_EXTENSIONS. dispatch.c marks the answers; upload.c and
 * resource.c call the rest once they have seen that a request speaks it.
 */
#ifndef SLIPWAY_ROUTES_TUS_H
#define SLIPWAY_ROUTES_TUS_H

#include "routes/app.h"
#include "store/progress.h"

#define TUS_EXTENSIONS                                                \
    "creation,creation-with-upload,creation-defer-length,expiration," \
    "checksum,termination,concatenation"

/* The request has Tus-Resumable. */
bool tus_is_meant(const struct request *req);

/* A POST that can only be one that creates an upload, though it may lack
 * Tus-Resumable. */
bool tus_is_creation(const struct request *req);

/* The request has the content type of a tus PATCH. */
bool tus_is_content(const struct request *req);

/* Header fields that every answer to a tus request carries. */
void tus_mark(struct response *res);

/* ERR_VERSION, with Tus-Version in res, unless the version is ours. */
enum error_code tus_check_version(const struct request *req,
                                  struct response *res, struct error *e);

/* What OPTIONS tells. */
void tus_options(const struct app *app, const struct request *req,
                 struct response *res);

enum error_code tus_create(struct app *app, struct request *req,
                           struct response *res, struct error *e);
enum error_code tus_patch(struct app *app, struct request *req, const char *id,
                          struct response *res, struct error *e);

/* The fields of a HEAD answer. */
void tus_state(struct response *res, const struct progress *p);

#endif
