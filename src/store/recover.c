/*
 * Homes whose process is gone: what a killed one left in the middle is undone,
 * or made such that the client can go on.
 *
 * A home belongs to whoever has its lock; a row that says otherwise has lost
 * its process. So the lock comes before the look at the row, and each step can
 * be killed and done again, by any process.
 */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/internal.h"

enum { AWAIT_STEP_MS = 10 }; /* between two tries to get a lock */

static const int64_t EVER_MS = INT64_MAX / 1000; /* also with a wrong clock */

enum home_kind { HOME_UNKNOWN, HOME_ONCE, HOME_RESUMABLE };

/* Which kind of session that is not over has this home. */
static enum error_code home_kind(struct store *s, const char *home,
                                 enum home_kind *kind, struct error *e)
{
    struct conn *c = db_read(s->db, e);
    struct stmt *q;

    *kind = HOME_UNKNOWN;
    if (!c)
        return e->code;
    q = db_statement(c, SQL_UPLOAD_HAS_HOME);
    stmt_text(q, ":home", home);
    if (stmt_step(q))
        *kind = stmt_get_int(q, 0) ? HOME_RESUMABLE : HOME_ONCE;
    return db_end(c, true, e);
}

bool home_reclaim(struct store *s, const char *home)
{
    struct error e;
    int dir = disk_open_dir(s->incoming, home, &e);
    bool free;

    if (dir < 0)
        return e.sys == ENOENT;
    free = disk_try_lock(dir);
    if (free && disk_remove_tree(s->incoming, home, &e) != ERR_NONE)
        log_failure(LOG_WARNING, &e);
    close(dir);
    return free;
}

bool home_await(struct store *s, const char *home, int64_t ms)
{
    const struct timespec step = {0, AWAIT_STEP_MS * 1000000L};
    int64_t until = clock_monotonic_ms() + ms;

    while (!home_reclaim(s, home)) {
        if (clock_monotonic_ms() >= until)
            return false;
        nanosleep(&step, NULL);
    }
    return true;
}

/* The lock comes first: who makes a session holds it until there is a row. */
void home_drop(struct store *s, const char *name)
{
    enum home_kind kind;
    struct error e;
    int dir = id_is_generated(name) ? disk_open_dir(s->incoming, name, &e) : -1;

    if (dir < 0)
        return;
    if (disk_try_lock(dir) && home_kind(s, name, &kind, &e) == ERR_NONE &&
        kind == HOME_UNKNOWN &&
        disk_remove_tree(s->incoming, name, &e) != ERR_NONE)
        log_failure(LOG_WARNING, &e);
    close(dir);
}

/* The next ones after a home, in order. */
static enum error_code list_lost(struct store *s, int64_t before,
                                 const char *after, struct homes *lost,
                                 struct error *e)
{
    struct conn *c = db_read(s->db, e);
    struct stmt *q;

    memset(lost, 0, sizeof *lost);
    if (!c)
        return e->code;
    q = db_statement(c, SQL_HOMES_UNFINISHED);
    stmt_int(q, ":before", before);
    stmt_text(q, ":after", after);
    stmt_int(q, ":limit", HOMES_MAX);
    while (lost->count < HOMES_MAX && stmt_step(q))
        strncpy(lost->list[lost->count++], stmt_get_text(q, 0), ID_LENGTH);
    return db_end(c, true, e);
}

/* Bring the files of a resumable session back into its home. */
static enum error_code move_home(struct store *s, const char *home, int dir,
                                 struct error *e)
{
    struct conn *c = db_read(s->db, e);
    char id[ID_LENGTH + 1] = "";
    struct stmt *q;
    enum error_code code;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_FILES_PUBLISHING);
    stmt_text(q, ":upload", home);
    if (stmt_step(q))
        strncpy(id, stmt_get_text(q, 0), sizeof id - 1);
    code = db_end(c, true, e);
    if (code == ERR_NONE && *id &&
        disk_move(s->uploads.dir, id, dir, id, e) != ERR_NONE &&
        e->sys != ENOENT)
        return e->code;
    if (code == ERR_NONE && *id && s->power) {
        code = disk_sync_dir(dir, e);
        if (code == ERR_NONE)
            code = disk_sync_dir(s->uploads.dir, e);
    }
    return code;
}

/* A resumable session goes on. */
static enum error_code reopen_home(struct store *s, const char *home, int dir,
                                   struct error *e)
{
    bool any;
    enum error_code code = publish_retract(s, home, &any, e);

    if (code == ERR_NONE && any)
        code = move_home(s, home, dir, e);
    return code == ERR_NONE ? publish_reopen(s, home, e) : code;
}

/* Any other one is over. */
static enum error_code fail_home(struct store *s, const char *home,
                                 struct error *e)
{
    enum error_code code = publish_undo(s, home, error_slug(ERR_CLIENT_GONE),
                                        e);
    struct error ignored;

    (void)disk_remove_tree(s->incoming, home, &ignored);
    return code;
}

enum error_code recover_home(struct store *s, const char *home, struct error *e)
{
    int dir = disk_open_dir(s->incoming, home, e);
    enum error_code code = ERR_NONE;
    enum home_kind kind;

    if (dir < 0)
        return e->sys == ENOENT ? fail_home(s, home, e) : e->code;
    if (disk_try_lock(dir)) {
        log_write(LOG_INFO, "upload %s lost its process", home);
        code = home_kind(s, home, &kind, e);
        if (code == ERR_NONE && kind == HOME_RESUMABLE)
            code = reopen_home(s, home, dir, e);
        else if (code == ERR_NONE)
            code = fail_home(s, home, e);
    }
    close(dir);
    return code;
}

/* One that cannot be recovered keeps no others, unless they would all have to
 * wait for the database. */
enum error_code recover_sessions(struct store *s, int64_t before,
                                 struct error *e)
{
    char after[ID_LENGTH + 1] = "";
    enum error_code code = ERR_NONE;
    struct homes lost;

    do {
        code = list_lost(s, before, after, &lost, e);
        for (size_t i = 0; i < lost.count && code == ERR_NONE; i++) {
            code = recover_home(s, lost.list[i], e);
            if (code != ERR_NONE && code != ERR_BUSY) {
                log_failure(LOG_ERROR, e);
                code = ERR_NONE;
            }
            memcpy(after, lost.list[i], sizeof after);
        }
    } while (code == ERR_NONE && lost.count == HOMES_MAX);
    return code;
}

enum error_code store_recover(struct store *s, struct error *e)
{
    enum error_code code = recover_sessions(s, EVER_MS, e);

    return code == ERR_NONE ? purge_deleted(s, e) : code;
}
