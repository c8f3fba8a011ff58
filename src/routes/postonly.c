/*
 * POST /upload/ID: resumable uploads for hosts that let nothing through but
 * GET and POST of forms. The client makes up a random upload id and sends
 * multipart/form-data with these fields before the file:
 *
 *   action   append (as if it were absent), status or cancel
 *   offset   where the bytes of the file part belong; absent means 0
 *   size     of the whole file; needed at the latest in the last request
 *
 * The first append, at offset 0, begins the upload; the other fields of the
 * first form that has any become the file's metadata. The file is named by the
 * query parameter filename or else by the file part, whose name firewalls look
 * at. The answer is that of GET /progress/ID with offset.
 */
#include <string.h>

#include "base/text.h"
#include "routes/form_reader.h"
#include "routes/render.h"
#include "routes/routes.h"
#include "routes/transfer.h"

enum action { APPEND, STATUS, CANCEL, ACTIONS };

static const char *const action_names[ACTIONS] = {
    [APPEND] = "append", [STATUS] = "status", [CANCEL] = "cancel"};

struct post {
    struct app *app;
    struct request *req;
    const char *id; /* of the upload */
    enum action action;
    uint64_t offset;
    uint64_t size;     /* or UPLOAD_SIZE_UNKNOWN */
    struct transfer t; /* its session is NULL before the file part */
    bool had_file;     /* the file part has come */
    bool is_stored;    /* nothing is left to append */
};

static enum error_code take_action(struct post *p, const char *value,
                                   struct error *e)
{
    for (int i = 0; i < ACTIONS; i++)
        if (strcmp(value, action_names[i]) == 0) {
            p->action = (enum action)i;
            return ERR_NONE;
        }
    return error_set(e, ERR_BAD_REQUEST,
                     "The field action must be append, status or cancel.");
}

static enum error_code take_number(const char *name, const char *value,
                                   uint64_t *out, struct error *e)
{
    if (transfer_number(value, out))
        return ERR_NONE;
    return error_set(e, ERR_BAD_REQUEST, "The field %s must be a number.",
                     name);
}

static enum error_code on_field(void *ctx, const char *name, const char *value,
                                bool *keep, struct error *e)
{
    struct post *p = ctx;
    bool is_action = strcmp(name, "action") == 0;
    bool is_offset = strcmp(name, "offset") == 0;

    if (!is_action && !is_offset && strcmp(name, "size") != 0)
        return ERR_NONE;
    *keep = false;
    if (p->had_file)
        return error_set(e, ERR_BAD_REQUEST,
                         "The field %s must come before the file.", name);
    if (is_action)
        return take_action(p, value, e);
    return take_number(name, value, is_offset ? &p->offset : &p->size, e);
}

static enum error_code begin(struct post *p, const char *name, const char *type,
                             struct error *e)
{
    const struct upload_spec spec = {
        .id = p->id, .total = p->size, .arena = p->req->arena};
    const struct resumable_spec r = {.name = name, .type = type};

    return upload_create(p->app->store, &spec, &r, &p->t.upload, e);
}

/* The session of the id: where it stands, or a new one. */
static enum error_code open_session(struct post *p, const char *name,
                                    const char *type, struct error *e)
{
    enum error_code code = upload_resume(p->app->store, p->req->arena, p->id,
                                         &p->t.upload, e);

    if (code == ERR_NOT_FOUND && p->offset == 0)
        return begin(p, name, type, e);
    p->is_stored = code == ERR_COMPLETED;
    if (p->is_stored)
        return ERR_NONE;
    if (code == ERR_NONE && p->offset != upload_offset(p->t.upload))
        code = error_offset(e, upload_offset(p->t.upload), p->offset);
    if (code == ERR_NONE && p->size != UPLOAD_SIZE_UNKNOWN)
        code = upload_set_total(p->t.upload, p->size, e);
    return code;
}

static enum error_code on_file_begin(void *ctx, const char *name,
                                     const char *type, struct error *e)
{
    struct post *p = ctx;
    char chosen[INTAKE_NAME_MAX];

    if (p->action != APPEND || p->had_file)
        return error_set(e, ERR_BAD_REQUEST,
                         "Only an append has a file, and only one.");
    p->had_file = true;
    if (intake_query_name(p->req, chosen, e) != ERR_NONE)
        return e->code;
    return open_session(p, chosen[0] ? chosen : name, type, e);
}

static enum error_code on_file_data(void *ctx, const void *data, size_t len,
                                    struct error *e)
{
    struct post *p = ctx;

    if (p->is_stored)
        return error_set(e, ERR_COMPLETED, "The upload is stored already.");
    return transfer_append(&p->t, data, len, e);
}

static enum error_code on_file_end(void *ctx, struct error *e)
{
    (void)ctx;
    (void)e;
    return ERR_NONE;
}

static enum error_code end_append(struct post *p, const char *metadata,
                                  struct error *e)
{
    struct upload *u = p->t.upload;
    struct file_list files = {0};

    if (!p->had_file)
        return error_set(e, ERR_BAD_REQUEST, "The form contains no file.");
    if (p->is_stored)
        return ERR_NONE;
    p->t.upload = NULL;
    if (strcmp(upload_fields(u), "{}") == 0)
        upload_set_fields(u, metadata);
    return transfer_end(u, &files, e);
}

static enum error_code answer(struct post *p, struct response *res,
                              struct error *e)
{
    struct progress now = {0};
    enum error_code code = p->action == STATUS
                               ? transfer_state(p->app, p->req, p->id, &now, e)
                               : progress_get(p->app->store, p->req->arena,
                                              p->id, &now, e);
    json_t *j;

    if (code != ERR_NONE)
        return code;
    j = render_progress(&now);
    json_object_set_new(j, "offset", json_integer((json_int_t)now.loaded));
    if (now.state == UPLOAD_STORED)
        json_object_set_new(j, "files",
                            render_files(p->app, p->req, &now.files, false));
    render_json(res, j);
    return ERR_NONE;
}

static enum error_code act(struct post *p, const char *metadata,
                           struct error *e)
{
    if (p->action == APPEND)
        return end_append(p, metadata, e);
    return p->action == CANCEL ? upload_terminate(p->app->store, p->id, e)
                               : ERR_NONE;
}

enum error_code resource_post(struct app *app, struct request *req,
                              const char *rest, struct response *res,
                              struct error *e)
{
    static const struct form_events events = {on_field, on_file_begin,
                                              on_file_data, on_file_end};
    struct post p = {.app = app,
                     .req = req,
                     .id = rest,
                     .size = UPLOAD_SIZE_UNKNOWN,
                     .t = {.app = app, .req = req}};
    const char *metadata;
    enum error_code code;

    if (*rest == '\0') /* many clients are configured with a slash there */
        return upload_post(app, req, rest, res, e);
    code = intake_coding(req, e);
    if (code == ERR_NONE && !id_is_upload(rest))
        code = error_set(e, ERR_BAD_ID, "The upload id is malformed.");
    if (code == ERR_NONE)
        code = form_read(app, req, &events, &p, &p.t.upload, &metadata, e);
    if (code == ERR_NONE)
        code = act(&p, metadata, e);
    if (p.t.upload) {
        transfer_fail(&p.t, e);
        code = e->code;
    }
    return code == ERR_NONE ? answer(&p, res, e) : code;
}
