/*
 * The translator of "Resumable Uploads for HTTP"
 * (draft-ietf-httpbis-resumable-upload), interop versions 3, 5, 6, 7 and 8.
 * A request with another number, or none, is taken for the newest version, but
 * never gets interim responses.
 */
#ifndef SLIPWAY_ROUTES_IETF_H
#define SLIPWAY_ROUTES_IETF_H

#include "routes/app.h"
#include "store/progress.h"

/* The request speaks the protocol, and not tus. */
bool ietf_is_meant(const struct request *req);

/* The same for one that begins an upload: it says whether it is complete, and
 * it is not a whole form. */
bool ietf_is_creation(const struct request *req);

/* What OPTIONS tells. */
void ietf_options(const struct app *app, const struct request *req,
                  struct response *res);

/* name is that of the URL of a PUT, or NULL. */
enum error_code ietf_create(struct app *app, struct request *req,
                            const char *name, struct response *res,
                            struct error *e);
enum error_code ietf_patch(struct app *app, struct request *req, const char *id,
                           struct response *res, struct error *e);

/* What some versions forbid in HEAD, GET and DELETE. ERR_BAD_REQUEST. */
enum error_code ietf_check_fields(const struct request *req, struct error *e);

/* The code for an upload that is over, as the version wants it. */
enum error_code ietf_gone(const struct request *req, enum error_code code,
                          struct error *e);

/* The fields of a HEAD answer. */
void ietf_state(const struct app *app, const struct request *req,
                struct response *res, const struct progress *p);

#endif
