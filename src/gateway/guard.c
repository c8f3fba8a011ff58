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
#include "store/place.h"

enum {
    ROOTS = 2, /* a request names so many */
    URL_MAX_BYTES = 8192,
    PLACE_MAX = 16 * 1024, /* bytes that name a place */
    SUGGESTION_MAX = 128,  /* bytes of a path to write down */
    ANSWER_MAX = 8192,     /* bytes of an answer that are looked at */
    HTTP_PORT = 80,
    BARRED_MS = 24 * 3600 * 1000, /* how long an answer is believed */
    ELSE_MS = 5 * 1000            /* the same where it may be mended */
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
    roots[1].path = document && *document == '/' ? realpath(document, NULL)
                                                 : NULL;
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
        if (url_of(&roots[i], place_uploads(g->store), &url))
            g->has_url = place_set_url(g->store, buf_text(&url));
    buf_free(&url);
    g->has_url = true;
}

/* What is remembered of a root: the word for the answer comes first. */
static const char *const words[] = {
    [REACH_BARRED] = "barred",
    [REACH_UNKNOWN] = "unknown",
    [REACH_REACHABLE] = "reachable",
};

static int64_t believed_ms(enum reach r)
{
    return r == REACH_BARRED ? BARRED_MS : ELSE_MS;
}

static void lease_name(struct buf *out, enum reach r, const struct root *root,
                       const char *url)
{
    buf_clear(out);
    buf_printf(out, "%s %s %s", words[r], root->path, url);
}

/* Any process may have asked before. That there was no answer is not told to
 * others: it may have been for this one's port only. */
static bool recall(struct guard *g, const struct root *root, const char *url,
                   enum reach *r)
{
    static const enum reach told[] = {REACH_BARRED, REACH_REACHABLE};
    bool found = false;
    struct buf name;

    buf_init(&name, PLACE_MAX);
    for (size_t i = 0; i < sizeof told / sizeof told[0] && !found; i++) {
        *r = told[i];
        lease_name(&name, *r, root, url);
        found = !buf_failed(&name) &&
                place_recall(g->store, buf_text(&name), believed_ms(*r));
    }
    buf_free(&name);
    return found;
}

static void remember(struct guard *g, const struct root *root, const char *url,
                     enum reach r)
{
    struct buf name;

    buf_init(&name, PLACE_MAX);
    lease_name(&name, r, root, url);
    if (!buf_failed(&name) && r != REACH_UNKNOWN)
        place_remember(g->store, buf_text(&name), believed_ms(r));
    buf_free(&name);
    log_write(r == REACH_BARRED ? LOG_INFO : LOG_ERROR,
              "the data directory is below the document root %s, and at %s "
              "it is %s",
              root->path, url, words[r]);
}

enum reach guard_verdict(const char *answer, const char *token)
{
    static const char version[] = "HTTP/1.";
    const char *status = strchr(answer, ' ');

    if (strncmp(answer, version, sizeof version - 1) != 0 || !status)
        return REACH_UNKNOWN;
    if (strncmp(status, " 401 ", 5) == 0 || strncmp(status, " 403 ", 5) == 0 ||
        strncmp(status, " 404 ", 5) == 0)
        return REACH_BARRED;
    return strncmp(status, " 200 ", 5) == 0 && strstr(answer, token)
               ? REACH_REACHABLE
               : REACH_UNKNOWN;
}

/* Put a file into the data directory and ask the web server for it. On a TLS
 * site the plain port may do. */
static enum reach ask(struct guard *g, const struct request *req,
                      const char *url)
{
    struct place_token token;
    char answer[ANSWER_MAX];
    enum reach r = REACH_UNKNOWN;
    struct buf path;
    struct error e;

    if (place_put_token(g->store, &token, &e) != ERR_NONE) {
        log_failure(LOG_ERROR, &e);
        return r;
    }
    buf_init(&path, URL_MAX_BYTES);
    buf_printf(&path, "%s/%s", url, token.name);
    if (!buf_failed(&path)) {
        if (selfcall_get(req, 0, buf_text(&path), answer, sizeof answer))
            r = guard_verdict(answer, token.content);
        if (r == REACH_UNKNOWN && selfcall_is_tls(req) &&
            selfcall_get(req, HTTP_PORT, buf_text(&path), answer,
                         sizeof answer))
            r = guard_verdict(answer, token.content);
    }
    buf_free(&path);
    place_remove_token(g->store, &token);
    return r;
}

/* The worst of what all roots that show the data directory answer. *root: the
 * outermost of them, NULL if there is none. */
static enum reach find_reach(struct guard *g, const struct request *req,
                             const struct root roots[ROOTS], const char **root)
{
    enum reach worst = REACH_BARRED;
    struct buf url;

    *root = NULL;
    buf_init(&url, URL_MAX_BYTES);
    for (int i = 0; i < ROOTS; i++) {
        enum reach r;

        if (!roots[i].path || !url_of(&roots[i], place_data(g->store), &url))
            continue;
        if (!recall(g, &roots[i], buf_text(&url), &r)) {
            r = ask(g, req, buf_text(&url));
            remember(g, &roots[i], buf_text(&url), r);
        }
        if (!*root || strlen(roots[i].path) < strlen(*root))
            *root = roots[i].path;
        if (r > worst)
            worst = r;
    }
    buf_free(&url);
    return worst;
}

/* In words for the owner, who may also be the first visitor. */
static void explain(struct guard *g, enum reach r, const char *root)
{
    char line[SUGGESTION_MAX];
    const char *what =
        r == REACH_REACHABLE
            ? "The web can read slipway's private directory, [storage] data."
            : "Slipway cannot find out whether the web can read its private "
              "directory, [storage] data, which lies below the document root.";

    guard_suggest(config_directory(g->config), root, line, sizeof line);
    if (*line)
        error_set(&g->why, ERR_CONFIG,
                  "%s Write this line into slipway.ini, below [storage]: "
                  "data = %s (a directory beside the document root; move what "
                  "is in data to there).",
                  what, line);
    else
        error_set(&g->why, ERR_CONFIG,
                  "%s Let [storage] data in slipway.ini name a directory "
                  "outside of the document root.",
                  what);
}

/* The same place as last time, so that what was found holds? Apache takes
 * the port from the client's Host; a wrong one must not stand in the way of
 * others. */
static bool is_same_place(struct guard *g, const struct request *req)
{
    static const char *const names[] = {"CONTEXT_DOCUMENT_ROOT",
                                        "CONTEXT_PREFIX", "DOCUMENT_ROOT",
                                        "SERVER_ADDR", "SERVER_PORT"};
    struct buf place;
    bool same;

    buf_init(&place, PLACE_MAX);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        buf_printf(&place, "%s\n", or_empty(request_variable(req, names[i])));
    same = !buf_failed(&place) && !buf_failed(&g->place) &&
           strcmp(buf_text(&place), buf_text(&g->place)) == 0;
    buf_free(&g->place);
    g->place = place;
    return same;
}

static void look(struct guard *g, const struct request *req)
{
    struct root roots[ROOTS];
    const char *root;
    enum reach r;

    memset(&g->why, 0, sizeof g->why);
    find_roots(req, roots);
    if (!g->has_url && !config_is_set(g->config, OPT_UPLOADS_URL))
        find_uploads_url(g, roots);
    r = find_reach(g, req, roots, &root);
    g->until = clock_monotonic_ms() + believed_ms(r);
    if (r != REACH_BARRED)
        explain(g, r, root);
    free_roots(roots);
}

bool guard_admits(struct guard *g, const struct request *req, struct error *why)
{
    bool admitted;

    if (selfcall_is(req)) {
        error_set(why, ERR_NOT_FOUND, "Nobody has asked for this but slipway.");
        return false;
    }
    pthread_mutex_lock(&g->mutex);
    if (!is_same_place(g, req) || clock_monotonic_ms() >= g->until)
        look(g, req);
    admitted = g->why.code == ERR_NONE;
    if (!admitted)
        *why = g->why;
    pthread_mutex_unlock(&g->mutex);
    return admitted;
}
