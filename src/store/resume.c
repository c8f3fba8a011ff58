/*
 * Resumable sessions: made, taken up again, let go of, ended.
 *
 * The rule of resuming: the row's received and digest_state are written in
 * one commit, after the bytes were synced. So the file is never shorter than
 * received; a shorter one is damage and is refused, never repaired. What is
 * behind received was not acknowledged, and is cut off, once it is certain
 * that it was not (see db.h).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/upload_internal.h"

static enum error_code
describe_new(struct upload *u, const struct resumable_spec *r, struct error *e)
{
    u->resumable = true;
    u->partial = r->partial;
    u->unnamed = r->unnamed;
    u->concat = u->partial ? "partial" : u->concat;
    u->fields = r->fields ? r->fields : "{}";
    u->echo = r->echo;
    if (r->sha256)
        upload_expect(u, r->sha256);
    return session_check_least(u, u->announced, r->name, e);
}

/* The file, on disk before there is a row that tells of it. */
static enum error_code
store_new(struct upload *u, const struct resumable_spec *r, struct error *e)
{
    enum error_code code = upload_begin_file(u, r->name, r->type, u->announced,
                                             e);

    if (code == ERR_NONE && u->store->power)
        code = disk_sync_tree(u->home_dir, e);
    if (code == ERR_NONE && u->store->power)
        code = disk_sync_dir(u->store->incoming, e);
    if (code == ERR_NONE)
        code = session_insert(u, e);
    if (db_in_doubt(code))
        session_close(u); /* the sweep removes a home without a row */
    else if (code != ERR_NONE)
        upload_discard(u, e);
    return code;
}

enum error_code session_create(struct upload *u, const struct resumable_spec *r,
                               struct error *e)
{
    enum error_code code = describe_new(u, r, e);

    return code == ERR_NONE ? store_new(u, r, e) : code;
}

enum error_code upload_create(struct store *s, const struct upload_spec *spec,
                              const struct resumable_spec *r,
                              struct upload **out, struct error *e)
{
    struct upload *u = session_begin(s, spec, e);
    enum error_code code = u ? session_create(u, r, e) : e->code;

    *out = code == ERR_NONE ? u : NULL;
    return code;
}

/* One that was given a name may still lie there without. */
static int open_named(struct upload *u, int dir)
{
    const char *name = u->current->name;
    int flags = O_WRONLY | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(dir, name, flags);

    if (fd < 0 && errno == ENOENT &&
        renameat2(dir, UPLOAD_UNNAMED, dir, name, RENAME_NOREPLACE) == 0)
        fd = openat(dir, name, flags);
    return fd;
}

/* A commit of ours, and what the row says after it. */
static enum error_code settle_row(struct upload *u, struct error *e)
{
    const char *state = "";
    enum error_code code = session_touch(u, e);

    if (code == ERR_NONE)
        code = session_read(u, &state, e);
    return code == ERR_NONE ? session_refuse(state, e) : code;
}

/* Cut off what is behind the last acknowledged byte, also the blocks that a
 * killed request had allocated ahead. Only where there is something: a file
 * that was cut to nothing, ext4 writes out when it is closed. */
static enum error_code cut_off(struct upload *u, struct error *e)
{
    enum error_code code = ERR_NONE;
    struct stat st;

    if (fstat(u->fd, &st) != 0)
        return error_errno(e, errno, "Resuming an upload");
    if ((uint64_t)st.st_size > u->received)
        code = settle_row(u, e);
    if (code != ERR_NONE)
        return code;
    if ((uint64_t)st.st_size < u->received)
        return error_set(e, ERR_IO,
                         "Acknowledged bytes of this upload are missing.");
    if (((uint64_t)st.st_size > u->received ||
         (uint64_t)st.st_blocks * 512 >= u->received + ALLOCATE_LEAST) &&
        ftruncate(u->fd, (off_t)u->received) != 0)
        return error_errno(e, errno, "Resuming an upload");
    return ERR_NONE;
}

/* Open the file at the last acknowledged byte. */
static enum error_code reopen_file(struct upload *u, struct error *e)
{
    int dir = disk_open_dir(u->home_dir, u->current->id, e);

    if (dir < 0)
        return e->code;
    u->fd = open_named(u, dir);
    if (u->fd < 0)
        error_errno(e, errno, "Opening an upload");
    close(dir);
    return u->fd < 0 ? e->code : cut_off(u, e);
}

static struct upload *session_named(struct store *s, struct arena *a,
                                    const char *id, struct error *e)
{
    struct upload *u = session_new(s, a, UPLOAD_SIZE_UNKNOWN, e);

    if (u && !id_is_upload(id)) {
        error_set(e, ERR_NOT_FOUND, "There is no upload with this id.");
        return NULL;
    }
    if (u) {
        memcpy(u->id, id, strlen(id) + 1);
        u->has_row = u->resumable = true;
    }
    return u;
}

/* The session with this id, its row read; NULL and e. Final ones are refused
 * unless they are wanted. */
static struct upload *session_found(struct store *s, struct arena *a,
                                    const char *id, bool final_too,
                                    struct error *e)
{
    struct upload *u = session_named(s, a, id, e);
    const char *state = "";

    if (!u || session_read(u, &state, e) != ERR_NONE)
        return NULL;
    if (u->parts && !final_too) {
        error_set(e, ERR_FORBIDDEN,
                  "A final upload gets its bytes from its parts.");
        return NULL;
    }
    return session_refuse(state, e) == ERR_NONE ? u : NULL;
}

static enum error_code take_up(struct upload *u, bool evict,
                               struct upload **out, struct error *e)
{
    enum error_code code = u ? session_take_home(u, evict, e) : e->code;

    *out = NULL;
    if (code == ERR_NONE)
        code = reopen_file(u, e);
    if (code == ERR_NONE) {
        u->writeback_from = u->space_checked_at = u->began_at = u->received;
        *out = u;
    } else if (u) {
        session_close(u);
    }
    return code;
}

enum error_code session_take_up(struct store *s, struct arena *a,
                                const char *id, bool evict, struct upload **out,
                                struct error *e)
{
    return take_up(session_found(s, a, id, true, e), evict, out, e);
}

enum error_code upload_resume(struct store *s, struct arena *a, const char *id,
                              struct upload **out, struct error *e)
{
    return take_up(session_found(s, a, id, false, e), true, out, e);
}

enum error_code upload_settle(struct store *s, struct arena *a, const char *id,
                              struct error *e)
{
    struct upload *u = session_named(s, a, id, e);
    const char *state = "";
    enum error_code code = u ? session_read(u, &state, e) : e->code;

    if (code == ERR_NOT_FOUND ||
        (code == ERR_NONE && session_refuse(state, e) != ERR_NONE))
        return ERR_NONE;
    if (code == ERR_NONE && !u->parts)
        code = session_take_home(u, true, e);
    else if (code == ERR_NONE && strcmp(state, "publishing") == 0)
        code = recover_home(s, u->home, e);
    if (u)
        session_close(u);
    return code == ERR_COMPLETED ? ERR_NONE : code;
}

enum error_code upload_suspend(struct upload *u, struct error *e)
{
    enum error_code code;

    session_trim(u);
    code = session_acknowledge(u, e);
    if (code == ERR_CANCELLED || code == ERR_COMPLETED)
        upload_discard(u, e);
    session_close(u);
    return code;
}

void upload_hold(struct upload *u)
{
    u->held = true;
}

/* What is not acknowledged need not lie around until somebody comes back. */
void upload_abandon(struct upload *u)
{
    if (u->fd >= 0 && u->received > u->shown && !u->in_doubt)
        (void)!ftruncate(u->fd, (off_t)u->shown);
    session_close(u);
}

enum error_code upload_check_new(struct store *s, struct arena *a,
                                 const char *name, const char *type,
                                 uint64_t size, struct error *e)
{
    struct upload *u = session_new(s, a, size, e);
    struct file f = {0};
    enum error_code code = u ? session_describe(u, &f, name, type, e) : e->code;

    if (code == ERR_NONE)
        code = session_check_type(u, &f, e);
    if (code == ERR_NONE)
        code = session_check_size(u, size, f.name, e);
    if (code == ERR_NONE)
        code = session_check_least(u, size, f.name, e);
    return code;
}

enum error_code upload_set_total(struct upload *u, uint64_t total,
                                 struct error *e)
{
    enum error_code code;

    if (u->announced == total)
        return ERR_NONE;
    if (u->announced != UPLOAD_SIZE_UNKNOWN || total < u->received)
        return error_set(e, ERR_LENGTH,
                         "The upload has another length already.");
    code = session_check_size(u, total, u->current->name, e);
    if (code == ERR_NONE)
        code = session_check_least(u, total, u->current->name, e);
    if (code == ERR_NONE)
        u->announced = total;
    return code;
}

/* The row first: from it reopen_file can see what was meant. */
enum error_code upload_set_name(struct upload *u, const char *name,
                                struct error *e)
{
    struct file *f = u->current;
    struct file named = *f;
    enum error_code code;
    int dir;

    if (strcmp(f->name, UPLOAD_UNNAMED) != 0)
        return ERR_NONE;
    code = session_describe(u, &named, name, NULL, e);
    if (code == ERR_NONE)
        code = session_check_type(u, &named, e);
    if (code != ERR_NONE)
        return code;
    f->name = named.name;
    f->type = named.type;
    f->path = arena_printf(u->arena, "%s/%s", f->id, f->name);
    if (!f->path)
        return error_set(e, ERR_MEMORY, "No memory for a name.");
    code = session_acknowledge(u, e);
    dir = code == ERR_NONE ? disk_open_dir(u->home_dir, f->id, e) : -1;
    if (dir < 0)
        return e->code;
    close(u->fd);
    u->fd = open_named(u, dir);
    if (u->fd < 0)
        code = error_errno(e, errno, "Naming an upload");
    close(dir);
    return code;
}

void upload_set_fields(struct upload *u, const char *fields)
{
    u->fields = fields;
}

void upload_expect(struct upload *u, const unsigned char sha256[32])
{
    memcpy(u->expected, sha256, sizeof u->expected);
    u->has_expected = true;
}

uint64_t upload_offset(const struct upload *u)
{
    return u->received;
}

uint64_t upload_acknowledged(const struct upload *u)
{
    return u->shown;
}

uint64_t upload_total(const struct upload *u)
{
    return u->announced;
}

bool upload_is_partial(const struct upload *u)
{
    return u->partial;
}

const char *upload_fields(const struct upload *u)
{
    return u->fields;
}

uint64_t upload_remaining(const struct upload *u)
{
    return u->announced == UPLOAD_SIZE_UNKNOWN ? UINT64_MAX
                                               : u->announced - u->received;
}

/* Remove what a stored session has published. */
static enum error_code delete_stored(struct store *s, const char *id,
                                     struct error *e)
{
    struct conn *c = db_write(s->db, e);
    enum error_code code;
    struct stmt *q;
    bool ours;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_FILES_TERMINATE);
    stmt_text(q, ":id", id);
    ours = stmt_run(q) > 0;
    q = db_statement(c, SQL_UPLOAD_TERMINATE);
    stmt_text(q, ":id", id);
    stmt_int(q, ":now", clock_wall_ms());
    ours = stmt_run(q) == 1 || ours;
    code = db_end(c, true, e);
    if (code == ERR_NONE && !ours)
        return error_set(e, ERR_GONE, "The upload is gone already.");
    return code == ERR_NONE ? purge_deleted(s, e) : code;
}

/* A session without row is known by its files. */
static enum error_code delete_without_row(struct store *s, const char *id,
                                          struct error *e)
{
    enum error_code code = delete_stored(s, id, e);

    return code == ERR_GONE
               ? error_set(e, ERR_NOT_FOUND, "There is no upload with this id.")
               : code;
}

/* The row is marked first and its holder awaited then, so that no other
 * request can come in between. A form whose sender chose its id may have told
 * it to others, for progress: what it has stored is not removed by that id. */
enum error_code upload_terminate(struct store *s, const char *id,
                                 struct error *e)
{
    struct session_now now = {0};
    enum error_code code;

    if (!id_is_upload(id))
        return error_set(e, ERR_NOT_FOUND, "There is no upload with this id.");
    code = session_read_now(s, id, &now, e);
    if (code == ERR_NONE && session_refuse(now.state, e) == ERR_NONE) {
        code = upload_cancel(s, id, e);
        if (code != ERR_FINISHED)
            return code;
        code = session_read_now(s, id, &now, e);
    }
    if (code == ERR_NOT_FOUND)
        return delete_without_row(s, id, e);
    if (code != ERR_NONE)
        return code;
    if (session_refuse(now.state, e) == ERR_NONE)
        return error_set(e, ERR_BUSY, "The upload is being stored.");
    if (strcmp(now.state, "stored") != 0)
        return error_set(e, ERR_GONE, "The upload is gone already.");
    if (!now.resumable)
        return error_set(e, ERR_NOT_FOUND,
                         "There is no resumable upload with this id.");
    return delete_stored(s, id, e);
}
