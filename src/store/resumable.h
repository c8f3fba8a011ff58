/*
 * Resumable sessions: one file that arrives in any number of requests, by any
 * process, whatever is killed in between.
 *
 *   upload_create -> upload_append ... -> upload_suspend
 *   upload_resume -> upload_append ... -> upload_end_file -> upload_finish
 *
 * A checkpoint acknowledges what has been received: at the latest every
 * second, every CHECKPOINT_BYTES, and when the session is let go of. What a
 * checkpoint has acknowledged is never lost; what came after it is dropped by
 * the next upload_resume.
 *
 * At most one request holds a session. A newer one makes it let go: the holder
 * sees that within UPLOAD_CHECK_MS (ERR_BUSY of upload_check), suspends, and
 * the newer one goes on, in whatever process either of them is. Of several
 * that wait the last one gets it, the others ERR_BUSY.
 *
 * A partial session is never published by itself. A final one is put together
 * from whole partial ones; its bytes are copied, and what the request has no
 * time for goes on in store_sweep.
 */
#ifndef SLIPWAY_STORE_RESUMABLE_H
#define SLIPWAY_STORE_RESUMABLE_H

#include "store/progress.h"
#include "store/upload.h"

enum { CHECKPOINT_BYTES = 16 * 1024 * 1024 };

/* The name of a file that will be named later. */
#define UPLOAD_UNNAMED "upload"

struct resumable_spec {
    const char *name;            /* as the client sent it */
    const char *type;            /* as declared, or NULL */
    const char *fields;          /* JSON object: the file's metadata, or NULL */
    const char *echo;            /* told back by progress_get, or NULL */
    bool partial;                /* part of a final session to come */
    bool unnamed;                /* name and type come later */
    const unsigned char *sha256; /* that the file must have, or NULL */
};

/* Begin a session. spec->total may be unknown. When it returns ERR_NONE, it
 * survives what the durability setting promises. Errors as of upload_open and
 * upload_begin_file, and ERR_FILE_TOO_SMALL. */
enum error_code upload_create(struct store *s, const struct upload_spec *spec,
                              const struct resumable_spec *r,
                              struct upload **out, struct error *e);

/* Would a file of this kind be taken? Errors as of upload_create. */
enum error_code upload_check_new(struct store *s, struct arena *a,
                                 const char *name, const char *type,
                                 uint64_t size, struct error *e);

/* Take up a session where its last checkpoint left it. ERR_NOT_FOUND; ERR_BUSY
 * if its holder does not let go within TAKEOVER_MS; ERR_GONE if it was
 * cancelled, failed or has expired; ERR_COMPLETED if it is stored;
 * ERR_FORBIDDEN for a final one. */
enum { TAKEOVER_MS = 2000 };
enum error_code upload_resume(struct store *s, struct arena *a, const char *id,
                              struct upload **out, struct error *e);

/* Make a running request for the session let go, so that the offset that
 * progress_get tells holds. ERR_BUSY if it does not, ERR_GONE if its bytes are
 * lost. Not an error: nothing is running, the session is over, final, or
 * unknown. */
enum error_code upload_settle(struct store *s, struct arena *a, const char *id,
                              struct error *e);

/* Acknowledge what was received, and let go. The session is over for this
 * thread in any case. ERR_CANCELLED; ERR_COMPLETED if it was used up as a part
 * meanwhile. */
enum error_code upload_suspend(struct upload *u, struct error *e);

/* Until the request is over nothing is acknowledged, because it is yet to be
 * seen whether the bytes are right. */
void upload_hold(struct upload *u);

/* Let go without acknowledging what came since the last checkpoint. */
void upload_abandon(struct upload *u);

/* Give a session of unknown length its length. ERR_LENGTH if it has another
 * one or more bytes already, ERR_FILE_TOO_LARGE, ERR_FILE_TOO_SMALL. */
enum error_code upload_set_total(struct upload *u, uint64_t total,
                                 struct error *e);

/* Name a session that was created as UPLOAD_UNNAMED. Errors as of
 * upload_begin_file. */
enum error_code upload_set_name(struct upload *u, const char *name,
                                struct error *e);

/* Change the file's metadata, a JSON object that lives in the arena. */
void upload_set_fields(struct upload *u, const char *fields);

/* The digest that the whole file must have. */
void upload_expect(struct upload *u, const unsigned char sha256[32]);

uint64_t upload_offset(const struct upload *u);       /* bytes received */
uint64_t upload_acknowledged(const struct upload *u); /* those that are safe */
uint64_t upload_total(const struct upload *u); /* or UPLOAD_SIZE_UNKNOWN */
bool upload_is_partial(const struct upload *u);
const char *upload_fields(const struct upload *u); /* as created, never NULL */

/* Bytes that may still come: until the length, or without end. */
uint64_t upload_remaining(const struct upload *u);

/* Begin a final session from whole partial ones, count of them in order, and
 * put it together as far as CONCAT_MS allow; *id gets its id, which lives in
 * the arena. An existing one of the same parts is taken instead. concat is
 * told back. ERR_NOT_FOUND, ERR_GONE, ERR_BAD_REQUEST (no partial session, or
 * the same ones too often), ERR_UNFINISHED, and as of upload_create. */
enum { CONCAT_MS = 500 };
enum error_code upload_concat(struct store *s, const struct upload_spec *spec,
                              const struct resumable_spec *r,
                              const char *concat, const char *const *ids,
                              size_t count, const char **id, struct error *e);

/* Help a final session until it is over. ERR_BUSY if that takes longer than
 * seconds, ERR_GONE if it failed. */
enum error_code upload_concat_wait(struct store *s, const char *id,
                                   unsigned seconds, struct error *e);

/* End a session and remove all of it, also what a resumable one has stored.
 * ERR_NOT_FOUND, ERR_GONE, ERR_BUSY. */
enum error_code upload_terminate(struct store *s, const char *id,
                                 struct error *e);

#endif
