/*
 * Upload-Metadata of tus 1.0.0, which clients of the IETF draft send as well.
 */
#ifndef SLIPWAY_ROUTES_METADATA_H
#define SLIPWAY_ROUTES_METADATA_H

#include "http/request.h"
#include "store/resumable.h"

/* The description of a new upload from Upload-Metadata, whose keys filename or
 * name, and filetype or type, are taken out; the rest becomes fields. Strings
 * live in the request's arena; what is absent is NULL. ERR_BAD_REQUEST. */
enum error_code metadata_describe(const struct request *req,
                                  struct resumable_spec *out, struct error *e);

#endif
