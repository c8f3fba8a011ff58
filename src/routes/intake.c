/*
 * The waiting loop and the parameters that every kind of upload shares.
 */
#include "routes/intake.h"

#include <inttypes.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "http/disposition.h"
#include "http/query.h"
#include "store/resumable.h"

enum error_code intake_size(const struct app *app, const struct request *req,
                            struct error *e)
{
    uint64_t most = config_number(app->config, OPT_MAX_REQUEST_SIZE);
    uint64_t length = req->body->length;

    if (!most || (req->body->received <= most &&
                  (length <= most || length == BODY_LENGTH_UNKNOWN)))
        return ERR_NONE;
    return error_limit(e, ERR_REQUEST_TOO_LARGE, "max_request_size", most,
                       "A request may have at most %" PRIu64 " bytes.", most);
}

static enum error_code check_silence(const struct app *app, int64_t silent_ms,
                                     struct error *e)
{
    uint64_t most = config_number(app->config, OPT_IDLE_TIMEOUT);

    if ((uint64_t)silent_ms < most * 1000)
        return ERR_NONE;
    return error_limit(e, ERR_TIMEOUT, "idle_timeout", most,
                       "No data came for %" PRIu64 " seconds.", most);
}

enum error_code intake_end(const struct request *req, struct error *e)
{
    if (!req->body->may_be_cut)
        return ERR_NONE;
    return error_set(e, ERR_NO_LENGTH,
                     "This web server cannot tell a whole file from a part of "
                     "it, unless it comes with its length.");
}

enum error_code intake_body(struct app *app, struct request *req,
                            struct upload *const *u, intake_sink *sink,
                            void *ctx, struct error *e)
{
    int64_t heard = clock_monotonic_ms();
    enum error_code code = intake_size(app, req, e);

    while (code == ERR_NONE) {
        const void *data;
        size_t len;

        switch (body_next(req->body, &data, &len, UPLOAD_CHECK_MS, e)) {
        case BODY_DATA:
            heard = clock_monotonic_ms();
            code = intake_size(app, req, e);
            if (code == ERR_NONE)
                code = sink(ctx, data, len, e);
            break;
        case BODY_WAIT:
            code = check_silence(app, clock_monotonic_ms() - heard, e);
            break;
        case BODY_END:
            return ERR_NONE;
        case BODY_FAILED:
            return e->code;
        }
        if (code == ERR_NONE && *u)
            code = upload_check(*u, e);
    }
    return code;
}

enum error_code intake_id(struct intake_choice *choice, const char *id,
                          struct error *e)
{
    if (!id_is_upload(id))
        return error_set(e, ERR_BAD_ID, "The upload id is malformed.");
    memcpy(choice->id, id, strlen(id) + 1);
    return ERR_NONE;
}

static enum error_code bad_query(struct error *e, const char *name)
{
    return error_set(e, ERR_BAD_REQUEST,
                     "The query parameter %s is malformed or given twice.",
                     name);
}

enum error_code intake_choose(const struct request *req,
                              struct intake_choice *out, struct error *e)
{
    const char *header = request_header(req, "Upload-Id");
    char value[UPLOAD_ID_MAX + 1];

    memset(out, 0, sizeof *out);
    switch (query_get(req->query, "directory", value, sizeof value)) {
    case QUERY_FOUND:
        out->directory = strcmp(value, "1") == 0;
        break;
    case QUERY_ABSENT:
        break;
    case QUERY_BAD:
        return bad_query(e, "directory");
    }
    switch (query_get(req->query, "upload_id", value, sizeof value)) {
    case QUERY_FOUND:
        if (header && strcmp(header, value) != 0)
            return error_set(e, ERR_BAD_ID,
                             "Query and header give different upload ids.");
        return intake_id(out, value, e);
    case QUERY_ABSENT:
        return header ? intake_id(out, header, e) : ERR_NONE;
    case QUERY_BAD:
        break;
    }
    return error_set(e, ERR_BAD_ID, "The upload id is malformed.");
}

enum error_code intake_coding(const struct request *req, struct error *e)
{
    const char *coding = request_header(req, "Content-Encoding");

    if (!coding || text_equal_ci(coding, "identity"))
        return ERR_NONE;
    return error_set(e, ERR_UNSUPPORTED,
                     "A Content-Encoding is not supported; send the file as "
                     "it is.");
}

enum error_code intake_query_name(const struct request *req,
                                  char name[INTAKE_NAME_MAX], struct error *e)
{
    switch (query_get(req->query, "filename", name, INTAKE_NAME_MAX)) {
    case QUERY_FOUND:
        return ERR_NONE;
    case QUERY_BAD:
        return error_set(e, ERR_BAD_NAME,
                         "The query parameter filename is malformed.");
    case QUERY_ABSENT:
        break;
    }
    name[0] = '\0';
    return ERR_NONE;
}

enum error_code intake_name(const struct request *req,
                            char name[INTAKE_NAME_MAX], struct error *e)
{
    const char *header = request_header(req, "Content-Disposition");
    enum error_code code = intake_query_name(req, name, e);

    if (code != ERR_NONE || name[0])
        return code;
    if (header && !disposition_filename(header, name, INTAKE_NAME_MAX))
        return error_set(e, ERR_BAD_NAME,
                         "Content-Disposition has no usable file name.");
    if (!header)
        memcpy(name, UPLOAD_UNNAMED, sizeof UPLOAD_UNNAMED);
    return ERR_NONE;
}
