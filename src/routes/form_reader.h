/*
 * Reading multipart/form-data (RFC 7578): fields are collected as a JSON
 * object within the limits of the configuration, files are handed on while
 * they arrive. What becomes of them is the caller's business.
 */
#ifndef SLIPWAY_ROUTES_FORM_READER_H
#define SLIPWAY_ROUTES_FORM_READER_H

#include "routes/intake.h"

struct form_events {
    /* A field has arrived. *keep is true; false keeps it out of the metadata.
     * Strings are valid for the call. */
    enum error_code (*field)(void *ctx, const char *name, const char *value,
                             bool *keep, struct error *e);
    /* A file begins: name as sent and not empty, type as declared or NULL. */
    enum error_code (*file_begin)(void *ctx, const char *name, const char *type,
                                  struct error *e);
    enum error_code (*file_data)(void *ctx, const void *data, size_t len,
                                 struct error *e);
    enum error_code (*file_end)(void *ctx, struct error *e);
};

/* Read the whole form in req. A file input that was left empty is skipped. *u
 * is the session to watch over, as in intake_body. *metadata gets the fields
 * that were kept, in the arena; a name that came several times has an array.
 * ERR_BAD_MULTIPART, ERR_TOO_MANY_FIELDS, ERR_FIELDS_TOO_LARGE, and what the
 * events say. */
enum error_code form_read(struct app *app, struct request *req,
                          const struct form_events *events, void *ctx,
                          struct upload *const *u, const char **metadata,
                          struct error *e);

#endif
