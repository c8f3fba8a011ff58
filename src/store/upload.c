/*
 * Receiving: from upload_open to the point where all bytes are on disk.
 *
 * A session is used by one thread; the home directory's lock tells all others
 * that it is alive. Nothing in here is visible at a public URL.
 */
#define _GNU_SOURCE
#include "store/resumable.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "http/filename.h"
#include "http/mediatype.h"
#include "store/upload_internal.h"

enum {
    SPACE_STEP = 8 * 1024 * 1024,     /* bytes between two looks at the disk */
    WRITEBACK_STEP = 8 * 1024 * 1024, /* bytes handed to the disk at once */
    ALLOCATE_MOST = 64 * 1024 * 1024, /* bytes allocated ahead at once */
    SAME_NAME_MAX = 1000              /* numbered names in a directory */
};

static uint64_t limit(const struct upload *u, enum option_id id)
{
    return config_number(u->store->config, id);
}

/* Is there room for more bytes above the reserve? */
static enum error_code check_space(struct store *s, uint64_t more,
                                   struct error *e)
{
    uint64_t reserve = config_number(s->config, OPT_MIN_FREE_SPACE);
    uint64_t space = disk_free_space(s->incoming);

    if (space >= reserve && space - reserve >= more)
        return ERR_NONE;
    return error_limit(e, ERR_NO_SPACE, "min_free_space", reserve,
                       "The server keeps a reserve of free space, and this "
                       "upload would use it up.");
}

static struct file *new_file(struct upload *u, struct error *e)
{
    struct file *f = arena_alloc(u->arena, sizeof *f);

    if (!f)
        error_set(e, ERR_MEMORY, "No memory for another file.");
    else if (id_new(f->id, e) != ERR_NONE)
        f = NULL;
    if (f) {
        f->count = 1;
        f->metadata = "{}";
    }
    return f;
}

/* A directory upload has one id for all its files. */
static enum error_code make_directory(struct upload *u, struct error *e)
{
    struct file *f = new_file(u, e);

    if (!f)
        return e->code;
    f->is_directory = true;
    f->count = 0;
    f->type = "inode/directory";
    f->path = f->id;
    u->directory = f;
    u->directory_dir = disk_make_dir(u->home_dir, f->id, PUBLIC_DIR_MODE, false,
                                     e);
    return u->directory_dir < 0 ? e->code : ERR_NONE;
}

/* Make incoming/<home> and lock it. */
static enum error_code make_home(struct upload *u, struct error *e)
{
    u->home_dir = disk_make_dir(u->store->incoming, u->home, 0700, false, e);
    if (u->home_dir < 0)
        return e->code;
    if (!disk_try_lock(u->home_dir))
        return error_errno(e, errno, "Locking an upload");
    return ERR_NONE;
}

/* What the session needs before its first file. A resumable session gets its
 * row with its file. */
static enum error_code settle(struct upload *u, struct error *e)
{
    enum error_code code;

    if (u->home_dir >= 0)
        return ERR_NONE;
    code = make_home(u, e);
    if (code == ERR_NONE && u->chosen && !u->resumable)
        code = session_insert(u, e);
    if (code == ERR_NONE && u->as_directory)
        code = make_directory(u, e);
    return code;
}

struct upload *session_begin(struct store *s, const struct upload_spec *spec,
                             struct error *e)
{
    struct upload *u = session_new(s, spec->arena, spec->total, e);
    const char *id;

    if (!u || id_new(u->home, e) != ERR_NONE)
        return NULL;
    id = spec->id ? spec->id : u->home;
    memcpy(u->id, id, strlen(id) + 1);
    u->chosen = spec->id != NULL;
    u->as_directory = spec->directory;
    return u;
}

/* With a chosen id the row comes at once, so that whoever asks for the id
 * learns even of a refusal. */
enum error_code upload_open(struct store *s, const struct upload_spec *spec,
                            struct upload **out, struct error *e)
{
    struct upload *u = session_begin(s, spec, e);
    enum error_code code;

    *out = NULL;
    if (!u)
        return e->code;
    code = u->chosen ? settle(u, e) : ERR_NONE;
    if (code != ERR_NONE) {
        upload_discard(u, e);
        return code;
    }
    *out = u;
    return ERR_NONE;
}

const char *upload_id(const struct upload *u)
{
    return u->id;
}

enum error_code session_check_size(const struct upload *u, uint64_t size,
                                   const char *name, struct error *e)
{
    uint64_t most = limit(u, OPT_MAX_FILE_SIZE);

    if (!most || size <= most)
        return ERR_NONE;
    error_limit(e, ERR_FILE_TOO_LARGE, "max_file_size", most,
                "A file may have at most %" PRIu64 " bytes.", most);
    error_file(e, name);
    return ERR_FILE_TOO_LARGE;
}

enum error_code session_check_least(const struct upload *u, uint64_t size,
                                    const char *name, struct error *e)
{
    uint64_t least = limit(u, OPT_MIN_FILE_SIZE);

    if (size >= least || u->partial)
        return ERR_NONE;
    error_limit(e, ERR_FILE_TOO_SMALL, "min_file_size", least,
                "A file must have at least %" PRIu64 " bytes.", least);
    error_file(e, name);
    return ERR_FILE_TOO_SMALL;
}

enum error_code session_check_type(const struct upload *u, const struct file *f,
                                   struct error *e)
{
    const char *accept = config_text(u->store->config, OPT_ACCEPT);

    if (u->partial || u->unnamed ||
        mediatype_accepted(accept, f->name, f->type))
        return ERR_NONE;
    error_limit(e, ERR_TYPE_NOT_ACCEPTED, "accept", 0,
                "Accepted are: %s. This file is %s.", accept, f->type);
    e->limit_text = accept;
    error_file(e, f->name);
    return ERR_TYPE_NOT_ACCEPTED;
}

enum error_code session_describe(struct upload *u, struct file *f,
                                 const char *name, const char *type,
                                 struct error *e)
{
    char clean[FILENAME_PATH_MAX + 1];
    char effective[MEDIATYPE_MAX];

    if (!(u->as_directory ? filename_clean_path(name, clean)
                          : filename_clean(name, clean))) {
        error_set(e, ERR_BAD_NAME, "This file name cannot be used.");
        if (text_is_utf8(name, strlen(name)))
            error_file(e, name);
        return ERR_BAD_NAME;
    }
    mediatype_effective(effective, clean, type);
    f->name = arena_strdup(u->arena, clean);
    f->type = arena_strdup(u->arena, effective);
    if (!f->name || !f->type)
        return error_set(e, ERR_MEMORY, "No memory for another file.");
    return ERR_NONE;
}

/* Create the file in dir; a name that is taken gets a number. The name that
 * it got replaces the last component of f->name. */
static enum error_code create_numbered(struct upload *u, int dir,
                                       struct file *f, struct error *e)
{
    const char *slash = strrchr(f->name, '/');
    const char *wanted = slash ? slash + 1 : f->name;
    char base[FILENAME_MAX_BYTES + 1];

    memcpy(base, wanted, strlen(wanted) + 1);
    for (unsigned n = 1; n <= SAME_NAME_MAX; n++) {
        u->fd = disk_create(dir, base, PUBLIC_FILE_MODE, e);
        if (u->fd >= 0)
            break;
        if (e->sys != EEXIST || n == SAME_NAME_MAX)
            return e->code;
        filename_numbered(wanted, n, base);
    }
    f->name = arena_printf(u->arena, "%.*s%s", (int)(wanted - f->name), f->name,
                           base);
    return f->name ? ERR_NONE
                   : error_set(e, ERR_MEMORY, "No memory for another file.");
}

/* Walk to the directory of a relative path, making what is missing. Gives a
 * new descriptor, or -1. */
static int make_parents(int dir, const char *path, struct error *e)
{
    int fd = fcntl(dir, F_DUPFD_CLOEXEC, 3);
    const char *slash;

    while (fd >= 0 && (slash = strchr(path, '/'))) {
        char name[FILENAME_MAX_BYTES + 1];
        size_t len = (size_t)(slash - path);
        int next;

        memcpy(name, path, len);
        name[len] = '\0';
        next = disk_make_dir(fd, name, PUBLIC_DIR_MODE, true, e);
        if (next < 0 && e->sys == ENOTDIR)
            error_set(e, ERR_BAD_NAME,
                      "A file and a directory have the same path.");
        close(fd);
        fd = next;
        path = slash + 1;
    }
    return fd;
}

static enum error_code create_file(struct upload *u, struct file *f,
                                   struct error *e)
{
    const char *top = u->directory ? u->directory->id : f->id;
    enum error_code code;
    int dir;

    if (u->directory)
        dir = make_parents(u->directory_dir, f->name, e);
    else
        dir = disk_make_dir(u->home_dir, f->id, PUBLIC_DIR_MODE, false, e);
    if (dir < 0) {
        error_file(e, f->name);
        return e->code;
    }
    code = create_numbered(u, dir, f, e);
    close(dir);
    if (code != ERR_NONE) {
        error_file(e, f->name);
        return code;
    }
    f->path = arena_printf(u->arena, "%s/%s", top, f->name);
    return f->path ? ERR_NONE
                   : error_set(e, ERR_MEMORY, "No memory for another file.");
}

/* Bytes that the request announced and that have not come yet. */
static uint64_t still_expected(const struct upload *u)
{
    if (u->announced == UPLOAD_SIZE_UNKNOWN || u->announced < u->received)
        return 0;
    return u->announced - u->received;
}

enum error_code upload_begin_file(struct upload *u, const char *name,
                                  const char *type, uint64_t size,
                                  struct error *e)
{
    uint64_t most = limit(u, OPT_MAX_FILES);
    struct file *f;
    enum error_code code;

    if (u->files.count >= most)
        return error_limit(e, ERR_TOO_MANY_FILES, "max_files", most,
                           "A request may have at most %" PRIu64 " files.",
                           most);
    f = new_file(u, e);
    if (!f)
        return e->code;
    code = session_describe(u, f, name, type, e);
    if (code == ERR_NONE)
        code = session_check_type(u, f, e);
    if (code == ERR_NONE && size != UPLOAD_SIZE_UNKNOWN)
        code = session_check_size(u, size, f->name, e);
    if (code == ERR_NONE)
        code = check_space(u->store, still_expected(u), e);
    if (code == ERR_NONE)
        code = settle(u, e);
    if (code == ERR_NONE)
        code = create_file(u, f, e);
    if (code != ERR_NONE)
        return code;
    if (u->directory)
        f->directory = u->directory->id;
    digest_init(&u->digest);
    u->digesting = wants_digest(u);
    u->writeback_from = u->began_at = u->allocated_to = 0;
    u->current = f;
    file_list_append(&u->files, f);
    return ERR_NONE;
}

/* Let the disk begin while more data comes, so that the wait at the end is
 * short. Only a hint: what counts is disk_sync_file. */
static void start_writeback(struct upload *u)
{
    uint64_t dirty = u->current->size - u->writeback_from;

    if (!u->store->power || dirty < WRITEBACK_STEP)
        return;
    (void)sync_file_range(u->fd, (off_t)u->writeback_from, (off_t)dirty,
                          SYNC_FILE_RANGE_WRITE);
    u->writeback_from = u->current->size;
}

/* Allocate ahead of the bytes: as much again as this request has brought, so
 * that small ones do without and nobody claims much by sending little; and
 * nothing where space is short. */
static void preallocate(struct upload *u, size_t len)
{
    uint64_t size = u->current->size, left = still_expected(u);
    uint64_t more = size - u->began_at;
    struct error ignored;

    if (more > ALLOCATE_MOST)
        more = ALLOCATE_MOST;
    if (more > left)
        more = left;
    if (more < ALLOCATE_LEAST || size + len <= u->allocated_to)
        return;
    u->allocated_to = size + more;
    if (check_space(u->store, left + ALLOCATE_MOST, &ignored) == ERR_NONE)
        disk_preallocate(u->fd, size, more);
}

enum error_code upload_append(struct upload *u, const void *data, size_t len,
                              struct error *e)
{
    struct file *f = u->current;
    enum error_code code = session_check_size(u, f->size + len, f->name, e);

    if (code == ERR_NONE &&
        u->received + len - u->space_checked_at >= SPACE_STEP) {
        u->space_checked_at = u->received + len;
        code = check_space(u->store, len, e);
    }
    if (code == ERR_NONE) {
        preallocate(u, len);
        code = disk_write(u->fd, data, len, f->size, e);
    }
    if (code != ERR_NONE) {
        error_file(e, f->name);
        return code;
    }
    if (u->digesting)
        digest_update(&u->digest, data, len);
    f->size += len;
    u->received += len;
    start_writeback(u);
    return ERR_NONE;
}

enum error_code upload_end_file(struct upload *u, struct error *e)
{
    struct file *f = u->current;
    enum error_code code = session_check_least(u, f->size, f->name, e);

    if (code == ERR_NONE && strcmp(f->name, UPLOAD_UNNAMED) == 0)
        code = session_check_type(u, f, e); /* none has come later */
    session_trim(u);
    if (code == ERR_NONE && u->resumable)
        code = session_acknowledge(u, e);
    else if (code == ERR_NONE && u->store->power)
        code = disk_sync_file(u->fd, e);
    if (code == ERR_NONE)
        code = session_catch_up(u, e);
    if (code != ERR_NONE) {
        error_file(e, f->name);
        return code;
    }
    if (u->digesting) {
        digest_final(&u->digest, f->sha256);
        f->has_sha256 = true;
    }
    if (close(u->fd) != 0)
        code = error_errno(e, errno, "Closing a file");
    u->fd = -1;
    u->current = NULL;
    if (code == ERR_NONE && u->has_expected &&
        !(f->has_sha256 && memcmp(f->sha256, u->expected, DIGEST_SIZE) == 0)) {
        code = error_set(e, ERR_DIGEST,
                         "The file that arrived does not have the SHA-256 "
                         "digest that was announced.");
        error_file(e, f->name);
    }
    return code;
}

/* Time for a checkpoint, or to show progress? A session of several requests
 * must not fall back far, however fast the bytes come. But the last byte is
 * acknowledged at the end of its request: more bytes may come, and then what is
 * there must not count as the whole file. */
static bool is_due(const struct upload *u, int64_t now)
{
    if (u->resumable && u->received == u->announced)
        return false;
    return now - u->shown_at >= UPLOAD_PROGRESS_MS ||
           (u->resumable && !u->held &&
            u->received - u->shown >= CHECKPOINT_BYTES);
}

enum error_code upload_check(struct upload *u, struct error *e)
{
    int64_t now = clock_monotonic_ms();
    enum error_code code = ERR_NONE;

    if (!u->has_row)
        return ERR_NONE;
    if (now - u->checked_at >= UPLOAD_CHECK_MS / 2) {
        u->checked_at = now;
        code = session_check_row(u, e);
    }
    if (code == ERR_NONE && is_due(u, now)) {
        u->shown_at = now;
        code = u->held ? session_touch(u, e) : session_acknowledge(u, e);
    }
    return code;
}

enum error_code upload_finish(struct upload *u, const char *metadata,
                              struct file_list *files, struct error *e)
{
    enum error_code code = publish(u, metadata, e);

    if (code == ERR_NONE && u->directory)
        file_list_append(files, u->directory);
    else if (code == ERR_NONE)
        *files = u->files;
    else if (!u->resumable || code == ERR_CANCELLED)
        upload_discard(u, e);
    session_close(u);
    return code;
}

/* The row first, so that nobody takes the missing home for a lost holder; on
 * a full disk the bytes first, because the row needs room as well. */
void upload_discard(struct upload *u, const struct error *why)
{
    bool full = why->code == ERR_NO_SPACE;
    struct error e;

    if (u->has_row && !full)
        (void)publish_undo(u->store, u->home, error_slug(why->code), &e);
    if (u->home_dir >= 0 &&
        disk_remove_tree(u->store->incoming, u->home, &e) != ERR_NONE)
        log_failure(LOG_WARNING, &e);
    if (u->has_row && full)
        (void)publish_undo(u->store, u->home, error_slug(why->code), &e);
    session_close(u);
}
