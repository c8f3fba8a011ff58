/*
 * /filepond: the server protocol of FilePond. Its ids are upload ids.
 *
 *   POST                a form: metadata as a JSON object, and a file; or, with
 *                       Upload-Length and without file, the beginning of a
 *                       file in chunks
 *   PATCH  ?patch=ID    the next chunk: it counts as a whole or not at all,
 *                       because the client repeats chunks, not bytes
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
#include "routes/render.h"
#include "routes/routes.h"
#include "routes/transfer.h"

enum { NESTING_MAX = 16 }; /* of packed metadata: parsers recurse */

static void answer_id(struct response *res, const char *id)
{
    res->status = 201;
    response_text(res, "text/plain; charset=utf-8", id, strlen(id));
}

static enum error_code field_number(const struct request *req, const char *name,
                                    uint64_t *out, struct error *e)
{
    const char *field = request_header(req, name);

    if (field && transfer_number(field, out))
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

/* The form brought no file: chunks will follow, one at least. The name comes
 * with them. */
static enum error_code begin_chunked(struct form *f, uint64_t total,
                                     const char *metadata, struct response *res,
                                     struct error *e)
{
    const struct upload_spec spec = {.total = total, .arena = f->req->arena};
    const struct resumable_spec r = {
        .name = UPLOAD_UNNAMED, .unnamed = true, .fields = metadata};
    struct upload *u;
    enum error_code code = upload_create(f->app->store, &spec, &r, &u, e);

    if (code == ERR_NONE)
        code = upload_suspend(u, e);
    if (code == ERR_NONE)
        answer_id(res, upload_id(u));
    return code;
}

/* A form, whose metadata FilePond packs into one field. */
struct pond_form {
    struct form form; /* first: the form_events of form.h work on it */
    json_t *metadata; /* object of the packed members */
};

static enum error_code on_field(void *ctx, const char *name, const char *value,
                                bool *keep, struct error *e)
{
    struct pond_form *f = ctx;
    json_t *packed = NULL;

    if (text_nesting(value) <= NESTING_MAX)
        packed = json_loads(value, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_object(packed)) {
        json_decref(packed);
        return form_field(&f->form, name, value, keep, e);
    }
    *keep = false;
    json_object_update(f->metadata, packed);
    json_decref(packed);
    return ERR_NONE;
}

/* The plain fields and the packed ones as one object, in the arena. */
static enum error_code merge(struct pond_form *f, const char **metadata,
                             struct error *e)
{
    json_t *all = json_loads(*metadata, 0, NULL);

    json_object_update(all, f->metadata);
    *metadata = render_text(f->form.req->arena, all);
    json_decref(all);
    return *metadata ? ERR_NONE
                     : error_set(e, ERR_MEMORY, "No memory for metadata.");
}

static enum error_code end_form(struct form *f, const char *metadata,
                                struct response *res, struct error *e)
{
    struct file_list files = {0};
    uint64_t total = 0;
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
    static const struct form_events events = {on_field, form_file_begin,
                                              form_file_data, form_file_end};
    struct intake_choice choice = {0};
    struct pond_form f = {{app, req, &choice, NULL}, json_object()};
    const char *metadata;
    enum error_code code = intake_coding(req, e);

    (void)rest;
    if (code == ERR_NONE)
        code = form_read(app, req, &events, &f, &f.form.upload, &metadata, e);
    if (code == ERR_NONE)
        code = merge(&f, &metadata, e);
    if (code == ERR_NONE)
        code = end_form(&f.form, metadata, res, e);
    if (f.form.upload)
        upload_discard(f.form.upload, e);
    json_decref(f.metadata);
    return code;
}

static enum error_code wrong_offset(struct response *res, uint64_t expected,
                                    uint64_t provided, struct error *e)
{
    response_header(res, "Upload-Offset", "%" PRIu64, expected);
    return error_offset(e, expected, provided);
}

/* The chunk begins where the session is, or before that if it is repeated;
 * it brings name and length of the file. */
static enum error_code check_chunk(struct transfer *t, uint64_t offset,
                                   struct response *res, struct error *e)
{
    const char *name = request_header(t->req, "Upload-Name");
    uint64_t at = upload_offset(t->upload);
    enum error_code code = ERR_NONE;
    uint64_t total = 0;

    if (offset > at)
        return wrong_offset(res, at, offset, e);
    t->skip = at - offset;
    t->whole = true;
    if (request_header(t->req, "Upload-Length")) {
        code = field_number(t->req, "Upload-Length", &total, e);
        if (code == ERR_NONE)
            code = upload_set_total(t->upload, total, e);
    }
    if (code == ERR_NONE && name)
        code = upload_set_name(t->upload, name, e);
    return code;
}

static void answer_chunk(struct response *res, uint64_t offset)
{
    res->status = 204;
    response_header(res, "Upload-Offset", "%" PRIu64, offset);
}

static enum error_code receive_chunk(struct transfer *t, uint64_t offset,
                                     struct response *res, struct error *e)
{
    struct file_list files = {0};
    enum error_code code = check_chunk(t, offset, res, e);

    if (code != ERR_NONE) {
        upload_abandon(t->upload);
        return code;
    }
    code = transfer_receive(t, e);
    offset = code == ERR_NONE ? upload_offset(t->upload) : 0;
    if (code == ERR_NONE)
        code = transfer_end(t->upload, &files, e);
    if (code == ERR_NONE)
        answer_chunk(res, offset);
    return code;
}

static enum error_code drop(void *ctx, const void *data, size_t len,
                            struct error *e)
{
    (void)ctx;
    (void)data;
    (void)len;
    (void)e;
    return ERR_NONE;
}

/* The file is stored. A chunk whose answer was lost comes again; and a file
 * that is a multiple of the chunk size ends with an empty chunk. */
static enum error_code repeat_chunk(struct app *app, struct request *req,
                                    const char *id, uint64_t offset,
                                    struct response *res, struct error *e)
{
    struct upload *none = NULL;
    struct progress p;
    enum error_code code = progress_get(app->store, req->arena, id, &p, e);

    if (code != ERR_NONE)
        return code;
    if (offset > p.total || (req->body->length != BODY_LENGTH_UNKNOWN &&
                             req->body->length > p.total - offset))
        return wrong_offset(res, p.total, offset, e);
    code = intake_body(app, req, &none, drop, NULL, e);
    if (code == ERR_NONE)
        answer_chunk(res, p.total);
    return code;
}

enum error_code filepond_patch(struct app *app, struct request *req,
                               const char *rest, struct response *res,
                               struct error *e)
{
    struct transfer t = {.app = app, .req = req};
    char id[UPLOAD_ID_MAX + 1];
    uint64_t offset = 0;
    enum error_code code = intake_coding(req, e);

    (void)rest;
    if (code == ERR_NONE)
        code = query_id(req, "patch", id, e);
    if (code == ERR_NONE)
        code = field_number(req, "Upload-Offset", &offset, e);
    if (code == ERR_NONE)
        code = upload_resume(app->store, req->arena, id, &t.upload, e);
    if (code == ERR_COMPLETED)
        return repeat_chunk(app, req, id, offset, res, e);
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
    return ERR_NONE;
}

/* load and restore: the file that the upload became. */
static enum error_code fetch(struct app *app, struct request *req,
                             struct response *res, struct error *e)
{
    char id[UPLOAD_ID_MAX + 1];
    struct progress p = {0};
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
    char id[UPLOAD_ID_MAX + 1];

    (void)rest;
    if (query_get(req->query, "patch", id, sizeof id) != QUERY_ABSENT)
        return head(app, req, res, e);
    return fetch(app, req, res, e);
}

/* The body of a revert as it arrives. */
struct id_body {
    char id[UPLOAD_ID_MAX + 1];
    size_t len;
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
    enum error_code code = intake_body(app, req, &none, take_id, &b, e);

    (void)rest;
    (void)res;
    if (code == ERR_NONE && (strlen(b.id) != b.len || !id_is_upload(b.id)))
        code = error_set(e, ERR_BAD_ID, "The body is no upload id.");
    if (code == ERR_NONE)
        code = upload_terminate(app->store, b.id, e);
    return code;
}
