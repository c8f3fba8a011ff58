/*
 * The connection pool, statements and migrations.
 *
 * Lock order: a thread holds at most one connection. Who holds which, and the
 * open group of writers, are guarded by one mutex; SQLite itself is used
 * without its own mutexes, since a connection never has two users.
 *
 * A group is one transaction. Its members come one after the other, each in
 * its own savepoint, as long as another writer waits and the group is not
 * full; then the last one commits. A member that fails rolls back its own
 * savepoint and leaves the others alone.
 */
#include "store/db.h"

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"

enum {
    READERS = 4,                /* connections for reading */
    BUSY_MS = 10000,            /* how long to wait for another process */
    BUSY_STEP_MS = 20,          /* between two tries */
    GROUP_MAX = 64,             /* writers that share a commit */
    WAL_PAGES = 4000,           /* of the log before it is folded in */
    APPLICATION_ID = 0x736c7077 /* "slpw" */
};

struct stmt {
    struct conn *conn;    /* owner */
    sqlite3_stmt *handle; /* NULL until first used */
    enum sql_id id;       /* its text */
    uint64_t runs;        /* runs of handles that were closed */
};

struct conn {
    struct db *db;                /* owner */
    sqlite3 *handle;              /* NULL until first used */
    struct stmt stmts[SQL_COUNT]; /* prepared when first used */
    struct stmt *used[SQL_COUNT]; /* those to reset in this borrowing */
    size_t used_count;            /* */
    struct error error;           /* first failure of this borrowing */
    bool writer;                  /* the writing connection */
    bool busy;                    /* borrowed */
    bool broken;                  /* close it when it is given back */
};

/* Writers that share a transaction. */
struct group {
    unsigned members;   /* that had their turn */
    unsigned waiting;   /* for the commit; the last one frees the group */
    bool done;          /* committed or failed */
    struct error error; /* of the commit */
};

struct db {
    pthread_mutex_t mutex;        /* guards busy, the group and its members */
    pthread_cond_t given_back;    /* some reader is free again */
    pthread_cond_t turn;          /* the writer is free again */
    pthread_cond_t committed;     /* some group is done */
    struct group *group;          /* open transaction, or NULL */
    unsigned writers_waiting;     /* for their turn */
    uint64_t busy_failures;       /* groups that found the file locked */
    char *path;                   /* of the file */
    bool power;                   /* durability = power */
    struct conn writer;           /* */
    struct conn readers[READERS]; /* */
};

/* What a failure of SQLite means for the caller. Its own words are for the
 * log only. */
static enum error_code db_failure(sqlite3 *h, const char *what, struct error *e)
{
    int code = h ? sqlite3_errcode(h) : SQLITE_NOMEM;

    log_write(LOG_ERROR, "SQLite, %s: %s", what,
              h ? sqlite3_errmsg(h) : "no memory");
    switch (code & 0xff) {
    case SQLITE_FULL:
        return error_set(e, ERR_NO_SPACE, "The disk of the database is full.");
    case SQLITE_NOMEM:
        return error_set(e, ERR_MEMORY, "No memory for the database.");
    case SQLITE_BUSY:
        return error_set(e, ERR_BUSY, "The database is busy.");
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

static bool conn_exec(struct conn *c, const char *sql, const char *what)
{
    if (c->error.code != ERR_NONE)
        return false;
    if (sqlite3_exec(c->handle, sql, NULL, NULL, NULL) == SQLITE_OK)
        return true;
    conn_failed(c, what);
    return false;
}

static void conn_close(struct conn *c)
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

static int64_t conn_number(struct conn *c, const char *sql)
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

/* Is it ours, and of a schema that we know? */
static bool check_identity(struct conn *c)
{
    int64_t version = conn_number(c, "PRAGMA user_version");
    int64_t id = conn_number(c, "PRAGMA application_id");
    int64_t tables = conn_number(c, "SELECT count(*) FROM sqlite_schema");

    if (c->error.code != ERR_NONE)
        return false;
    if (tables > 0 && id != APPLICATION_ID) {
        error_set(&c->error, ERR_DATABASE,
                  "slipway.db belongs to another program. Nothing was "
                  "changed.");
        return false;
    }
    if (version > SQL_MIGRATIONS) {
        error_set(&c->error, ERR_DATABASE,
                  "slipway.db has schema %lld, written by a newer slipway; "
                  "this one knows %d. Nothing was changed.",
                  (long long)version, (int)SQL_MIGRATIONS);
        return false;
    }
    return true;
}

/* Switch the file to a write-ahead log, once in its life. SQLite does not
 * wait for other processes here, so that is done by hand. */
static bool conn_set_wal(struct conn *c)
{
    for (int tries = BUSY_MS / BUSY_STEP_MS; tries > 0; tries--) {
        int r = sqlite3_exec(c->handle, "PRAGMA journal_mode = WAL", NULL, NULL,
                             NULL);

        if (r == SQLITE_OK)
            return true;
        if ((r & 0xff) != SQLITE_BUSY)
            break;
        sqlite3_sleep(BUSY_STEP_MS);
    }
    conn_failed(c, "switching on its log");
    return false;
}

static bool conn_open(struct conn *c)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE;
    char sql[192];

    if (c->handle)
        return true;
    if (c->writer)
        flags |= SQLITE_OPEN_CREATE;
    if (sqlite3_open_v2(c->db->path, &c->handle, flags, NULL) != SQLITE_OK) {
        conn_failed(c, "opening it");
        c->broken = true;
        return false;
    }
    sqlite3_extended_result_codes(c->handle, 1);
    sqlite3_busy_timeout(c->handle, BUSY_MS);
    sqlite3_db_config(c->handle, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (c->writer && !(check_identity(c) && conn_set_wal(c))) {
        c->broken = true;
        return false;
    }
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA synchronous = %s; PRAGMA foreign_keys = ON;"
                   "PRAGMA trusted_schema = OFF; PRAGMA cache_size = -512;"
                   "PRAGMA wal_autocheckpoint = %d;",
                   c->db->power ? "FULL" : "NORMAL", (int)WAL_PAGES);
    c->broken = !conn_exec(c, sql, "opening it");
    return !c->broken;
}

/* Bring the schema up to date inside the writer's transaction. */
static void migrate(struct conn *c)
{
    int64_t version = conn_number(c, "PRAGMA user_version");
    char sql[96];

    if (c->error.code != ERR_NONE || version == SQL_MIGRATIONS)
        return;
    for (int64_t i = version; i < SQL_MIGRATIONS; i++)
        conn_exec(c, sql_migrations[i], "changing its schema");
    (void)snprintf(sql, sizeof sql,
                   "PRAGMA application_id = %d; PRAGMA user_version = %d",
                   (int)APPLICATION_ID, (int)SQL_MIGRATIONS);
    conn_exec(c, sql, "changing its schema");
}

static void conn_init(struct conn *c, struct db *db, bool writer)
{
    c->db = db;
    c->writer = writer;
    for (int i = 0; i < SQL_COUNT; i++) {
        c->stmts[i].conn = c;
        c->stmts[i].id = (enum sql_id)i;
    }
}

enum error_code db_open(const char *path, bool power, struct db **out,
                        struct error *e)
{
    struct db *db = calloc(1, sizeof *db);
    struct conn *c;
    enum error_code code;

    *out = NULL;
    if (!db || !(db->path = strdup(path))) {
        free(db);
        return error_set(e, ERR_MEMORY, "No memory for the database.");
    }
    pthread_mutex_init(&db->mutex, NULL);
    pthread_cond_init(&db->given_back, NULL);
    pthread_cond_init(&db->turn, NULL);
    pthread_cond_init(&db->committed, NULL);
    db->power = power;
    conn_init(&db->writer, db, true);
    for (int i = 0; i < READERS; i++)
        conn_init(&db->readers[i], db, false);
    c = db_write(db, e);
    if (!c) {
        code = e->code;
        db_close(db);
        return code;
    }
    migrate(c);
    code = db_end(c, true, e);
    if (code != ERR_NONE) {
        db_close(db);
        return code;
    }
    *out = db;
    return ERR_NONE;
}

void db_close(struct db *db)
{
    if (!db)
        return;
    conn_close(&db->writer);
    for (int i = 0; i < READERS; i++)
        conn_close(&db->readers[i]);
    pthread_cond_destroy(&db->committed);
    pthread_cond_destroy(&db->turn);
    pthread_cond_destroy(&db->given_back);
    pthread_mutex_destroy(&db->mutex);
    free(db->path);
    free(db);
}

static struct conn *free_reader(struct db *db)
{
    for (int i = 0; i < READERS; i++)
        if (!db->readers[i].busy)
            return &db->readers[i];
    return NULL;
}

/* Forget bindings and rows of all statements of this borrowing. */
static void reset_statements(struct conn *c)
{
    for (size_t i = 0; i < c->used_count; i++) {
        sqlite3_reset(c->used[i]->handle);
        sqlite3_clear_bindings(c->used[i]->handle);
    }
    c->used_count = 0;
}

static enum error_code report(const struct error *failure, struct error *e)
{
    if (failure->code == ERR_NONE)
        return ERR_NONE;
    if (e)
        *e = *failure;
    return failure->code;
}

static void give_back_reader(struct conn *c)
{
    reset_statements(c);
    if (c->broken)
        conn_close(c);
    pthread_mutex_lock(&c->db->mutex);
    c->busy = false;
    pthread_cond_signal(&c->db->given_back);
    pthread_mutex_unlock(&c->db->mutex);
}

struct conn *db_read(struct db *db, struct error *e)
{
    struct conn *c;

    pthread_mutex_lock(&db->mutex);
    while (!(c = free_reader(db)))
        pthread_cond_wait(&db->given_back, &db->mutex);
    c->busy = true;
    pthread_mutex_unlock(&db->mutex);
    memset(&c->error, 0, sizeof c->error);
    if (conn_open(c))
        return c;
    report(&c->error, e);
    give_back_reader(c);
    return NULL;
}

/* With the mutex held: the writer is free for the next one. */
static void pass_writer(struct db *db)
{
    db->writer.busy = false;
    pthread_cond_signal(&db->turn);
}

/* Begin the group's transaction. */
static bool group_begin(struct conn *c)
{
    struct group *g = calloc(1, sizeof *g);

    if (!g) {
        error_set(&c->error, ERR_MEMORY, "No memory for a change.");
        return false;
    }
    if (!conn_open(c) ||
        !conn_exec(c, "BEGIN IMMEDIATE", "beginning a change")) {
        free(g);
        return false;
    }
    c->db->group = g;
    return true;
}

/* Who waited while another writer waited in vain for the file does not wait
 * for it once more. */
struct conn *db_write(struct db *db, struct error *e)
{
    struct conn *c = &db->writer;
    struct error failure;
    uint64_t failures;

    memset(&failure, 0, sizeof failure);
    pthread_mutex_lock(&db->mutex);
    failures = db->busy_failures;
    db->writers_waiting++;
    while (c->busy)
        pthread_cond_wait(&db->turn, &db->mutex);
    db->writers_waiting--;
    if (db->busy_failures != failures) {
        pass_writer(db);
        pthread_mutex_unlock(&db->mutex);
        error_set(&failure, ERR_BUSY, "The database is busy.");
        report(&failure, e);
        return NULL;
    }
    c->busy = true;
    pthread_mutex_unlock(&db->mutex);
    memset(&c->error, 0, sizeof c->error);
    if (db->group || group_begin(c)) {
        conn_exec(c, "SAVEPOINT member", "beginning a change");
        return c;
    }
    failure = c->error;
    report(&failure, e);
    if (c->broken)
        conn_close(c);
    pthread_mutex_lock(&db->mutex);
    if (failure.code == ERR_BUSY)
        db->busy_failures++;
    pass_writer(db);
    pthread_mutex_unlock(&db->mutex);
    return NULL;
}

/* End the member's savepoint. true if its change is part of the group now. A
 * failure that ended the whole transaction fails the whole group. */
static bool member_end(struct conn *c, bool commit)
{
    bool keep = commit && c->error.code == ERR_NONE &&
                conn_exec(c, "RELEASE member", "ending a change");

    if (!keep)
        (void)sqlite3_exec(c->handle, "ROLLBACK TO member; RELEASE member",
                           NULL, NULL, NULL);
    if (!sqlite3_get_autocommit(c->handle))
        return keep;
    if (c->error.code == ERR_NONE)
        error_set(&c->error, ERR_DATABASE, "The change was rolled back.");
    c->db->group->error = c->error;
    return false;
}

/* Commit, unless the transaction is over already. The connection is closed
 * after an error that it would not get over. */
static void group_commit(struct conn *c, struct group *g)
{
    memset(&c->error, 0, sizeof c->error);
    if (g->error.code == ERR_NONE &&
        !conn_exec(c, "COMMIT", "committing a change"))
        g->error = c->error;
    if (!sqlite3_get_autocommit(c->handle))
        (void)sqlite3_exec(c->handle, "ROLLBACK", NULL, NULL, NULL);
    if (c->broken)
        conn_close(c);
}

/* With the mutex held: wait for the commit of the group and give its result.
 * The last one to hear of it frees the group. */
static struct error group_await(struct db *db, struct group *g)
{
    struct error result;

    g->waiting++;
    while (!g->done)
        pthread_cond_wait(&db->committed, &db->mutex);
    result = g->error;
    if (--g->waiting == 0)
        free(g);
    return result;
}

static enum error_code end_writing(struct conn *c, bool commit, struct error *e)
{
    struct db *db = c->db;
    struct group *g = db->group;
    struct error failure;
    bool kept, last;

    reset_statements(c);
    kept = member_end(c, commit);
    failure = c->error;
    pthread_mutex_lock(&db->mutex);
    last = g->error.code != ERR_NONE || ++g->members >= GROUP_MAX ||
           db->writers_waiting == 0;
    if (last) {
        pthread_mutex_unlock(&db->mutex);
        group_commit(c, g);
        pthread_mutex_lock(&db->mutex);
        db->group = NULL;
        g->done = true;
        pthread_cond_broadcast(&db->committed);
    }
    pass_writer(db);
    if (kept)
        failure = group_await(db, g);
    else if (last && g->waiting == 0)
        free(g);
    pthread_mutex_unlock(&db->mutex);
    return report(&failure, e);
}

enum error_code db_end(struct conn *c, bool commit, struct error *e)
{
    struct error failure;

    if (c->writer)
        return end_writing(c, commit, e);
    failure = c->error;
    give_back_reader(c);
    return report(&failure, e);
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

static void add_runs(const struct conn *c, uint64_t runs[SQL_COUNT])
{
    for (int i = 0; i < SQL_COUNT; i++) {
        const struct stmt *s = &c->stmts[i];

        runs[i] += s->runs;
        if (s->handle)
            runs[i] += (uint64_t)sqlite3_stmt_status(s->handle,
                                                     SQLITE_STMTSTATUS_RUN, 0);
    }
}

void db_runs(struct db *db, uint64_t runs[SQL_COUNT])
{
    memset(runs, 0, SQL_COUNT * sizeof runs[0]);
    add_runs(&db->writer, runs);
    for (int i = 0; i < READERS; i++)
        add_runs(&db->readers[i], runs);
}
