/*
 * GET /progress/ID, as JSON or as server-sent events, and POST /cancel/ID.
 *
 * A stream of events holds a thread for as long as its upload lasts. So that
 * uploads get threads too, streams have half of them; a further one ends after
 * one event, and its client comes again by itself.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "http/accept.h"
#include "routes/render.h"
#include "routes/routes.h"

enum {
    EVENT_STEP_MS = 250,          /* between two looks at the session */
    EVENT_SILENCE_MS = 15 * 1000, /* a comment keeps the connection open */
    EVENT_RETRY_MS = 2000         /* until the client of a brief one is back */
};

/* A watcher of one session, in its request's arena. */
struct watch {
    struct app *app;
    const char *id;
    char *last;    /* what was sent last, malloc'ed */
    int silent_ms; /* since anything was sent */
    bool ended;    /* the session is over, or unknown */
    bool begun;    /* it counts as a stream */
    bool brief;    /* there are too many: one event */
};

static atomic_uint streams; /* that there are, in the process */

/* One look, as JSON text for the caller to free. NULL if it is gone. */
static char *look(struct watch *w)
{
    struct arena *a = arena_new(4 * 1024 * 1024);
    struct progress p;
    struct error e;
    char *text = NULL;

    if (!a)
        return NULL;
    if (progress_get(w->app->store, a, w->id, &p, &e) == ERR_NONE) {
        json_t *j = render_progress(&p);

        text = json_dumps(j, JSON_COMPACT | JSON_REAL_PRECISION(6));
        json_decref(j);
        w->ended = p.state != UPLOAD_RECEIVING;
    }
    arena_free(a);
    return text;
}

static void wait_step(void)
{
    const struct timespec step = {0, EVENT_STEP_MS * 1000000L};

    nanosleep(&step, NULL);
}

static void begin(struct watch *w)
{
    w->brief = atomic_fetch_add(&streams, 1) >=
               config_number(w->app->config, OPT_MAX_THREADS) / 2;
    w->begun = true;
}

static void stop(void *ctx)
{
    struct watch *w = ctx;

    free(w->last);
    w->last = NULL;
    if (w->begun)
        atomic_fetch_sub(&streams, 1);
    w->begun = false;
}

/* An event when something has changed; the last one tells the end state. */
static bool produce(void *ctx, struct buf *out)
{
    struct watch *w = ctx;
    bool is_over = w->ended || (w->brief && w->last);
    char *now;

    if (!w->begun)
        begin(w);
    if (w->last && !is_over)
        wait_step();
    now = is_over ? NULL : look(w);
    if (!now) {
        stop(w);
        return false;
    }
    if (w->brief)
        buf_printf(out, "retry: %d\n", EVENT_RETRY_MS);
    if (!w->last || strcmp(now, w->last) != 0) {
        buf_printf(out, "event: progress\ndata: %s\n\n", now);
        w->silent_ms = 0;
    } else if ((w->silent_ms += EVENT_STEP_MS) >= EVENT_SILENCE_MS) {
        buf_puts(out, ": still here\n\n");
        w->silent_ms = 0;
    }
    free(w->last);
    w->last = now;
    return true;
}

static enum error_code events(struct app *app, struct request *req,
                              const char *id, struct response *res,
                              struct error *e)
{
    struct watch *w = arena_alloc(req->arena, sizeof *w);

    if (!w)
        return error_set(e, ERR_MEMORY, "No memory for events.");
    w->app = app;
    w->id = id;
    response_header(res, "Content-Type", "text/event-stream");
    response_header(res, "X-Accel-Buffering", "no");
    res->live = produce;
    res->live_end = stop;
    res->live_ctx = w;
    return ERR_NONE;
}

static enum error_code answer(struct app *app, struct request *req,
                              const char *id, struct response *res,
                              struct error *e)
{
    struct progress p;
    enum error_code code = progress_get(app->store, req->arena, id, &p, e);
    json_t *j;

    if (code != ERR_NONE)
        return code;
    j = render_progress(&p);
    if (p.state == UPLOAD_STORED)
        json_object_set_new(j, "files",
                            render_files(app, req, &p.files, false));
    render_json(res, j);
    return ERR_NONE;
}

enum error_code progress_handle(struct app *app, struct request *req,
                                const char *rest, struct response *res,
                                struct error *e)
{
    enum accept_type form = accept_choose(request_header(req, "Accept"),
                                          ACCEPT_JSON);
    struct progress p;
    enum error_code code;

    response_header(res, "Vary", "Accept");
    if (form != ACCEPT_EVENTS || strcmp(req->method, "GET") != 0)
        return answer(app, req, rest, res, e);
    code = progress_get(app->store, req->arena, rest, &p, e);
    return code == ERR_NONE ? events(app, req, rest, res, e) : code;
}

enum error_code cancel_post(struct app *app, struct request *req,
                            const char *rest, struct response *res,
                            struct error *e)
{
    enum error_code code = upload_cancel(app->store, rest, e);

    return code == ERR_NONE ? answer(app, req, rest, res, e) : code;
}
