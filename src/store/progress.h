/*
 * A session seen from outside: its progress, and cancelling it. Works from
 * any process, while the session runs and for a bounded time after its end.
 */
#ifndef SLIPWAY_STORE_PROGRESS_H
#define SLIPWAY_STORE_PROGRESS_H

#include "store/files.h"

enum upload_state {
    UPLOAD_RECEIVING, /* also while being published */
    UPLOAD_STORED,
    UPLOAD_CANCELLED,
    UPLOAD_FAILED,
    UPLOAD_EXPIRED
};

struct progress {
    const char *id; /* of the session */
    enum upload_state state;
    uint64_t loaded;   /* bytes received */
    bool has_total;    /* total is known */
    uint64_t total;    /* bytes announced */
    const char *error; /* slug of the failure, or "" */
    bool resumable;    /* bytes outlive their request */
    bool partial;      /* part of a final session */
    bool final;        /* put together from partial sessions */
    const char *echo;  /* as it was created, or NULL */
    const char *concat;
    int64_t expires_at;     /* ms since the epoch, if resumable and receiving */
    struct file_list files; /* when stored */
};

const char *upload_state_name(enum upload_state state);

/* ERR_NOT_FOUND for an unknown or forgotten id. */
enum error_code progress_get(struct store *s, struct arena *a, const char *id,
                             struct progress *out, struct error *e);

/* End a session that is not over. When it returns ERR_NONE nothing of it is
 * left. ERR_NOT_FOUND; ERR_FINISHED if it was stored or failed before, or is
 * being stored; ERR_BUSY if its holder is stuck; cancelling twice is fine. */
enum error_code upload_cancel(struct store *s, const char *id, struct error *e);

#endif
