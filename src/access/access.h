/*
 * Who may do what: the one decision function. Everything that is not allowed
 * by name is refused.
 */
#ifndef SLIPWAY_ACCESS_ACCESS_H
#define SLIPWAY_ACCESS_ACCESS_H

#include "base/config.h"
#include "base/error.h"
#include "http/request.h"

/* What a request wants. The values up to ACCESS_DELETE are the positions of
 * the words of [access] anonymous. */
enum access_scope {
    ACCESS_UPLOAD,   /* send files, follow and cancel one's own uploads */
    ACCESS_DOWNLOAD, /* fetch a file whose id one knows */
    ACCESS_LIST,     /* see which files there are */
    ACCESS_DELETE,   /* remove a file */
    ACCESS_NONE      /* needs no permission */
};

/* ERR_NONE or ERR_FORBIDDEN. */
enum error_code access_check(const struct config *c, enum access_scope scope,
                             struct error *e);

/* Does the request show the owner's token (query parameter probe)? ERR_NONE or
 * ERR_FORBIDDEN. */
enum error_code access_owner(const struct config *c, const struct request *req,
                             struct error *e);

#endif
