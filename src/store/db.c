/*
 * The connection pool, groups of writers, and migrations.
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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/conn.h"

enum {
    READERS = 4,   /* connections for reading */
    GROUP_MAX = 64 /* writers that share a commit */
};

/* Writers that share a transaction. */
struct group {
    unsigned members;   /* that had their turn */
    unsigned waiting;   /* for the commit; the last one frees the group */
    bool done;          /* committed or failed */
    struct error error; /* of the commit */
};

struct db {
    pthread_mutex_t mutex;     /* guards busy, the group and its members */
    pthread_cond_t given_back; /* some reader is free again */
    pthread_cond_t turn;       /* the writer is free again */
    pthread_cond_t committed;  /* some group is done */
    struct group *group;       /* open transaction, or NULL */
    unsigned writers_waiting;  /* for their turn */
    uint64_t busy_failures;    /* groups that found the file locked */
    char *path;                /* of the file */
    struct conn writer;
    struct conn readers[READERS];
};

static enum error_code report(const struct error *failure, struct error *e)
{
    if (failure->code == ERR_NONE)
        return ERR_NONE;
    if (e)
        *e = *failure;
    return failure->code;
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

/* A file of this schema is not written to: it may be held, or its disk full. */
static enum error_code bring_up_to_date(struct db *db, struct error *e)
{
    struct conn *c = &db->writer;

    memset(&c->error, 0, sizeof c->error);
    if (conn_open(c) && conn_number(c, "PRAGMA user_version") == SQL_MIGRATIONS)
        return ERR_NONE;
    if (c->error.code != ERR_NONE)
        return report(&c->error, e);
    c = db_write(db, e);
    if (!c)
        return e->code;
    migrate(c);
    return db_end(c, true, e);
}

enum error_code db_open(const char *path, bool power, struct db **out,
                        struct error *e)
{
    struct db *db = calloc(1, sizeof *db);
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
    conn_init(&db->writer, db, db->path, power, true);
    for (int i = 0; i < READERS; i++)
        conn_init(&db->readers[i], db, db->path, power, false);
    code = bring_up_to_date(db, e);
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

const struct journal_choice *db_journal(const struct db *db)
{
    return &db->writer.journal;
}

static struct conn *free_reader(struct db *db)
{
    for (int i = 0; i < READERS; i++)
        if (!db->readers[i].busy)
            return &db->readers[i];
    return NULL;
}

static void give_back_reader(struct conn *c)
{
    conn_reset(c);
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
 * for it once more; but an open group counts on whoever waits for his turn. */
struct conn *db_write(struct db *db, struct error *e)
{
    struct conn *c = &db->writer;
    uint64_t failures;

    pthread_mutex_lock(&db->mutex);
    failures = db->busy_failures;
    db->writers_waiting++;
    while (c->busy)
        pthread_cond_wait(&db->turn, &db->mutex);
    db->writers_waiting--;
    if (!db->group && db->busy_failures != failures) {
        pass_writer(db);
        pthread_mutex_unlock(&db->mutex);
        error_set(e, ERR_BUSY, "The database is busy.");
        return NULL;
    }
    c->busy = true;
    pthread_mutex_unlock(&db->mutex);
    memset(&c->error, 0, sizeof c->error);
    if (db->group || group_begin(c)) {
        conn_exec(c, "SAVEPOINT member", "beginning a change");
        return c;
    }
    report(&c->error, e);
    if (c->broken)
        conn_close(c);
    pthread_mutex_lock(&db->mutex);
    if (c->error.code == ERR_BUSY)
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

    conn_reset(c);
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

bool db_in_doubt(enum error_code code)
{
    return code == ERR_DATABASE || code == ERR_MEMORY;
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
