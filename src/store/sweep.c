/*
 * Cleaning without a cron job: after a response, at most once a minute over
 * all processes (a lease in the database). Each step can be killed at any point
 * and done again.
 */
#include <dirent.h>
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

static bool is_old(int dir, const char *name)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           clock_wall_ms() - (int64_t)st.st_mtim.tv_sec * 1000 >
               ORPHAN_GRACE_MS;
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
    q = db_statement(c, SQL_FINALS_FORGET_PARTS);
    stmt_int(q, ":before", clock_wall_ms() - keep_resumable);
    stmt_run(q);
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
    stmt_int(q, ":limit", HOMES_MAX);
    while (stmt_step(q))
        if (ended->count < HOMES_MAX)
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
    } while (code == ERR_NONE && ended.count == HOMES_MAX &&
             !atomic_load(&s->stopping));
    return code;
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
    now = clock_monotonic_ms();
    drop_old(s, s->data, now + SWEEP_BUDGET_MS, drop_private);
    drop_old(s, s->incoming, now + SWEEP_BUDGET_MS, home_drop);
    return code;
}
