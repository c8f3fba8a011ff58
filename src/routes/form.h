/*
 * The translator from multipart/form-data (RFC 7578) to an upload session.
 *
 * All or nothing: a form whose last file is refused leaves nothing behind.
 * Fields become metadata of all files of the form, wherever they stand; the
 * special fields `upload_id` and `directory` must come before the first file.
 */
#ifndef SLIPWAY_ROUTES_FORM_H
#define SLIPWAY_ROUTES_FORM_H

#include "routes/intake.h"

/* Receive the form in req and publish its files. */
enum error_code form_receive(struct app *app, struct request *req,
                             struct intake_choice *choice,
                             struct file_list *files, struct error *e);

#endif
