/*
 * Opening a connection, what SQLite's failures mean, and statements.
 *
 * A connection has one user at a time, so SQLite works without mutexes of its
 * own. synchronous = EXTRA is FULL for a write-ahead log; a rollback journal
 * that is back after a power cut would undo what was committed.
 */
#include "store/conn.h"

#include <errno.h>
#include <stdio.h>

#include "base/log.h"
#include "store/journal.h"

enum {
    BUSY_MS = 10000,     /* how long to wait for another process */
    BUSY_STEP_MS = 20,   /* between two tries */
    WAL_PAGES = 4000,    /* of the log before it is folded in */
    WAL_BYTES = 32 << 20 /* that it may keep */
};

/* SQLite says so itself only where it writes a page. Where it waits for the
 * disk, what matters is that the commit is in doubt. */
static bool is_full(sqlite3 *h, int code)
{
    int sys = h ? sqlite3_system_errno(h) : 0;

    if (code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC)
        return false;
    return (code & 0xff) == SQLITE_FULL ||
           (((code & 0xff) == SQLITE_IOERR ||
             (code & 0xff) == SQLITE_CANTOPEN) &&
            (sys == ENOSPC || sys == EDQUOT));
}

static bool lacks_descriptors(sqlite3 *h)
{
    int sys = h ? sqlite3_system_errno(h) : 0;

    return sys == EMFILE || sys == ENFILE;
}

/* What a failure of SQLite means for the caller. Its own words are for the
 * log only. */
static enum error_code db_failure(sqlite3 *h, const char *what, struct error *e)
{
    int code = h ? sqlite3_errcode(h) : SQLITE_NOMEM;

    log_write(LOG_ERROR, "SQLite, %s: %s", what,
              h ? sqlite3_errmsg(h) : "no memory");
    if (is_full(h, code))
        code = SQLITE_FULL;
    if ((code & 0xff) == SQLITE_CANTOPEN && lacks_descriptors(h))
        code = SQLITE_NOMEM;
    switch (code & 0xff) {
    case SQLITE_FULL:
        return error_set(e, ERR_NO_SPACE, "The disk of the database is full.");
    case SQLITE_NOMEM:
        return error_set(e, ERR_MEMORY,
                         "No memory or descriptor for the database.");
    case SQLITE_BUSY:
        return error_set(e, ERR_BUSY, "The database is busy.");
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return error_set(
            e, ERR_DATABASE,
            "The database cannot be opened for writing: slipway.db "
            "and its directory must belong to the user that "
            "slipway runs as.");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return error_set(e, ERR_DATABASE,
                         "The database is damaged. Nothing was changed; "
                         "restore slipway.db from a backup.");
    default:
        return error_set(e, ERR_DATABASE, "The database failed.");
    }
}

static void conn_failed(struct conn *c, const char *what)
{
    int code = c->handle ? sqlite3_errcode(c->handle) & 0xff : SQLITE_NOMEM;

    if (code == SQLITE_IOERR || code == SQLITE_CANTOPEN ||
        code == SQLITE_READONLY || code == SQLITE_CORRUPT ||
        code == SQLITE_NOTADB)
        c->broken = true;
    if (c->error.code == ERR_NONE)
        db_failure(c->handle, what, &c->error);
}

bool conn_exec(struct conn *c, const char *sql, const char *what)
{
    if (c->error.code != ERR_NONE)
        return false;
    if (sqlite3_exec(c->handle, sql, NULL, NULL, NULL) == SQLITE_OK)
        return true;
    conn_failed(c, what);
    return false;
}

void conn_close(struct conn *c)
{
    for (int i = 0; i < SQL_COUNT; i++) {
        struct stmt *s = &c->stmts[i];

        if (s->handle)
            s->runs += (uint64_t)sqlite3_stmt_status(s->handle,
                                                     SQLITE_STMTSTATUS_RUN, 0);
        sqlite3_finalize(s->handle);
        s->handle = NULL;
    }
    sqlite3_close(c->handle);
    c->handle = NULL;
    c->broken = false;
    c->used_count = 0;
}

int64_t conn_number(struct conn *c, const char *sql)
{
    sqlite3_stmt *s = NULL;
    int64_t value = -1;

    if (c->error.code == ERR_NONE &&
        sqlite3_prepare_v2(c->handle, sql, -1, &s, NULL) == SQLITE_OK &&
        sqlite3_step(s) == SQLITE_ROW)
        value = sqlite3_column_int64(s, 0);
    else
        conn_failed(c, "reading its version");
    sqlite3_finalize(s);
    return value;
}

/* Is it ours, and of a schema that we know? All in one transaction: another
 * process may be making the schema. */
static bool check_identity(struct conn *c)
{
    int64_t version, id, tables;

    if (!conn_exec(c, "BEGIN", "looking at it"))
        return false;
    version = conn_number(c, "PRAGMA user_version");
    id = conn_number(c, "PRAGMA application_id");
    tables = conn_number(c, "SELECT count(*) FROM sqlite_schema");
    if (!conn_exec(c, "COMMIT", "looking at it"))
        return false;
    if (tables > 0 && id != APPLICATION_ID)
        error_set(&c->error, ERR_DATABASE,
                  "slipway.db belongs to another program. Nothing was "
                  "changed.");
    else if (version > SQL_MIGRATIONS)
        error_set(&c->error, ERR_DATABASE,
                  "slipway.db has schema %lld, written by a newer slipway; "
                  "this one knows %d. Nothing was changed.",
                  (long long)version, (int)SQL_MIGRATIONS);
    return c->error.code == ERR_NONE;
}

/* Switch the file to another journal. SQLite does not wait for other processes
 * here, so that is done by hand. */
static bool conn_switch_journal(struct conn *c, const char *sql)
{
    for (int tries = BUSY_MS / BUSY_STEP_MS; tries > 0; tries--) {
        int r = sqlite3_exec(c->handle, sql, NULL, NULL, NULL);

        if (r == SQLITE_OK)
            return true;
        if ((r & 0xff) != SQLITE_BUSY)
            break;
        sqlite3_sleep(BUSY_STEP_MS);
    }
    conn_failed(c, "switching its journal");
    return false;
}

/* Give the file the journal that works here, which is once in its life unless
 * it moves. A file with a log can be opened where memory is not shared by
 * whoever has it to himself. */
static bool conn_prepare_file(struct conn *c)
{
    const struct journal_choice j = c->journal;
    bool has_to_go = j.is_wal && j.wanted == JOURNAL_ROLLBACK;

    if (has_to_go &&
        !conn_exec(c, "PRAGMA locking_mode = EXCLUSIVE", "locking it"))
        return false;
    if (!check_identity(c))
        return false;
    if (j.wanted == JOURNAL_ROLLBACK && (j.is_new || j.is_wal))
        log_write(LOG_WARNING, "the database uses a rollback journal: %s",
                  j.reason);
    else if (j.is_new)
        log_write(LOG_INFO, "the database uses a write-ahead log");
    if (j.wanted == JOURNAL_WAL)
        return conn_switch_journal(c, "PRAGMA journal_mode = WAL");
    if (!conn_switch_journal(c, "PRAGMA journal_mode = DELETE"))
        return false;
    return !has_to_go || conn_exec(c,
                                   "PRAGMA locking_mode = NORMAL; "
                                   "SELECT count(*) FROM sqlite_schema",
                                   "unlocking it");
}

bool conn_open(struct conn *c)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE;
    char sql[256];
    int persist = 1;

    if (c->handle)
        return true;
    if (c->writer)
        flags |= SQLITE_OPEN_CREATE;
    if (sqlite3_open_v2(c->path, &c->handle, flags, NULL) != SQLITE_OK) {
        conn_failed(c, "opening it");
        c->broken = true;
        return false;
    }
    sqlite3_extended_result_codes(c->handle, 1);
    sqlite3_busy_timeout(c->handle, BUSY_MS);
    sqlite3_db_config(c->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    /* The log stays when the last process ends, so that reading needs no room
     * on the disk. With a limit of its size it is emptied then: what it held
     * must not be taken for news of a database that comes from a backup. */
    sqlite3_file_control(c->handle, "main", SQLITE_FCNTL_PERSIST_WAL, &persist);
    if (c->writer &&
        !(c->is_prepared ? check_identity(c) : conn_prepare_file(c))) {
        c->broken = true;
        return false;
    }
    c->is_prepared = true;
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA synchronous = %s; PRAGMA foreign_keys = ON;"
                   "PRAGMA trusted_schema = OFF; PRAGMA cache_size = -512;"
                   "PRAGMA wal_autocheckpoint = %d;"
                   "PRAGMA journal_size_limit = %d;",
                   c->power ? "EXTRA" : "NORMAL", (int)WAL_PAGES,
                   (int)WAL_BYTES);
    c->broken = !conn_exec(c, sql, "opening it");
    return !c->broken;
}

void conn_init(struct conn *c, struct db *db, const char *path, bool power,
               bool writer)
{
    c->db = db;
    c->path = path;
    c->power = power;
    c->writer = writer;
    if (writer)
        journal_choose(path, &c->journal);
    for (int i = 0; i < SQL_COUNT; i++) {
        c->stmts[i].conn = c;
        c->stmts[i].id = (enum sql_id)i;
    }
}

void conn_reset(struct conn *c)
{
    for (size_t i = 0; i < c->used_count; i++) {
        sqlite3_reset(c->used[i]->handle);
        sqlite3_clear_bindings(c->used[i]->handle);
    }
    c->used_count = 0;
}

struct stmt *db_statement(struct conn *c, enum sql_id id)
{
    struct stmt *s = &c->stmts[id];

    if (!s->handle && c->error.code == ERR_NONE &&
        sqlite3_prepare_v3(c->handle, sql_texts[id], -1,
                           SQLITE_PREPARE_PERSISTENT, &s->handle,
                           NULL) != SQLITE_OK)
        conn_failed(c, sql_names[id]);
    for (size_t i = 0; i < c->used_count; i++)
        if (c->used[i] == s) {
            sqlite3_reset(s->handle);
            sqlite3_clear_bindings(s->handle);
            return s;
        }
    if (s->handle)
        c->used[c->used_count++] = s;
    return s;
}

/* The index of a parameter; 0 after a failure. */
static int parameter(struct stmt *s, const char *name)
{
    int i;

    if (s->conn->error.code != ERR_NONE)
        return 0;
    i = sqlite3_bind_parameter_index(s->handle, name);
    if (i == 0)
        error_set(&s->conn->error, ERR_INTERNAL, "%s has no parameter %s.",
                  sql_names[s->id], name);
    return i;
}

static void bound(struct stmt *s, int result)
{
    if (result != SQLITE_OK)
        conn_failed(s->conn, sql_names[s->id]);
}

void stmt_int(struct stmt *s, const char *name, int64_t value)
{
    int i = parameter(s, name);

    if (i)
        bound(s, sqlite3_bind_int64(s->handle, i, value));
}

void stmt_text(struct stmt *s, const char *name, const char *value)
{
    int i = parameter(s, name);

    if (i)
        bound(s, sqlite3_bind_text(s->handle, i, value, -1, SQLITE_TRANSIENT));
}

void stmt_blob(struct stmt *s, const char *name, const void *v, size_t len)
{
    int i = parameter(s, name);

    if (i)
        bound(s, sqlite3_bind_blob64(s->handle, i, v, len, SQLITE_TRANSIENT));
}

bool stmt_step(struct stmt *s)
{
    int r;

    if (s->conn->error.code != ERR_NONE)
        return false;
    r = sqlite3_step(s->handle);
    if (r == SQLITE_ROW)
        return true;
    if (r != SQLITE_DONE)
        conn_failed(s->conn, sql_names[s->id]);
    return false;
}

int stmt_run(struct stmt *s)
{
    while (stmt_step(s))
        ;
    return s->conn->error.code == ERR_NONE ? sqlite3_changes(s->conn->handle)
                                           : 0;
}

bool stmt_is_null(const struct stmt *s, int column)
{
    return sqlite3_column_type(s->handle, column) == SQLITE_NULL;
}

int64_t stmt_get_int(const struct stmt *s, int column)
{
    return sqlite3_column_int64(s->handle, column);
}

const char *stmt_get_text(const struct stmt *s, int column)
{
    const unsigned char *t = sqlite3_column_text(s->handle, column);

    return t ? (const char *)t : "";
}

const void *stmt_get_blob(const struct stmt *s, int column, size_t *len)
{
    const void *v = sqlite3_column_blob(s->handle, column);

    *len = (size_t)sqlite3_column_bytes(s->handle, column);
    return v;
}
