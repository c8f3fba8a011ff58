/*
 * Finished files: look up, list, read, delete.
 *
 * A file is what one part of an upload became, or one directory upload as a
 * whole (is_directory), or one file inside of that (directory is set).
 */
#ifndef SLIPWAY_STORE_FILES_H
#define SLIPWAY_STORE_FILES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"
#include "http/segment.h"
#include "store/digest.h"
#include "store/id.h"
#include "store/store.h"

struct file {
    char id[ID_LENGTH + 1];
    const char *directory; /* id of its directory upload or NULL */
    bool is_directory;     /* a directory upload as a whole */
    bool has_sha256;       /* sha256 is known */
    unsigned char sha256[DIGEST_SIZE];
    const char *path;     /* below the mount, UTF-8 */
    const char *name;     /* cleaned; relative in a directory */
    const char *type;     /* media type */
    uint64_t size;        /* bytes; of a directory: the sum */
    uint64_t count;       /* 1; of a directory: its files */
    const char *metadata; /* JSON object */
    int64_t created_at;   /* microseconds since the epoch */
    struct file *next;    /* in a list */
};

struct file_list {
    struct file *first; /* NULL if empty */
    struct file *last;
    size_t count; /* files in the list */
    bool more;    /* there are further ones */
};

void file_list_append(struct file_list *l, struct file *f);

/* The stored file id, in the arena. NULL and e, ERR_NOT_FOUND among others. */
struct file *file_get(struct store *s, struct arena *a, const char *id,
                      struct error *e);

enum { FILE_PAGE_MAX = 1000 };

struct file_filter {
    const char *name;     /* part of the name, ASCII case ignored, or NULL */
    const char *metadata; /* JSON object {key: value} all of which a file must
                             have, "{}" for none */
    int64_t before;       /* only files with a smaller created_at */
    unsigned limit;       /* at most so many */
};

/* Newest first; directory uploads as one entry. */
enum error_code files_page(struct store *s, struct arena *a,
                           const struct file_filter *filter,
                           struct file_list *out, struct error *e);

/* The files of a directory upload by name, at most FILE_PAGE_MAX. */
enum error_code files_of_directory(struct store *s, struct arena *a,
                                   const char *id, struct file_list *out,
                                   struct error *e);

/* The bytes of a file as a source in the arena; opened when first read. NULL
 * without memory. */
struct source *file_source(struct store *s, struct arena *a,
                           const struct file *f);

/* The static URL of a file, percent-encoded; of a directory with a slash at
 * the end. In the arena. */
char *file_url(const struct store *s, struct arena *a, const struct file *f);

/* Delete exactly this file or directory upload; afterwards it is not found.
 * A download that runs goes on. ERR_NOT_FOUND. */
enum error_code file_delete(struct store *s, const char *id, struct error *e);

#endif
