/*
 * The header fields of the draft, and what differs between its versions, all
 * of it in one table.
 */
#include "routes/ietf_fields.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "http/structured.h"
#include "routes/ietf.h"
#include "routes/render.h"

static const struct ietf_version versions[] = {
    {3, true, false, true, false, true, 201, true, "max-age"},
    {5, false, false, true, false, true, 201, true, "max-age"},
    {6, false, true, true, true, true, 201, true, "expires"},
    {7, false, true, false, false, false, 204, false, "max-age"},
    {8, false, true, false, false, false, 204, false, "max-age"},
};

enum { VERSIONS = sizeof versions / sizeof versions[0] };

static const uint64_t INTEGER_MAX = 999999999999999;

static const char complete_field[] = "Upload-Complete";
static const char incomplete_field[] = "Upload-Incomplete";

/* The version that the request names; *named is false if it is none of ours
 * and the newest stands in. */
static const struct ietf_version *version_of(const struct request *req,
                                             bool *named)
{
    int64_t number;

    *named = false;
    if (structured_integer(request_header(req, "Upload-Draft-Interop-Version"),
                           &number) == STRUCTURED_FOUND)
        for (size_t i = 0; i < VERSIONS; i++)
            if (versions[i].number == number) {
                *named = true;
                return &versions[i];
            }
    if (request_header(req, incomplete_field) &&
        !request_header(req, complete_field))
        return &versions[0];
    return &versions[VERSIONS - 1];
}

const struct ietf_version *ietf_version(const struct request *req)
{
    bool named;

    return version_of(req, &named);
}

bool ietf_says_complete(const struct request *req, bool *complete)
{
    const struct ietf_version *v = ietf_version(req);
    const char *name = v->incomplete ? incomplete_field : complete_field;
    bool value;

    if (structured_boolean(request_header(req, name), &value) !=
        STRUCTURED_FOUND)
        return false;
    *complete = v->incomplete ? !value : value;
    return true;
}

bool ietf_is_meant(const struct request *req)
{
    return !request_header(req, "Tus-Resumable") &&
           (request_header(req, "Upload-Draft-Interop-Version") ||
            request_header(req, complete_field) ||
            request_header(req, incomplete_field) ||
            request_has_type(req, "application/partial-upload"));
}

bool ietf_is_creation(const struct request *req)
{
    bool complete = false;

    return ietf_is_meant(req) && ietf_says_complete(req, &complete) &&
           !(complete && request_has_type(req, "multipart/"));
}

void ietf_put_complete(const struct request *req, struct response *res,
                       bool complete)
{
    const struct ietf_version *v = ietf_version(req);

    if (v->incomplete)
        response_header(res, incomplete_field, "?%d", !complete);
    else
        response_header(res, complete_field, "?%d", complete);
}

/* An Integer has at most 15 digits (RFC 8941 section 3.3.1). */
static uint64_t as_integer(uint64_t value)
{
    return value < INTEGER_MAX ? value : INTEGER_MAX;
}

/* A member of a Dictionary, with the comma after it; none for 0. */
static const char *member(const struct request *req, const char *key,
                          uint64_t value)
{
    return value == 0 ? ""
                      : arena_printf(req->arena, "%s=%" PRIu64 ", ", key,
                                     as_integer(value));
}

/* lifetime: seconds from now, or negative if there is no end. */
static void put_limits(const struct app *app, const struct request *req,
                       struct response *res, int64_t lifetime)
{
    const struct config *c = app->config;
    const char *max_size = member(req, "max-size",
                                  config_number(c, OPT_MAX_FILE_SIZE));
    const char *max_append = member(req, "max-append-size",
                                    config_number(c, OPT_MAX_REQUEST_SIZE));
    const char *max_age = "";

    if (lifetime >= 0)
        max_age = arena_printf(req->arena, ", %s=%" PRId64,
                               ietf_version(req)->max_age, lifetime);
    if (max_size && max_append && max_age)
        response_header(res, "Upload-Limit", "%s%smin-size=%" PRIu64 "%s",
                        max_size, max_append,
                        as_integer(config_number(c, OPT_MIN_FILE_SIZE)),
                        max_age);
}

void ietf_put_limits(const struct app *app, const struct request *req,
                     struct response *res, bool expires)
{
    int64_t keep = (int64_t)config_number(app->config, OPT_EXPIRE_AFTER);

    put_limits(app, req, res, expires ? keep : -1);
}

void ietf_put_limits_of(const struct app *app, const struct request *req,
                        struct response *res, const struct progress *p)
{
    int64_t left = (p->expires_at - clock_wall_ms()) / 1000;

    if (p->state == UPLOAD_STORED)
        left = -1;
    else if (left < 0)
        left = 0;
    put_limits(app, req, res, left);
}

void ietf_options(const struct app *app, const struct request *req,
                  struct response *res)
{
    ietf_put_limits(app, req, res, true);
}

bool ietf_may_interim(const struct app *app, const struct request *req)
{
    bool named;

    (void)version_of(req, &named);
    return named && config_choice(app->config, OPT_INTERIM);
}

static void begin_interim(const struct request *req, struct response *r)
{
    response_init(r, req->arena);
    r->status = 104;
    response_header(r, "Upload-Draft-Interop-Version", "%d",
                    ietf_version(req)->number);
}

void ietf_tell_offset(const struct transfer *t)
{
    struct response r;

    begin_interim(t->req, &r);
    response_header(&r, "Upload-Offset", "%" PRIu64,
                    upload_acknowledged(t->upload));
    t->req->interim(t->req->interim_ctx, &r);
}

void ietf_tell_support(const struct app *app, const struct request *req)
{
    struct response r;

    begin_interim(req, &r);
    ietf_put_limits(app, req, &r, true);
    req->interim(req->interim_ctx, &r);
}

void ietf_tell_location(const struct app *app, const struct request *req,
                        const char *id)
{
    struct response r;

    begin_interim(req, &r);
    transfer_location(req, &r, id);
    ietf_put_limits(app, req, &r, true);
    req->interim(req->interim_ctx, &r);
}

static void add_check(struct transfer *t, const char *field, const char *key,
                      enum checksum_algorithm algorithm)
{
    struct transfer_check *c = &t->checks[t->check_count];

    if (structured_member_bytes(field, key, c->expected, sizeof c->expected,
                                &c->len) != STRUCTURED_FOUND)
        return;
    checksum_init(&c->sum, algorithm);
    c->failure = ERR_DIGEST;
    t->check_count++;
}

void ietf_take_content_digest(struct transfer *t)
{
    const char *field = request_header(t->req, "Content-Digest");

    add_check(t, field, "sha-256", CHECKSUM_SHA256);
    add_check(t, field, "sha-512", CHECKSUM_SHA512);
}

enum error_code ietf_repr_digest(const struct request *req,
                                 unsigned char sha256[DIGEST_SIZE], bool *has,
                                 struct error *e)
{
    unsigned char value[CHECKSUM_MAX];
    size_t len;

    *has = structured_member_bytes(request_header(req, "Repr-Digest"),
                                   "sha-256", value, sizeof value,
                                   &len) == STRUCTURED_FOUND;
    if (*has && len != DIGEST_SIZE)
        return error_set(e, ERR_BAD_REQUEST,
                         "The sha-256 in Repr-Digest has the wrong length.");
    if (*has)
        memcpy(sha256, value, DIGEST_SIZE);
    return ERR_NONE;
}

void ietf_put_repr_digest(const struct request *req, struct response *res,
                          const struct file *f)
{
    int64_t weight;

    if (structured_member_integer(request_header(req, "Want-Repr-Digest"),
                                  "sha-256", &weight) == STRUCTURED_FOUND &&
        weight > 0)
        render_repr_digest(res, f);
}
