/*
 * From CGI variables to a request, from a response to CGI output (RFC 3875
 * section 6). One request per call; nothing survives it.
 *
 * Bodies go out as segments through the transport's scratch buffer, so memory
 * is constant. A body that is one whole file is handed to the front server
 * where the configuration says how.
 */
#include "gateway/exchange.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/log.h"
#include "gateway/bodyfile.h"
#include "http/query.h"
#include "http/token.h"
#include "routes/problem.h"

enum {
    ARENA_CEILING = 16 * 1024 * 1024, /* of one request */
    HEAD_CEILING = 64 * 1024,         /* bytes of all header fields */
    REQUEST_ID_MAX = 40
};

static const char *reason(int status)
{
    switch (status) {
    case 104:
        return "Upload Resumption Supported";
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 204:
        return "No Content";
    case 206:
        return "Partial Content";
    case 303:
        return "See Other";
    case 304:
        return "Not Modified";
    default:
        return status < 500 ? "Refused" : "Failed";
    }
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

/* SCRIPT_NAME without slashes at its end. */
static const char *base_of(const struct request *req)
{
    char *base = arena_strdup(req->arena,
                              or_empty(request_variable(req, "SCRIPT_NAME")));
    size_t len = base ? strlen(base) : 0;

    while (len > 0 && base[len - 1] == '/')
        base[--len] = '\0';
    return or_empty(base);
}

static enum error_code fill_request(struct request *req, struct error *e)
{
    req->method = or_empty(request_variable(req, "REQUEST_METHOD"));
    req->path = or_empty(request_variable(req, "PATH_INFO"));
    req->query = or_empty(request_variable(req, "QUERY_STRING"));
    req->base = base_of(req);
    req->body->may_be_cut = request_may_be_cut(req);
    return request_length(req, &req->body->length, e);
}

/* Open what the body reads from, so that a failure can still be told. */
static enum error_code open_sources(struct response *res, struct error *e)
{
    enum error_code code = ERR_NONE;

    for (struct segment *s = res->body.first; s && code == ERR_NONE;
         s = s->next)
        if (s->source)
            code = s->source->open(s->source, e);
    return code;
}

static void close_sources(struct response *res)
{
    for (struct segment *s = res->body.first; s; s = s->next)
        if (s->source)
            s->source->close(s->source);
}

/* The path for X-Sendfile. Apache's mod_xsendfile 0.12 takes it as it is, later
 * ones and lighttpd decode it; a path that both take for the same is found
 * unless it holds a percent sign. */
static bool put_sendfile_path(struct buf *b, const struct request *req,
                              const char *path)
{
    const char *server = or_empty(request_variable(req, "SERVER_SOFTWARE"));

    if (strncmp(server, "Apache", strlen("Apache")) == 0) {
        buf_puts(b, path);
        return strchr(path, '%') == NULL;
    }
    percent_encode_path(b, path);
    return true;
}

/* Where the server answers for a file of its own, it would hold these fields
 * against its own validators, when ours have been found to match. */
static bool has_precondition(const struct request *req)
{
    return request_header(req, "If-Match") ||
           request_header(req, "If-Unmodified-Since");
}

/* Write what the header field says; false if the server cannot send it. */
static bool put_offload(const struct app *app, const struct request *req,
                        const struct source *s, enum offload how, struct buf *b)
{
    if (how == OFFLOAD_XSENDFILE)
        return put_sendfile_path(b, req, s->local_path);
    buf_printf(b, "%s/", config_text(app->config, OPT_OFFLOAD_PREFIX));
    percent_encode_path(b, s->mount_path);
    return !has_precondition(req);
}

/* Hand the file over by a header field. How that was done, or OFFLOAD_NONE if
 * it is not possible. */
static enum offload hand_over(const struct app *app, const struct request *req,
                              struct response *res)
{
    static const char *const fields[] = {
        [OFFLOAD_XSENDFILE] = "X-Sendfile",
        [OFFLOAD_XACCEL] = "X-Accel-Redirect",
        [OFFLOAD_LOCAL] = "Location",
    };
    struct source *s = segment_whole_source(&res->body);
    enum offload how;
    struct buf b;
    bool ok;

    if (!app || !res->offload || !s || !s->local_path ||
        strcmp(req->method, "GET") != 0)
        return OFFLOAD_NONE;
    how = (enum offload)config_choice(app->config, OPT_OFFLOAD);
    if (how == OFFLOAD_NONE)
        return OFFLOAD_NONE;
    buf_init(&b, HEAD_CEILING);
    ok = put_offload(app, req, s, how, &b) && !buf_failed(&b);
    if (ok)
        response_header(res, fields[how], "%s", buf_text(&b));
    buf_free(&b);
    return ok && !res->failed ? how : OFFLOAD_NONE;
}

/* A server that sends a file of its own says Accept-Ranges of it. */
static bool is_left_to_server(const struct response_header *h, enum offload how)
{
    return (how == OFFLOAD_XACCEL || how == OFFLOAD_LOCAL) &&
           strcmp(h->name, "Accept-Ranges") == 0;
}

/* A field's name; that of an interim answer in lower case, since lighttpd hands
 * it on to HTTP/2 as it is (RFC 9113 section 8.2). */
static void put_name(struct buf *b, const char *name, bool interim)
{
    for (; *name; name++) {
        char c = interim ? token_lower(*name) : *name;

        buf_append(b, &c, 1);
    }
}

static bool send_head(const struct transport *t, struct response *res,
                      bool has_length, enum offload handed)
{
    struct buf b;
    bool ok;

    buf_init(&b, HEAD_CEILING);
    buf_printf(&b, "Status: %d %s\r\n", res->status, reason(res->status));
    for (struct response_header *h = res->first; h; h = h->next)
        if (!is_left_to_server(h, handed)) {
            put_name(&b, h->name, res->status < 200);
            buf_printf(&b, ": %s\r\n", h->value);
        }
    if (has_length)
        buf_printf(&b, "Content-Length: %" PRIu64 "\r\n", res->body.length);
    buf_puts(&b, "\r\n");
    ok = !buf_failed(&b) && t->write(t->ctx, b.data, b.len);
    buf_free(&b);
    return ok;
}

static bool send_slice(const struct transport *t, const struct segment *s)
{
    uint64_t offset = s->offset;
    uint64_t left = s->length;
    struct error e;

    while (left > 0) {
        size_t want = left < t->buffer_size ? (size_t)left : t->buffer_size;
        long n = s->source->read(s->source, t->buffer, want, offset, &e);

        if (n <= 0) {
            if (n == 0)
                error_set(&e, ERR_IO, "A file is shorter than recorded.");
            log_failure(LOG_ERROR, &e);
            return false;
        }
        if (!t->write(t->ctx, t->buffer, (size_t)n))
            return false;
        offset += (uint64_t)n;
        left -= (uint64_t)n;
    }
    return true;
}

static void send_segments(const struct transport *t, struct response *res)
{
    bool ok = true;

    for (struct segment *s = res->body.first; s && ok; s = s->next)
        ok = s->literal ? t->write(t->ctx, s->literal, (size_t)s->length)
                        : send_slice(t, s);
}

/* An event stream: flush each piece, stop when nobody listens. */
static void send_live(const struct transport *t, struct response *res)
{
    struct buf out;
    bool more = true;

    buf_init(&out, RESPONSE_LIVE_MAX);
    while (more) {
        buf_clear(&out);
        more = res->live(res->live_ctx, &out);
        if (buf_failed(&out) || t->gone(t->ctx) ||
            (out.len > 0 &&
             (!t->write(t->ctx, out.data, out.len) || !t->flush(t->ctx))))
            break;
    }
    if (more)
        res->live_end(res->live_ctx);
    buf_free(&out);
}

/* The answer when there is not even memory for an answer. */
static void send_busy(const struct transport *t)
{
    static const char busy[] =
        "Status: 503 Failed\r\nContent-Type: text/plain\r\n"
        "Retry-After: 5\r\nCache-Control: no-store\r\n\r\n"
        "Out of memory: try again later.\n";

    (void)t->write(t->ctx, busy, sizeof busy - 1);
}

static void send_response(struct app *app, struct request *req,
                          struct response *res, const struct transport *t)
{
    const char *method = or_empty(request_variable(req, "REQUEST_METHOD"));
    bool is_head = strcmp(method, "HEAD") == 0;
    bool bodiless = res->status == 204 || res->status == 304;
    enum offload handed = hand_over(app, req, res);
    struct error e;

    if (res->failed) {
        send_busy(t);
        return;
    }
    if (!handed && !is_head && open_sources(res, &e) != ERR_NONE) {
        close_sources(res);
        log_failure(LOG_ERROR, &e);
        problem_response(req, res, &e);
    }
    if (send_head(t, res, !handed && !bodiless && !res->live, handed) &&
        !handed && !is_head && !bodiless) {
        if (res->live)
            send_live(t, res);
        else
            send_segments(t, res);
    }
    close_sources(res);
}

/* A response without body, before the real one. */
static void send_interim(void *ctx, struct response *res)
{
    const struct transport *t = ctx;

    if (send_head(t, res, false, OFFLOAD_NONE))
        (void)t->flush(t->ctx);
}

/* Unique enough to find a line in the log: process, then a count. */
static void make_request_id(char out[REQUEST_ID_MAX])
{
    static _Atomic uint64_t count;

    (void)snprintf(out, REQUEST_ID_MAX, "%" PRIx64 "-%x-%" PRIu64,
                   (uint64_t)clock_wall_ms() / 1000, (unsigned)getpid(),
                   atomic_fetch_add(&count, 1) + 1);
}

/* What is answered: one of these. */
struct reply {
    struct app *app;             /* what the application says */
    const struct error *refusal; /* a failure */
    const char *text;            /* a text */
};

static void put_text(struct response *res, const char *text)
{
    res->status = 200;
    response_header(res, "Cache-Control", "no-store");
    response_text(res, "text/plain; charset=utf-8", text, strlen(text));
}

/* The request from its variables, and the answer to it. */
static void answer(const struct reply *reply, struct request *req,
                   struct transport *t)
{
    struct bodyfile file = {.fd = -1, .file.dir = -1};
    struct response res;
    struct error e;
    enum error_code code;

    response_init(&res, req->arena);
    code = fill_request(req, &e);
    if (code == ERR_NONE && reply->app)
        code = bodyfile_open(&file, reply->app->config, req, &e);
    if (code != ERR_NONE) {
        log_failure(LOG_INFO, &e);
        problem_response(req, &res, &e);
    } else if (reply->app) {
        app_handle(reply->app, req, &res);
    } else if (reply->refusal) {
        problem_response(req, &res, reply->refusal);
    } else if (reply->text) {
        put_text(&res, reply->text);
    }
    send_response(reply->app, req, &res, t);
    bodyfile_close(&file);
}

static void exchange(const struct reply *reply, struct request *req,
                     struct transport *t)
{
    char id[REQUEST_ID_MAX];

    make_request_id(id);
    req->id = id;
    log_request(id);
    req->arena = arena_new(ARENA_CEILING);
    if (!req->arena) {
        send_busy(t);
        log_request(NULL);
        return;
    }
    req->interim = send_interim;
    req->interim_ctx = t;
    answer(reply, req, t);
    arena_free(req->arena);
    log_request(NULL);
}

void exchange_serve(struct app *app, struct request *req, struct transport *t)
{
    exchange(&(struct reply){.app = app}, req, t);
}

void exchange_refuse(struct request *req, struct transport *t,
                     const struct error *why)
{
    exchange(&(struct reply){.refusal = why}, req, t);
}

void exchange_tell(struct request *req, struct transport *t, const char *text)
{
    exchange(&(struct reply){.text = text}, req, t);
}
