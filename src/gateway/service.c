/*
 * Opening, explaining and watching. Only `asked` and the guard change while
 * requests are answered.
 */
#define _GNU_SOURCE
#include "gateway/service.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "access/access.h"
#include "base/config.h"
#include "base/log.h"
#include "base/text.h"
#include "gateway/guard.h"
#include "probe/selfcall.h"
#include "store/witness.h"

static void note_ini(const char *path, struct stat *st)
{
    if (!path || stat(path, st) != 0)
        memset(st, 0, sizeof *st);
}

static bool load(struct service *s)
{
    s->ini = config_find(s->flag);
    note_ini(s->ini, &s->ini_was);
    s->ini_seen = s->ini_was;
    s->loaded = config_load(s->ini, &s->why);
    s->app.config = s->loaded;
    return s->loaded != NULL;
}

static bool open_store(struct service *s)
{
    if (store_open(s->loaded, &s->app.store, &s->why) != ERR_NONE)
        return false;
    s->guard = guard_new(s->loaded, s->app.store);
    if (s->guard)
        return true;
    error_set(&s->why, ERR_MEMORY, "No memory to start.");
    store_close(s->app.store);
    s->app.store = NULL;
    return false;
}

void service_open(struct service *s, const char *flag)
{
    *s = (struct service){.flag = flag};
    if (!load(s)) {
        log_write(LOG_ERROR, "%s", s->ini ? s->ini : "defaults");
        log_failure(LOG_ERROR, &s->why);
        return;
    }
    log_open(STDERR_FILENO,
             (enum log_level)config_choice(s->loaded, OPT_LOG_LEVEL));
    if (!open_store(s))
        log_failure(LOG_ERROR, &s->why);
}

void service_close(struct service *s)
{
    guard_free(s->guard);
    store_close(s->app.store);
    config_free(s->loaded);
    free(s->ini);
}

/* Slipway asks itself whether it is there: nothing may wait here. Others may
 * claim to be slipway; they do not know the name. */
static void answer_self(struct service *s, struct request *req,
                        struct transport *t)
{
    struct witness w;
    struct error why;

    if (witness_read(s->app.store, selfcall_mark(req), &w)) {
        exchange_tell(req, t, w.content);
    } else {
        error_set(&why, ERR_NOT_FOUND,
                  "Nobody has asked for this but slipway.");
        exchange_refuse(req, t, &why);
    }
}

/* The owner may ask what is wrong also while the guard refuses all else. */
static bool is_probe(struct service *s, const struct request *req)
{
    const char *path = request_variable(req, "PATH_INFO");

    return path && text_path_below(path, "/status") &&
           access_owner(s->loaded, req, NULL) == ERR_NONE;
}

void service_answer(struct service *s, struct request *req, struct transport *t)
{
    struct error why;

    atomic_store_explicit(&s->asked, true, memory_order_relaxed);
    if (!s->app.store)
        exchange_refuse(req, t, &s->why);
    else if (selfcall_mark(req))
        answer_self(s, req, t);
    else if (guard_admits(s->guard, req, &why) || is_probe(s, req))
        exchange_serve(&s->app, req, t);
    else
        exchange_refuse(req, t, &why);
}

static bool is_other_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev != b->st_dev || a->st_ino != b->st_ino ||
           a->st_size != b->st_size || a->st_mode != b->st_mode ||
           a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
           a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

/* An ini file may also have come or gone. One that is still being written is
 * left in peace: it has to look the same twice. */
static bool ini_has_changed(struct service *s)
{
    char *path = config_find(s->flag);
    struct stat now;
    bool settled;

    note_ini(path, &now);
    settled = !is_other_file(&now, &s->ini_seen);
    s->ini_seen = now;
    free(path);
    return settled && is_other_file(&now, &s->ini_was);
}

/* Try anew whether it can be opened, if somebody has asked since. */
static bool is_different_now(struct service *s)
{
    struct service fresh = {.flag = s->flag};
    bool different;

    if (!atomic_exchange(&s->asked, false))
        return false;
    different = (load(&fresh) && open_store(&fresh)) ||
                fresh.why.code != s->why.code ||
                strcmp(fresh.why.detail, s->why.detail) != 0;
    service_close(&fresh);
    return different;
}

bool service_is_stale(struct service *s)
{
    return ini_has_changed(s) || (!s->app.store && is_different_now(s));
}
