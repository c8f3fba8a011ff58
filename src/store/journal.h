/*
 * Which journal the database uses. A write-ahead log is faster, but wants
 * memory that is shared through the file system, which network file systems
 * do not have; there a rollback journal is used, and readers and writers wait
 * for each other.
 */
#ifndef SLIPWAY_STORE_JOURNAL_H
#define SLIPWAY_STORE_JOURNAL_H

#include <stdbool.h>

enum journal { JOURNAL_WAL, JOURNAL_ROLLBACK };

struct journal_choice {
    enum journal wanted; /* for this file, here */
    bool is_new;         /* there is no database yet */
    bool is_wal;         /* the file has a write-ahead log */
    const char *reason;  /* of a rollback journal, for the log */
};

/* Choose for the database at path: by the type of the file system and, unless
 * the file has a write-ahead log already, by trying one on a scratch database
 * beside it.
 *
 * The file is opened and closed, and a process that closes any descriptor of a
 * file loses all its locks on it, SQLite's too, who would not notice. So this
 * must come before the process has a connection to the file. */
void journal_choose(const char *path, struct journal_choice *out);

/* Is a file system of this type (f_type of statfs) one on which processes
 * cannot be trusted to share memory? Pure. */
bool journal_is_remote(unsigned long type);

#endif
