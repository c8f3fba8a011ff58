/*
 * Finished files: rows in, segments out. Rows are read through borrowed
 * connections; results live in the caller's arena.
 */
#include "store/files.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "http/query.h"
#include "store/internal.h"

enum {
    URL_MAX = 8192,             /* bytes */
    METADATA_PAGE = 1024 * 1024 /* bytes of metadata that end a page */
};

void file_list_append(struct file_list *l, struct file *f)
{
    f->next = NULL;
    if (l->last)
        l->last->next = f;
    else
        l->first = f;
    l->last = f;
    l->count++;
}

/* The columns of file_get and its like, in the arena. NULL without memory. */
static struct file *file_from_row(struct stmt *row, struct arena *a)
{
    struct file *f = arena_alloc(a, sizeof *f);
    const void *sha256;
    size_t len;

    if (!f)
        return NULL;
    strncpy(f->id, stmt_get_text(row, 0), sizeof f->id - 1);
    if (!stmt_is_null(row, 1))
        f->directory = arena_strdup(a, stmt_get_text(row, 1));
    f->is_directory = stmt_get_int(row, 2) != 0;
    f->path = arena_strdup(a, stmt_get_text(row, 3));
    f->name = arena_strdup(a, stmt_get_text(row, 4));
    f->size = (uint64_t)stmt_get_int(row, 5);
    f->count = (uint64_t)stmt_get_int(row, 6);
    f->type = arena_strdup(a, stmt_get_text(row, 7));
    sha256 = stmt_get_blob(row, 8, &len);
    f->has_sha256 = len == sizeof f->sha256;
    if (f->has_sha256)
        memcpy(f->sha256, sha256, sizeof f->sha256);
    f->created_at = stmt_get_int(row, 9);
    f->metadata = arena_strdup(a, stmt_get_text(row, 10));
    return f->path && f->name && f->type && f->metadata ? f : NULL;
}

struct file *file_get(struct store *s, struct arena *a, const char *id,
                      struct error *e)
{
    struct conn *c = NULL;
    struct file *f = NULL;
    struct stmt *q;
    bool found;

    if (!id_is_generated(id))
        error_set(e, ERR_NOT_FOUND, "There is no file with this id.");
    else
        c = db_read(s->db, e);
    if (!c)
        return NULL;
    q = db_statement(c, SQL_FILE_GET);
    stmt_text(q, ":id", id);
    found = stmt_step(q);
    if (found)
        f = file_from_row(q, a);
    if (db_end(c, true, e) != ERR_NONE)
        return NULL;
    if (!found)
        error_set(e, ERR_NOT_FOUND, "There is no file with this id.");
    else if (!f)
        error_set(e, ERR_MEMORY, "No memory for a file.");
    return f;
}

/* Take the rows of q, at most limit, and end the borrowing. A list that is
 * cut, also because its metadata is long, says so. */
static enum error_code read_list(struct conn *c, struct stmt *q, size_t limit,
                                 struct arena *a, struct file_list *out,
                                 struct error *e)
{
    size_t metadata = 0;
    bool memory = true;
    enum error_code code;

    while (memory && !out->more && stmt_step(q)) {
        struct file *f = NULL;

        out->more = out->count == limit || metadata > METADATA_PAGE;
        if (!out->more && (f = file_from_row(q, a))) {
            metadata += strlen(f->metadata);
            file_list_append(out, f);
        }
        memory = out->more || f;
    }
    code = db_end(c, true, e);
    if (code == ERR_NONE && !memory)
        code = error_set(e, ERR_MEMORY, "This list of files is too long.");
    return code;
}

enum error_code files_of_upload(struct store *s, struct arena *a,
                                const char *home, struct file_list *out,
                                struct error *e)
{
    struct conn *c = db_read(s->db, e);
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_FILES_OF_UPLOAD);
    stmt_text(q, ":upload", home);
    return read_list(c, q, SIZE_MAX, a, out, e);
}

enum error_code files_of_directory(struct store *s, struct arena *a,
                                   const char *id, struct file_list *out,
                                   struct error *e)
{
    struct conn *c = db_read(s->db, e);
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_FILES_OF_DIRECTORY);
    stmt_text(q, ":directory", id);
    stmt_int(q, ":limit", FILE_PAGE_MAX + 1);
    return read_list(c, q, FILE_PAGE_MAX, a, out, e);
}

enum error_code files_page(struct store *s, struct arena *a,
                           const struct file_filter *filter,
                           struct file_list *out, struct error *e)
{
    struct conn *c = db_read(s->db, e);
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_FILES_PAGE);
    stmt_int(q, ":before", filter->before);
    if (filter->name)
        stmt_text(q, ":name", filter->name);
    stmt_text(q, ":metadata", filter->metadata);
    stmt_int(q, ":limit", (int64_t)filter->limit + 1);
    return read_list(c, q, filter->limit, a, out, e);
}

/* A source over one published file. */
struct disk_source {
    struct source source; /* first, so that both have one address */
    int mount_dir;        /* open for the life of the store */
    int fd;               /* -1 until opened */
};

static enum error_code source_open(struct source *source, struct error *e)
{
    struct disk_source *d = (struct disk_source *)source;
    uint64_t size;

    if (d->fd >= 0)
        return ERR_NONE;
    d->fd = disk_open_file(d->mount_dir, source->mount_path, &size, e);
    if (d->fd < 0)
        return e->code;
    if (size == source->size)
        return ERR_NONE;
    close(d->fd);
    d->fd = -1;
    return error_set(e, ERR_IO, "The file was changed behind slipway's back.");
}

static long source_read(struct source *source, void *buf, size_t len,
                        uint64_t offset, struct error *e)
{
    struct disk_source *d = (struct disk_source *)source;
    ssize_t n;

    do
        n = pread(d->fd, buf, len, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        error_errno(e, errno, "Reading a file");
    return (long)n;
}

static void source_close(struct source *source)
{
    struct disk_source *d = (struct disk_source *)source;

    if (d->fd >= 0)
        close(d->fd);
    d->fd = -1;
}

struct source *file_source(struct store *s, struct arena *a,
                           const struct file *f)
{
    struct disk_source *d = arena_alloc(a, sizeof *d);

    if (!d)
        return NULL;
    d->fd = -1;
    d->mount_dir = s->uploads.dir;
    d->source.open = source_open;
    d->source.read = source_read;
    d->source.close = source_close;
    d->source.size = f->size;
    d->source.mount_path = f->path;
    d->source.local_path = arena_printf(a, "%s/%s", s->uploads.path, f->path);
    return d->source.local_path ? &d->source : NULL;
}

char *file_url(const struct store *s, struct arena *a, const struct file *f)
{
    struct buf b;
    char *url;

    buf_init(&b, URL_MAX);
    buf_puts(&b, s->uploads.url);
    buf_puts(&b, "/");
    percent_encode_path(&b, f->path);
    if (f->is_directory)
        buf_puts(&b, "/");
    url = buf_failed(&b) ? NULL : arena_strdup(a, buf_text(&b));
    buf_free(&b);
    return url;
}

/* Mark it, and take it off the sum of its directory. */
static enum error_code mark_deleting(struct store *s, const char *id,
                                     struct error *e)
{
    struct conn *c = db_write(s->db, e);
    struct stmt *q;
    int rows;
    enum error_code code;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_FILE_MARK);
    stmt_text(q, ":id", id);
    rows = stmt_run(q);
    if (rows == 1) {
        q = db_statement(c, SQL_DIRECTORY_SHRINK);
        stmt_text(q, ":id", id);
        stmt_run(q);
    }
    if (rows > 0) {
        q = db_statement(c, SQL_UPLOAD_EMPTIED);
        stmt_text(q, ":file", id);
        stmt_int(q, ":now", clock_wall_ms());
        stmt_run(q);
    }
    code = db_end(c, true, e);
    if (code == ERR_NONE && rows == 0)
        code = error_set(e, ERR_NOT_FOUND, "There is no file with this id.");
    return code;
}

enum error_code file_delete(struct store *s, const char *id, struct error *e)
{
    enum error_code code;

    if (!id_is_generated(id))
        return error_set(e, ERR_NOT_FOUND, "There is no file with this id.");
    code = mark_deleting(s, id, e);
    return code == ERR_NONE ? purge_one(s, id, e) : code;
}
