/*
 * The route table and the dispatcher. What a row says (method, path, who may)
 * is enforced here, before a handler runs; Allow and OPTIONS follow from the
 * table.
 */
#include <string.h>

#include "access/access.h"
#include "base/log.h"
#include "base/text.h"
#include "routes/problem.h"
#include "routes/routes.h"
#include "routes/transfer.h"
#include "routes/tus.h"

struct route {
    const char *method;      /* GET stands for HEAD too */
    const char *path;        /* exact, or a prefix if it ends with '/';
                                but "/" is the root alone */
    enum access_scope scope; /* what the client must be allowed */
    handler *handle;
};

static const struct route routes[] = {
    {"GET", "/", ACCESS_NONE, home_get},
    {"GET", "/status", ACCESS_NONE, status_get},
    {"GET", "/status/echo", ACCESS_NONE, probe_echo},
    {"POST", "/status/echo", ACCESS_NONE, probe_echo},
    {"PUT", "/status/echo", ACCESS_NONE, probe_echo},
    {"PATCH", "/status/echo", ACCESS_NONE, probe_echo},
    {"DELETE", "/status/echo", ACCESS_NONE, probe_echo},
    {"OPTIONS", "/status/echo", ACCESS_NONE, probe_echo},
    {"GET", "/status/file/", ACCESS_NONE, probe_file_get},
    {"POST", "/status/file/", ACCESS_NONE, probe_file_post},
    {"DELETE", "/status/file/", ACCESS_NONE, probe_file_delete},
    {"POST", "/upload", ACCESS_UPLOAD, upload_post},
    {"OPTIONS", "/upload", ACCESS_NONE, resource_options},
    {"PUT", "/upload/", ACCESS_UPLOAD, upload_put},
    {"GET", "/upload/", ACCESS_UPLOAD, resource_get},
    {"PATCH", "/upload/", ACCESS_UPLOAD, resource_patch},
    {"POST", "/upload/", ACCESS_UPLOAD, resource_post},
    {"DELETE", "/upload/", ACCESS_UPLOAD, resource_delete},
    {"OPTIONS", "/upload/", ACCESS_NONE, resource_options},
    {"POST", "/filepond", ACCESS_UPLOAD, filepond_post},
    {"GET", "/filepond", ACCESS_UPLOAD, filepond_get},
    {"PATCH", "/filepond", ACCESS_UPLOAD, filepond_patch},
    {"DELETE", "/filepond", ACCESS_UPLOAD, filepond_delete},
    {"POST", "/dropzone", ACCESS_UPLOAD, dropzone_post},
    {"GET", "/progress/", ACCESS_UPLOAD, progress_handle},
    {"POST", "/cancel/", ACCESS_UPLOAD, cancel_post},
    {"GET", "/download/", ACCESS_DOWNLOAD, download_get},
    {"GET", "/files", ACCESS_LIST, files_list},
    {"GET", "/files/", ACCESS_DOWNLOAD, files_get},
    {"DELETE", "/files/", ACCESS_DELETE, files_delete},
    {"POST", "/files/", ACCESS_DELETE, files_post},
};

enum { ROUTES = sizeof routes / sizeof routes[0], ALLOW_MAX = 128 };

/* What follows the route's path, or NULL if it is not this route's path. */
static const char *match(const struct route *r, const char *path)
{
    size_t len = strlen(r->path);

    if (len == 1)
        return *path == '\0' || strcmp(path, "/") == 0 ? "" : NULL;
    if (r->path[len - 1] == '/')
        return strncmp(path, r->path, len) == 0 ? path + len : NULL;
    return strcmp(path, r->path) == 0 ? path + len : NULL;
}

static bool method_is(const struct route *r, const char *method)
{
    return strcmp(r->method, method) == 0 ||
           (strcmp(r->method, "GET") == 0 && strcmp(method, "HEAD") == 0);
}

/* The paths of dialects are there only where they are switched on. */
static bool is_on(const struct app *app, const char *path)
{
    if (strcmp(path, "/filepond") == 0)
        return transfer_speaks(app, PROTOCOL_FILEPOND);
    if (strcmp(path, "/dropzone") == 0)
        return transfer_speaks(app, PROTOCOL_DROPZONE);
    return true;
}

static const struct route *find(const struct app *app,
                                const struct request *req, const char **rest,
                                struct buf *allow)
{
    const struct route *found = NULL;

    for (size_t i = 0; i < ROUTES; i++) {
        const char *r = match(&routes[i], req->path);

        if (!r || !is_on(app, routes[i].path))
            continue;
        if (method_is(&routes[i], req->method)) {
            *rest = r;
            found = &routes[i];
        }
        if (strcmp(routes[i].method, "OPTIONS") != 0)
            buf_printf(allow, "%s, ", routes[i].method);
        if (strcmp(routes[i].method, "GET") == 0)
            buf_puts(allow, "HEAD, ");
    }
    return found;
}

/* No row for this method: OPTIONS, 405 or 404. */
static enum error_code without_route(const struct request *req, bool has_path,
                                     struct response *res, struct error *e)
{
    if (!has_path)
        return error_set(e, ERR_NOT_FOUND, "There is nothing at this path.");
    if (strcmp(req->method, "OPTIONS") != 0)
        return error_set(e, ERR_METHOD,
                         "This resource does not have this method.");
    res->status = 204;
    return ERR_NONE;
}

/* Upload resources can be used where only GET and POST get through. */
static void override_method(struct request *req)
{
    const char *method = request_header(req, "X-HTTP-Method-Override");

    if (method && text_path_below(req->path, "/upload"))
        req->method = method;
}

/* What holds of every answer: its type is not guessed, and it is not kept
 * unless the handler says otherwise. */
static void add_defaults(struct response *res)
{
    response_header(res, "X-Content-Type-Options", "nosniff");
    for (const struct response_header *h = res->first; h; h = h->next)
        if (strcmp(h->name, "Cache-Control") == 0)
            return;
    response_header(res, "Cache-Control", "no-store");
}

void app_handle(struct app *app, struct request *req, struct response *res)
{
    struct error e = {0};
    const char *rest = "";
    const struct route *route;
    enum error_code code;
    struct buf allow;

    buf_init(&allow, ALLOW_MAX);
    response_init(res, req->arena);
    if (tus_is_meant(req))
        tus_mark(res);
    override_method(req);
    route = find(app, req, &rest, &allow);
    if (allow.len > 0 && (!route || strcmp(req->method, "OPTIONS") == 0))
        response_header(res, "Allow", "%sOPTIONS", buf_text(&allow));
    if (!route) {
        code = without_route(req, allow.len > 0, res, &e);
    } else {
        code = access_check(app->config, route->scope, &e);
        if (code == ERR_NONE)
            code = route->handle(app, req, rest, res, &e);
    }
    buf_free(&allow);
    add_defaults(res);
    if (code == ERR_NONE && res->failed)
        code = error_set(&e, ERR_MEMORY, "No memory for the answer.");
    if (code != ERR_NONE) {
        log_failure(error_status(code) >= 500 ? LOG_ERROR : LOG_INFO, &e);
        problem_response(req, res, &e);
    }
}
