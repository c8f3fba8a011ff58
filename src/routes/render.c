/*
 * Rendering. No state; a failed allocation marks the response as failed.
 */
#include "routes/render.h"

#include <nettle/base64.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "http/accept.h"
#include "http/date.h"
#include "http/html.h"
#include "http/query.h"

enum { LINK_MAX = 8192, LIST_MAX = 4 * 1024 * 1024 };

/* <base>/<resource>/<id>[/<name>] with the name percent-encoded. */
static json_t *api_url(const struct request *req, const char *resource,
                       const struct file *f, const char *name)
{
    struct buf b;
    json_t *j;

    buf_init(&b, LINK_MAX);
    buf_printf(&b, "%s/%s/%s", req->base, resource, f->id);
    if (name) {
        buf_puts(&b, "/");
        percent_encode(&b, name);
    }
    j = json_string(buf_text(&b));
    buf_free(&b);
    return j;
}

static const char *base_name(const char *name)
{
    const char *slash = strrchr(name, '/');

    return slash ? slash + 1 : name;
}

static json_t *sha256_json(const struct file *f)
{
    char hex[2 * DIGEST_SIZE + 1];

    if (!f->has_sha256)
        return json_null();
    text_hex(hex, f->sha256, DIGEST_SIZE);
    return json_string(hex);
}

char *render_text(struct arena *a, const json_t *j)
{
    char *text = json_dumps(j, JSON_COMPACT);
    char *copy = text ? arena_strdup(a, text) : NULL;

    free(text);
    return copy;
}

void render_repr_digest(struct response *res, const struct file *f)
{
    char base64[BASE64_ENCODE_RAW_LENGTH(DIGEST_SIZE) + 1] = "";

    if (!f->has_sha256)
        return;
    base64_encode_raw(base64, DIGEST_SIZE, f->sha256);
    response_header(res, "Repr-Digest", "sha-256=:%s:", base64);
}

static void add_details(json_t *j, const struct file *f)
{
    char created[DATE_MAX];

    date_rfc3339(created, f->created_at / 1000000);
    json_object_set_new(j, "created", json_string(created));
    json_object_set_new(j, "metadata", json_loads(f->metadata, 0, NULL));
}

json_t *render_file(const struct app *app, const struct request *req,
                    const struct file *f, bool full)
{
    const char *url = file_url(app->store, req->arena, f);
    json_t *j = json_object();

    json_object_set_new(j, "id", json_string(f->id));
    json_object_set_new(j, "name", json_string(f->name));
    json_object_set_new(j, "size", json_integer((json_int_t)f->size));
    json_object_set_new(j, "type", json_string(f->type));
    json_object_set_new(j, "sha256", sha256_json(f));
    json_object_set_new(j, "url", json_string(url ? url : ""));
    if (f->is_directory) {
        json_object_set_new(j, "directory", json_true());
        json_object_set_new(j, "count", json_integer((json_int_t)f->count));
    } else {
        json_object_set_new(j, "download",
                            api_url(req, "download", f, base_name(f->name)));
    }
    json_object_set_new(j, "delete", api_url(req, "files", f, NULL));
    if (full)
        add_details(j, f);
    return j;
}

json_t *render_files(const struct app *app, const struct request *req,
                     const struct file_list *l, bool full)
{
    json_t *j = json_array();

    for (const struct file *f = l->first; f; f = f->next)
        json_array_append_new(j, render_file(app, req, f, full));
    return j;
}

/* 1 only when stored: a full count of bytes is not yet a stored file. */
static json_t *progress_number(const struct progress *p)
{
    double part;

    if (p->state == UPLOAD_STORED)
        return json_integer(1);
    if (!p->has_total || p->total == 0)
        return json_integer(0);
    part = (double)p->loaded / (double)p->total;
    return json_real(part < 0.999 ? part : 0.999);
}

json_t *render_progress(const struct progress *p)
{
    json_t *j = json_object();

    json_object_set_new(j, "id", json_string(p->id));
    json_object_set_new(j, "state", json_string(upload_state_name(p->state)));
    json_object_set_new(j, "loaded", json_integer((json_int_t)p->loaded));
    json_object_set_new(j, "total",
                        p->has_total ? json_integer((json_int_t)p->total)
                                     : json_null());
    json_object_set_new(j, "progress", progress_number(p));
    if (p->state == UPLOAD_FAILED)
        json_object_set_new(j, "error", json_string(p->error));
    return j;
}

void render_json(struct response *res, json_t *j)
{
    char *text = j ? json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6))
                   : NULL;

    if (text)
        response_text(res, "application/json", text, strlen(text));
    else
        res->failed = true;
    free(text);
    json_decref(j);
}

void render_urls(const struct app *app, struct response *res,
                 const struct file_list *l)
{
    struct buf b;

    buf_init(&b, LIST_MAX);
    for (const struct file *f = l->first; f; f = f->next) {
        const char *url = file_url(app->store, res->arena, f);

        buf_printf(&b, "%s\n", url ? url : "");
    }
    response_text(res, "text/plain; charset=utf-8", buf_text(&b), b.len);
    res->failed = res->failed || buf_failed(&b);
    buf_free(&b);
}

/* To the page that held the form, which is on the same site. */
static void add_back_link(struct buf *b, const char *referer)
{
    if (!referer || (!text_starts_ci(referer, "http://") &&
                     !text_starts_ci(referer, "https://")))
        return;
    buf_puts(b, "<p><a href=\"");
    html_escape(b, referer);
    buf_puts(b, "\">Back</a></p>");
}

/* Answer with a page that links to the files. */
static void render_page(const struct app *app, const struct request *req,
                        struct response *res, const struct file_list *l)
{
    struct buf b;

    buf_init(&b, LIST_MAX);
    buf_puts(&b, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
                 "<meta name=\"viewport\" content=\"width=device-width\">"
                 "<title>Uploaded</title><h1>Uploaded</h1><ul>\n");
    for (const struct file *f = l->first; f; f = f->next) {
        const char *url = file_url(app->store, req->arena, f);

        buf_puts(&b, "<li><a href=\"");
        html_escape(&b, url ? url : "");
        buf_puts(&b, "\">");
        html_escape(&b, f->name);
        buf_printf(&b, "</a>, %llu bytes\n", (unsigned long long)f->size);
    }
    buf_puts(&b, "</ul>");
    add_back_link(&b, request_header(req, "Referer"));
    buf_puts(&b, "</html>\n");
    response_page(res, buf_text(&b), b.len);
    res->failed = res->failed || buf_failed(&b);
    buf_free(&b);
}

void render_stored(const struct app *app, const struct request *req,
                   struct response *res, const char *id,
                   const struct file_list *files)
{
    json_t *j;

    res->status = 201;
    response_header(res, "Vary", "Accept");
    response_header(res, "Upload-Id", "%s", id);
    switch (accept_choose(request_header(req, "Accept"), ACCEPT_TEXT)) {
    case ACCEPT_JSON:
    case ACCEPT_EVENTS:
        j = json_object();
        json_object_set_new(j, "files", render_files(app, req, files, false));
        json_object_set_new(j, "upload_id", json_string(id));
        render_json(res, j);
        break;
    case ACCEPT_HTML:
        render_page(app, req, res, files);
        break;
    case ACCEPT_TEXT:
        render_urls(app, res, files);
        break;
    }
}

void render_url(const struct app *app, const struct request *req,
                struct response *res, const char *field, const struct file *f)
{
    const char *url = file_url(app->store, req->arena, f);

    response_header(res, field, "%s", url ? url : "");
}

void render_upload(const struct app *app, const struct request *req,
                   struct response *res, const char *id,
                   const struct file_list *files)
{
    if (files->count == 1)
        render_url(app, req, res, "Location", files->first);
    render_stored(app, req, res, id, files);
}
