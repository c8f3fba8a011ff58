/*
 * Resumable sessions: made, taken up again, taken over, let go of, ended.
 *
 * The rule of resuming: the row's received and digest_state are written in
 * one commit, after the bytes were synced. So the file is never shorter than
 * received; a shorter one is damage and is refused, never repaired. What is
 * behind received was not acknowledged, and is cut off.
 *
 * The rule of taking over: who wants a session that is held counts up claim
 * in its row and waits for the lock; the holder looks at the row at least
 * every UPLOAD_CHECK_MS and lets go. Whoever has the lock owns the session,
 * reads the row again behind it, and takes the claim it finds for its own, so
 * only a later one disturbs it. Who waits and finds that claim was counted up
 * by somebody else gives up.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/upload_internal.h"

enum {
    STEP_MS = 5,      /* between two tries to get the lock */
    RECLAIM_MS = 300, /* a third one may have got it before us: ask again */
    STATE_MAX = 16    /* bytes of a state's name */
};

static enum error_code describe_new(struct upload *u,
                                    const struct resumable_spec *r,
                                    uint64_t total, struct error *e)
{
    u->resumable = true;
    u->partial = r->partial;
    u->concat = u->partial ? "partial" : u->concat;
    u->fields = r->fields ? r->fields : "{}";
    u->echo = r->echo;
    if (r->sha256)
        upload_expect(u, r->sha256);
    return total == UPLOAD_SIZE_UNKNOWN
               ? ERR_NONE
               : session_check_least(u, total, r->name, e);
}

/* The file, on disk before there is a row that tells of it. */
static enum error_code store_new(struct upload *u,
                                 const struct resumable_spec *r, uint64_t total,
                                 struct error *e)
{
    enum error_code code = upload_begin_file(u, r->name, r->type, total, e);

    if (code == ERR_NONE && u->store->power)
        code = disk_sync_tree(u->home_dir, e);
    if (code == ERR_NONE && u->store->power)
        code = disk_sync_dir(u->store->incoming, e);
    if (code == ERR_NONE)
        code = session_insert(u, e);
    if (code != ERR_NONE)
        upload_discard(u, e);
    return code;
}

enum error_code upload_create(struct store *s, const struct upload_spec *spec,
                              const struct resumable_spec *r,
                              struct upload **out, struct error *e)
{
    struct upload *u = session_begin(s, spec, e);
    enum error_code code;

    *out = NULL;
    if (!u)
        return e->code;
    code = describe_new(u, r, spec->total, e);
    if (code == ERR_NONE)
        code = store_new(u, r, spec->total, e);
    if (code == ERR_NONE)
        *out = u;
    return code;
}

enum error_code session_create_final(struct upload *u,
                                     const struct resumable_spec *r,
                                     uint64_t total, struct error *e)
{
    enum error_code code = describe_new(u, r, total, e);

    return code == ERR_NONE ? store_new(u, r, total, e) : code;
}

/* Why a session in this state cannot go on; ERR_NONE if it can. */
static enum error_code refuse_state(const char *state, struct error *e)
{
    if (strcmp(state, "receiving") == 0 || strcmp(state, "publishing") == 0)
        return ERR_NONE;
    if (strcmp(state, "stored") == 0)
        return error_set(e, ERR_COMPLETED, "The upload is stored already.");
    return error_set(e, ERR_GONE, "The upload is over: %s.", state);
}

/* Ask the holder to let go; *claim is the row's count after that. */
static enum error_code make_claim(struct upload *u, int64_t *claim,
                                  struct error *e)
{
    struct conn *c = db_write(u->store->db, e);
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_UPLOAD_CLAIM);
    stmt_text(q, ":id", u->id);
    while (stmt_step(q))
        *claim = stmt_get_int(q, 0);
    return db_end(c, true, e);
}

/* One try to get the home of u. *again if it is held, or if the row has to be
 * looked at again. */
static enum error_code try_lock(struct upload *u, bool *again, struct error *e)
{
    const char *state = "";
    enum error_code code;

    *again = true;
    u->home_dir = disk_open_dir(u->store->incoming, u->home, e);
    if (u->home_dir < 0)
        return e->sys == ENOENT ? ERR_NONE : e->code;
    if (!disk_try_lock(u->home_dir)) {
        session_close(u);
        return ERR_NONE;
    }
    code = session_read(u, &state, e);
    if (code == ERR_NONE)
        code = refuse_state(state, e);
    *again = code == ERR_NONE && strcmp(state, "publishing") == 0;
    if (code != ERR_NONE || *again)
        session_close(u);
    return *again ? recover_home(u->store, u->home, e) : code;
}

static void wait_step(void)
{
    const struct timespec step = {0, STEP_MS * 1000000L};

    nanosleep(&step, NULL);
}

/* A waiting request's claims. */
struct wait {
    int64_t until;      /* monotonic ms at which it gives up */
    int64_t claimed_at; /* monotonic ms of its last claim, 0 before */
    int64_t claim;      /* the row's count after it */
};

/* The session is held: claim it, or see that somebody else did. */
static enum error_code wait_turn(struct upload *u, struct wait *w,
                                 int64_t claim, struct error *e)
{
    int64_t now = clock_monotonic_ms();
    enum error_code code = ERR_NONE;

    if ((w->claimed_at && claim != w->claim) || now >= w->until)
        return error_set(e, ERR_BUSY, "Another request sends this upload.");
    if (!w->claimed_at || now - w->claimed_at >= RECLAIM_MS) {
        w->claimed_at = now;
        code = make_claim(u, &w->claim, e);
    }
    wait_step();
    return code;
}

/* What the row says now of a session that is waited for. */
struct now {
    char state[STATE_MAX]; /* "expired" also if only the time says so */
    int64_t claim;         /* */
};

static enum error_code read_now(struct store *s, const char *id,
                                struct now *now, struct error *e)
{
    struct conn *c = db_read(s->db, e);
    enum error_code code;
    struct stmt *q;
    bool found;

    memset(now, 0, sizeof *now);
    if (!c)
        return e->code;
    q = db_statement(c, SQL_UPLOAD_STATE);
    stmt_text(q, ":id", id);
    found = stmt_step(q);
    if (found) {
        bool expired = strcmp(stmt_get_text(q, 0), "receiving") == 0 &&
                       stmt_get_int(q, 2) &&
                       session_has_expired(s, stmt_get_int(q, 3));

        strncpy(now->state, expired ? "expired" : stmt_get_text(q, 0),
                sizeof now->state - 1);
        now->claim = stmt_get_int(q, 1);
    }
    code = db_end(c, true, e);
    if (code == ERR_NONE && !found)
        code = error_set(e, ERR_NOT_FOUND, "There is no upload with this id.");
    return code;
}

/* Get the home of the session u, which was read before; with evict its holder
 * is made to let go. While waiting only the row's state is read. */
static enum error_code take_home(struct upload *u, bool evict, struct error *e)
{
    struct wait w = {.until = clock_monotonic_ms() + (evict ? TAKEOVER_MS : 0)};
    enum error_code code = ERR_NONE;
    struct now now;
    bool again = true;

    while (again && code == ERR_NONE) {
        code = try_lock(u, &again, e);
        if (code != ERR_NONE || !again)
            break;
        code = read_now(u->store, u->id, &now, e);
        if (code == ERR_NONE)
            code = refuse_state(now.state, e);
        if (code == ERR_NONE)
            code = wait_turn(u, &w, now.claim, e);
    }
    return code;
}

/* Open the file at the last acknowledged byte. One that was given a name may
 * still lie there without. */
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

static enum error_code reopen_file(struct upload *u, struct error *e)
{
    int dir = disk_open_dir(u->home_dir, u->current->id, e);
    off_t size;

    if (dir < 0)
        return e->code;
    u->fd = open_named(u, dir);
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

enum error_code session_take_up(struct store *s, struct arena *a,
                                const char *id, bool evict, struct upload **out,
                                struct error *e)
{
    struct upload *u = session_named(s, a, id, e);
    const char *state = "";
    enum error_code code = u ? session_read(u, &state, e) : e->code;

    *out = NULL;
    if (code == ERR_NONE)
        code = refuse_state(state, e);
    if (code == ERR_NONE)
        code = take_home(u, evict, e);
    if (code == ERR_NONE)
        code = reopen_file(u, e);
    if (code != ERR_NONE) {
        if (u)
            session_close(u);
        return code;
    }
    u->writeback_from = u->space_checked_at = u->received;
    *out = u;
    return ERR_NONE;
}

/* Is it a session whose bytes come from others? */
static enum error_code refuse_final(const struct upload *u, struct error *e)
{
    return u->parts ? error_set(e, ERR_FORBIDDEN,
                                "A final upload gets its bytes from its parts.")
                    : ERR_NONE;
}

enum error_code upload_resume(struct store *s, struct arena *a, const char *id,
                              struct upload **out, struct error *e)
{
    struct upload *u = session_named(s, a, id, e);
    const char *state = "";
    enum error_code code = u ? session_read(u, &state, e) : e->code;

    *out = NULL;
    if (code == ERR_NONE)
        code = refuse_final(u, e);
    return code == ERR_NONE ? session_take_up(s, a, id, true, out, e) : code;
}

enum error_code upload_settle(struct store *s, struct arena *a, const char *id,
                              struct error *e)
{
    struct upload *u = session_named(s, a, id, e);
    const char *state = "";
    enum error_code code = u ? session_read(u, &state, e) : e->code;

    if (code == ERR_NONE)
        code = refuse_state(state, e);
    if (code == ERR_NONE && !u->parts)
        code = take_home(u, true, e);
    else if (code == ERR_NONE && strcmp(state, "publishing") == 0)
        code = recover_home(s, u->home, e);
    if (u)
        session_close(u);
    return code == ERR_NOT_FOUND || code == ERR_GONE || code == ERR_COMPLETED
               ? ERR_NONE
               : code;
}

enum error_code upload_suspend(struct upload *u, struct error *e)
{
    enum error_code code = session_acknowledge(u, e);

    if (code == ERR_CANCELLED)
        upload_discard(u, e);
    session_close(u);
    return code;
}

void upload_hold(struct upload *u)
{
    u->held = true;
}

void upload_abandon(struct upload *u)
{
    session_close(u);
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
 * request can come in between. */
enum error_code upload_terminate(struct store *s, const char *id,
                                 struct error *e)
{
    enum error_code code;
    struct now now;

    if (!id_is_upload(id))
        return error_set(e, ERR_NOT_FOUND, "There is no upload with this id.");
    code = read_now(s, id, &now, e);
    if (code == ERR_NONE && (strcmp(now.state, "receiving") == 0 ||
                             strcmp(now.state, "publishing") == 0)) {
        code = upload_cancel(s, id, e);
        if (code != ERR_FINISHED)
            return code;
        code = read_now(s, id, &now, e);
    }
    if (code == ERR_NOT_FOUND)
        return delete_without_row(s, id, e);
    if (code == ERR_NONE && strcmp(now.state, "stored") != 0)
        code = error_set(e, ERR_GONE, "The upload is gone already.");
    return code == ERR_NONE ? delete_stored(s, id, e) : code;
}
