/*
 * The inside of an upload session, shared by upload.c and publish.c.
 */
#ifndef SLIPWAY_STORE_UPLOAD_INTERNAL_H
#define SLIPWAY_STORE_UPLOAD_INTERNAL_H

#include "store/internal.h"

struct upload {
    struct store *store;        /* */
    struct arena *arena;        /* the request's */
    char id[UPLOAD_ID_MAX + 1]; /* */
    char home[ID_LENGTH + 1];   /* its directory in incoming/ */
    int home_dir;               /* open and locked */
    bool has_row;               /* other processes may see it */
    bool resumable;             /* outlives its request */
    bool chosen;                /* the caller chose the id */
    bool as_directory;          /* one directory upload */
    struct file *directory;     /* the directory upload, or NULL */
    int directory_dir;          /* its open directory, or -1 */
    struct file_list files;     /* single files, in order of arrival */
    struct file *current;       /* the file that is being received */
    int fd;                     /* its descriptor, or -1 */
    struct digest digest;       /* of the current file */
    bool digesting;             /* digest covers all of its bytes */
    uint64_t announced;         /* bytes of the request, or unknown */
    uint64_t received;          /* bytes of all files */
    uint64_t shown;             /* what the row says of received */
    uint64_t space_checked_at;  /* received, when space was last checked */
    uint64_t writeback_from;    /* offset not yet handed to the disk */
    int64_t checked_at;         /* monotonic ms of the last upload_check */
    int64_t shown_at;           /* monotonic ms of the last progress */
};

static inline bool wants_digest(const struct store *s)
{
    return config_choice(s->config, OPT_DIGEST) == 0;
}

/* Put the session into the database. ERR_ID_IN_USE. */
enum error_code session_insert(struct upload *u, struct error *e);

/* Write what has been received to the row; *alive is false if somebody ended
 * the session. For a resumable session this is the acknowledgement: the bytes
 * are synced first. */
enum error_code session_checkpoint(struct upload *u, bool *alive,
                                   struct error *e);

/* Close all descriptors, which gives up the lock. */
void session_close(struct upload *u);

/* A session without home, for upload_open and upload_resume. */
struct upload *session_new(struct store *s, struct arena *a, uint64_t total,
                           struct error *e);

#endif
