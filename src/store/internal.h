/*
 * What the files of store/ share and nobody else sees: the store itself, a
 * mount, and the steps of recovery.
 */
#ifndef SLIPWAY_STORE_INTERNAL_H
#define SLIPWAY_STORE_INTERNAL_H

#include <stdatomic.h>

#include "store/db.h"
#include "store/disk.h"
#include "store/upload.h"

enum {
    PUBLIC_DIR_MODE = 0755,
    PUBLIC_FILE_MODE = 0644,
    SILENT_MS = 3000 /* without news a session's holder is looked for */
};

/* A directory with a URL. */
struct mount {
    const char *name; /* as in the rows */
    const char *path; /* absolute, for the front server */
    char *real_path;  /* the same without symbolic links */
    const char *url;  /* without a slash at the end */
    int dir;          /* open for the life of the store */
};

struct store {
    const struct config *config; /* the caller's */
    struct db *db;
    int data;        /* open directory */
    int incoming;    /* open directory, in data */
    char *data_path; /* real path of the data directory */
    struct mount uploads;
    char *found_url;            /* of uploads, if not the configured one */
    bool power;                 /* durability = power */
    _Atomic int64_t next_sweep; /* monotonic ms: when this process may ask */
    atomic_bool finals_wait;    /* final sessions are not put together yet */
    atomic_bool stopping;       /* long work is to be left for later */
};

/* The files of the session with this home, in order of arrival. */
enum error_code files_of_upload(struct store *s, struct arena *a,
                                const char *home, struct file_list *out,
                                struct error *e);

/* Some homes of sessions, out of many. */
enum { HOMES_MAX = 100 };
struct homes {
    char list[HOMES_MAX][ID_LENGTH + 1];
    size_t count;
};

/* Publish the files of u, whose content is complete and whose home is held.
 * After a failure everything is undone, or left to recover_home. */
enum error_code publish(struct upload *u, const char *metadata,
                        struct error *e);

/* Fail the session with this home, whose holder is gone or gives up, and take
 * back what it was publishing. Does nothing to a session that is over. */
enum error_code publish_undo(struct store *s, const char *home,
                             const char *slug, struct error *e);

/* Settle that what this session was publishing is not stored (see db.h), before
 * it is moved back. *any is false if it was not publishing anything. */
enum error_code publish_retract(struct store *s, const char *home, bool *any,
                                struct error *e);

/* A resumable session whose bytes are back in its home goes on receiving. */
enum error_code publish_reopen(struct store *s, const char *home,
                               struct error *e);

/* Remove the bytes of files that are marked as deleting, then their rows: of
 * one, or of all, where what fails is logged and left for later. */
enum error_code purge_one(struct store *s, const char *id, struct error *e);
enum error_code purge_deleted(struct store *s, struct error *e);

/* Undo or finish at once what killed processes left in the middle. */
enum error_code store_recover(struct store *s, struct error *e);

/* Only what has been silent since before (ms since the epoch). */
enum error_code recover_sessions(struct store *s, int64_t before,
                                 struct error *e);

/* One session whose row is not over: leave it alone if it is held; else a
 * resumable one goes back to receiving, any other one has failed. */
enum error_code recover_home(struct store *s, const char *home,
                             struct error *e);

/* Go on with final sessions that are not put together yet, until all are or
 * the store is stopping. */
enum error_code concat_work(struct store *s, struct error *e);

/* If nobody holds the session: remove its home and give true. Also true if it
 * is gone. */
bool home_reclaim(struct store *s, const char *home);

/* The same, waiting so long for its holder to let go. */
bool home_await(struct store *s, const char *home, int64_t ms);

/* Remove a home that no session and no process owns. */
void home_drop(struct store *s, const char *name);

#endif
