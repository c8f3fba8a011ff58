/*
 * Cleaning without a cron job: after a response, at most once a minute over
 * all processes (a lease in the database). Each step can be killed at any point
 * and done again.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/internal.h"
#include "store/witness.h"

enum {
    SWEEP_EVERY_MS = 60 * 1000, /* between two sweeps */
    SWEEP_BUDGET_MS = 1000,     /* in which it looks for orphans */
    SWEEP_STEP = 100,           /* sessions looked at in one read */
    ORPHAN_GRACE_MS = 60 * 1000 /* a new home gets its lock well before, and
                                   a witness is gone */
};

/* Look before trying: most processes find it taken. */
static enum error_code lease_is_free(struct store *s, bool *is_free,
                                     struct error *e)
{
    struct conn *c = db_read(s->db, e);
    int64_t now = clock_wall_ms();
    int64_t until = 0;
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_LEASE_GET);
    stmt_text(q, ":name", "sweep");
    if (stmt_step(q))
        until = stmt_get_int(q, 0);
    *is_free = until <= now || until > now + SWEEP_EVERY_MS;
    return db_end(c, true, e);
}

static enum error_code take_lease(struct store *s, bool force, bool *mine,
                                  struct error *e)
{
    enum error_code code = lease_is_free(s, mine, e);
    int64_t now = clock_wall_ms();
    struct conn *c;
    struct stmt *q;

    if (code != ERR_NONE || !(*mine || force))
        return code;
    c = db_write(s->db, e);
    if (!c)
        return e->code;
    q = db_statement(c, SQL_LEASE_TAKE);
    stmt_text(q, ":name", "sweep");
    stmt_int(q, ":now", force ? INT64_MAX : now);
    stmt_int(q, ":until", now + SWEEP_EVERY_MS);
    *mine = stmt_run(q) == 1;
    return db_end(c, true, e);
}

/* Homes of sessions. */
struct homes {
    char list[SWEEP_STEP][ID_LENGTH + 1];
    size_t count;
};

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
    stmt_int(q, ":limit", SWEEP_STEP);
    while (lost->count < SWEEP_STEP && stmt_step(q))
        strncpy(lost->list[lost->count++], stmt_get_text(q, 0), ID_LENGTH);
    return db_end(c, true, e);
}

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
static enum error_code recover_sessions(struct store *s, int64_t before,
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
    } while (code == ERR_NONE && lost.count == SWEEP_STEP);
    return code;
}

static bool is_old(int dir, const char *name)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           clock_wall_ms() - (int64_t)st.st_mtim.tv_sec * 1000 >
               ORPHAN_GRACE_MS;
}

/* A home that no session and no process owns goes. The lock comes first: who
 * makes a session holds it until there is a row. */
static void drop_home(struct store *s, const char *name)
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

/* Hand the names of all that is old in a directory to drop. */
static void drop_old(struct store *s, int dir, int64_t deadline,
                     void (*drop)(struct store *s, const char *name))
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (!d && fd >= 0)
        close(fd);
    while (d && clock_monotonic_ms() < deadline && (entry = readdir(d)))
        if (is_old(dir, entry->d_name))
            drop(s, entry->d_name);
    if (d)
        closedir(d);
}

static enum error_code forget_ended(struct store *s, struct error *e)
{
    int64_t keep = (int64_t)config_number(s->config, OPT_PROGRESS_KEEP) * 1000;
    int64_t keep_resumable = (int64_t)config_number(s->config,
                                                    OPT_EXPIRE_AFTER) *
                             1000;
    struct conn *c = db_write(s->db, e);
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_UPLOADS_FORGET);
    stmt_int(q, ":before", clock_wall_ms() - keep);
    stmt_int(q, ":before_resumable", clock_wall_ms() - keep_resumable);
    stmt_run(q);
    q = db_statement(c, SQL_LEASES_FORGET);
    stmt_int(q, ":now", clock_wall_ms());
    stmt_run(q);
    return db_end(c, true, e);
}

/* A few resumable sessions that nobody went on with. */
static enum error_code expire_some(struct store *s, struct homes *ended,
                                   struct error *e)
{
    int64_t keep = (int64_t)config_number(s->config, OPT_EXPIRE_AFTER) * 1000;
    struct conn *c = db_write(s->db, e);
    enum error_code code;
    struct stmt *q;

    memset(ended, 0, sizeof *ended);
    if (!c)
        return e->code;
    q = db_statement(c, SQL_UPLOADS_EXPIRE);
    stmt_int(q, ":now", clock_wall_ms());
    stmt_int(q, ":before", clock_wall_ms() - keep);
    stmt_int(q, ":limit", SWEEP_STEP);
    while (stmt_step(q))
        if (ended->count < SWEEP_STEP)
            strncpy(ended->list[ended->count++], stmt_get_text(q, 0),
                    ID_LENGTH);
    code = db_end(c, true, e);
    for (size_t i = 0; i < ended->count && code == ERR_NONE; i++)
        (void)home_reclaim(s, ended->list[i]);
    return code;
}

/* As many as there are; in a row, because they may come faster than sweeps. */
static enum error_code expire(struct store *s, struct error *e)
{
    enum error_code code;
    struct homes ended;

    do {
        code = expire_some(s, &ended, e);
    } while (code == ERR_NONE && ended.count == SWEEP_STEP &&
             !atomic_load(&s->stopping));
    return code;
}

void store_stop(struct store *s)
{
    atomic_store(&s->stopping, true);
}

enum error_code store_recover(struct store *s, struct error *e)
{
    enum error_code code = recover_sessions(s, clock_wall_ms(), e);

    return code == ERR_NONE ? purge_deleted(s, e) : code;
}

/* A witness, or a database that was only to try what works. */
static void drop_private(struct store *s, const char *name)
{
    static const char scratch[] = "slipway.db-try-";
    struct error e;

    witness_remove(s, name);
    if (strncmp(name, scratch, sizeof scratch - 1) == 0 &&
        disk_remove_file(s->data, name, false, &e) != ERR_NONE)
        log_failure(LOG_WARNING, &e);
}

enum error_code store_sweep(struct store *s, bool force, struct error *e)
{
    int64_t now = clock_monotonic_ms();
    int64_t due = atomic_load(&s->next_sweep);
    bool mine = false;
    enum error_code code;

    if (atomic_exchange(&s->finals_wait, false) &&
        concat_work(s, e) != ERR_NONE)
        log_failure(LOG_WARNING, e);
    if (!force &&
        (now < due || !atomic_compare_exchange_strong(&s->next_sweep, &due,
                                                      now + SWEEP_EVERY_MS)))
        return ERR_NONE;
    code = take_lease(s, force, &mine, e);
    if (code != ERR_NONE || !mine)
        return code;
    code = recover_sessions(s, clock_wall_ms() - SILENT_MS, e);
    if (code == ERR_NONE)
        code = purge_deleted(s, e);
    if (code == ERR_NONE)
        code = expire(s, e);
    if (code == ERR_NONE)
        code = forget_ended(s, e);
    if (code == ERR_NONE)
        code = concat_work(s, e);
    drop_old(s, s->data, now + SWEEP_BUDGET_MS, drop_private);
    drop_old(s, s->incoming, now + SWEEP_BUDGET_MS, drop_home);
    return code;
}
