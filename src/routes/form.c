/*
 * Form events in, session calls out. The session opens with the first file.
 */
#include "routes/form.h"

#include <string.h>

/* Special fields steer the session, so they must come before it. */
enum error_code form_field(void *ctx, const char *name, const char *value,
                           bool *keep, struct error *e)
{
    struct form *f = ctx;
    bool is_id = strcmp(name, "upload_id") == 0;

    if (!is_id && strcmp(name, "directory") != 0)
        return ERR_NONE;
    *keep = false;
    if (f->upload)
        return error_set(e, ERR_BAD_REQUEST,
                         "The field %s must come before the first file.", name);
    if (is_id)
        return intake_id(f->choice, value, e);
    f->choice->directory = strcmp(value, "1") == 0;
    return ERR_NONE;
}

static enum error_code open_upload(struct form *f, struct error *e)
{
    struct upload_spec spec = {
        .id = *f->choice->id ? f->choice->id : NULL,
        .total = f->req->body->length,
        .directory = f->choice->directory,
        .arena = f->req->arena,
    };

    return f->upload ? ERR_NONE
                     : upload_open(f->app->store, &spec, &f->upload, e);
}

enum error_code form_file_begin(void *ctx, const char *name, const char *type,
                                struct error *e)
{
    struct form *f = ctx;
    enum error_code code = open_upload(f, e);

    return code == ERR_NONE ? upload_begin_file(f->upload, name, type,
                                                UPLOAD_SIZE_UNKNOWN, e)
                            : code;
}

enum error_code form_file_data(void *ctx, const void *data, size_t len,
                               struct error *e)
{
    struct form *f = ctx;

    return upload_append(f->upload, data, len, e);
}

enum error_code form_file_end(void *ctx, struct error *e)
{
    struct form *f = ctx;

    return upload_end_file(f->upload, e);
}

enum error_code form_finish(struct form *f, const char *metadata,
                            struct file_list *files, struct error *e)
{
    struct upload *u = f->upload;
    enum error_code code;

    if (!u)
        return error_set(e, ERR_BAD_REQUEST, "The form contains no file.");
    f->upload = NULL;
    code = upload_finish(u, metadata, files, e);
    if (code == ERR_NONE)
        memcpy(f->choice->id, upload_id(u), strlen(upload_id(u)) + 1);
    return code;
}

enum error_code form_receive(struct app *app, struct request *req,
                             struct intake_choice *choice,
                             struct file_list *files, struct error *e)
{
    static const struct form_events events = {form_field, form_file_begin,
                                              form_file_data, form_file_end};
    struct form f = {.app = app, .req = req, .choice = choice};
    const char *metadata;
    enum error_code code = form_read(app, req, &events, &f, &f.upload,
                                     &metadata, e);

    if (code == ERR_NONE)
        code = form_finish(&f, metadata, files, e);
    if (f.upload)
        upload_discard(f.upload, e);
    return code;
}
