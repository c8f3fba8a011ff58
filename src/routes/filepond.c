/*
 * /filepond: the server protocol of FilePond. Its ids are upload ids.
 *
 *   POST                a form: metadata and file; or, with Upload-Length and
 *                       without file, the beginning of a file in chunks
 *   PATCH  ?patch=ID    the next chunk
 *   HEAD   ?patch=ID    where to go on
 *   DELETE              revert: the id is the body
 *   GET    ?load=ID     the stored file; ?restore=ID the same
 */
#include <inttypes.h>
#include <string.h>

#include "access/access.h"
#include "base/text.h"
#include "http/query.h"
#include "routes/form.h"
#include "routes/routes.h"
#include "routes/transfer.h"

static enum error_code check_on(const struct app *app, struct error *e)
{
    return transfer_speaks(app, PROTOCOL_FILEPOND)
               ? ERR_NONE
               : error_set(e, ERR_NOT_FOUND, "There is nothing at this path.");
}

static void answer_id(struct response *res, const char *id)
{
    res->status = 201;
    response_header(res, "Cache-Control", "no-store");
    response_header(res, "X-Content-Type-Options", "nosniff");
    response_text(res, "text/plain; charset=utf-8", id, strlen(id));
}

static enum error_code field_number(const struct request *req, const char *name,
                                    uint64_t *out, struct error *e)
{
    const char *field = request_header(req, name);

    if (field && text_parse_u64(field, strlen(field), out) && *out <= INT64_MAX)
        return ERR_NONE;
    return error_set(e, ERR_BAD_REQUEST, "%s is missing or no number.", name);
}

static enum error_code query_id(const struct request *req, const char *name,
                                char id[UPLOAD_ID_MAX + 1], struct error *e)
{
    if (query_get(req->query, name, id, UPLOAD_ID_MAX + 1) == QUERY_FOUND)
        return ERR_NONE;
    return error_set(e, ERR_BAD_REQUEST,
                     "The query parameter %s is missing or malformed.", name);
}

/* The form brought no file: chunks will follow. The name comes with them. */
static enum error_code begin_chunked(struct form *f, uint64_t total,
                                     const char *metadata, struct response *res,
                                     struct error *e)
{
    const struct upload_spec spec = {.total = total, .arena = f->req->arena};
    const struct resumable_spec r = {.name = UPLOAD_UNNAMED,
                                     .fields = metadata};
    struct file_list files = {0};
    struct upload *u;
    enum error_code code = upload_create(f->app->store, &spec, &r, &u, e);

    if (code == ERR_NONE)
        code = transfer_end(u, &files, e);
    if (code == ERR_NONE)
        answer_id(res, upload_id(u));
    return code;
}

static enum error_code end_form(struct form *f, const char *metadata,
                                struct response *res, struct error *e)
{
    struct file_list files = {0};
    uint64_t total;
    enum error_code code;

    if (!f->upload && request_header(f->req, "Upload-Length")) {
        code = field_number(f->req, "Upload-Length", &total, e);
        return code == ERR_NONE ? begin_chunked(f, total, metadata, res, e)
                                : code;
    }
    code = form_finish(f, metadata, &files, e);
    if (code == ERR_NONE)
        answer_id(res, f->choice->id);
    return code;
}

enum error_code filepond_post(struct app *app, struct request *req,
                              const char *rest, struct response *res,
                              struct error *e)
{
    static const struct form_events events = {form_field, form_file_begin,
                                              form_file_data, form_file_end};
    struct intake_choice choice = {0};
    struct form f = {app, req, &choice, NULL};
    const char *metadata;
    enum error_code code = check_on(app, e);

    (void)rest;
    if (code == ERR_NONE)
        code = intake_coding(req, e);
    if (code == ERR_NONE)
        code = form_read(app, req, &events, &f, &f.upload, &metadata, e);
    if (code == ERR_NONE)
        code = end_form(&f, metadata, res, e);
    if (f.upload)
        upload_discard(f.upload, e);
    return code;
}

/* The chunk belongs where the session is, and brings its name. */
static enum error_code check_chunk(struct transfer *t, uint64_t offset,
                                   struct error *e)
{
    const char *name = request_header(t->req, "Upload-Name");

    if (offset != upload_offset(t->upload))
        return error_offset(e, upload_offset(t->upload), offset);
    return name ? upload_set_name(t->upload, name, e) : ERR_NONE;
}

static enum error_code receive_chunk(struct transfer *t, uint64_t offset,
                                     struct response *res, struct error *e)
{
    struct file_list files = {0};
    enum error_code code = check_chunk(t, offset, e);

    if (code != ERR_NONE) {
        upload_abandon(t->upload);
        return code;
    }
    code = transfer_receive(t, e);
    offset = code == ERR_NONE ? upload_offset(t->upload) : 0;
    if (code == ERR_NONE)
        code = transfer_end(t->upload, &files, e);
    if (code == ERR_NONE) {
        res->status = 204;
        response_header(res, "Upload-Offset", "%" PRIu64, offset);
    }
    return code;
}

/* A file that is a multiple of the chunk size ends with an empty chunk. */
static enum error_code after_the_end(struct app *app, struct request *req,
                                     const char *id, uint64_t offset,
                                     struct response *res, struct error *e)
{
    struct progress p;
    enum error_code code = progress_get(app->store, req->arena, id, &p, e);

    if (code != ERR_NONE)
        return code;
    if (offset != p.total)
        return error_offset(e, p.total, offset);
    if (req->body->length != 0)
        return error_set(e, ERR_LENGTH_EXCEEDED, "The upload is stored.");
    res->status = 204;
    response_header(res, "Upload-Offset", "%" PRIu64, p.total);
    return ERR_NONE;
}

enum error_code filepond_patch(struct app *app, struct request *req,
                               const char *rest, struct response *res,
                               struct error *e)
{
    struct transfer t = {.app = app, .req = req};
    char id[UPLOAD_ID_MAX + 1];
    uint64_t offset;
    enum error_code code = check_on(app, e);

    (void)rest;
    if (code == ERR_NONE)
        code = intake_coding(req, e);
    if (code == ERR_NONE)
        code = query_id(req, "patch", id, e);
    if (code == ERR_NONE)
        code = field_number(req, "Upload-Offset", &offset, e);
    if (code == ERR_NONE)
        code = upload_resume(app->store, req->arena, id, &t.upload, e);
    if (code == ERR_COMPLETED)
        return after_the_end(app, req, id, offset, res, e);
    return code == ERR_NONE ? receive_chunk(&t, offset, res, e) : code;
}

static enum error_code head(struct app *app, struct request *req,
                            struct response *res, struct error *e)
{
    char id[UPLOAD_ID_MAX + 1];
    struct progress p;
    enum error_code code = query_id(req, "patch", id, e);

    if (code == ERR_NONE)
        code = transfer_state(app, req, id, &p, e);
    if (code != ERR_NONE)
        return code;
    res->status = 200;
    response_header(res, "Upload-Offset", "%" PRIu64, p.loaded);
    response_header(res, "Cache-Control", "no-store");
    return ERR_NONE;
}

/* load and restore: the file that the upload became. */
static enum error_code fetch(struct app *app, struct request *req,
                             struct response *res, struct error *e)
{
    char id[UPLOAD_ID_MAX + 1];
    struct progress p;
    enum error_code code = access_check(app->config, ACCESS_DOWNLOAD, e);

    if (code == ERR_NONE &&
        query_get(req->query, "load", id, sizeof id) != QUERY_FOUND)
        code = query_id(req, "restore", id, e);
    if (code == ERR_NONE)
        code = progress_get(app->store, req->arena, id, &p, e);
    if (code == ERR_NONE && !p.files.first)
        code = error_set(e, ERR_NOT_FOUND, "This upload is not stored.");
    return code == ERR_NONE ? download_get(app, req, p.files.first->id, res, e)
                            : code;
}

enum error_code filepond_get(struct app *app, struct request *req,
                             const char *rest, struct response *res,
                             struct error *e)
{
    enum error_code code = check_on(app, e);
    char id[UPLOAD_ID_MAX + 1];

    (void)rest;
    if (code != ERR_NONE)
        return code;
    if (query_get(req->query, "patch", id, sizeof id) != QUERY_ABSENT)
        return head(app, req, res, e);
    return fetch(app, req, res, e);
}

/* The body of a revert as it arrives. */
struct id_body {
    char id[UPLOAD_ID_MAX + 1]; /* */
    size_t len;                 /* */
};

static enum error_code take_id(void *ctx, const void *data, size_t len,
                               struct error *e)
{
    struct id_body *b = ctx;

    if (len > UPLOAD_ID_MAX - b->len)
        return error_set(e, ERR_BAD_ID, "The body is no upload id.");
    memcpy(b->id + b->len, data, len);
    b->len += len;
    return ERR_NONE;
}

enum error_code filepond_delete(struct app *app, struct request *req,
                                const char *rest, struct response *res,
                                struct error *e)
{
    struct upload *none = NULL;
    struct id_body b = {0};
    enum error_code code = check_on(app, e);

    (void)rest;
    if (code == ERR_NONE)
        code = intake_body(app, req, &none, take_id, &b, e);
    if (code == ERR_NONE && (strlen(b.id) != b.len || !id_is_upload(b.id)))
        code = error_set(e, ERR_BAD_ID, "The body is no upload id.");
    if (code == ERR_NONE)
        code = upload_terminate(app->store, b.id, e);
    if (code == ERR_NONE)
        response_header(res, "Cache-Control", "no-store");
    return code;
}
