/*
 * What was found is kept for a few places, so that requests which name another
 * port do not push it out: the fact that is believed the shortest goes first,
 * and that is one of a refusal. One mutex guards these facts; another is held
 * while slipway asks itself, so one request asks and others of a place that
 * nothing is known of wait for what it learns. Taken in that order: asking,
 * mutex.
 */
#define _GNU_SOURCE
#include "gateway/guard.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "probe/reach.h"
#include "probe/vouch.h"
#include "probe/webroot.h"
#include "store/place.h"

enum {
    FACTS = 4, /* places that are known of at a time */
    URL_MAX_BYTES = 8192,
    PLACE_MAX = 16 * 1024,        /* bytes that name a place */
    SUGGESTION_MAX = 128,         /* bytes of a path to write down */
    BARRED_MS = 24 * 3600 * 1000, /* how long an answer is believed */
    ELSE_MS = 5 * 1000            /* the same where it may be mended */
};

/* What was found for requests that came in by one place. */
struct fact {
    struct buf place; /* see describe() */
    int64_t until;    /* monotonic ms: how long why is believed */
    struct error why; /* ERR_NONE: admitted */
};

struct guard {
    const struct config *config; /* the caller's */
    struct store *store;         /* the caller's */
    pthread_mutex_t asking;      /* for has_url */
    pthread_mutex_t mutex;       /* for facts */
    struct fact facts[FACTS];    /* in no order */
    bool has_url;                /* the uploads' URL is found */
};

struct guard *guard_new(const struct config *c, struct store *s)
{
    struct guard *g = calloc(1, sizeof *g);

    if (!g)
        return NULL;
    g->config = c;
    g->store = s;
    pthread_mutex_init(&g->asking, NULL);
    pthread_mutex_init(&g->mutex, NULL);
    for (int i = 0; i < FACTS; i++)
        buf_init(&g->facts[i].place, PLACE_MAX);
    return g;
}

void guard_free(struct guard *g)
{
    if (!g)
        return;
    for (int i = 0; i < FACTS; i++)
        buf_free(&g->facts[i].place);
    pthread_mutex_destroy(&g->mutex);
    pthread_mutex_destroy(&g->asking);
    free(g);
}

void guard_suggest(const char *ini_directory, const char *root, char *out,
                   size_t cap)
{
    const char *rest = text_path_below(ini_directory, root);
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

/* Where the ini file does not say it, the place of the directory does, if files
 * of strangers are safe to serve there. */
static void find_uploads_url(struct guard *g, const struct request *req,
                             const struct webroot roots[WEBROOTS])
{
    bool guarded = vouch_guards(req, place_uploads(g->store));
    struct buf url;

    buf_init(&url, URL_MAX_BYTES);
    for (int i = 0; i < WEBROOTS && guarded && !g->has_url; i++)
        if (webroot_url(&roots[i], place_uploads(g->store), &url))
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

/* A root as seen by one request. */
struct view {
    const struct webroot *root; /* that shows the data directory */
    const char *url;            /* where: the path of its URL */
    const char *address;        /* numeric, of the web server */
    const char *port;           /* the client may have chosen it */
};

static void lease_name(struct buf *out, enum reach r, const struct view *v)
{
    buf_clear(out);
    buf_printf(out, "%s %s %s %s %s", words[r], v->address, v->port,
               v->root->path, v->url);
}

/* Any process may have asked before. That there was no answer is not told to
 * others: it may be mended at any time. */
static bool recall(struct guard *g, const struct view *v, enum reach *r)
{
    static const enum reach told[] = {REACH_BARRED, REACH_REACHABLE};
    bool found = false;
    struct buf name;

    buf_init(&name, PLACE_MAX);
    for (size_t i = 0; i < sizeof told / sizeof told[0] && !found; i++) {
        *r = told[i];
        lease_name(&name, *r, v);
        found = !buf_failed(&name) &&
                place_recall(g->store, buf_text(&name), believed_ms(*r));
    }
    buf_free(&name);
    return found;
}

static void remember(struct guard *g, const struct view *v, enum reach r)
{
    struct buf name;

    buf_init(&name, PLACE_MAX);
    lease_name(&name, r, v);
    if (!buf_failed(&name) && r != REACH_UNKNOWN)
        place_remember(g->store, buf_text(&name), believed_ms(r));
    buf_free(&name);
    log_write(r == REACH_BARRED ? LOG_INFO : LOG_ERROR,
              "the data directory is below the document root %s, and at %s "
              "of %s, port %s, it is %s",
              v->root->path, v->url, v->address, v->port, words[r]);
}

/* The worst of what all roots that show the data directory answer. *root: the
 * outermost of them, NULL if there is none. */
static enum reach find_reach(struct guard *g, const struct request *req,
                             const struct webroot roots[WEBROOTS],
                             const char **root)
{
    struct view v = {.address = or_empty(request_variable(req, "SERVER_ADDR")),
                     .port = or_empty(request_variable(req, "SERVER_PORT"))};
    enum reach worst = REACH_BARRED;
    struct buf url;

    *root = NULL;
    buf_init(&url, URL_MAX_BYTES);
    for (int i = 0; i < WEBROOTS; i++) {
        enum reach r;

        if (!roots[i].path ||
            !webroot_url(&roots[i], place_data(g->store), &url))
            continue;
        v.root = &roots[i];
        v.url = buf_text(&url);
        if (!recall(g, &v, &r)) {
            r = reach_ask(g->store, req, v.url);
            remember(g, &v, r);
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
static void explain(const struct guard *g, enum reach r, const char *root,
                    struct error *why)
{
    char line[SUGGESTION_MAX];
    const char *what =
        r == REACH_REACHABLE
            ? "The web can read slipway's private directory, [storage] data."
            : "Slipway cannot find out whether the web can read its private "
              "directory, [storage] data, which lies below the document root.";

    guard_suggest(config_directory(g->config), root, line, sizeof line);
    if (*line)
        error_set(why, ERR_CONFIG,
                  "%s Write this line into slipway.ini, below [storage]: "
                  "data = %s (a directory beside the document root; move what "
                  "is in data to there).",
                  what, line);
    else
        error_set(why, ERR_CONFIG,
                  "%s Let [storage] data in slipway.ini name a directory "
                  "outside of the document root.",
                  what);
}

/* All of a request that what is found depends on. Apache takes the port from
 * the client's Host; a wrong one must not stand in the way of others, nor
 * speak for them. */
static void describe(const struct request *req, struct buf *out)
{
    static const char *const names[] = {"CONTEXT_DOCUMENT_ROOT",
                                        "CONTEXT_PREFIX", "DOCUMENT_ROOT",
                                        "SERVER_ADDR", "SERVER_PORT"};

    buf_init(out, PLACE_MAX);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        buf_printf(out, "%s\n", or_empty(request_variable(req, names[i])));
}

static bool is_at(const struct fact *f, const struct buf *place)
{
    return strcmp(buf_text(&f->place), buf_text(place)) == 0;
}

/* Is it known whether to admit requests from place? Then *why says it. */
static bool is_known(struct guard *g, const struct buf *place,
                     struct error *why)
{
    int64_t now = clock_monotonic_ms();
    bool known = false;

    pthread_mutex_lock(&g->mutex);
    for (int i = 0; i < FACTS && !known; i++) {
        const struct fact *f = &g->facts[i];

        known = now < f->until && is_at(f, place);
        if (known)
            *why = f->why;
    }
    pthread_mutex_unlock(&g->mutex);
    return known;
}

/* Keep it in place of what was known of this place, or of what is believed
 * the shortest. */
static void keep(struct guard *g, const struct buf *place, int64_t until,
                 const struct error *why)
{
    struct fact *f = &g->facts[0];

    pthread_mutex_lock(&g->mutex);
    for (int i = 1; i < FACTS && !is_at(f, place); i++)
        if (is_at(&g->facts[i], place) || g->facts[i].until < f->until)
            f = &g->facts[i];
    buf_clear(&f->place);
    buf_puts(&f->place, buf_text(place));
    f->until = buf_failed(&f->place) ? 0 : until;
    f->why = *why;
    pthread_mutex_unlock(&g->mutex);
}

/* Gives until when what it says is to be believed, in monotonic ms. */
static int64_t look(struct guard *g, const struct request *req,
                    struct error *why)
{
    struct webroot roots[WEBROOTS];
    const char *root;
    enum reach r;

    memset(why, 0, sizeof *why);
    webroots_find(req, roots);
    if (!g->has_url && !config_is_set(g->config, OPT_UPLOADS_URL))
        find_uploads_url(g, req, roots);
    r = find_reach(g, req, roots, &root);
    if (r != REACH_BARRED)
        explain(g, r, root, why);
    webroots_free(roots);
    return clock_monotonic_ms() + believed_ms(r);
}

bool guard_admits(struct guard *g, const struct request *req, struct error *why)
{
    struct buf place;

    describe(req, &place);
    if (!is_known(g, &place, why)) {
        pthread_mutex_lock(&g->asking);
        if (!is_known(g, &place, why)) {
            int64_t until = look(g, req, why);

            if (!buf_failed(&place))
                keep(g, &place, until, why);
        }
        pthread_mutex_unlock(&g->asking);
    }
    buf_free(&place);
    return why->code == ERR_NONE;
}
