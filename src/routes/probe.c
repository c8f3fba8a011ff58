/*
 * GET /status?probe=TOKEN: for the owner, what the doctor finds. In HTML the
 * page lets the owner's browser ask where slipway cannot (htdocs/doctor.js).
 */
#include <string.h>

#include "access/access.h"
#include "http/accept.h"
#include "http/html.h"
#include "probe/doctor.h"
#include "routes/render.h"
#include "routes/routes.h"
#include "store/id.h"

extern const char doctor_js[]; /* htdocs/doctor.js */

enum { PAGE_MAX = 64 * 1024 };

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
    enum accept_type form = accept_choose(request_header(req, "Accept"),
                                          ACCEPT_TEXT);
    struct buf b;

    response_header(res, "Vary", "Accept");
    response_header(res, "Referrer-Policy", "no-referrer");
    if (form == ACCEPT_JSON) {
        report_json(r, res);
        return;
    }
    buf_init(&b, PAGE_MAX);
    if (form == ACCEPT_HTML) {
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
