/*
 * Lookups in a request. No state.
 */
#include "http/request.h"

#include <string.h>

#include "base/text.h"
#include "http/params.h"

enum { TYPE_MAX = 128 };

const char *request_variable(const struct request *r, const char *name)
{
    const char *v = r->variable(r->variable_ctx, name);

    return v && *v ? v : NULL;
}

const char *request_header(const struct request *r, const char *name)
{
    char variable[64] = "HTTP_";
    size_t n = strlen("HTTP_");

    if (text_equal_ci(name, "Content-Type"))
        return request_variable(r, "CONTENT_TYPE");
    for (; *name && n + 1 < sizeof variable; name++) {
        char c = *name;

        if (c == '-')
            c = '_';
        else if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        variable[n++] = c;
    }
    variable[n] = '\0';
    return request_variable(r, variable);
}

bool request_has_type(const struct request *r, const char *wanted)
{
    size_t len = strlen(wanted);
    char type[TYPE_MAX];

    return params_value(request_header(r, "Content-Type"), type, sizeof type) &&
           (wanted[len - 1] == '/' ? strncmp(type, wanted, len) == 0
                                   : strcmp(type, wanted) == 0);
}

bool request_is_cross_site(const struct request *r)
{
    const char *site = request_header(r, "Sec-Fetch-Site");
    const char *origin = request_header(r, "Origin");
    const char *host = request_header(r, "Host");
    const char *of_origin = origin ? strstr(origin, "://") : NULL;

    if (site)
        return strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0;
    return origin && !(of_origin && host && text_equal_ci(of_origin + 3, host));
}

enum error_code request_length(const struct request *r, uint64_t *length,
                               struct error *e)
{
    const char *v = request_variable(r, "CONTENT_LENGTH");
    const char *sent = request_variable(r, "SSL_SLIPWAY_LENGTH");
    uint64_t bytes;

    *length = BODY_LENGTH_UNKNOWN;
    if (v && (!text_parse_u64(v, strlen(v), length) || *length > INT64_MAX))
        return error_set(e, ERR_BAD_REQUEST,
                         "Content-Length is not a number of bytes.");
    if (sent && text_parse_u64(sent, strlen(sent), &bytes) && bytes > *length)
        return error_set(e, ERR_REQUEST_TOO_LARGE,
                         "The web server does not let requests of %s bytes "
                         "through (LimitRequestBody).",
                         sent);
    return ERR_NONE;
}

static bool begins_with(const char *s, const char *start)
{
    return s && strncmp(s, start, strlen(start)) == 0;
}

bool request_may_be_cut(const struct request *r)
{
    return request_variable(r, "SSL_SLIPWAY_CHUNKED") ||
           (!request_variable(r, "CONTENT_LENGTH") &&
            begins_with(request_variable(r, "SERVER_SOFTWARE"), "Apache") &&
            begins_with(request_variable(r, "SERVER_PROTOCOL"), "HTTP/2"));
}
