/*
 * POST /upload and PUT /upload/NAME: choose the translator, answer with the
 * finished files.
 */
#include <inttypes.h>
#include <string.h>

#include "http/range.h"
#include "routes/form.h"
#include "routes/ietf.h"
#include "routes/render.h"
#include "routes/routes.h"
#include "routes/tus.h"

static enum error_code append_raw(void *ctx, const void *data, size_t len,
                                  struct error *e)
{
    return upload_append(ctx, data, len, e);
}

/* The body as one file: moved, where the front server has it as a file, else
 * received. */
static enum error_code receive_body(struct app *app, struct request *req,
                                    struct upload *u, struct error *e)
{
    const struct body_file *file = req->body->file;
    enum error_code code = ERR_UNSUPPORTED;

    if (file)
        code = upload_adopt(u, file->dir, file->path, e);
    return code == ERR_UNSUPPORTED ? intake_body(app, req, &u, append_raw, u, e)
                                   : code;
}

/* One file whose bytes are the body. */
static enum error_code receive_raw(struct app *app, struct request *req,
                                   struct intake_choice *choice,
                                   const char *name, struct file_list *files,
                                   struct error *e)
{
    struct upload_spec spec = {
        .id = *choice->id ? choice->id : NULL,
        .total = req->body->length,
        .arena = req->arena,
    };
    struct upload *u;
    enum error_code code = intake_size(app, req, e);

    if (code == ERR_NONE)
        code = intake_end(req, e);
    if (code == ERR_NONE)
        code = upload_open(app->store, &spec, &u, e);
    if (code != ERR_NONE)
        return code;
    code = upload_begin_file(u, name, request_header(req, "Content-Type"),
                             req->body->length, e);
    if (code == ERR_NONE)
        code = receive_body(app, req, u, e);
    if (code == ERR_NONE)
        code = upload_end_file(u, e);
    if (code != ERR_NONE) {
        upload_discard(u, e);
        return code;
    }
    memcpy(choice->id, upload_id(u), strlen(upload_id(u)) + 1);
    return upload_finish(u, "{}", files, e);
}

static enum error_code receive_post(struct app *app, struct request *req,
                                    struct intake_choice *choice,
                                    struct file_list *files, struct error *e)
{
    char name[INTAKE_NAME_MAX];
    enum error_code code;

    if (request_has_type(req, "multipart/"))
        return form_receive(app, req, choice, files, e);
    if (request_has_type(req, "application/x-www-form-urlencoded"))
        return error_set(e, ERR_UNSUPPORTED,
                         "This form cannot carry files; send "
                         "multipart/form-data, or a file with its own "
                         "Content-Type.");
    code = intake_name(req, name, e);
    if (code != ERR_NONE)
        return code;
    return receive_raw(app, req, choice, name, files, e);
}

enum error_code upload_post(struct app *app, struct request *req,
                            const char *rest, struct response *res,
                            struct error *e)
{
    struct file_list files = {0};
    struct intake_choice choice;
    enum error_code code;

    (void)rest;
    if (ietf_is_creation(req))
        return ietf_create(app, req, NULL, res, e);
    if (tus_is_creation(req))
        return tus_create(app, req, res, e);
    code = intake_coding(req, e);
    if (code == ERR_NONE)
        code = intake_choose(req, &choice, e);
    if (code == ERR_NONE)
        code = receive_post(app, req, &choice, &files, e);
    if (code == ERR_NONE)
        render_upload(app, req, res, choice.id, &files);
    return code;
}

/* RFC 9110 section 14.5: a partial PUT must not pass for a whole one. */
static enum error_code check_whole(const struct request *req, struct error *e)
{
    const char *range = request_header(req, "Content-Range");

    if (!range || range_is_whole(range, req->body->length))
        return ERR_NONE;
    return error_set(e, ERR_BAD_REQUEST,
                     "A PUT must bring the whole file; partial PUT is not "
                     "supported.");
}

enum error_code upload_put(struct app *app, struct request *req,
                           const char *rest, struct response *res,
                           struct error *e)
{
    struct file_list files = {0};
    struct intake_choice choice;
    enum error_code code = intake_coding(req, e);

    if (code == ERR_NONE && strchr(rest, '/'))
        code = error_set(e, ERR_BAD_NAME,
                         "The name in the URL must not contain a slash.");
    if (code == ERR_NONE)
        code = check_whole(req, e);
    if (code == ERR_NONE && ietf_is_creation(req))
        return ietf_create(app, req, rest, res, e);
    if (code == ERR_NONE)
        code = intake_choose(req, &choice, e);
    if (code == ERR_NONE)
        code = receive_raw(app, req, &choice, rest, &files, e);
    if (code == ERR_NONE)
        render_upload(app, req, res, choice.id, &files);
    return code;
}
