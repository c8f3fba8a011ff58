/*
 * One connection to the database and its statements; the pool in db.c owns
 * them. Seen only by db.c and conn.c.
 */
#ifndef SLIPWAY_STORE_CONN_H
#define SLIPWAY_STORE_CONN_H

#include <sqlite3.h>

#include "store/db.h"
#include "store/journal.h"

enum { APPLICATION_ID = 0x736c7077 }; /* "slpw", marks our files */

struct stmt {
    struct conn *conn;    /* owner */
    sqlite3_stmt *handle; /* NULL until first used */
    enum sql_id id;       /* its text */
    uint64_t runs;        /* runs of handles that were closed */
};

struct conn {
    struct db *db;                /* owner */
    const char *path;             /* of the file */
    bool power;                   /* commits wait for the disk */
    sqlite3 *handle;              /* NULL until first used */
    struct stmt stmts[SQL_COUNT]; /* prepared when first used */
    struct stmt *used[SQL_COUNT]; /* those to reset in this borrowing */
    size_t used_count;
    struct error error;            /* first failure of this borrowing */
    bool writer;                   /* the writing connection */
    bool is_prepared;              /* its file has had a look once */
    struct journal_choice journal; /* of the writer: what to give the file */
    bool busy;                     /* borrowed */
    bool broken;                   /* close it when it is given back */
};

/* The writer looks at the file, so it must be the first of the process. */
void conn_init(struct conn *c, struct db *db, const char *path, bool power,
               bool writer);

/* Open it if it is not; false with c->error after a failure. The writer checks
 * that the file is ours, before it changes anything. */
bool conn_open(struct conn *c);
void conn_close(struct conn *c);

/* Run SQL without results. After a failure, which what describes for the log,
 * c->error is set and all further calls are refused. */
bool conn_exec(struct conn *c, const char *sql, const char *what);

/* The number that a query without parameters gives. */
int64_t conn_number(struct conn *c, const char *sql);

/* Forget bindings and rows of all statements of this borrowing. */
void conn_reset(struct conn *c);

#endif
