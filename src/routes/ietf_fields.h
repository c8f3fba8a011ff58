/*
 * Reading and writing the header fields of the draft for resumable uploads in
 * the words of the request's version, interim responses and digests among
 * them.
 */
#ifndef SLIPWAY_ROUTES_IETF_FIELDS_H
#define SLIPWAY_ROUTES_IETF_FIELDS_H

#include "routes/transfer.h"

struct ietf_version {
    int number;          /* Upload-Draft-Interop-Version */
    bool incomplete;     /* Upload-Incomplete instead of Upload-Complete */
    bool typed;          /* PATCH needs application/partial-upload */
    bool strict;         /* HEAD and DELETE must not have Upload-* fields */
    bool no_length;      /* HEAD must not have Upload-Length either */
    bool one_location;   /* always the upload, not the file that it became */
    int append_status;   /* of a PATCH that leaves the upload incomplete */
    bool gone_unknown;   /* an upload that is over is 404, not 410 */
    const char *max_age; /* what Upload-Limit calls the lifetime */
};

/* The version that the request names, or the newest. */
const struct ietf_version *ietf_version(const struct request *req);

/* Whether this request brings the last byte. false if it does not say. */
bool ietf_says_complete(const struct request *req, bool *complete);

/* Upload-Complete or Upload-Incomplete. */
void ietf_put_complete(const struct request *req, struct response *res,
                       bool complete);

/* Upload-Limit, with the whole lifetime, as after a write; without one for
 * an upload that is stored. */
void ietf_put_limits(const struct app *app, const struct request *req,
                     struct response *res, bool expires);

/* The same with the lifetime that this one still has, if it has an end. */
void ietf_put_limits_of(const struct app *app, const struct request *req,
                        struct response *res, const struct progress *p);

/* Interim responses (104): whether the request may get them; that there is
 * support; where the upload is; how far it is, for transfer's tell. */
bool ietf_may_interim(const struct app *app, const struct request *req);
void ietf_tell_support(const struct app *app, const struct request *req);
void ietf_tell_location(const struct app *app, const struct request *req,
                        const char *id);
void ietf_tell_offset(const struct transfer *t);

/* RFC 9530. Content-Digest, of the bytes of this request, as checks. */
void ietf_take_content_digest(struct transfer *t);

/* Repr-Digest, of the whole file: *has is false if there is none that we
 * know. ERR_BAD_REQUEST if it has the wrong length. */
enum error_code ietf_repr_digest(const struct request *req,
                                 unsigned char sha256[DIGEST_SIZE], bool *has,
                                 struct error *e);

/* Repr-Digest in the answer, if Want-Repr-Digest asks for it. */
void ietf_put_repr_digest(const struct request *req, struct response *res,
                          const struct file *f);

#endif
