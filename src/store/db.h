/*
 * The database. Nobody else may open its file in a process that has it open:
 * closing it would take SQLite's locks off. sqlite3.h is used by store/ alone.
 *
 * One file, one pool of connections per process, opened after the process has
 * forked for the last time. There is one connection for writing, which
 * threads take in turn, and a few for reading; each is borrowed for one short
 * piece of work and given back, so a thousand waiting clients share them.
 *
 * Writers that wait for each other share a commit: each works in a savepoint
 * of one transaction, the last one of the group commits, and all learn of it.
 * So a commit's wait for the disk is paid once for many uploads.
 *
 * Statements come from sql/ by name, are prepared once per connection, bound
 * by parameter name and reset when the connection is given back. Errors are
 * sticky within one borrowing: after the first one, every further call is
 * refused and the end of the borrowing reports it. After an I/O error the
 * connection is closed and opened anew, since SQLite would go on read-only.
 *
 * Commits in doubt: one whose process is killed, or whose disk fails, while
 * the log is being synced is seen by nobody at first, and yet comes true when
 * the next process to open the file finds all others dead and reads the log.
 * A later commit settles it, since that takes its place in the log. So
 * whoever is to do something to files that such a commit would make wrong
 * (cut off bytes, take them back) first commits a change of his own.
 */
#ifndef SLIPWAY_STORE_DB_H
#define SLIPWAY_STORE_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "sql_queries.h"
#include "store/journal.h"

struct db;   /* the pool; safe from any thread */
struct conn; /* borrowed by one thread */
struct stmt; /* belongs to a conn */

/* Open or create the file at path and migrate it. power: commits
 * survive a power cut (synchronous=FULL), else only the death of the process.
 * Refuses a schema that is newer than this program, a file that is not ours,
 * and a damaged one. */
enum error_code db_open(const char *path, bool power, struct db **out,
                        struct error *e);
void db_close(struct db *db);

/* Which journal the file has, and why. */
const struct journal_choice *db_journal(const struct db *db);

/* Borrow a connection that only reads, until db_end. NULL on failure. */
struct conn *db_read(struct db *db, struct error *e);

/* Borrow the writing connection and begin a change, until db_end. NULL on
 * failure. */
struct conn *db_write(struct db *db, struct error *e);

/* End the borrowing: commit if commit is true and nothing failed, else roll
 * back. ERR_NONE means that the change is committed; else the first failure
 * of the borrowing, or that of the shared commit. */
enum error_code db_end(struct conn *c, bool commit, struct error *e);

/* Is a commit that failed so in doubt? On a full disk, or where the file was
 * locked, it was not written to its end. */
bool db_in_doubt(enum error_code code);

/* A statement, reset and without bindings. Never NULL. */
struct stmt *db_statement(struct conn *c, enum sql_id id);

/* Bind by name, with the colon. The values are copied. */
void stmt_int(struct stmt *s, const char *name, int64_t value);
void stmt_text(struct stmt *s, const char *name, const char *value);
void stmt_blob(struct stmt *s, const char *name, const void *v, size_t len);
/* what is not bound is NULL */

/* true if there is a row. false at the end or after a failure. */
bool stmt_step(struct stmt *s);

/* Run to the end and give the number of changed rows; 0 after a failure. */
int stmt_run(struct stmt *s);

/* Columns of the current row, from 0. Text is never NULL and lives until the
 * next step. */
bool stmt_is_null(const struct stmt *s, int column);
int64_t stmt_get_int(const struct stmt *s, int column);
const char *stmt_get_text(const struct stmt *s, int column);
const void *stmt_get_blob(const struct stmt *s, int column, size_t *len);

/* How often each statement has run on any open connection: a test asserts
 * that none is left out. */
void db_runs(struct db *db, uint64_t runs[SQL_COUNT]);

#endif
