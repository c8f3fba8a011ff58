/*
 * One mutex guards everything; it is held while slipway asks itself, so one
 * request asks and the others wait for what it learns.
 */
#define _GNU_SOURCE
#include "gateway/guard.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "gateway/selfcall.h"
#include "http/query.h"

enum {
    ROOTS = 2,                     /* a request names so many */
    URL_MAX_BYTES = 8192,          /* */
    PLACE_MAX = 16 * 1024,         /* bytes that name a place */
    BARRED_MS = 24 * 3600 * 1000,  /* how long an answer is believed */
    ELSE_MS = 5 * 1000             /* the same where it may be mended */
};

struct guard {
    const struct config *config; /* the caller's */
    struct store *store;         /* the caller's */
    pthread_mutex_t mutex;       /* for all below */
    struct buf place;            /* what the last requests said of themselves */
    int64_t until;               /* monotonic ms: how long why is believed */
    struct error why;            /* ERR_NONE: admitted */
    bool has_url;                /* the uploads' URL is found */
};

/* A directory that the web server maps to URLs. */
struct root {
    char *path;         /* real path, NULL if there is none */
    const char *prefix; /* of its URLs */
};

struct guard *guard_new(const struct config *c, struct store *s)
{
    struct guard *g = calloc(1, sizeof *g);

    if (!g)
        return NULL;
    g->config = c;
    g->store = s;
    pthread_mutex_init(&g->mutex, NULL);
    buf_init(&g->place, PLACE_MAX);
    return g;
}

void guard_free(struct guard *g)
{
    if (!g)
        return;
    buf_free(&g->place);
    pthread_mutex_destroy(&g->mutex);
    free(g);
}

const char *guard_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    while (len > 0 && dir[len - 1] == '/')
        len--;
    if (strncmp(path, dir, len) != 0)
        return NULL;
    if (path[len] == '/')
        return path + len + 1;
    return path[len] == '\0' ? path + len : NULL;
}

void guard_suggest(const char *ini_directory, const char *root, char *out,
                   size_t cap)
{
    const char *rest = guard_below(ini_directory, root);
    struct buf b;

    out[0] = '\0';
    if (!rest)
        return;
    buf_init(&b, cap - 1);
    buf_puts(&b, "../");
    for (size_t i = 0; rest[i]; i++)
        if (i == 0 || rest[i - 1] == '/')
            buf_puts(&b, "../");
    buf_puts(&b, "slipway-data");
    if (!buf_failed(&b))
        (void)snprintf(out, cap, "%s", buf_text(&b));
    buf_free(&b);
}

static const char *or_empty(const char *s)
{
    return s ? s : "";
}

/* Apache's aliases and user directories have a root of their own. */
static void find_roots(const struct request *req, struct root roots[ROOTS])
{
    const char *context = request_variable(req, "CONTEXT_DOCUMENT_ROOT");
    const char *document = request_variable(req, "DOCUMENT_ROOT");

    roots[0].prefix = or_empty(request_variable(req, "CONTEXT_PREFIX"));
    roots[0].path = context && *context == '/' ? realpath(context, NULL) : NULL;
    roots[1].prefix = "";
    roots[1].path =
        document && *document == '/' ? realpath(document, NULL) : NULL;
}

static void free_roots(struct root roots[ROOTS])
{
    for (int i = 0; i < ROOTS; i++)
        free(roots[i].path);
}

/* The path of the URL at which a root shows path; false if it does not. */
static bool url_of(const struct root *r, const char *path, struct buf *out)
{
    const char *rest = r->path ? guard_below(path, r->path) : NULL;
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

/* Where the ini file does not say it, the place of the directory does. */
static void find_uploads_url(struct guard *g, const struct root roots[ROOTS])
{
    struct buf url;

    buf_init(&url, URL_MAX_BYTES);
    for (int i = 0; i < ROOTS && !g->has_url; i++)
        if (url_of(&roots[i], store_uploads_path(g->store), &url))
            g->has_url = store_set_uploads_url(g->store, buf_text(&url));
    buf_free(&url);
    g->has_url = true;
}

/* The worst of what all roots that show the data directory answer. *root: the
 * outermost of them, NULL if there is none. */
static enum reach ask(struct guard *g, const struct request *req,
                      const struct root roots[ROOTS], const char **root)
{
    const char *data = store_data_path(g->store);
    enum reach worst = REACH_BARRED;
    struct selfcall_answer said;
    struct buf url;

    *root = NULL;
    buf_init(&url, URL_MAX_BYTES);
    for (int i = 0; i < ROOTS; i++) {
        if (!url_of(&roots[i], data, &url))
            continue;
        if (!*root || strlen(roots[i].path) < strlen(*root))
            *root = roots[i].path;
        if (worst == REACH_REACHABLE)
            continue;
        
    }
    buf_free(&url);
    return worst;
}
