/*
 * The owner's examination of slipway and its web server:
 *   GET /status?probe=TOKEN           what the doctor finds
 *   any /status/echo?probe=TOKEN      what has arrived of this request
 *   GET /status/file/NAME?probe=TOKEN a witness, sent as a download is
 * The last two are what the doctor asks the web server for. Where it cannot,
 * the owner's browser does (htdocs/doctor.js), which needs a witness too:
 *   POST /status/file/, DELETE /status/file/NAME
 */
#include <string.h>

#include "access/access.h"
#include "base/clock.h"
#include "http/accept.h"
#include "http/html.h"
#include "http/query.h"
#include "probe/doctor.h"
#include "probe/webroot.h"
#include "routes/ietf_fields.h"
#include "routes/render.h"
#include "routes/routes.h"
#include "store/files.h"
#include "store/place.h"
#include "store/witness.h"

extern const char doctor_js[]; /* htdocs/doctor.js */

enum {
    URL_MAX_BYTES = 8192,
    PAGE_MAX = 64 * 1024,
    ECHO_WAIT_MS = 30000, /* for a body that does not come */
    STEP_MS = 250         /* of that at a time */
};

/* --- The report -------------------------------------------------------------
 */

static void report_json(const struct report *r, struct response *res)
{
    json_t *list = json_array();
    json_t *j = json_object();

    for (const struct finding *f = r->first; f; f = f->next) {
        json_t *one = json_object();

        json_object_set_new(one, "check", json_string(f->check));
        json_object_set_new(one, "verdict",
                            json_string(report_word(f->verdict)));
        json_object_set_new(one, "why", json_string(f->why));
        json_object_set_new(one, "remedy",
                            f->remedy ? json_string(f->remedy) : json_null());
        json_array_append_new(list, one);
    }
    json_object_set_new(j, "version", json_string(SLIPWAY_VERSION));
    json_object_set_new(j, "wrong", json_integer(r->wrong));
    json_object_set_new(j, "checks", list);
    render_json(res, j);
}

static void put_cell(struct buf *b, const char *text)
{
    buf_puts(b, "<td>");
    html_escape(b, text ? text : "");
    buf_puts(b, "</td>");
}

static void put_table(struct buf *b, const struct report *r)
{
    buf_puts(b, "<table><tr><th></th><th>Check</th><th>Why</th><th>To do</th>"
                "</tr>");
    for (const struct finding *f = r->first; f; f = f->next) {
        buf_printf(b, "<tr class=\"%s\">", report_word(f->verdict));
        put_cell(b, report_word(f->verdict));
        put_cell(b, f->check);
        put_cell(b, f->why);
        put_cell(b, f->remedy);
        buf_puts(b, "</tr>");
    }
    buf_puts(b, "</table>");
}

/* Where slipway could not ask its web server, the owner's browser does. */
static void put_script(struct buf *b, const char *nonce)
{
    buf_puts(b, "<p id=\"state\">slipway cannot ask its web server from here; "
                "with JavaScript, your browser does.</p>");
    buf_printf(b, "<script type=\"module\" nonce=\"%s\">\n", nonce);
    buf_puts(b, doctor_js);
    buf_puts(b, "</script>");
}

static void report_html(const struct report *r, bool asked,
                        struct response *res, struct buf *b)
{
    char nonce[ID_LENGTH + 1];
    struct error e;

    if (id_new(nonce, &e) != ERR_NONE) {
        res->failed = true;
        return;
    }
    buf_printf(b,
               "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
               "<meta name=\"viewport\" content=\"width=device-width\">"
               "<title>slipway: what is in order</title>"
               "<style nonce=\"%s\">",
               nonce);
    buf_puts(b, "body{font:1rem/1.4 sans-serif;margin:1rem}"
                "td,th{text-align:left;vertical-align:top;padding:.3rem .6rem;"
                "border-top:1px solid #ccc}"
                ".wrong{background:#fdd}.unknown{background:#eee}</style>"
                "<h1>What is in order</h1>");
    put_table(b, r);
    if (!asked)
        put_script(b, nonce);
    buf_puts(b, "</html>\n");
    response_header(res, "Content-Security-Policy",
                    "default-src 'none'; style-src 'nonce-%s'; script-src "
                    "'nonce-%s'; connect-src 'self'; base-uri 'none'; "
                    "frame-ancestors 'none'",
                    nonce, nonce);
    response_text(res, "text/html; charset=utf-8", buf_text(b), b->len);
}

/* asked: the web server has been. */
static void respond(const struct request *req, const struct report *r,
                    bool asked, struct response *res)
{
    enum form form = accept_form(request_header(req, "Accept"), FORM_TEXT);
    struct buf b;

    response_header(res, "Cache-Control", "no-store");
    response_header(res, "Vary", "Accept");
    response_header(res, "Referrer-Policy", "no-referrer");
    response_header(res, "X-Content-Type-Options", "nosniff");
    if (form == FORM_JSON) {
        report_json(r, res);
        return;
    }
    buf_init(&b, PAGE_MAX);
    if (form == FORM_HTML) {
        report_html(r, asked, res, &b);
    } else {
        report_text(r, &b);
        response_text(res, "text/plain; charset=utf-8", buf_text(&b), b.len);
    }
    res->failed = res->failed || r->failed || buf_failed(&b);
    buf_free(&b);
}

enum error_code probe_get(struct app *app, struct request *req,
                          const char *rest, struct response *res,
                          struct error *e)
{
    struct report report;
    bool asked;

    (void)rest;
    if (access_owner(app->config, req, e) != ERR_NONE)
        return e->code;
    report_init(&report, req->arena);
    doctor_examine_place(app->config, app->store, &report);
    asked = doctor_examine_web(req, app->store, &report);
    respond(req, &report, asked, res);
    return ERR_NONE;
}

/* --- What the doctor asks for -----------------------------------------------
 */

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
            if (now - start > *waited + ECHO_WAIT_MS)
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
    response_header(res, "Cache-Control", "no-store");
    response_header(res, "X-Content-Type-Options", "nosniff");
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
    response_header(res, "X-Content-Type-Options", "nosniff");
    response_header(res, "Cache-Control", "no-store");
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
    response_header(res, "Cache-Control", "no-store");
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
