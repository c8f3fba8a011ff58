/*
 * GET and HEAD /download/ID[/NAME]: one file with conditions (RFC 9110
 * section 13), ranges (section 14) and a disposition (RFC 6266).
 *
 * A published file never changes, so its validators are strong and constant.
 * Where the front server can send files, the whole file is offered to it and
 * it cuts the ranges itself.
 */
#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/text.h"
#include "http/condition.h"
#include "http/date.h"
#include "http/disposition.h"
#include "http/filename.h"
#include "http/mediatype.h"
#include "http/query.h"
#include "http/range.h"
#include "routes/render.h"
#include "routes/routes.h"
#include "store/files.h"

enum {
    ETAG_MAX = 2 + 2 * DIGEST_SIZE + 1,
    NAME_MAX_BYTES = 1024, /* of ?filename= */
    FIELD_MAX = 8192       /* of Content-Disposition */
};

/* What the caller asked for in the query. */
struct wish {
    bool is_inline;                    /* ?disposition=inline */
    char name[FILENAME_MAX_BYTES + 1]; /* ?filename= cleaned, or "" */
};

static bool read_disposition(const struct request *req, struct wish *w)
{
    char word[16] = "attachment";

    if (query_get(req->query, "disposition", word, sizeof word) == QUERY_BAD)
        return false;
    w->is_inline = strcmp(word, "inline") == 0;
    return w->is_inline || strcmp(word, "attachment") == 0;
}

static enum error_code read_wish(const struct request *req, struct wish *w,
                                 struct error *e)
{
    char name[NAME_MAX_BYTES];
    enum query_result named = query_get(req->query, "filename", name,
                                        sizeof name);

    w->name[0] = '\0';
    if (!read_disposition(req, w))
        return error_set(e, ERR_BAD_REQUEST,
                         "disposition must be inline or attachment.");
    if (named == QUERY_BAD ||
        (named == QUERY_FOUND && !filename_clean(name, w->name)))
        return error_set(e, ERR_BAD_REQUEST,
                         "The query parameter filename is unusable.");
    return ERR_NONE;
}

static void make_etag(char out[ETAG_MAX], const struct file *f)
{
    char hex[2 * DIGEST_SIZE + 1];

    text_hex(hex, f->sha256, DIGEST_SIZE);
    (void)snprintf(out, ETAG_MAX, "\"%s\"", f->has_sha256 ? hex : f->id);
}

static void add_validators(struct response *res, const struct file *f,
                           const char *etag)
{
    char date[DATE_MAX];

    date_http(date, f->created_at / 1000000);
    response_header(res, "ETag", "%s", etag);
    response_header(res, "Last-Modified", "%s", date);
    response_header(res, "Cache-Control", "private, no-cache");
}

/* Header fields for bytes that a stranger chose. */
static void add_description(struct response *res, const struct file *f,
                            const struct wish *w)
{
    bool is_inline = w->is_inline && mediatype_is_inline_safe(f->type);
    const char *slash = strrchr(f->name, '/');
    struct buf b;

    buf_init(&b, FIELD_MAX);
    disposition_format(&b, is_inline,
                       *w->name ? w->name : (slash ? slash + 1 : f->name));
    response_header(res, "Content-Disposition", "%s", buf_text(&b));
    buf_free(&b);
    if (strcmp(f->type, "application/pdf") != 0)
        response_header(res, "Content-Security-Policy",
                        "sandbox; default-src 'none'; img-src 'self'; "
                        "media-src 'self'; style-src 'unsafe-inline'");
    response_header(res, "Cross-Origin-Resource-Policy", "same-origin");
    response_header(res, "Accept-Ranges", "bytes");
    render_repr_digest(res, f);
}

/* multipart/byteranges (RFC 9110 section 14.6): literals between slices. */
static bool build_multirange(struct response *res, const struct file *f,
                             const struct segment_list *whole,
                             const struct range *ranges, size_t count,
                             struct error *e)
{
    char boundary[ID_LENGTH + 1];
    struct arena *a = res->arena;
    bool ok = id_new(boundary, e) == ERR_NONE;

    for (size_t i = 0; ok && i < count; i++) {
        char *head = arena_printf(
            a,
            "\r\n--%s\r\nContent-Type: %s\r\nContent-Range: bytes %" PRIu64
            "-%" PRIu64 "/%" PRIu64 "\r\n\r\n",
            boundary, f->type, ranges[i].first,
            ranges[i].first + ranges[i].length - 1, f->size);

        ok = head && segment_literal(&res->body, a, head, strlen(head)) &&
             segment_cut(&res->body, a, whole, ranges[i]);
    }
    if (ok) {
        char *end = arena_printf(a, "\r\n--%s--\r\n", boundary);

        ok = end && segment_literal(&res->body, a, end, strlen(end));
    }
    response_header(res, "Content-Type", "multipart/byteranges; boundary=%s",
                    boundary);
    return ok;
}

static enum error_code send_ranges(struct response *res, const struct file *f,
                                   const struct segment_list *whole,
                                   const struct range *ranges, size_t count,
                                   struct error *e)
{
    bool ok;

    res->status = 206;
    if (count == 1) {
        response_header(res, "Content-Type", "%s", f->type);
        response_header(
            res, "Content-Range", "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64,
            ranges[0].first, ranges[0].first + ranges[0].length - 1, f->size);
        ok = segment_cut(&res->body, res->arena, whole, ranges[0]);
    } else {
        ok = build_multirange(res, f, whole, ranges, count, e);
    }
    return ok ? ERR_NONE : error_set(e, ERR_MEMORY, "No memory for ranges.");
}

/* The Range header, where it is to be honoured. */
static const char *wanted_range(const struct app *app,
                                const struct request *req, const struct file *f,
                                const char *etag)
{
    if (strcmp(req->method, "GET") != 0 ||
        config_choice(app->config, OPT_OFFLOAD) != OFFLOAD_NONE ||
        !condition_if_range(request_header(req, "If-Range"), etag,
                            f->created_at / 1000000, clock_wall_ms() / 1000))
        return NULL;
    return request_header(req, "Range");
}

static enum error_code send_file(struct app *app, struct request *req,
                                 const struct file *f, const char *etag,
                                 struct response *res, struct error *e)
{
    struct source *source = file_source(app->store, req->arena, f);
    struct segment_list whole = {0};
    struct range ranges[RANGE_MAX];
    size_t count;

    if (!source || !segment_slice(&whole, req->arena, source, 0, source->size))
        return error_set(e, ERR_MEMORY, "No memory for a download.");
    switch (
        range_parse(wanted_range(app, req, f, etag), f->size, ranges, &count)) {
    case RANGE_UNSATISFIABLE:
        response_header(res, "Content-Range", "bytes */%" PRIu64, f->size);
        return error_set(e, ERR_RANGE, "The file has %" PRIu64 " bytes.",
                         f->size);
    case RANGE_OK:
        return send_ranges(res, f, &whole, ranges, count, e);
    case RANGE_IGNORE:
        break;
    }
    response_header(res, "Content-Type", "%s", f->type);
    res->body = whole;
    res->offload = true;
    return ERR_NONE;
}

static enum condition_result check_conditions(const struct request *req,
                                              const struct file *f,
                                              const char *etag)
{
    struct conditions c = {
        .if_match = request_header(req, "If-Match"),
        .if_none_match = request_header(req, "If-None-Match"),
        .if_modified_since = request_header(req, "If-Modified-Since"),
        .if_unmodified_since = request_header(req, "If-Unmodified-Since"),
    };

    return condition_check(&c, etag, f->created_at / 1000000, true);
}

/* The id is what comes before a slash; the name after it is decoration. NULL
 * and e if there is no such file. */
static struct file *find_file(struct app *app, struct request *req,
                              const char *rest, struct error *e)
{
    char *id = arena_strndup(req->arena, rest, strcspn(rest, "/"));
    struct file *f;

    if (!id) {
        error_set(e, ERR_MEMORY, "No memory for a download.");
        return NULL;
    }
    f = file_get(app->store, req->arena, id, e);
    if (!f || !f->is_directory)
        return f;
    error_set(e, ERR_BAD_REQUEST,
              "This is a directory upload; its files are listed at files/%s.",
              id);
    return NULL;
}

enum error_code download_get(struct app *app, struct request *req,
                             const char *rest, struct response *res,
                             struct error *e)
{
    char etag[ETAG_MAX];
    struct wish wish = {0};
    struct file *f;

    if (read_wish(req, &wish, e) != ERR_NONE)
        return e->code;
    f = find_file(app, req, rest, e);
    if (!f)
        return e->code;
    make_etag(etag, f);
    switch (check_conditions(req, f, etag)) {
    case CONDITION_FAILED:
        return error_set(e, ERR_PRECONDITION,
                         "The file is not the one you have.");
    case CONDITION_NOT_MODIFIED:
        res->status = 304;
        add_validators(res, f, etag);
        return ERR_NONE;
    case CONDITION_GO:
        break;
    }
    add_validators(res, f, etag);
    add_description(res, f, &wish);
    return send_file(app, req, f, etag, res, e);
}
