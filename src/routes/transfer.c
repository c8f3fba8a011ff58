/*
 * The life of a session within one request. Whoever calls in here holds the
 * session until a function that says so lets go of it.
 */
#include "routes/transfer.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "http/date.h"

enum { TELL_MS = 1000 }; /* between two calls of tell */

bool transfer_speaks(const struct app *app, enum transfer_protocol p)
{
    return config_choice(app->config, OPT_PROTOCOLS) & (1u << p);
}

enum error_code transfer_require(const struct app *app,
                                 enum transfer_protocol p, struct error *e)
{
    return transfer_speaks(app, p)
               ? ERR_NONE
               : error_set(e, ERR_FORBIDDEN, "%s is switched off here.",
                           p == PROTOCOL_TUS ? "tus"
                                             : "The IETF's draft for resumable "
                                               "uploads");
}

bool transfer_number(const char *text, uint64_t *out)
{
    return text_parse_u64(text, strlen(text), out) && *out <= INT64_MAX;
}

static void tell(struct transfer *t)
{
    int64_t now = clock_monotonic_ms();

    if (t->tell && now - t->told_at >= TELL_MS) {
        t->told_at = now;
        t->tell(t);
    }
}

enum error_code transfer_append(struct transfer *t, const void *data,
                                size_t len, struct error *e)
{
    size_t known = len < t->skip ? len : (size_t)t->skip;
    uint64_t left = upload_remaining(t->upload);
    enum error_code code;
    size_t fits;

    t->skip -= known;
    data = (const char *)data + known;
    len -= known;
    fits = len < left ? len : (size_t)left;
    code = upload_append(t->upload, data, fits, e);
    if (code != ERR_NONE)
        return code;
    for (size_t i = 0; i < t->check_count; i++)
        checksum_update(&t->checks[i].sum, data, fits);
    if (fits < len)
        return error_set(e, ERR_LENGTH_EXCEEDED,
                         "More bytes came than the upload's length of %" PRIu64
                         ".",
                         upload_total(t->upload));
    tell(t);
    return ERR_NONE;
}

static enum error_code append(void *ctx, const void *data, size_t len,
                              struct error *e)
{
    return transfer_append(ctx, data, len, e);
}

/* Does the failure leave the received bytes as good as they are? After one of
 * the disk nothing more may be acknowledged. */
static bool is_harmless(enum error_code code)
{
    switch (code) {
    case ERR_BUSY:
    case ERR_CLIENT_GONE:
    case ERR_TRUNCATED:
    case ERR_TIMEOUT:
    case ERR_SHUTTING_DOWN:
    case ERR_REQUEST_TOO_LARGE:
    case ERR_BAD_MULTIPART:
        return true;
    default:
        return false;
    }
}

void transfer_fail(struct transfer *t, struct error *e)
{
    struct error after;

    if (e->code == ERR_CANCELLED) {
        upload_discard(t->upload, e);
        error_set(e, ERR_GONE, "The upload was cancelled.");
    } else if (!is_harmless(e->code) || t->whole) {
        upload_abandon(t->upload);
    } else if (upload_suspend(t->upload, &after) != ERR_NONE) {
        log_failure(LOG_INFO, &after);
        if (after.code == ERR_CANCELLED)
            error_set(e, ERR_GONE, "The upload was cancelled.");
    }
}

static enum error_code compare(struct transfer *t, struct error *e)
{
    for (size_t i = 0; i < t->check_count; i++) {
        struct transfer_check *c = &t->checks[i];

        if (!checksum_matches(&c->sum, c->expected, c->len))
            return error_set(e, c->failure,
                             "The bytes that arrived do not have the checksum "
                             "that came with them; they were dropped.");
    }
    return ERR_NONE;
}

static enum error_code check_length(const struct transfer *t, struct error *e)
{
    uint64_t length = t->req->body->length;
    uint64_t left = upload_remaining(t->upload);

    if (length == BODY_LENGTH_UNKNOWN || length <= t->skip ||
        length - t->skip <= left)
        return ERR_NONE;
    return error_set(e, ERR_LENGTH_EXCEEDED,
                     "The upload needs %" PRIu64 " more bytes, the request "
                     "has %" PRIu64 ".",
                     left, length - t->skip);
}

enum error_code transfer_receive(struct transfer *t, struct error *e)
{
    enum error_code code = check_length(t, e);

    if (code != ERR_NONE) {
        upload_abandon(t->upload);
        return code;
    }
    t->whole = t->whole || t->check_count > 0;
    if (t->whole)
        upload_hold(t->upload);
    code = intake_body(t->app, t->req, &t->upload, append, t, e);
    if (code == ERR_NONE)
        code = compare(t, e);
    if (code != ERR_NONE) {
        transfer_fail(t, e);
        code = e->code;
    }
    return code;
}

/* All bytes are there: publish. */
static enum error_code finish(struct upload *u, struct file_list *files,
                              struct error *e)
{
    enum error_code code = upload_end_file(u, e);

    if (code == ERR_NONE)
        code = upload_finish(u, upload_fields(u), files, e);
    else if (code == ERR_FILE_TOO_SMALL || code == ERR_TYPE_NOT_ACCEPTED ||
             code == ERR_DIGEST || code == ERR_CANCELLED)
        upload_discard(u, e);
    else
        upload_abandon(u);
    if (code == ERR_CANCELLED)
        code = error_set(e, ERR_GONE, "The upload was cancelled.");
    return code;
}

enum error_code transfer_end(struct upload *u, struct file_list *files,
                             struct error *e)
{
    enum error_code code;

    if (upload_remaining(u) == 0 && !upload_is_partial(u))
        return finish(u, files, e);
    code = upload_suspend(u, e);
    if (code == ERR_CANCELLED)
        code = error_set(e, ERR_GONE, "The upload was cancelled.");
    return code;
}

void transfer_forget(struct app *app, const char *id)
{
    struct error e;

    if (upload_terminate(app->store, id, &e) != ERR_NONE && e.code != ERR_GONE)
        log_failure(LOG_WARNING, &e);
}

static bool is_whole(const struct progress *p)
{
    return p->state == UPLOAD_RECEIVING && !p->partial && !p->final &&
           p->has_total && p->loaded == p->total;
}

/* Its last request died between the last byte and the publishing. */
static enum error_code finish_whole(struct app *app, struct request *req,
                                    const char *id, struct error *e)
{
    struct file_list files = {0};
    struct upload *u;
    enum error_code code = upload_resume(app->store, req->arena, id, &u, e);

    if (code == ERR_NONE)
        code = finish(u, &files, e);
    return code == ERR_COMPLETED ? ERR_NONE : code;
}

enum error_code transfer_state(struct app *app, struct request *req,
                               const char *id, struct progress *p,
                               struct error *e)
{
    struct store *s = app->store;
    enum error_code code = upload_settle(s, req->arena, id, e);

    if (code == ERR_NONE)
        code = progress_get(s, req->arena, id, p, e);
    if (code == ERR_NONE && is_whole(p)) {
        code = finish_whole(app, req, id, e);
        if (code == ERR_NONE)
            code = progress_get(s, req->arena, id, p, e);
    }
    if (code == ERR_NONE && !p->resumable)
        code = error_set(e, ERR_NOT_FOUND,
                         "There is no resumable upload with this id.");
    if (code == ERR_NONE && p->state != UPLOAD_RECEIVING &&
        p->state != UPLOAD_STORED)
        code = error_set(e, ERR_GONE, "The upload is over: %s.",
                         upload_state_name(p->state));
    if (code != ERR_NONE && error_status(code) >= 500) {
        log_failure(LOG_ERROR, e);
        code = error_set(e, ERR_BUSY,
                         "The state of the upload cannot be told just now.");
    }
    return code;
}

void transfer_location(const struct request *req, struct response *res,
                       const char *id)
{
    response_header(res, "Location", "%s/upload/%s", req->base, id);
}

void transfer_expires(struct response *res, int64_t at_ms)
{
    char date[DATE_MAX];

    date_http(date, at_ms / 1000);
    response_header(res, "Upload-Expires", "%s", date);
}

int64_t transfer_expiry(const struct app *app)
{
    return clock_wall_ms() +
           (int64_t)config_number(app->config, OPT_EXPIRE_AFTER) * 1000;
}
