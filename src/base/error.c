/*
 * The table of failures: code, HTTP status, slug, title and remedy. It is the
 * only place where a code meets HTTP. Pure; safe from any thread.
 */
#include "base/error.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

struct error_row {
    int status;         /* HTTP status code */
    const char *slug;   /* stable word for clients and the log */
    const char *title;  /* short name for people */
    const char *remedy; /* what the user can do about it, or "" */
};

static const struct error_row rows[ERR_COUNT_] = {
    [ERR_NONE] = {200, "none", "No error", ""},
    [ERR_BAD_REQUEST] = {400, "bad-request", "Bad request", ""},
    [ERR_BAD_MULTIPART] = {400, "bad-multipart", "Malformed form data",
                           "Send multipart/form-data as in RFC 7578."},
    [ERR_BAD_NAME] = {400, "bad-name", "Unusable file name",
                      "Rename the file and send it again."},
    [ERR_BAD_ID] = {400, "bad-id", "Malformed id",
                    "Use 8 to 64 characters of A-Z a-z 0-9 _ and -."},
    [ERR_TRUNCATED] = {400, "truncated", "Body shorter than announced",
                       "Send the request again."},
    [ERR_CLIENT_GONE] = {400, "client-gone", "Client went away",
                         "Send the request again."},
    [ERR_TIMEOUT] = {408, "timeout", "No data for too long",
                     "Send the request again."},
    [ERR_FORBIDDEN] = {403, "forbidden", "Not allowed",
                       "Ask the owner of the site."},
    [ERR_NOT_FOUND] = {404, "not-found", "Not found", ""},
    [ERR_METHOD] = {405, "method-not-allowed", "Method not allowed",
                    "Use one of the methods in the Allow header."},
    [ERR_ID_IN_USE] = {409, "id-in-use", "Upload id in use",
                       "Choose a fresh random id for every upload."},
    [ERR_CANCELLED] = {409, "cancelled", "Upload cancelled", ""},
    [ERR_FINISHED] = {409, "finished", "Upload is over", ""},
    [ERR_BUSY] = {423, "busy", "Busy", "Try again in a second."},
    [ERR_GONE] = {410, "gone", "Upload is gone", "Begin a new upload."},
    [ERR_UNFINISHED] = {409, "unfinished", "Upload is not finished",
                        "Send the rest first."},
    [ERR_COMPLETED] = {400, "completed", "Upload is finished", ""},
    [ERR_OFFSET] = {409, "offset-mismatch", "Wrong offset",
                    "Go on at the offset in Upload-Offset."},
    [ERR_LENGTH_EXCEEDED] = {413, "length-exceeded",
                             "More bytes than announced",
                             "Send what was announced."},
    [ERR_LENGTH] = {400, "inconsistent-length", "Contradicting lengths",
                    "Send one length."},
    [ERR_NO_LENGTH] = {411, "length-required", "Length required",
                       "Send the file with its length."},
    [ERR_CHECKSUM] = {460, "checksum-mismatch", "Checksum mismatch",
                      "Send these bytes again."},
    [ERR_DIGEST] = {400, "digest-mismatch", "Digest mismatch",
                    "Send the bytes again."},
    [ERR_VERSION] = {412, "unsupported-version", "Version not supported",
                     "Speak a version that Tus-Version lists."},
    [ERR_PRECONDITION] = {412, "precondition-failed", "Precondition failed",
                          ""},
    [ERR_FILE_TOO_LARGE] = {413, "file-too-large", "File too large",
                            "Send a smaller file."},
    [ERR_FILE_TOO_SMALL] = {400, "file-too-small", "File too small",
                            "Send a larger file."},
    [ERR_TOO_MANY_FILES] = {413, "too-many-files", "Too many files",
                            "Send fewer files in one request."},
    [ERR_REQUEST_TOO_LARGE] = {413, "request-too-large", "Request too large",
                               "Send less in one request."},
    [ERR_TOO_MANY_FIELDS] = {413, "too-many-fields", "Too many form fields",
                             "Send fewer fields."},
    [ERR_FIELDS_TOO_LARGE] = {413, "fields-too-large", "Form fields too large",
                              "Send long texts as files."},
    [ERR_TYPE_NOT_ACCEPTED] = {415, "type-not-accepted",
                               "File type not accepted",
                               "Send a file of an accepted type."},
    [ERR_UNSUPPORTED] = {415, "unsupported", "Not supported", ""},
    [ERR_RANGE] = {416, "range-not-satisfiable", "Range not satisfiable",
                   "Ask for bytes that the file has."},
    [ERR_NO_SPACE] = {507, "no-space", "No space left",
                      "Nothing was lost. Try again when there is space."},
    [ERR_SHUTTING_DOWN] = {503, "shutting-down", "Restarting",
                           "Try again in a few seconds."},
    [ERR_CONFIG] = {503, "config", "Configuration error",
                    "The owner of the site finds the reason in the log."},
    [ERR_DATABASE] = {500, "database", "Database error",
                      "The owner of the site finds the reason in the log."},
    [ERR_IO] = {500, "io", "Storage error",
                "The owner of the site finds the reason in the log."},
    [ERR_MEMORY] = {503, "memory", "Out of memory or descriptors",
                    "Try again later."},
    [ERR_INTERNAL] = {500, "internal", "Internal error",
                      "The owner of the site finds the reason in the log."},
};

__attribute__((format(printf, 3, 0))) static enum error_code
fill(struct error *e, enum error_code code, const char *fmt, va_list ap)
{
    if (e) {
        memset(e, 0, sizeof *e);
        e->code = code;
        (void)vsnprintf(e->detail, sizeof e->detail, fmt, ap);
        text_cut_utf8(e->detail, sizeof e->detail - 1);
    }
    return code;
}

enum error_code error_set(struct error *e, enum error_code code,
                          const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(e, code, fmt, ap);
    va_end(ap);
    return code;
}

enum error_code error_limit(struct error *e, enum error_code code,
                            const char *limit, uint64_t value, const char *fmt,
                            ...)
{
    va_list ap;

    va_start(ap, fmt);
    fill(e, code, fmt, ap);
    va_end(ap);
    if (e) {
        e->limit = limit;
        e->limit_value = value;
    }
    return code;
}

enum error_code error_offset(struct error *e, uint64_t expected,
                             uint64_t provided)
{
    error_set(e, ERR_OFFSET,
              "The upload goes on at offset %" PRIu64 ", not at %" PRIu64 ".",
              expected, provided);
    if (e) {
        e->expected_offset = expected;
        e->provided_offset = provided;
    }
    return ERR_OFFSET;
}

enum error_code error_errno(struct error *e, int sys, const char *what)
{
    enum error_code code = ERR_IO;

    if (sys == ENOSPC || sys == EDQUOT)
        code = ERR_NO_SPACE;
    else if (sys == EFBIG)
        code = ERR_FILE_TOO_LARGE;
    else if (sys == ENOMEM || sys == EMFILE || sys == ENFILE)
        code = ERR_MEMORY;
    error_set(e, code, "%s failed.", what);
    if (e)
        e->sys = sys;
    return code;
}

void error_file(struct error *e, const char *name)
{
    if (!e || !name)
        return;
    (void)snprintf(e->file, sizeof e->file, "%s", name);
    text_cut_utf8(e->file, sizeof e->file - 1);
}

static const struct error_row *row(enum error_code code)
{
    return &rows[code < ERR_COUNT_ ? code : ERR_INTERNAL];
}

int error_status(enum error_code code)
{
    return row(code)->status;
}

const char *error_slug(enum error_code code)
{
    return row(code)->slug;
}

const char *error_title(enum error_code code)
{
    return row(code)->title;
}

const char *error_remedy(enum error_code code)
{
    return row(code)->remedy;
}
