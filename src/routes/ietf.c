/*
 * The draft's header fields to session calls and back. All that differs
 * between its versions is in one table.
 *
 * An upload is complete when the client says so in the request that brings the
 * last byte. Beyond the draft it is complete too when its declared length is
 * reached: widespread clients never say it then. One that says so afterwards,
 * with nothing to add, gets the final answer.
 */
#include "routes/ietf.h"

#include <inttypes.h>
#include <nettle/base64.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "http/params.h"
#include "http/structured.h"
#include "routes/render.h"
#include "routes/transfer.h"

struct version {
    int number;          /* Upload-Draft-Interop-Version */
    bool incomplete;     /* Upload-Incomplete instead of Upload-Complete */
    bool typed;          /* PATCH needs application/partial-upload */
    bool strict;         /* HEAD and DELETE must not have Upload-* fields */
    int append_status;   /* of a PATCH that leaves the upload incomplete */
    bool gone_unknown;   /* an upload that is over is 404, not 410 */
    const char *max_age; /* what Upload-Limit calls the lifetime */
};

static const struct version versions[] = {
    {3, true, false, true, 201, true, "max-age"},
    {5, false, false, false, 204, false, "max-age"},
    {6, false, true, false, 204, false, "expires"},
    {7, false, true, false, 204, false, "max-age"},
    {8, false, true, false, 204, false, "max-age"},
};

enum { VERSIONS = sizeof versions / sizeof versions[0], TYPE_MAX = 64 };

static const char complete_field[] = "Upload-Complete";
static const char incomplete_field[] = "Upload-Incomplete";

/* The version that the request names; *named is false if it is none of ours
 * and the newest stands in. */
static const struct version *version_of(const struct request *req, bool *named)
{
    int64_t number;

    *named = false;
    if (structured_integer(request_header(req, "Upload-Draft-Interop-Version"),
                           &number) == STRUCTURED_FOUND)
        for (size_t i = 0; i < VERSIONS; i++)
            if (versions[i].number == number) {
                *named = true;
                return &versions[i];
            }
    if (request_header(req, incomplete_field) &&
        !request_header(req, complete_field))
        return &versions[0];
    return &versions[VERSIONS - 1];
}

static const struct version *version(const struct request *req)
{
    bool named;

    return version_of(req, &named);
}

/* Whether this request brings the last byte. false if it does not say. */
static bool says_complete(const struct request *req, bool *complete)
{
    const struct version *v = version(req);
    const char *name = v->incomplete ? incomplete_field : complete_field;
    bool value;

    if (structured_boolean(request_header(req, name), &value) !=
        STRUCTURED_FOUND)
        return false;
    *complete = v->incomplete ? !value : value;
    return true;
}

/* wanted: a type, or the first half of one with its slash. */
static bool has_type(const struct request *req, const char *wanted)
{
    const char *header = request_header(req, "Content-Type");
    char type[TYPE_MAX];

    return header && params_value(header, type, sizeof type) &&
           (wanted[strlen(wanted) - 1] == '/'
                ? strncmp(type, wanted, strlen(wanted)) == 0
                : strcmp(type, wanted) == 0);
}

bool ietf_is_meant(const struct request *req)
{
    return !request_header(req, "Tus-Resumable") &&
           (request_header(req, "Upload-Draft-Interop-Version") ||
            request_header(req, complete_field) ||
            request_header(req, incomplete_field) ||
            has_type(req, "application/partial-upload"));
}

bool ietf_is_creation(const struct request *req)
{
    bool complete = false;

    return ietf_is_meant(req) && says_complete(req, &complete) &&
           !(complete && has_type(req, "multipart/"));
}

static void put_complete(const struct request *req, struct response *res,
                         bool complete)
{
    const struct version *v = version(req);

    if (v->incomplete)
        response_header(res, incomplete_field, "?%d", !complete);
    else
        response_header(res, complete_field, "?%d", complete);
}

static void put_limits(const struct app *app, const struct request *req,
                       struct response *res)
{
    const struct config *c = app->config;
    uint64_t most = config_number(c, OPT_MAX_FILE_SIZE);
    uint64_t append = config_number(c, OPT_MAX_REQUEST_SIZE);
    char max_size[40] = "", max_append[40] = "";

    if (most)
        (void)snprintf(max_size, sizeof max_size, "max-size=%" PRIu64 ", ",
                       most);
    if (append)
        (void)snprintf(max_append, sizeof max_append,
                       "max-append-size=%" PRIu64 ", ", append);
    response_header(res, "Upload-Limit",
                    "%s%smin-size=%" PRIu64 ", %s=%" PRIu64, max_size,
                    max_append, config_number(c, OPT_MIN_FILE_SIZE),
                    version(req)->max_age, config_number(c, OPT_EXPIRE_AFTER));
}

void ietf_options(const struct app *app, const struct request *req,
                  struct response *res)
{
    put_limits(app, req, res);
}

/* --- Interim responses ---------------------------------------------------- */

static bool may_interim(const struct app *app, const struct request *req)
{
    bool named;

    (void)version_of(req, &named);
    return named && req->interim && config_choice(app->config, OPT_INTERIM);
}

static void begin_interim(const struct request *req, struct response *r)
{
    response_init(r, req->arena);
    r->status = 104;
    response_header(r, "Upload-Draft-Interop-Version", "%d",
                    version(req)->number);
}

static void tell_offset(const struct transfer *t)
{
    struct response r;

    begin_interim(t->req, &r);
    response_header(&r, "Upload-Offset", "%" PRIu64, upload_offset(t->upload));
    t->req->interim(t->req->interim_ctx, &r);
}

static void tell_location(const struct app *app, const struct request *req,
                          const char *id)
{
    struct response r;

    begin_interim(req, &r);
    transfer_location(req, &r, id);
    put_limits(app, req, &r);
    req->interim(req->interim_ctx, &r);
}

/* --- Digests (RFC 9530) --------------------------------------------------- */

static void add_check(struct transfer *t, const char *field, const char *key,
                      enum checksum_algorithm algorithm)
{
    struct transfer_check *c = &t->checks[t->check_count];

    if (structured_member_bytes(field, key, c->expected, sizeof c->expected,
                                &c->len) != STRUCTURED_FOUND)
        return;
    checksum_init(&c->sum, algorithm);
    c->failure = ERR_DIGEST;
    t->check_count++;
}

/* Content-Digest: of the bytes of this request. */
static void take_content_digest(struct transfer *t)
{
    const char *field = request_header(t->req, "Content-Digest");

    add_check(t, field, "sha-256", CHECKSUM_SHA256);
    add_check(t, field, "sha-512", CHECKSUM_SHA512);
}

/* Repr-Digest: of the whole file. false if there is none that we know. */
static bool repr_digest(const struct request *req,
                        unsigned char sha256[DIGEST_SIZE])
{
    unsigned char value[DIGEST_SIZE];
    size_t len;

    if (structured_member_bytes(request_header(req, "Repr-Digest"), "sha-256",
                                value, sizeof value,
                                &len) != STRUCTURED_FOUND ||
        len != DIGEST_SIZE)
        return false;
    memcpy(sha256, value, DIGEST_SIZE);
    return true;
}

static void put_repr_digest(const struct request *req, struct response *res,
                            const struct file *f)
{
    char text[BASE64_ENCODE_RAW_LENGTH(DIGEST_SIZE) + 1] = "";
    int64_t weight;

    if (!f->has_sha256 ||
        structured_member_integer(request_header(req, "Want-Repr-Digest"),
                                  "sha-256", &weight) != STRUCTURED_FOUND ||
        weight <= 0)
        return;
    base64_encode_raw(text, DIGEST_SIZE, f->sha256);
    response_header(res, "Repr-Digest", "sha-256=:%s:", text);
}

/* --- Creation and append -------------------------------------------------- */

/* The answer to the request that completed the upload. */
static void answer_complete(const struct app *app, const struct request *req,
                            struct response *res, const char *id, uint64_t size,
                            const struct file_list *files)
{
    render_upload(app, req, res, id, files);
    response_header(res, "Upload-Offset", "%" PRIu64, size);
    put_complete(req, res, true);
    if (files->first)
        put_repr_digest(req, res, files->first);
}

static void answer_incomplete(const struct app *app, const struct request *req,
                              struct response *res, uint64_t offset, int status,
                              bool is_stored)
{
    res->status = status;
    response_header(res, "Upload-Offset", "%" PRIu64, offset);
    put_complete(req, res, is_stored);
    put_limits(app, req, res);
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

/* More bytes than the length: the draft wants the whole upload invalid. */
static enum error_code receive(struct transfer *t, struct error *e)
{
    const char *id = upload_id(t->upload);
    enum error_code code;

    if (may_interim(t->app, t->req)) {
        t->tell = tell_offset;
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

static enum error_code create_name(const struct request *req, const char *put,
                                   struct resumable_spec *r,
                                   char name[INTAKE_NAME_MAX], struct error *e)
{
    enum error_code code = intake_name(req, name, e);

    if (code == ERR_NONE &&
        (put || !r->name || strcmp(name, UPLOAD_UNNAMED) != 0))
        r->name = put ? put : name;
    if (!r->type && !has_type(req, "application/partial-upload"))
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
    if (may_interim(app, req)) {
        tell_location(app, req, id);
        is_known = true;
    }
    take_content_digest(&t);
    code = receive(&t, e);
    if (code == ERR_NONE)
        code = end(&t, complete, res, 201, e);
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
    bool complete = false;
    enum error_code code = intake_choose(req, &choice, e);

    (void)says_complete(req, &complete);
    if (code == ERR_NONE && !transfer_speaks(app, PROTOCOL_IETF))
        code = error_set(e, ERR_FORBIDDEN,
                         "Resumable uploads of the IETF are switched off "
                         "here.");
    if (code == ERR_NONE)
        code = intake_coding(req, e);
    if (code == ERR_NONE && has_type(req, "multipart/"))
        code = error_set(e, ERR_UNSUPPORTED,
                         "A form can only be sent in one request.");
    if (code == ERR_NONE)
        code = transfer_describe(req, &r, e);
    if (code == ERR_NONE)
        code = create_name(req, put, &r, name, e);
    if (code == ERR_NONE)
        code = take_length(req, 0, complete, &spec.total, e);
    if (code != ERR_NONE)
        return code;
    spec.id = *choice.id ? choice.id : NULL;
    r.sha256 = repr_digest(req, sha256) ? sha256 : NULL;
    return create(app, req, &spec, &r, complete, res, e);
}

/* Who hits a limit is told all of them. */
static enum error_code with_limits(const struct app *app,
                                   const struct request *req,
                                   struct response *res, enum error_code code)
{
    if (code != ERR_NONE && error_status(code) == 413)
        put_limits(app, req, res);
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
                                    struct response *res, struct error *e)
{
    uint64_t total = 0;
    enum error_code code = take_length(req, offset, complete, &total, e);

    if (upload_is_partial(u))
        return error_set(e, ERR_FORBIDDEN, "This is a part of a tus upload.");
    if (offset != upload_offset(u)) {
        response_header(res, "Upload-Offset", "%" PRIu64, upload_offset(u));
        put_complete(req, res, false);
        return error_offset(e, upload_offset(u), offset);
    }
    if (code == ERR_NONE && total != UPLOAD_SIZE_UNKNOWN)
        code = upload_set_total(u, total, e);
    return code;
}

static enum error_code append(struct transfer *t, uint64_t offset,
                              bool complete, struct response *res,
                              struct error *e)
{
    unsigned char sha256[DIGEST_SIZE];
    enum error_code code = check_append(t->req, t->upload, offset, complete,
                                        res, e);

    if (code == ERR_LENGTH)
        upload_discard(t->upload, e);
    else if (code != ERR_NONE)
        upload_abandon(t->upload);
    if (code != ERR_NONE)
        return code;
    if (repr_digest(t->req, sha256))
        upload_expect(t->upload, sha256);
    take_content_digest(t);
    code = receive(t, e);
    return code == ERR_NONE
               ? end(t, complete, res, version(t->req)->append_status, e)
               : code;
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
        put_complete(req, res, true);
        return error_set(e, ERR_COMPLETED, "The upload is stored already.");
    }
    answer_complete(app, req, res, id, p.total, &p.files);
    return ERR_NONE;
}

static enum error_code patch_fields(const struct request *req, uint64_t *offset,
                                    bool *complete, struct error *e)
{
    int64_t value;

    if (version(req)->typed && !has_type(req, "application/partial-upload"))
        return error_set(e, ERR_UNSUPPORTED,
                         "The Content-Type of an append must be "
                         "application/partial-upload.");
    if (structured_integer(request_header(req, "Upload-Offset"), &value) !=
            STRUCTURED_FOUND ||
        value < 0)
        return error_set(e, ERR_BAD_REQUEST,
                         "Upload-Offset is missing or no Integer.");
    if (!says_complete(req, complete))
        return error_set(e, ERR_BAD_REQUEST,
                         "The request does not say whether it completes the "
                         "upload.");
    *offset = (uint64_t)value;
    return ERR_NONE;
}

enum error_code ietf_patch(struct app *app, struct request *req, const char *id,
                           struct response *res, struct error *e)
{
    struct transfer t = {.app = app, .req = req};
    uint64_t offset = 0;
    bool complete = false;
    enum error_code code = patch_fields(req, &offset, &complete, e);

    if (code == ERR_NONE)
        code = upload_resume(app->store, req->arena, id, &t.upload, e);
    if (code == ERR_COMPLETED)
        return append_to_stored(app, req, id, offset, complete, res, e);
    if (code == ERR_NONE)
        code = append(&t, offset, complete, res, e);
    return with_limits(app, req, res, code);
}

enum error_code ietf_check_fields(const struct request *req, struct error *e)
{
    if (!version(req)->strict || !(request_header(req, "Upload-Offset") ||
                                   request_header(req, incomplete_field)))
        return ERR_NONE;
    return error_set(e, ERR_BAD_REQUEST,
                     "This request must not have Upload-Offset or "
                     "Upload-Incomplete.");
}

enum error_code ietf_gone(const struct request *req, enum error_code code,
                          struct error *e)
{
    if (code != ERR_GONE || !version(req)->gone_unknown)
        return code;
    return error_set(e, ERR_NOT_FOUND, "The upload is gone.");
}

void ietf_state(const struct app *app, const struct request *req,
                struct response *res, const struct progress *p)
{
    put_complete(req, res, p->state == UPLOAD_STORED);
    put_limits(app, req, res);
}
