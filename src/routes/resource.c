/*
 * The upload resource, /upload/ID: sees which protocol a request speaks, and
 * answers what both have in common.
 */
#include <inttypes.h>
#include <string.h>

#include "routes/ietf.h"
#include "routes/render.h"
#include "routes/routes.h"
#include "routes/transfer.h"
#include "routes/tus.h"

enum error_code resource_options(struct app *app, struct request *req,
                                 const char *rest, struct response *res,
                                 struct error *e)
{
    (void)rest;
    (void)e;
    res->status = 204;
    if (transfer_speaks(app, PROTOCOL_TUS)) {
        response_header(res, "Accept-Patch", "application/offset+octet-stream");
        tus_options(app, req, res);
    }
    if (transfer_speaks(app, PROTOCOL_IETF)) {
        response_header(res, "Accept-Patch", "application/partial-upload");
        ietf_options(app, req, res);
    }
    return ERR_NONE;
}

/* The version of whichever protocol it is. */
static enum error_code check_protocol(const struct request *req,
                                      struct response *res, struct error *e)
{
    if (tus_is_meant(req))
        return tus_check_version(req, res, e);
    return ietf_is_meant(req) ? ietf_check_fields(req, e) : ERR_NONE;
}

static enum error_code over(const struct request *req, enum error_code code,
                            struct error *e)
{
    return ietf_is_meant(req) ? ietf_gone(req, code, e) : code;
}

/* HEAD, and GET of the IETF draft: where the upload stands. A client that
 * names no protocol is told in the words of both. */
static enum error_code state(struct app *app, struct request *req,
                             const char *id, struct response *res,
                             struct error *e)
{
    bool is_ietf = ietf_is_meant(req);
    struct progress p;
    enum error_code code = check_protocol(req, res, e);

    if (code == ERR_NONE)
        code = transfer_state(app, req, id, &p, e);
    if (code != ERR_NONE)
        return over(req, code, e);
    res->status = is_ietf ? 204 : 200;
    if (is_ietf) {
        response_header(res, "Upload-Offset", "%" PRIu64, p.loaded);
        if (p.has_total)
            response_header(res, "Upload-Length", "%" PRIu64, p.total);
    } else {
        tus_state(res, &p);
    }
    if (!tus_is_meant(req))
        ietf_state(app, req, res, &p);
    return ERR_NONE;
}

/* GET: to the finished file. */
static enum error_code redirect(struct app *app, struct request *req,
                                const char *id, struct response *res,
                                struct error *e)
{
    struct progress p;
    enum error_code code = check_protocol(req, res, e);

    if (code == ERR_NONE)
        code = progress_get(app->store, req->arena, id, &p, e);
    if (code == ERR_NONE && p.state == UPLOAD_RECEIVING)
        return error_set(e, ERR_UNFINISHED,
                         "%" PRIu64 " bytes of the upload have arrived.",
                         p.loaded);
    if (code == ERR_NONE && (p.state != UPLOAD_STORED || !p.files.first))
        code = error_set(e, ERR_GONE, "The upload is gone.");
    if (code != ERR_NONE)
        return code;
    res->status = 303;
    render_url(app, req, res, "Location", p.files.first);
    return ERR_NONE;
}

enum error_code resource_get(struct app *app, struct request *req,
                             const char *rest, struct response *res,
                             struct error *e)
{
    if (strcmp(req->method, "HEAD") == 0 || ietf_is_meant(req))
        return state(app, req, rest, res, e);
    return redirect(app, req, rest, res, e);
}

enum error_code resource_patch(struct app *app, struct request *req,
                               const char *rest, struct response *res,
                               struct error *e)
{
    bool is_ietf = ietf_is_meant(req);
    bool is_tus = !is_ietf && (tus_is_meant(req) || tus_is_content(req));
    enum error_code code;

    if (!is_tus && !is_ietf)
        return error_set(e, ERR_UNSUPPORTED,
                         "A PATCH must speak tus 1.0.0 or the IETF draft for "
                         "resumable uploads.");
    code = transfer_require(app, is_tus ? PROTOCOL_TUS : PROTOCOL_IETF, e);
    if (code != ERR_NONE)
        return code;
    if (is_tus)
        return tus_patch(app, req, rest, res, e);
    return ietf_gone(req, ietf_patch(app, req, rest, res, e), e);
}

enum error_code resource_delete(struct app *app, struct request *req,
                                const char *rest, struct response *res,
                                struct error *e)
{
    enum error_code code = check_protocol(req, res, e);

    if (code == ERR_NONE)
        code = upload_terminate(app->store, rest, e);
    if (code != ERR_NONE)
        return over(req, code, e);
    res->status = 204;
    return ERR_NONE;
}
