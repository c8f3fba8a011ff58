/*
 * tus 1.0.0: header fields to session calls and back. What the specification
 * leaves open is decided in README.md.
 */
#include "routes/tus.h"

#include <inttypes.h>
#include <string.h>

#include "base/text.h"
#include "http/tus.h"
#include "routes/metadata.h"
#include "routes/render.h"
#include "routes/transfer.h"

#define TUS_VERSION "1.0.0"

enum { PATH_MAX_BYTES = 512 };

bool tus_is_meant(const struct request *req)
{
    return request_header(req, "Tus-Resumable") != NULL;
}

bool tus_is_creation(const struct request *req)
{
    return tus_is_meant(req) || tus_is_content(req) ||
           request_header(req, "Upload-Defer-Length") ||
           request_header(req, "Upload-Concat");
}

bool tus_is_content(const struct request *req)
{
    return request_has_type(req, "application/offset+octet-stream");
}

void tus_mark(struct response *res)
{
    response_header(res, "Tus-Resumable", TUS_VERSION);
}

enum error_code tus_check_version(const struct request *req,
                                  struct response *res, struct error *e)
{
    const char *version = request_header(req, "Tus-Resumable");

    if (version && strcmp(version, TUS_VERSION) == 0)
        return ERR_NONE;
    response_header(res, "Tus-Version", TUS_VERSION);
    return error_set(e, ERR_VERSION, "Tus-Resumable must be " TUS_VERSION ".");
}

void tus_options(const struct app *app, const struct request *req,
                 struct response *res)
{
    uint64_t most = config_number(app->config, OPT_MAX_FILE_SIZE);

    if (!tus_is_meant(req))
        tus_mark(res);
    response_header(res, "Tus-Version", TUS_VERSION);
    response_header(res, "Tus-Extension", TUS_EXTENSIONS);
    response_header(res, "Tus-Checksum-Algorithm", CHECKSUM_TUS_NAMES);
    if (most)
        response_header(res, "Tus-Max-Size", "%" PRIu64, most);
}

/* A header field that is a plain number. *has is false if it is absent. */
static enum error_code number(const struct request *req, const char *name,
                              bool *has, uint64_t *out, struct error *e)
{
    const char *field = request_header(req, name);

    *has = field != NULL;
    if (!field || transfer_number(field, out))
        return ERR_NONE;
    return error_set(e, ERR_BAD_REQUEST,
                     "%s must be a number that is not negative.", name);
}

/* Upload-Length or Upload-Defer-Length: exactly one of them. */
static enum error_code creation_length(const struct request *req,
                                       uint64_t *total, struct error *e)
{
    const char *defer = request_header(req, "Upload-Defer-Length");
    bool has_length;
    enum error_code code = number(req, "Upload-Length", &has_length, total, e);

    if (code != ERR_NONE)
        return code;
    if (has_length == (defer != NULL))
        return error_set(e, ERR_BAD_REQUEST,
                         "Exactly one of Upload-Length and "
                         "Upload-Defer-Length is needed.");
    if (defer && strcmp(defer, "1") != 0)
        return error_set(e, ERR_BAD_REQUEST,
                         "Upload-Defer-Length can only be 1.");
    if (defer)
        *total = UPLOAD_SIZE_UNKNOWN;
    return ERR_NONE;
}

/* Upload-Checksum, if there is one. */
static enum error_code take_checksum(const struct request *req,
                                     struct transfer *t, struct error *e)
{
    const char *field = request_header(req, "Upload-Checksum");
    struct transfer_check *c = &t->checks[0];
    char name[TUS_ALGORITHM_MAX];
    enum checksum_algorithm algorithm;

    if (!field)
        return ERR_NONE;
    if (!tus_checksum(field, name, c->expected, &c->len))
        return error_set(e, ERR_BAD_REQUEST, "Upload-Checksum is malformed.");
    if (!checksum_by_tus_name(name, &algorithm))
        return error_set(
            e, ERR_BAD_REQUEST,
            "The algorithm in Upload-Checksum is not one of " CHECKSUM_TUS_NAMES
            ".");
    if (c->len != checksum_size(algorithm))
        return error_set(e, ERR_BAD_REQUEST,
                         "The value in Upload-Checksum has the wrong length.");
    checksum_init(&c->sum, algorithm);
    c->failure = ERR_CHECKSUM;
    t->check_count = 1;
    return ERR_NONE;
}

/* Finish the session or let go of it; the fields that tell how far it is. */
static enum error_code end(struct app *app, struct request *req,
                           struct upload *u, struct response *res,
                           struct error *e)
{
    uint64_t offset = upload_offset(u);
    struct file_list files = {0};
    enum error_code code = transfer_end(u, &files, e);

    if (code != ERR_NONE)
        return code;
    response_header(res, "Upload-Offset", "%" PRIu64, offset);
    if (files.first) {
        render_url(app, req, res, "Content-Location", files.first);
    } else {
        transfer_expires(res, transfer_expiry(app));
    }
    return ERR_NONE;
}

static void created(const struct request *req, struct response *res,
                    const char *id)
{
    res->status = 201;
    transfer_location(req, res, id);
    response_header(res, "Upload-Id", "%s", id);
}

static enum error_code create_one(struct app *app, struct request *req,
                                  const struct upload_spec *spec,
                                  const struct resumable_spec *r,
                                  struct response *res, struct error *e)
{
    struct transfer t = {.app = app, .req = req};
    enum error_code code = ERR_NONE;
    const char *id;

    if (tus_is_content(req))
        code = take_checksum(req, &t, e);
    if (code == ERR_NONE)
        code = upload_create(app->store, spec, r, &t.upload, e);
    if (code != ERR_NONE)
        return code;
    id = upload_id(t.upload);
    if (tus_is_content(req))
        code = transfer_receive(&t, e);
    if (code == ERR_NONE)
        code = end(app, req, t.upload, res, e);
    if (code == ERR_NONE)
        created(req, res, id);
    else if (!spec->id)
        transfer_forget(app, id);
    return code;
}

/* A path that is relative to the request's, from the root on, in the arena
 * (RFC 3986 section 5.2.3; dot segments are not looked at). NULL without
 * memory. */
static const char *resolve(const struct request *req, const char *path)
{
    const char *slash = strrchr(req->path, '/');
    int directory = slash ? (int)(slash - req->path) + 1 : 0;

    return *path == '/' ? path
                        : arena_printf(req->arena, "%s%.*s%s", req->base,
                                       directory, req->path, path);
}

/* The id that a URL in Upload-Concat names, in the arena. */
static enum error_code part_id(const struct request *req, const char *url,
                               const char **id, struct error *e)
{
    static const char resource[] = "/upload/";
    const char *path = resolve(req, url);
    size_t base = strlen(req->base);
    size_t before = base + sizeof resource - 1;

    if (!path)
        return error_set(e, ERR_MEMORY, "No memory for the parts.");
    if (strncmp(path, req->base, base) == 0 &&
        strncmp(path + base, resource, sizeof resource - 1) == 0 &&
        id_is_upload(path + before)) {
        *id = arena_strdup(req->arena, path + before);
        return *id ? ERR_NONE
                   : error_set(e, ERR_MEMORY, "No memory for the parts.");
    }
    return error_set(e, ERR_BAD_REQUEST,
                     "Upload-Concat lists something that is no upload here.");
}

static enum error_code part_ids(const struct app *app,
                                const struct request *req, const char *field,
                                const char ***ids, size_t *count,
                                struct error *e)
{
    uint64_t most = config_number(app->config, OPT_MAX_FILES);
    enum error_code code = ERR_NONE;
    char path[PATH_MAX_BYTES];
    const char *at = field;

    *count = 0;
    *ids = arena_alloc(req->arena, (size_t)most * sizeof **ids);
    if (!*ids)
        return error_set(e, ERR_MEMORY, "No memory for the parts.");
    while (code == ERR_NONE && tus_concat_next(&at, path, sizeof path)) {
        if (*count == most)
            return error_limit(e, ERR_TOO_MANY_FILES, "max_files", most,
                               "An upload may have at most %" PRIu64 " parts.",
                               most);
        code = part_id(req, path, &(*ids)[*count], e);
        (*count)++;
    }
    if (code == ERR_NONE && *count == 0)
        code = error_set(e, ERR_BAD_REQUEST, "Upload-Concat lists no parts.");
    return code;
}

static enum error_code create_final(struct app *app, struct request *req,
                                    const struct upload_spec *spec,
                                    const struct resumable_spec *r,
                                    struct response *res, struct error *e)
{
    const char *field = request_header(req, "Upload-Concat");
    const char **ids;
    const char *id;
    size_t count;
    enum error_code code;

    if (request_header(req, "Upload-Length") ||
        request_header(req, "Upload-Defer-Length"))
        return error_set(e, ERR_BAD_REQUEST,
                         "The length of a final upload is that of its parts.");
    code = part_ids(app, req, field, &ids, &count, e);
    if (code == ERR_NONE)
        code = upload_concat(app->store, spec, r, field, ids, count, &id, e);
    if (code == ERR_NONE)
        created(req, res, id);
    return code;
}

static enum error_code create(struct app *app, struct request *req,
                              struct response *res, struct error *e)
{
    enum tus_concat concat = tus_concat(request_header(req, "Upload-Concat"));
    struct intake_choice choice;
    struct upload_spec spec = {.arena = req->arena};
    struct resumable_spec r;
    enum error_code code = intake_choose(req, &choice, e);

    if (code == ERR_NONE)
        code = metadata_describe(req, &r, e);
    if (code != ERR_NONE)
        return code;
    spec.id = *choice.id ? choice.id : NULL;
    r.partial = concat == TUS_CONCAT_PARTIAL;
    r.name = r.name && !r.partial ? r.name : UPLOAD_UNNAMED;
    if (concat == TUS_CONCAT_BAD)
        return error_set(e, ERR_BAD_REQUEST, "Upload-Concat is malformed.");
    if (concat == TUS_CONCAT_FINAL)
        return create_final(app, req, &spec, &r, res, e);
    code = creation_length(req, &spec.total, e);
    return code == ERR_NONE ? create_one(app, req, &spec, &r, res, e) : code;
}

enum error_code tus_create(struct app *app, struct request *req,
                           struct response *res, struct error *e)
{
    enum error_code code;

    if (!tus_is_meant(req))
        tus_mark(res);
    code = tus_check_version(req, res, e);
    if (code == ERR_NONE)
        code = transfer_require(app, PROTOCOL_TUS, e);
    if (code == ERR_NONE)
        code = intake_coding(req, e);
    return code == ERR_NONE ? create(app, req, res, e) : code;
}

/* Where the client wants to go on, against where the session is. */
static enum error_code check_offset(const struct upload *u, uint64_t offset,
                                    struct response *res, struct error *e)
{
    if (offset == upload_offset(u))
        return ERR_NONE;
    response_header(res, "Upload-Offset", "%" PRIu64, upload_offset(u));
    return error_offset(e, upload_offset(u), offset);
}

/* Upload-Length in a PATCH tells a deferred length. */
static enum error_code take_length(const struct request *req, struct upload *u,
                                   struct error *e)
{
    bool has_length;
    uint64_t total = 0;
    enum error_code code = number(req, "Upload-Length", &has_length, &total, e);

    return code == ERR_NONE && has_length ? upload_set_total(u, total, e)
                                          : code;
}

/* The request failed; unless that ended the upload, it expires as the row
 * says: not every failure has put that off. */
static void put_expiry(const struct transfer *t, struct response *res)
{
    struct progress p;
    struct error ignored;

    if (progress_get(t->app->store, t->req->arena, upload_id(t->upload), &p,
                     &ignored) == ERR_NONE &&
        p.state == UPLOAD_RECEIVING)
        transfer_expires(res, p.expires_at);
}

/* The session is held. */
static enum error_code append(struct transfer *t, uint64_t offset,
                              struct response *res, struct error *e)
{
    enum error_code code = check_offset(t->upload, offset, res, e);

    if (code == ERR_NONE)
        code = take_length(t->req, t->upload, e);
    if (code != ERR_NONE)
        upload_abandon(t->upload);
    else
        code = transfer_receive(t, e);
    if (code == ERR_NONE)
        code = end(t->app, t->req, t->upload, res, e);
    if (code == ERR_NONE)
        res->status = 204;
    else
        put_expiry(t, res);
    return code;
}

/* The upload is stored. A client that missed the last answer sends what comes
 * behind the end: nothing. */
static enum error_code append_to_stored(struct app *app, struct request *req,
                                        const char *id, uint64_t offset,
                                        struct response *res, struct error *e)
{
    struct progress p;
    enum error_code code = progress_get(app->store, req->arena, id, &p, e);

    if (code != ERR_NONE)
        return code;
    response_header(res, "Upload-Offset", "%" PRIu64, p.total);
    if (offset != p.total)
        return error_offset(e, p.total, offset);
    if (req->body->length != 0)
        return error_set(e, ERR_LENGTH_EXCEEDED, "The upload is stored.");
    res->status = 204;
    return ERR_NONE;
}

enum error_code tus_patch(struct app *app, struct request *req, const char *id,
                          struct response *res, struct error *e)
{
    struct transfer t = {.app = app, .req = req};
    bool has_offset = false;
    uint64_t offset = 0;
    enum error_code code;

    if (!tus_is_meant(req))
        tus_mark(res);
    code = tus_check_version(req, res, e);
    if (code == ERR_NONE)
        code = intake_coding(req, e);
    if (code == ERR_NONE && !tus_is_content(req))
        code = error_set(e, ERR_UNSUPPORTED,
                         "The Content-Type of a tus PATCH must be "
                         "application/offset+octet-stream.");
    if (code == ERR_NONE)
        code = number(req, "Upload-Offset", &has_offset, &offset, e);
    if (code == ERR_NONE && !has_offset)
        code = error_set(e, ERR_BAD_REQUEST, "Upload-Offset is missing.");
    if (code == ERR_NONE)
        code = take_checksum(req, &t, e);
    if (code == ERR_NONE)
        code = upload_resume(app->store, req->arena, id, &t.upload, e);
    if (code == ERR_COMPLETED)
        return append_to_stored(app, req, id, offset, res, e);
    return code == ERR_NONE ? append(&t, offset, res, e) : code;
}

void tus_state(struct response *res, const struct progress *p)
{
    if (!p->final || p->state == UPLOAD_STORED)
        response_header(res, "Upload-Offset", "%" PRIu64, p->loaded);
    if (p->has_total)
        response_header(res, "Upload-Length", "%" PRIu64, p->total);
    else
        response_header(res, "Upload-Defer-Length", "1");
    if (p->echo)
        response_header(res, "Upload-Metadata", "%s", p->echo);
    if (p->concat)
        response_header(res, "Upload-Concat", "%s", p->concat);
    if (p->state == UPLOAD_RECEIVING)
        transfer_expires(res, p->expires_at);
}
