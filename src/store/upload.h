/*
 * The upload session: every byte that comes in goes through
 *
 *   upload_open -> (upload_begin_file -> upload_append ... ->
 *   upload_end_file) ... -> upload_finish | upload_discard
 *
 * Form, PUT and the resumable protocols are translators in front of it. Limits
 * of files, digest, durability, progress and cancel are here and nowhere else;
 * limits of requests are in routes/intake.h and routes/form_reader.h.
 *
 * A session is held by one thread. What it received lies in incoming/, behind
 * a kernel lock that dies with the process, until upload_finish publishes all
 * its files or none. A session whose id the caller chose has a row from the
 * beginning, so that other processes see its progress and may cancel it.
 * Nobody could ask for any other session before it is answered, so that one
 * is known by the rows of its files.
 *
 * A resumable session (store/resumable.h) has one file and outlives the
 * request and the process.
 */
#ifndef SLIPWAY_STORE_UPLOAD_H
#define SLIPWAY_STORE_UPLOAD_H

#include "store/files.h"

#define UPLOAD_SIZE_UNKNOWN UINT64_MAX

struct upload;

struct upload_spec {
    const char *id;      /* chosen by the caller and valid, or NULL */
    uint64_t total;      /* announced bytes, or UPLOAD_SIZE_UNKNOWN */
    bool directory;      /* one directory upload instead of single files */
    struct arena *arena; /* the request's; the session lives in it */
};

/* ERR_ID_IN_USE. */
enum error_code upload_open(struct store *s, const struct upload_spec *spec,
                            struct upload **out, struct error *e);

/* The id under which progress and cancel find it. */
const char *upload_id(const struct upload *u);

/* The next file. name as the client sent it, type as declared or NULL, size
 * if announced. ERR_TOO_MANY_FILES, ERR_BAD_NAME, ERR_TYPE_NOT_ACCEPTED,
 * ERR_FILE_TOO_LARGE, ERR_NO_SPACE. */
enum error_code upload_begin_file(struct upload *u, const char *name,
                                  const char *type, uint64_t size,
                                  struct error *e);

/* Bytes of the current file. */
enum error_code upload_append(struct upload *u, const void *data, size_t len,
                              struct error *e);

/* All bytes of the current file, which has none yet: the file at path below
 * dir, which is moved, not copied. ERR_UNSUPPORTED if it cannot be moved; then
 * nothing has happened. */
enum error_code upload_adopt(struct upload *u, int dir, const char *path,
                             struct error *e);

/* The current file is whole. ERR_FILE_TOO_SMALL, ERR_DIGEST. */
enum error_code upload_end_file(struct upload *u, struct error *e);

/* To be called between reads and at least every UPLOAD_CHECK_MS while waiting
 * for data: shows progress, and gives ERR_CANCELLED if somebody cancelled, or
 * ERR_BUSY if a newer request wants this resumable session. */
enum { UPLOAD_CHECK_MS = 250, UPLOAD_PROGRESS_MS = 1000 };
enum error_code upload_check(struct upload *u, struct error *e);

/* Publish all files; metadata is a JSON object. On ERR_NONE they survive what
 * the durability setting promises, and *files lists them in order (one entry
 * for a directory upload). The session is over in any case, except that a
 * resumable one can be resumed after a failure. */
enum error_code upload_finish(struct upload *u, const char *metadata,
                              struct file_list *files, struct error *e);

/* Remove all that was received; why is what progress will tell. */
void upload_discard(struct upload *u, const struct error *why);

#endif
