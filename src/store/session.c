/*
 * The row of a session: made, kept up to date, and read back when a resumable
 * session is taken up again.
 *
 * The rule of resuming: the row's received and digest_state are written in
 * one commit, after the bytes were synced. So the file is never shorter than
 * received; a shorter one is damage and is refused, never repaired. What is
 * behind received was not acknowledged, and is cut off. Bytes that came while
 * digests were switched off cannot be caught up with: then the file has none.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/upload_internal.h"

struct upload *session_new(struct store *s, struct arena *a, uint64_t total,
                           struct error *e)
{
    struct upload *u = arena_alloc(a, sizeof *u);

    if (!u) {
        error_set(e, ERR_MEMORY, "No memory for an upload.");
        return NULL;
    }
    u->store = s;
    u->arena = a;
    u->announced = total;
    u->home_dir = u->directory_dir = u->fd = -1;
    u->checked_at = u->shown_at = clock_monotonic_ms();
    return u;
}

void session_close(struct upload *u)
{
    if (u->fd >= 0)
        close(u->fd);
    if (u->directory_dir >= 0)
        close(u->directory_dir);
    if (u->home_dir >= 0)
        close(u->home_dir);
    u->fd = u->directory_dir = u->home_dir = -1;
}

enum error_code session_insert(struct upload *u, struct error *e)
{
    struct conn *c = db_write(u->store->db, e);
    struct stmt *q;
    int rows;
    enum error_code code;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_UPLOAD_INSERT);
    stmt_text(q, ":id", u->id);
    stmt_text(q, ":home", u->home);
    stmt_int(q, ":resumable", u->resumable);
    if (u->resumable) {
        stmt_text(q, ":file", u->current->id);
        stmt_text(q, ":name", u->current->name);
        stmt_text(q, ":type", u->current->type);
    }
    if (u->announced != UPLOAD_SIZE_UNKNOWN)
        stmt_int(q, ":total", (int64_t)u->announced);
    stmt_int(q, ":now", clock_wall_ms());
    rows = stmt_run(q);
    code = db_end(c, true, e);
    if (code != ERR_NONE)
        return code;
    u->has_row = rows == 1;
    return rows == 1 ? ERR_NONE
                     : error_set(e, ERR_ID_IN_USE,
                                 "An upload with this id exists already.");
}

enum error_code session_checkpoint(struct upload *u, bool *alive,
                                   struct error *e)
{
    unsigned char midstate[DIGEST_STATE_SIZE];
    enum error_code code = ERR_NONE;
    struct conn *c;
    struct stmt *q;

    if (u->resumable && u->store->power && u->fd >= 0)
        code = disk_sync_file(u->fd, e);
    if (code != ERR_NONE)
        return code;
    c = db_write(u->store->db, e);
    if (!c)
        return e->code;
    q = db_statement(c, SQL_UPLOAD_CHECKPOINT);
    stmt_text(q, ":id", u->id);
    stmt_int(q, ":received", (int64_t)u->received);
    stmt_int(q, ":expected", (int64_t)u->shown);
    if (u->resumable && u->digesting) {
        digest_save(&u->digest, midstate);
        stmt_blob(q, ":digest_state", midstate, sizeof midstate);
    }
    stmt_int(q, ":now", clock_wall_ms());
    *alive = stmt_run(q) == 1;
    code = db_end(c, true, e);
    if (code == ERR_NONE && *alive)
        u->shown = u->received;
    return code;
}

/* Why a session in this state cannot go on. */
static enum error_code refuse_state(const char *state, struct error *e)
{
    if (strcmp(state, "receiving") == 0)
        return ERR_NONE;
    if (strcmp(state, "cancelled") == 0)
        return error_set(e, ERR_CANCELLED, "The upload was cancelled.");
    if (strcmp(state, "publishing") == 0)
        return error_set(e, ERR_BUSY, "The upload is being stored.");
    return error_set(e, ERR_FINISHED, "The upload is over already: %s.", state);
}

static bool take_columns(struct upload *u, struct stmt *q)
{
    struct file *f = arena_alloc(u->arena, sizeof *f);
    const void *midstate;
    size_t len;

    if (!f)
        return false;
    strncpy(u->home, stmt_get_text(q, 0), sizeof u->home - 1);
    strncpy(f->id, stmt_get_text(q, 3), sizeof f->id - 1);
    f->name = arena_strdup(u->arena, stmt_get_text(q, 4));
    f->type = arena_strdup(u->arena, stmt_get_text(q, 5));
    f->mount = u->store->uploads.name;
    f->metadata = "{}";
    f->count = 1;
    f->size = u->received = u->shown = (uint64_t)stmt_get_int(q, 7);
    if (!stmt_is_null(q, 6))
        u->announced = (uint64_t)stmt_get_int(q, 6);
    midstate = stmt_get_blob(q, 8, &len);
    digest_init(&u->digest);
    u->digesting = wants_digest(u->store) && (len > 0 || u->received == 0);
    if (u->digesting && len > 0 && !digest_restore(&u->digest, midstate, len))
        return false;
    f->path = f->name ? arena_printf(u->arena, "%s/%s", f->id, f->name) : NULL;
    u->current = f;
    file_list_append(&u->files, f);
    return f->path && f->type;
}

static enum error_code read_session(struct upload *u, struct error *e)
{
    struct conn *c = db_read(u->store->db, e);
    enum error_code code = ERR_NONE, ended;
    struct stmt *q;

    if (!c)
        return e->code;
    memset(&u->files, 0, sizeof u->files);
    q = db_statement(c, SQL_UPLOAD_RESUME);
    stmt_text(q, ":id", u->id);
    if (!stmt_step(q) || !stmt_get_int(q, 2))
        code = error_set(e, ERR_NOT_FOUND, "There is no upload with this id.");
    else
        code = refuse_state(stmt_get_text(q, 1), e);
    if (code == ERR_NONE && !take_columns(u, q))
        code = error_set(e, ERR_INTERNAL, "The upload's row is incomplete.");
    ended = db_end(c, true, code == ERR_NONE ? e : NULL);
    return code == ERR_NONE ? ended : code;
}

/* Lock the home. Whoever holds it will have moved the row on when it lets go,
 * so the row is read again behind the lock. */
static enum error_code lock_home(struct upload *u, struct error *e)
{
    u->home_dir = disk_open_dir(u->store->incoming, u->home, e);
    if (u->home_dir < 0)
        return e->sys == ENOENT
                   ? error_set(e, ERR_NOT_FOUND, "The upload is gone.")
                   : e->code;
    if (!disk_try_lock(u->home_dir))
        return error_set(e, ERR_BUSY, "Another request sends this upload.");
    return read_session(u, e);
}

/* Open the file behind the last acknowledged byte. */
static enum error_code reopen_file(struct upload *u, struct error *e)
{
    int dir = disk_open_dir(u->home_dir, u->current->id, e);
    off_t size;

    if (dir < 0)
        return e->code;
    u->fd = openat(dir, u->current->name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (u->fd < 0)
        error_errno(e, errno, "Opening an upload");
    close(dir);
    if (u->fd < 0)
        return e->code;
    size = lseek(u->fd, 0, SEEK_END);
    if (size < 0 || (uint64_t)size < u->received)
        return error_set(e, ERR_IO,
                         "Acknowledged bytes of this upload are missing.");
    return ftruncate(u->fd, (off_t)u->received) == 0
               ? ERR_NONE
               : error_errno(e, errno, "Resuming an upload");
}

enum error_code upload_resume(struct store *s, struct arena *a, const char *id,
                              struct upload **out, struct error *e)
{
    struct upload *u = session_new(s, a, UPLOAD_SIZE_UNKNOWN, e);
    enum error_code code;

    *out = NULL;
    if (!u)
        return e->code;
    if (!id_is_upload(id))
        return error_set(e, ERR_NOT_FOUND, "There is no upload with this id.");
    memcpy(u->id, id, strlen(id) + 1);
    u->has_row = u->resumable = true;
    code = read_session(u, e);
    if (code == ERR_NONE)
        code = lock_home(u, e);
    if (code == ERR_NONE)
        code = reopen_file(u, e);
    if (code != ERR_NONE) {
        session_close(u);
        return code;
    }
    u->writeback_from = u->space_checked_at = u->received;
    *out = u;
    return ERR_NONE;
}
