/*
 * What the doctor, or the owner's browser in its place, asks the web server
 * for. All of it needs the owner's token.
 *   any    /status/echo       what has arrived of this request
 *   POST   /status/file/      make a witness
 *   GET    /status/file/NAME  that witness, sent as a download is
 *   DELETE /status/file/NAME  remove it
 */
#include <string.h>

#include "access/access.h"
#include "base/clock.h"
#include "http/query.h"
#include "probe/webroot.h"
#include "routes/ietf_fields.h"
#include "routes/render.h"
#include "routes/routes.h"
#include "store/files.h"
#include "store/place.h"
#include "store/witness.h"

enum {
    URL_MAX_BYTES = 8192,
    WAIT_MS = 30000, /* for a body that does not come */
    STEP_MS = 250    /* of that at a time */
};

/* Read the body away; *waited is the time until its last byte, in ms. */
static enum error_code drain(struct body *body, int64_t *waited,
                             struct error *e)
{
    int64_t start = clock_monotonic_ms();
    const void *data;
    size_t len;

    for (*waited = 0;;) {
        int64_t now;

        switch (body_next(body, &data, &len, STEP_MS, e)) {
        case BODY_DATA:
            *waited = clock_monotonic_ms() - start;
            break;
        case BODY_END:
            return ERR_NONE;
        case BODY_FAILED:
            return e->code;
        case BODY_WAIT:
            now = clock_monotonic_ms();
            if (now - start > *waited + WAIT_MS)
                return error_set(e, ERR_TIMEOUT,
                                 "The rest of the request does not come.");
            break;
        }
    }
}

static json_t *text_or_null(const char *text)
{
    return text ? json_string(text) : json_null();
}

enum error_code probe_echo(struct app *app, struct request *req,
                           const char *rest, struct response *res,
                           struct error *e)
{
    json_t *j;
    int64_t waited;

    (void)rest;
    if (access_owner(app->config, req, e) != ERR_NONE)
        return e->code;
    if (ietf_may_interim(app, req))
        ietf_tell_support(app, req);
    if (drain(req->body, &waited, e) != ERR_NONE)
        return e->code;
    j = json_object();
    json_object_set_new(j, "method", json_string(req->method));
    json_object_set_new(j, "type",
                        text_or_null(request_variable(req, "CONTENT_TYPE")));
    json_object_set_new(
        j, "override",
        text_or_null(request_header(req, "X-HTTP-Method-Override")));
    json_object_set_new(j, "authorization",
                        json_boolean(request_header(req, "Authorization")));
    json_object_set_new(j, "received",
                        json_integer((json_int_t)req->body->received));
    json_object_set_new(j, "waited_ms", json_integer(waited));
    render_json(res, j);
    return ERR_NONE;
}

enum error_code probe_file_get(struct app *app, struct request *req,
                               const char *rest, struct response *res,
                               struct error *e)
{
    struct witness w;
    struct source *source;

    if (access_owner(app->config, req, e) != ERR_NONE)
        return e->code;
    if (!witness_read(app->store, rest, &w))
        return error_set(e, ERR_NOT_FOUND, "There is no such witness.");
    source = file_source(
        app->store, req->arena,
        &(struct file){.path = arena_strdup(req->arena, w.path),
                       .size = strlen(w.content)});
    if (!source ||
        !segment_slice(&res->body, req->arena, source, 0, source->size))
        return error_set(e, ERR_MEMORY, "No memory for a download.");
    res->status = 200;
    res->offload = true;
    response_header(res, "Content-Type", "text/plain");
    return ERR_NONE;
}

/* Where the web server would show file, which lies in the directory dir. */
static json_t *urls_of(const struct request *req, const char *dir,
                       const char *file)
{
    struct webroot roots[WEBROOTS];
    json_t *list = json_array();
    struct buf url;

    buf_init(&url, URL_MAX_BYTES);
    webroots_find(req, roots);
    for (int i = 0; i < WEBROOTS; i++)
        if (webroot_url(&roots[i], dir, &url)) {
            buf_puts(&url, "/");
            percent_encode(&url, file);
            json_array_append_new(list, json_string(buf_text(&url)));
        }
    webroots_free(roots);
    buf_free(&url);
    return list;
}

enum error_code probe_file_post(struct app *app, struct request *req,
                                const char *rest, struct response *res,
                                struct error *e)
{
    const char *ini = config_file(app->config);
    struct witness w;
    json_t *j;

    if (access_owner(app->config, req, e) != ERR_NONE)
        return e->code;
    if (*rest != '\0') {
        response_header(res, "Allow", "GET, HEAD, DELETE, OPTIONS");
        return error_set(e, ERR_METHOD, "Witnesses are named by slipway.");
    }
    if (witness_put(app->store, &w, e) != ERR_NONE)
        return e->code;
    j = json_object();
    json_object_set_new(j, "name", json_string(w.name));
    json_object_set_new(j, "content", json_string(w.content));
    json_object_set_new(
        j, "static",
        json_sprintf("%s/%s", place_uploads_url(app->store), w.path));
    json_object_set_new(j, "data",
                        urls_of(req, place_data(app->store), w.name));
    json_object_set_new(j, "settings",
                        ini ? urls_of(req, config_directory(app->config), ini)
                            : json_array());
    render_json(res, j);
    return ERR_NONE;
}

enum error_code probe_file_delete(struct app *app, struct request *req,
                                  const char *rest, struct response *res,
                                  struct error *e)
{
    if (access_owner(app->config, req, e) != ERR_NONE)
        return e->code;
    witness_remove(app->store, rest);
    res->status = 204;
    return ERR_NONE;
}
