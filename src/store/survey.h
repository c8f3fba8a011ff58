/*
 * What the directories and the database of a store stand on, for the doctor.
 * Thread-safe.
 */
#ifndef SLIPWAY_STORE_SURVEY_H
#define SLIPWAY_STORE_SURVEY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "store/store.h"

struct survey {
    struct stat data;           /* directory */
    struct stat uploads;        /* directory */
    const char *filesystem;     /* of both, "ext4"; NULL: another one */
    bool is_volatile;           /* it is gone when the machine stops */
    bool has_wal;               /* the database uses a write-ahead log */
    const char *journal_reason; /* else the reason, NULL: an old choice */
    uint64_t free_space;        /* bytes slipway may still write */
    uint64_t free_files;        /* the same in new files */
    int64_t clock_ahead_ms;     /* of the file system, ahead of ours */
};

/* Look, and write something into both directories and the database. A failure
 * says what did not work. */
enum error_code survey_take(struct store *s, struct survey *out,
                            struct error *e);

#endif
