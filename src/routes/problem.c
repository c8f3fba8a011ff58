/*
 * Problem documents. Everything in them that came from the client is escaped
 * for the form it is sent in.
 */
#include "routes/problem.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "http/accept.h"
#include "http/html.h"
#include "routes/ietf.h"

enum { PAGE_MAX = 8192, RETRY_SECONDS = 5 };

/* The names that the draft for resumable uploads gives its problems. */
static const char *ietf_name(enum error_code code)
{
    switch (code) {
    case ERR_OFFSET:
        return "mismatching-upload-offset";
    case ERR_COMPLETED:
        return "completed-upload";
    case ERR_LENGTH:
        return "inconsistent-upload-length";
    default:
        return NULL;
    }
}

static json_t *problem_type(const struct request *req, const struct error *e)
{
    const char *name = ietf_is_meant(req) ? ietf_name(e->code) : NULL;

    if (name)
        return json_sprintf("https://iana.org/assignments/http-problem-types#"
                            "%s",
                            name);
    return json_sprintf("urn:slipway:problem:%s", error_slug(e->code));
}

static json_t *problem_json(const struct request *req, const struct error *e)
{
    json_t *j = json_object();

    json_object_set_new(j, "type", problem_type(req, e));
    if (e->code == ERR_OFFSET) {
        json_object_set_new(j, "expected-offset",
                            json_integer((json_int_t)e->expected_offset));
        json_object_set_new(j, "provided-offset",
                            json_integer((json_int_t)e->provided_offset));
    }
    json_object_set_new(j, "title", json_string(error_title(e->code)));
    json_object_set_new(j, "status", json_integer(error_status(e->code)));
    json_object_set_new(j, "detail", json_string(e->detail));
    if (*error_remedy(e->code))
        json_object_set_new(j, "remedy", json_string(error_remedy(e->code)));
    if (e->limit)
        json_object_set_new(j, "limit", json_string(e->limit));
    if (e->limit_text)
        json_object_set_new(j, "limit_value", json_string(e->limit_text));
    else if (e->limit && e->limit_value)
        json_object_set_new(j, "limit_value",
                            json_integer((json_int_t)e->limit_value));
    if (*e->file)
        json_object_set_new(j, "file", json_string(e->file));
    json_object_set_new(j, "request_id", json_string(req->id));
    return j;
}

static void as_json(const struct request *req, struct response *res,
                    const struct error *e, bool plain)
{
    json_t *j = problem_json(req, e);
    char *text;

    if (plain)
        json_object_set_new(
            j, "error",
            json_sprintf("%s. %s", error_title(e->code), e->detail));
    text = json_dumps(j, JSON_INDENT(2));
    if (text)
        response_text(res,
                      plain ? "application/json" : "application/problem+json",
                      text, strlen(text));
    else
        res->failed = true;
    free(text);
    json_decref(j);
}

static void as_text(const struct request *req, struct response *res,
                    const struct error *e)
{
    struct buf b;

    buf_init(&b, PAGE_MAX);
    buf_printf(&b, "%s: %s %s\n", error_title(e->code), e->detail,
               error_remedy(e->code));
    if (*e->file)
        buf_printf(&b, "file: %s\n", e->file);
    buf_printf(&b, "problem: %s, request: %s\n", error_slug(e->code), req->id);
    response_text(res, "text/plain; charset=utf-8", buf_text(&b), b.len);
    buf_free(&b);
}

static void as_html(const struct request *req, struct response *res,
                    const struct error *e)
{
    struct buf b;

    buf_init(&b, PAGE_MAX);
    buf_puts(&b, "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">"
                 "<meta name=\"viewport\" content=\"width=device-width\">"
                 "<title>");
    buf_puts(&b, error_title(e->code));
    buf_puts(&b, "</title><h1>");
    buf_puts(&b, error_title(e->code));
    buf_puts(&b, "</h1><p>");
    if (*e->file) {
        buf_puts(&b, "<strong>");
        html_escape(&b, e->file);
        buf_puts(&b, "</strong>: ");
    }
    html_escape(&b, e->detail);
    buf_printf(&b, " %s</p><p><small>%s, request ", error_remedy(e->code),
               error_slug(e->code));
    html_escape(&b, req->id);
    buf_puts(&b, "</small></p></html>\n");
    response_page(res, buf_text(&b), b.len);
    buf_free(&b);
}

/* The header fields that a failure may carry over. */
static bool is_kept(const char *name)
{
    static const char *const kept[] = {
        "Allow",
        "Content-Range",
        "Tus-Resumable",
        "Tus-Version",
        "Upload-Offset",
        "Upload-Complete",
        "Upload-Incomplete",
        "Upload-Limit",
        "Upload-Expires",
    };

    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (strcmp(name, kept[i]) == 0)
            return true;
    return false;
}

static void keep_fields(struct response *res, const struct response_header *h)
{
    for (; h; h = h->next)
        if (is_kept(h->name))
            response_header(res, h->name, "%s", h->value);
}

/* Clients that ask how far their upload is take a 5xx for the end of it, and
 * begin anew. They shall wait: what is wrong here will be mended. */
static bool must_wait(const struct request *req, const struct error *e)
{
    return error_status(e->code) >= 500 && strcmp(req->method, "HEAD") == 0 &&
           (request_header(req, "Tus-Resumable") ||
            request_header(req, "Upload-Draft-Interop-Version"));
}

void problem_response(const struct request *req, struct response *res,
                      const struct error *e)
{
    const struct response_header *old = res->first;
    bool plain = res->plain_error;
    struct error busy;

    if (must_wait(req, e)) {
        error_set(&busy, ERR_BUSY,
                  "The state of the upload cannot be told just now.");
        e = &busy;
    }
    response_init(res, req->arena);
    res->status = error_status(e->code);
    keep_fields(res, old);
    response_header(res, "Vary", "Accept");
    response_header(res, "Cache-Control", "no-store");
    response_header(res, "X-Content-Type-Options", "nosniff");
    if (res->status == 503 || res->status == 423)
        response_header(res, "Retry-After", "%d", RETRY_SECONDS);
    switch (accept_choose(request_header(req, "Accept"), ACCEPT_JSON)) {
    case ACCEPT_TEXT:
        as_text(req, res, e);
        break;
    case ACCEPT_HTML:
        as_html(req, res, e);
        break;
    case ACCEPT_JSON:
    case ACCEPT_EVENTS:
        as_json(req, res, e, plain);
        break;
    }
}
