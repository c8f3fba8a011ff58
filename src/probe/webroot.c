/*
 * From the CGI variables; Apache has two that RFC 3875 does not know.
 */
#define _GNU_SOURCE
#include "probe/webroot.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "http/query.h"

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

/* Apache's aliases and user directories have a root of their own. */
void webroots_find(const struct request *req, struct webroot roots[WEBROOTS])
{
    const char *context = request_variable(req, "CONTEXT_DOCUMENT_ROOT");
    const char *document = request_variable(req, "DOCUMENT_ROOT");

    roots[0].prefix = or_empty(request_variable(req, "CONTEXT_PREFIX"));
    roots[0].path = context && *context == '/' ? realpath(context, NULL) : NULL;
    roots[1].prefix = "";
    roots[1].path = document && *document == '/' ? realpath(document, NULL)
                                                 : NULL;
}

void webroots_free(struct webroot roots[WEBROOTS])
{
    for (int i = 0; i < WEBROOTS; i++)
        free(roots[i].path);
}

bool webroot_url(const struct webroot *r, const char *path, struct buf *out)
{
    const char *rest = r->path ? text_path_below(path, r->path) : NULL;
    size_t len = strlen(r->prefix);

    if (!rest)
        return false;
    while (len > 0 && r->prefix[len - 1] == '/')
        len--;
    buf_clear(out);
    for (size_t i = 0; i < len; i++) {
        char one[2] = {r->prefix[i], '\0'};

        percent_encode_path(out, one);
    }
    if (*rest)
        buf_puts(out, "/");
    percent_encode_path(out, rest);
    return !buf_failed(out);
}
