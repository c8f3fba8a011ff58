/*
 * What the protocols for resumable uploads share: bytes of one request into a
 * resumable session, with the right end for every failure. tus, the IETF draft
 * and the widgets' dialects are translators in front of this.
 */
#ifndef SLIPWAY_ROUTES_TRANSFER_H
#define SLIPWAY_ROUTES_TRANSFER_H

#include "http/checksum.h"
#include "routes/intake.h"
#include "store/resumable.h"

/* Whether [upload] protocols names the protocol at this position of the
 * option's words. */
enum transfer_protocol {
    PROTOCOL_TUS,
    PROTOCOL_IETF,
    PROTOCOL_FILEPOND,
    PROTOCOL_DROPZONE
};
bool transfer_speaks(const struct app *app, enum transfer_protocol p);

/* ERR_FORBIDDEN unless the protocol is switched on. */
enum error_code transfer_require(const struct app *app,
                                 enum transfer_protocol p, struct error *e);

/* A length or an offset: decimal digits, at most INT64_MAX, which is what files
 * and rows can hold. */
bool transfer_number(const char *text, uint64_t *out);

/* A checksum of the request's bytes that is to be compared. */
struct transfer_check {
    struct checksum sum; /* running */
    unsigned char expected[CHECKSUM_MAX];
    size_t len;              /* of expected */
    enum error_code failure; /* what a mismatch is called */
};

enum { TRANSFER_CHECKS_MAX = 2 };

/* One request's bytes on their way into a session. */
struct transfer {
    struct app *app;
    struct request *req;
    struct upload *upload; /* held */
    struct transfer_check checks[TRANSFER_CHECKS_MAX];
    size_t check_count;
    bool whole;      /* all bytes of the request count, or none */
    uint64_t skip;   /* bytes of the request that the session has already */
    int64_t told_at; /* monotonic ms */
    /* NULL, or called about once a second. */
    void (*tell)(const struct transfer *t);
};

/* Receive the whole body. After ERR_NONE the session is still held; after
 * anything else it was let go of: what came is kept, except where only the
 * whole request counts, or the disk failed. ERR_LENGTH_EXCEEDED, the checks'
 * failures, ERR_GONE. */
enum error_code transfer_receive(struct transfer *t, struct error *e);

/* Bytes that did not come as a body of their own: len of them. Errors leave
 * the session held; transfer_fail lets go of it. */
enum error_code transfer_append(struct transfer *t, const void *data,
                                size_t len, struct error *e);
void transfer_fail(struct transfer *t, struct error *e);

/* Publish if all bytes are there, else let go; *files stays empty then. A
 * session is failed for good where its content cannot become right any more. */
enum error_code transfer_end(struct upload *u, struct file_list *files,
                             struct error *e);

/* Remove a session whose creation failed, so that its id will not be told. */
void transfer_forget(struct app *app, const char *id);

/* Where a session stands, after stopping a request that sends it. A session
 * whose bytes are all there, but whose last request died before publishing
 * them, is published. No failure has a status of 500 or more: what is not
 * known now is ERR_BUSY, because clients throw an upload away otherwise. */
enum error_code transfer_state(struct app *app, struct request *req,
                               const char *id, struct progress *p,
                               struct error *e);

/* Header fields: a path-absolute Location of the session, and Upload-Expires.
 */
void transfer_location(const struct request *req, struct response *res,
                       const char *id);
void transfer_expires(struct response *res, int64_t at_ms);

/* When a session that was just written to will expire, ms since the epoch. */
int64_t transfer_expiry(const struct app *app);

#endif
