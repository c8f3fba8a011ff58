/*
 * The draft's requests to session calls and back.
 *
 * An upload is complete when the client says so in the request that brings the
 * last byte. Beyond the draft it is complete too when its declared length is
 * reached: widespread clients never say it then. One that says so afterwards,
 * with nothing to add, gets the final answer.
 */
#include "routes/ietf.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "http/structured.h"
#include "routes/ietf_fields.h"
#include "routes/metadata.h"
#include "routes/render.h"

/* The answer to the request that completed the upload. */
static void answer_complete(const struct app *app, const struct request *req,
                            struct response *res, const char *id, uint64_t size,
                            const struct file_list *files)
{
    if (ietf_version(req)->one_location && files->first) {
        transfer_location(req, res, id);
        render_url(app, req, res, "Content-Location", files->first);
        render_stored(app, req, res, id, files);
    } else {
        render_upload(app, req, res, id, files);
    }
    response_header(res, "Upload-Offset", "%" PRIu64, size);
    ietf_put_complete(req, res, true);
    if (files->first)
        ietf_put_repr_digest(req, res, files->first);
}

static void answer_incomplete(const struct app *app, const struct request *req,
                              struct response *res, uint64_t offset, int status,
                              bool is_stored)
{
    res->status = status;
    response_header(res, "Upload-Offset", "%" PRIu64, offset);
    ietf_put_complete(req, res, is_stored);
    ietf_put_limits(app, req, res, !is_stored);
}

/* Upload-Length, and what the request itself says of the length, which is
 * known when it is the last one. */
static enum error_code take_length(const struct request *req, uint64_t offset,
                                   bool complete, uint64_t *total,
                                   struct error *e)
{
    uint64_t length = req->body->length;
    int64_t field;

    *total = UPLOAD_SIZE_UNKNOWN;
    if (structured_integer(request_header(req, "Upload-Length"), &field) ==
            STRUCTURED_FOUND &&
        field >= 0)
        *total = (uint64_t)field;
    if (complete && *total == UPLOAD_SIZE_UNKNOWN &&
        intake_end(req, e) != ERR_NONE)
        return e->code;
    if (!complete || length == BODY_LENGTH_UNKNOWN)
        return ERR_NONE;
    if (*total != UPLOAD_SIZE_UNKNOWN && *total != offset + length)
        return error_set(e, ERR_LENGTH,
                         "Upload-Length is not where this request ends.");
    *total = offset + length;
    return ERR_NONE;
}

/* The bytes are in, and the session is held: end the request. */
static enum error_code end(struct transfer *t, bool complete,
                           struct response *res, int status, struct error *e)
{
    struct upload *u = t->upload;
    uint64_t offset = upload_offset(u);
    struct file_list files = {0};
    enum error_code code = ERR_NONE;

    if (complete && upload_set_total(u, offset, e) != ERR_NONE) {
        upload_discard(u, e);
        return e->code;
    }
    code = transfer_end(u, &files, e);
    if (code != ERR_NONE)
        return code;
    if (complete)
        answer_complete(t->app, t->req, res, upload_id(u), offset, &files);
    else
        answer_incomplete(t->app, t->req, res, offset, status,
                          files.first != NULL);
    return ERR_NONE;
}

/* More bytes than the length: the draft wants the whole upload invalid. While
 * the request runs, its client is told of what is safe; of one with a digest
 * nothing is before its end. */
static enum error_code receive(struct transfer *t, struct error *e)
{
    const char *id = upload_id(t->upload);
    enum error_code code;

    if (t->check_count == 0 && ietf_may_interim(t->app, t->req)) {
        t->tell = ietf_tell_offset;
        t->told_at = clock_monotonic_ms();
    }
    code = transfer_receive(t, e);
    if (code == ERR_LENGTH_EXCEEDED)
        code = error_set(e, ERR_LENGTH,
                         "More bytes came than the upload's length.");
    if (code == ERR_LENGTH)
        transfer_forget(t->app, id);
    return code;
}

/* The request failed; unless that ended the upload, it goes on from here. */
static void put_kept(const struct transfer *t, struct response *res,
                     enum error_code code)
{
    if (code == ERR_LENGTH || code == ERR_GONE || code == ERR_COMPLETED)
        return;
    response_header(res, "Upload-Offset", "%" PRIu64,
                    upload_acknowledged(t->upload));
    ietf_put_complete(t->req, res, false);
}

static enum error_code create_name(const struct request *req, const char *put,
                                   struct resumable_spec *r,
                                   char name[INTAKE_NAME_MAX], struct error *e)
{
    enum error_code code = intake_name(req, name, e);

    if (code == ERR_NONE &&
        (put || !r->name || strcmp(name, UPLOAD_UNNAMED) != 0))
        r->name = put ? put : name;
    if (!r->type && !request_has_type(req, "application/partial-upload"))
        r->type = request_header(req, "Content-Type");
    return code;
}

static enum error_code create(struct app *app, struct request *req,
                              const struct upload_spec *spec,
                              const struct resumable_spec *r, bool complete,
                              struct response *res, struct error *e)
{
    struct transfer t = {.app = app, .req = req};
    bool is_known = spec->id != NULL;
    const char *id;
    enum error_code code = upload_create(app->store, spec, r, &t.upload, e);

    if (code != ERR_NONE)
        return code;
    id = upload_id(t.upload);
    if (ietf_may_interim(app, req)) {
        ietf_tell_location(app, req, id);
        is_known = true;
    }
    ietf_take_content_digest(&t);
    code = receive(&t, e);
    if (code == ERR_NONE)
        code = end(&t, complete, res, 201, e);
    else if (is_known)
        put_kept(&t, res, code);
    if (code != ERR_NONE && !is_known)
        transfer_forget(app, id);
    if (code == ERR_NONE && !complete) {
        transfer_location(req, res, id);
        response_header(res, "Upload-Id", "%s", id);
    }
    return code;
}

static enum error_code begin(struct app *app, struct request *req,
                             const char *put, struct response *res,
                             struct error *e)
{
    struct upload_spec spec = {.arena = req->arena};
    unsigned char sha256[DIGEST_SIZE];
    struct intake_choice choice;
    struct resumable_spec r;
    char name[INTAKE_NAME_MAX];
    bool complete = false, has_digest = false;
    enum error_code code = intake_choose(req, &choice, e);

    (void)ietf_says_complete(req, &complete);
    if (code == ERR_NONE)
        code = transfer_require(app, PROTOCOL_IETF, e);
    if (code == ERR_NONE)
        code = intake_coding(req, e);
    if (code == ERR_NONE && request_has_type(req, "multipart/"))
        code = error_set(e, ERR_UNSUPPORTED,
                         "A form can only be sent in one request.");
    if (code == ERR_NONE)
        code = metadata_describe(req, &r, e);
    if (code == ERR_NONE)
        code = create_name(req, put, &r, name, e);
    if (code == ERR_NONE)
        code = take_length(req, 0, complete, &spec.total, e);
    if (code == ERR_NONE)
        code = ietf_repr_digest(req, sha256, &has_digest, e);
    if (code != ERR_NONE)
        return code;
    spec.id = *choice.id ? choice.id : NULL;
    r.sha256 = has_digest ? sha256 : NULL;
    return create(app, req, &spec, &r, complete, res, e);
}

/* Who hits a limit is told all of them. */
static enum error_code with_limits(const struct app *app,
                                   const struct request *req,
                                   struct response *res, enum error_code code)
{
    if (code != ERR_NONE && error_status(code) == 413)
        ietf_put_limits(app, req, res, true);
    return code;
}

enum error_code ietf_create(struct app *app, struct request *req,
                            const char *put, struct response *res,
                            struct error *e)
{
    return with_limits(app, req, res, begin(app, req, put, res, e));
}

/* What the PATCH says of the upload against what it is. The session is held
 * before and after. */
static enum error_code check_append(const struct request *req, struct upload *u,
                                    uint64_t offset, bool complete,
                                    struct error *e)
{
    unsigned char sha256[DIGEST_SIZE];
    bool has_digest = false;
    uint64_t total = 0;
    enum error_code code = take_length(req, offset, complete, &total, e);

    if (upload_is_partial(u))
        return error_set(e, ERR_FORBIDDEN, "This is a part of a tus upload.");
    if (offset != upload_offset(u))
        return error_offset(e, upload_offset(u), offset);
    if (code == ERR_NONE)
        code = ietf_repr_digest(req, sha256, &has_digest, e);
    if (code == ERR_NONE && total != UPLOAD_SIZE_UNKNOWN)
        code = upload_set_total(u, total, e);
    if (code == ERR_NONE && has_digest)
        upload_expect(u, sha256);
    return code;
}

static enum error_code append(struct transfer *t, uint64_t offset,
                              bool complete, struct response *res,
                              struct error *e)
{
    enum error_code code = check_append(t->req, t->upload, offset, complete, e);

    if (code == ERR_LENGTH) {
        upload_discard(t->upload, e);
    } else if (code != ERR_NONE) {
        upload_abandon(t->upload);
    } else {
        ietf_take_content_digest(t);
        code = receive(t, e);
    }
    if (code == ERR_NONE)
        return end(t, complete, res, ietf_version(t->req)->append_status, e);
    put_kept(t, res, code);
    return code;
}

/* The upload is stored. A client that missed the answer asks again with
 * nothing to add. */
static enum error_code append_to_stored(struct app *app, struct request *req,
                                        const char *id, uint64_t offset,
                                        bool complete, struct response *res,
                                        struct error *e)
{
    struct progress p;
    enum error_code code = progress_get(app->store, req->arena, id, &p, e);

    if (code == ERR_NONE && p.partial)
        code = error_set(e, ERR_FORBIDDEN, "This is a part of a tus upload.");
    if (code != ERR_NONE)
        return code;
    if (!complete || offset != p.total || req->body->length != 0) {
        response_header(res, "Upload-Offset", "%" PRIu64, p.total);
        ietf_put_complete(req, res, true);
        return error_set(e, ERR_COMPLETED, "The upload is stored already.");
    }
    answer_complete(app, req, res, id, p.total, &p.files);
    return ERR_NONE;
}

static enum error_code patch_fields(const struct request *req, uint64_t *offset,
                                    bool *complete, struct error *e)
{
    enum error_code code = intake_coding(req, e);
    int64_t value;

    if (code != ERR_NONE)
        return code;
    if (ietf_version(req)->typed &&
        !request_has_type(req, "application/partial-upload"))
        return error_set(e, ERR_UNSUPPORTED,
                         "The Content-Type of an append must be "
                         "application/partial-upload.");
    if (structured_integer(request_header(req, "Upload-Offset"), &value) !=
            STRUCTURED_FOUND ||
        value < 0)
        return error_set(e, ERR_BAD_REQUEST,
                         "Upload-Offset is missing or no Integer.");
    if (!ietf_says_complete(req, complete))
        return error_set(e, ERR_BAD_REQUEST,
                         "The request does not say whether it completes the "
                         "upload.");
    *offset = (uint64_t)value;
    return ERR_NONE;
}

/* The request is refused before the session is looked at: where it stands. */
static void put_state(const struct app *app, const struct request *req,
                      const char *id, struct response *res)
{
    struct progress p;
    struct error ignored;

    if (progress_get(app->store, req->arena, id, &p, &ignored) != ERR_NONE ||
        p.state != UPLOAD_RECEIVING || !p.resumable || p.final)
        return;
    response_header(res, "Upload-Offset", "%" PRIu64, p.loaded);
    ietf_put_complete(req, res, false);
}

enum error_code ietf_patch(struct app *app, struct request *req, const char *id,
                           struct response *res, struct error *e)
{
    struct transfer t = {.app = app, .req = req};
    uint64_t offset = 0;
    bool complete = false;
    enum error_code code = patch_fields(req, &offset, &complete, e);

    if (code != ERR_NONE) {
        put_state(app, req, id, res);
        return code;
    }
    code = upload_resume(app->store, req->arena, id, &t.upload, e);
    if (code == ERR_COMPLETED)
        return append_to_stored(app, req, id, offset, complete, res, e);
    if (code == ERR_NONE)
        code = append(&t, offset, complete, res, e);
    return with_limits(app, req, res, code);
}

enum error_code ietf_check_fields(const struct request *req, struct error *e)
{
    const struct ietf_version *v = ietf_version(req);
    const char *complete = v->incomplete ? "Upload-Incomplete"
                                         : "Upload-Complete";
    bool may_length = !v->no_length || strcmp(req->method, "DELETE") == 0;

    if (!v->strict || !(request_header(req, "Upload-Offset") ||
                        request_header(req, complete) ||
                        (!may_length && request_header(req, "Upload-Length"))))
        return ERR_NONE;
    return error_set(e, ERR_BAD_REQUEST,
                     "This request must not say where the upload stands.");
}

enum error_code ietf_gone(const struct request *req, enum error_code code,
                          struct error *e)
{
    if (code != ERR_GONE || !ietf_version(req)->gone_unknown)
        return code;
    return error_set(e, ERR_NOT_FOUND, "The upload is gone.");
}

void ietf_state(const struct app *app, const struct request *req,
                struct response *res, const struct progress *p)
{
    ietf_put_complete(req, res, p->state == UPLOAD_STORED);
    ietf_put_limits_of(app, req, res, p);
}
