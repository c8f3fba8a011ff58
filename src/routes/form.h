/*
 * The translator from multipart/form-data (RFC 7578) to an upload session.
 *
 * All or nothing: a form whose last file is refused leaves nothing behind.
 * Fields become metadata of all files of the form, wherever they stand; the
 * special fields `upload_id` and `directory` must come before the first file.
 */
#ifndef SLIPWAY_ROUTES_FORM_H
#define SLIPWAY_ROUTES_FORM_H

#include "routes/form_reader.h"

/* Receive the form in req and publish its files. */
enum error_code form_receive(struct app *app, struct request *req,
                             struct intake_choice *choice,
                             struct file_list *files, struct error *e);

/* The same in its steps, for a translator that sees only on the way that it
 * has a plain form before it: the form_events, whose ctx is a struct form, and
 * the end. A session that is still there at the end is the caller's to
 * discard. */
struct form {
    struct app *app;
    struct request *req;
    struct intake_choice *choice;
    struct upload *upload; /* NULL before the first file */
};

enum error_code form_field(void *ctx, const char *name, const char *value,
                           bool *keep, struct error *e);
enum error_code form_file_begin(void *ctx, const char *name, const char *type,
                                struct error *e);
enum error_code form_file_data(void *ctx, const void *data, size_t len,
                               struct error *e);
enum error_code form_file_end(void *ctx, struct error *e);
enum error_code form_finish(struct form *f, const char *metadata,
                            struct file_list *files, struct error *e);

#endif
