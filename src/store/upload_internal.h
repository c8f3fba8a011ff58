/*
 * The inside of an upload session, shared by upload.c, session.c, takeover.c,
 * resume.c, concat.c, adopt.c and publish.c.
 */
#ifndef SLIPWAY_STORE_UPLOAD_INTERNAL_H
#define SLIPWAY_STORE_UPLOAD_INTERNAL_H

#include "store/internal.h"
#include "store/resumable.h"

enum { ALLOCATE_LEAST = 1024 * 1024 }; /* bytes allocated ahead at once */

struct upload {
    struct store *store;
    struct arena *arena; /* the request's */
    char id[UPLOAD_ID_MAX + 1];
    char home[ID_LENGTH + 1]; /* its directory in incoming/ */
    int home_dir;             /* open and locked */
    bool has_row;             /* other processes may see it */
    bool resumable;           /* outlives its request */
    bool partial;             /* of a resumable one: never published */
    bool unnamed;             /* begun without the name it will get */
    bool held;                /* nothing is acknowledged before the end */
    int64_t claim;            /* the row's, when this request took it up */
    const char *fields;       /* of a resumable one: metadata as JSON */
    const char *echo;         /* while it is created, as the next two */
    const char *concat;
    const char *parts;                   /* JSON array of ids, or NULL */
    bool has_expected;                   /* expected is set */
    unsigned char expected[DIGEST_SIZE]; /* digest of the whole file */
    bool chosen;                         /* the caller chose the id */
    bool as_directory;                   /* one directory upload */
    struct file *directory;              /* the directory upload, or NULL */
    int directory_dir;                   /* its open directory, or -1 */
    struct file_list files;              /* single files, in order of arrival */
    struct file *current;                /* the file that is being received */
    int fd;                              /* its descriptor, or -1 */
    struct digest digest;                /* of the current file */
    bool digesting;                      /* digest covers all of its bytes */
    uint64_t announced;                  /* bytes of the request, or unknown */
    uint64_t received;                   /* bytes of all files */
    uint64_t shown;                      /* what the row says of received */
    bool in_doubt;                       /* a restart may show more (db.h) */
    uint64_t space_checked_at; /* received, when space was last checked */
    uint64_t writeback_from;   /* offset not yet handed to the disk */
    uint64_t began_at;         /* bytes the current file had before */
    uint64_t allocated_to;     /* offset up to which blocks are, or 0 */
    int64_t checked_at;        /* monotonic ms of the last upload_check */
    int64_t shown_at;          /* monotonic ms of the last progress */
};

static inline bool wants_digest(const struct upload *u)
{
    return u->has_expected ||
           (!u->partial &&
            config_choice(u->store->config, OPT_DIGEST) == DIGEST_SHA256);
}

/* Put the session into the database. ERR_ID_IN_USE. */
enum error_code session_insert(struct upload *u, struct error *e);

/* Read the row of the resumable session u->id into u and its *state, a word
 * that lives in u's arena. ERR_NOT_FOUND. */
enum error_code session_read(struct upload *u, const char **state,
                             struct error *e);

/* Write what has been received to the row. For a resumable session this is
 * the checkpoint: the bytes are synced first. ERR_CANCELLED if somebody ended
 * the session. */
enum error_code session_acknowledge(struct upload *u, struct error *e);

/* Is the session still this request's? ERR_CANCELLED, ERR_BUSY if a newer one
 * claims it, ERR_COMPLETED if it was used up as a part. */
enum error_code session_check_row(struct upload *u, struct error *e);

/* Compute a digest that is expected but was not computed from the first byte
 * on. */
enum error_code session_catch_up(struct upload *u, struct error *e);

/* Keep the session from expiring, without acknowledging anything. */
enum error_code session_touch(struct upload *u, struct error *e);

/* Free the blocks that were allocated ahead of bytes that do not come. */
void session_trim(struct upload *u);

/* Close all descriptors, which gives up the lock. */
void session_close(struct upload *u);

/* A session without home, for upload_open and upload_resume. */
struct upload *session_new(struct store *s, struct arena *a, uint64_t total,
                           struct error *e);

/* The same with a fresh home, and the id of spec or that of the home. */
struct upload *session_begin(struct store *s, const struct upload_spec *spec,
                             struct error *e);

/* Name and type of the file as they will be stored. ERR_BAD_NAME. */
enum error_code session_describe(struct upload *u, struct file *f,
                                 const char *name, const char *type,
                                 struct error *e);

/* ERR_FILE_TOO_LARGE, ERR_FILE_TOO_SMALL, ERR_TYPE_NOT_ACCEPTED. */
enum error_code session_check_size(const struct upload *u, uint64_t size,
                                   const char *name, struct error *e);
enum error_code session_check_least(const struct upload *u, uint64_t size,
                                    const char *name, struct error *e);
enum error_code session_check_type(const struct upload *u, const struct file *f,
                                   struct error *e);

/* What the row of a session says now. */
enum { STATE_MAX = 16 };
struct session_now {
    char state[STATE_MAX]; /* "expired" also if only the time says so */
    int64_t claim;         /* requests that wanted it while it was held */
    bool resumable;
};

/* ERR_NOT_FOUND. */
enum error_code session_read_now(struct store *s, const char *id,
                                 struct session_now *now, struct error *e);

/* Why a session in this state cannot go on: ERR_COMPLETED, ERR_GONE, or
 * ERR_NONE if it can. */
enum error_code session_refuse(const char *state, struct error *e);

/* Get and lock the home of u, whose row was read, and read the row again;
 * with evict its holder is made to let go, else ERR_BUSY at once. */
enum error_code session_take_home(struct upload *u, bool evict,
                                  struct error *e);

/* upload_resume for final sessions too; without evict it gives ERR_BUSY at
 * once if the session is held. */
enum error_code session_take_up(struct store *s, struct arena *a,
                                const char *id, bool evict, struct upload **out,
                                struct error *e);

/* The rest of upload_create: u came from session_begin and may have got concat
 * and parts. After a failure it is gone. */
enum error_code session_create(struct upload *u, const struct resumable_spec *r,
                               struct error *e);

/* Has the row of a session expired, though nobody has said so in it? */
bool session_has_expired(const struct store *s, int64_t updated_at);

#endif
