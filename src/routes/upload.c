/*
 * POST /upload and PUT /upload/NAME: choose the translator, answer with the
 * finished files.
 */
#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "http/accept.h"
#include "http/disposition.h"
#include "http/params.h"
#include "http/query.h"
#include "http/range.h"
#include "routes/form.h"
#include "routes/render.h"
#include "routes/routes.h"

enum { RAW_NAME_MAX = 1024 };

static enum error_code answer(struct app *app, struct request *req,
                              const struct intake_choice *choice,
                              const struct file_list *files,
                              struct response *res)
{
    json_t *j;

    res->status = 201;
    response_header(res, "Vary", "Accept");
    response_header(res, "Cache-Control", "no-store");
    response_header(res, "X-Content-Type-Options", "nosniff");
    response_header(res, "Upload-Id", "%s", choice->id);
    if (files->count == 1) {
        const char *url = file_url(app->store, req->arena, files->first);

        response_header(res, "Location", "%s", url ? url : "");
    }
    switch (accept_form(request_header(req, "Accept"), FORM_TEXT)) {
    case FORM_JSON:
    case FORM_EVENTS:
        j = json_object();
        json_object_set_new(j, "files", render_files(app, req, files, false));
        json_object_set_new(j, "upload_id", json_string(choice->id));
        render_json(res, j);
        break;
    case FORM_HTML:
        render_page(app, req, res, files);
        break;
    case FORM_TEXT:
        render_urls(app, res, files);
        break;
    }
    return ERR_NONE;
}

static enum error_code append_raw(void *ctx, const void *data, size_t len,
                                  struct error *e)
{
    return upload_append(ctx, data, len, e);
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
    enum error_code code = upload_open(app->store, &spec, &u, e);

    if (code != ERR_NONE)
        return code;
    code = upload_begin_file(u, name, request_header(req, "Content-Type"),
                             req->body->length, e);
    if (code == ERR_NONE)
        code = intake_body(app, req, &u, append_raw, u, e);
    if (code == ERR_NONE)
        code = upload_end_file(u, e);
    if (code != ERR_NONE) {
        upload_discard(u, e);
        return code;
    }
    memcpy(choice->id, upload_id(u), strlen(upload_id(u)) + 1);
    return upload_finish(u, "{}", files, e);
}

/* What is common to all ways in: codings we do not undo. */
static enum error_code check_coding(const struct request *req, struct error *e)
{
    const char *coding = request_header(req, "Content-Encoding");

    if (!coding || text_equal_ci(coding, "identity"))
        return ERR_NONE;
    return error_set(e, ERR_UNSUPPORTED,
                     "A Content-Encoding is not supported; send the file as "
                     "it is.");
}

/* The name of a raw POST: ?filename=, Content-Disposition, or "upload". */
static enum error_code raw_name(const struct request *req,
                                char name[RAW_NAME_MAX], struct error *e)
{
    const char *header = request_header(req, "Content-Disposition");

    switch (query_get(req->query, "filename", name, RAW_NAME_MAX)) {
    case QUERY_FOUND:
        return ERR_NONE;
    case QUERY_BAD:
        return error_set(e, ERR_BAD_NAME,
                         "The query parameter filename is malformed.");
    case QUERY_ABSENT:
        break;
    }
    if (header && !disposition_filename(header, name, RAW_NAME_MAX))
        return error_set(e, ERR_BAD_NAME,
                         "Content-Disposition has no usable file name.");
    if (!header)
        memcpy(name, "upload", sizeof "upload");
    return ERR_NONE;
}

static enum error_code receive_post(struct app *app, struct request *req,
                                    struct intake_choice *choice,
                                    struct file_list *files, struct error *e)
{
    const char *header = request_header(req, "Content-Type");
    char type[64] = "";
    char name[RAW_NAME_MAX];
    enum error_code code;

    if (header && !params_value(header, type, sizeof type))
        type[0] = '\0';
    if (text_starts_ci(type, "multipart/"))
        return form_receive(app, req, choice, files, e);
    if (strcmp(type, "application/x-www-form-urlencoded") == 0)
        return error_set(e, ERR_UNSUPPORTED,
                         "This form cannot carry files; send "
                         "multipart/form-data, or a file with its own "
                         "Content-Type.");
    code = raw_name(req, name, e);
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
    enum error_code code = check_coding(req, e);

    (void)rest;
    if (code == ERR_NONE)
        code = intake_choose(req, &choice, e);
    if (code == ERR_NONE)
        code = receive_post(app, req, &choice, &files, e);
    return code == ERR_NONE ? answer(app, req, &choice, &files, res) : code;
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
    enum error_code code = check_coding(req, e);

    if (code == ERR_NONE && strchr(rest, '/'))
        code = error_set(e, ERR_BAD_NAME,
                         "The name in the URL must not contain a slash.");
    if (code == ERR_NONE)
        code = check_whole(req, e);
    if (code == ERR_NONE)
        code = intake_choose(req, &choice, e);
    if (code == ERR_NONE)
        code = receive_raw(app, req, &choice, rest, &files, e);
    return code == ERR_NONE ? answer(app, req, &choice, &files, res) : code;
}
