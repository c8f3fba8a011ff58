/*
 * A request as handlers see it, whatever brought it: FastCGI, CGI or memory.
 * Strings live as long as the request. One thread at a time.
 */
#ifndef SLIPWAY_HTTP_REQUEST_H
#define SLIPWAY_HTTP_REQUEST_H

#include <stdbool.h>

#include "base/arena.h"
#include "http/body.h"

struct response;

struct request {
    const char *id;     /* names the request in the log and in problems */
    const char *method; /* as sent */
    const char *base;   /* SCRIPT_NAME: where slipway is mounted, no slash at
                           the end */
    const char *path;   /* PATH_INFO: decoded, "" or begins with '/' */
    const char *query;  /* raw, without '?', "" if none */
    struct body *body;
    struct arena *arena; /* freed after the response has been sent */
    /* A CGI variable (RFC 3875 section 4.1) or NULL. */
    const char *(*variable)(const void *ctx, const char *name);
    const void *variable_ctx; /* the transport's own */
    /* Send an interim response (RFC 9110 section 15.2): status and fields of
     * r. Whether the front server passes it on is for the caller to know. */
    void (*interim)(void *ctx, struct response *r);
    void *interim_ctx; /* the transport's own */
};

/* A CGI variable; NULL if absent or empty, because nginx sends empty ones. */
const char *request_variable(const struct request *r, const char *name);

/* A header field by its usual name, "If-Range"; NULL if absent or empty. */
const char *request_header(const struct request *r, const char *name);

/* Is the media type of the body wanted: a type, or the first half of one with
 * its slash? In lower case. */
bool request_has_type(const struct request *r, const char *wanted);

/* Whether a browser says that a page of another site makes the request
 * (Fetch Metadata; RFC 6454 Origin, where there is none). */
bool request_is_cross_site(const struct request *r);

/* CONTENT_LENGTH strictly: ERR_BAD_REQUEST for anything but digits;
 * BODY_LENGTH_UNKNOWN if absent. ERR_REQUEST_TOO_LARGE if the .htaccess of
 * cgi-bin/ says that more was sent: mod_fcgid hands on an empty body where
 * LimitRequestBody refuses one. */
enum error_code request_length(const struct request *r, uint64_t *length,
                               struct error *e);

/* The body came without its length: may its end be no more than where the web
 * server gave up? So ends one that is reset under HTTP/2 in Apache (mod_http2),
 * and one over its limit in mod_fcgid, as the same .htaccess says. */
bool request_may_be_cut(const struct request *r);

#endif
