/*
 * A failure as the client sees it: RFC 9457 problem+json, or the same as text
 * or HTML where the client asked for that.
 */
#ifndef SLIPWAY_ROUTES_PROBLEM_H
#define SLIPWAY_ROUTES_PROBLEM_H

#include "http/request.h"
#include "http/response.h"

/* Turn res into the answer for e. Header fields that were added stay only if
 * they are part of the failure: Allow, Content-Range, and those that tell
 * where a resumable upload stands. HEAD of one never gets a status of 500 or
 * more, but 423. */
void problem_response(const struct request *req, struct response *res,
                      const struct error *e);

#endif
