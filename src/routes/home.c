/*
 * GET /: a plain page that shows an owner that slipway works, with a form that
 * needs no script. Sites have pages of their own.
 */
#include <string.h>

#include "access/access.h"
#include "base/buf.h"
#include "base/units.h"
#include "http/html.h"
#include "routes/routes.h"

enum { HOME_MAX = 16 * 1024 };

static void put_form(struct buf *b, const struct app *app,
                     const struct request *req)
{
    uint64_t most = config_number(app->config, OPT_MAX_FILE_SIZE);
    const char *accept = config_text(app->config, OPT_ACCEPT);
    char size[UNITS_TEXT_MAX];

    buf_puts(b, "<form method=\"post\" enctype=\"multipart/form-data\" "
                "action=\"");
    html_escape(b, req->base);
    buf_puts(b, "/upload\"><p><label>Files <input type=\"file\" name=\"file\" "
                "multiple required");
    if (*accept) {
        buf_puts(b, " accept=\"");
        html_escape(b, accept);
        buf_puts(b, "\"");
    }
    buf_puts(b, "></label></p><p><button>Upload</button></p></form>");
    if (most) {
        units_format_size(size, most);
        buf_printf(b, "<p>The largest file: %s.</p>", size);
    }
}

enum error_code home_get(struct app *app, struct request *req, const char *rest,
                         struct response *res, struct error *e)
{
    struct buf b;

    (void)rest;
    buf_init(&b, HOME_MAX);
    buf_puts(&b, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
                 "<meta name=\"viewport\" content=\"width=device-width\">"
                 "<title>Upload</title><h1>Upload</h1>");
    if (access_check(app->config, ACCESS_UPLOAD, e) == ERR_NONE)
        put_form(&b, app, req);
    else
        buf_puts(&b, "<p>slipway works. Not everybody may upload here.</p>");
    buf_puts(&b, "</html>\n");
    response_page(res, buf_text(&b), b.len);
    res->failed = res->failed || buf_failed(&b);
    buf_free(&b);
    return ERR_NONE;
}
