/*
 * Getting hold of a resumable session that another request may hold.
 *
 * The rule of taking over: who wants a session that is held counts up claim
 * in its row and waits for the lock; the holder looks at the row at least
 * every UPLOAD_CHECK_MS and lets go. Whoever has the lock owns the session,
 * reads the row again behind it, and takes the claim it finds for its own, so
 * only a later one disturbs it. Who waits and finds that claim was counted up
 * by somebody else gives up.
 */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "store/upload_internal.h"

enum {
    STEP_MS = 5,     /* between two tries to get the lock */
    RECLAIM_MS = 300 /* a third one may have got it before us: ask again */
};

enum error_code session_refuse(const char *state, struct error *e)
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

enum lock_result {
    LOCK_OURS,    /* home_dir is open and locked */
    LOCK_HELD,    /* by another one, or to be tried again at once */
    LOCK_HOMELESS /* there is no home */
};

/* One try to get the home of u, with its row read again behind the lock. What
 * a dead holder was publishing is taken back. */
static enum error_code try_lock(struct upload *u, enum lock_result *result,
                                struct error *e)
{
    const char *state = "";
    enum error_code code;

    *result = LOCK_HELD;
    u->home_dir = disk_open_dir(u->store->incoming, u->home, e);
    if (u->home_dir < 0) {
        *result = LOCK_HOMELESS;
        return e->sys == ENOENT ? ERR_NONE : e->code;
    }
    if (!disk_try_lock(u->home_dir)) {
        session_close(u);
        return ERR_NONE;
    }
    code = session_read(u, &state, e);
    if (code == ERR_NONE)
        code = session_refuse(state, e);
    if (code == ERR_NONE && strcmp(state, "publishing") != 0) {
        *result = LOCK_OURS;
        return ERR_NONE;
    }
    session_close(u);
    return code == ERR_NONE ? recover_home(u->store, u->home, e) : code;
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

enum error_code session_read_now(struct store *s, const char *id,
                                 struct session_now *now, struct error *e)
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
        now->resumable = stmt_get_int(q, 2) != 0;
    }
    code = db_end(c, true, e);
    if (code == ERR_NONE && !found)
        code = error_set(e, ERR_NOT_FOUND, "There is no upload with this id.");
    return code;
}

/* The home is removed after the row was moved on, so a session that is still
 * receiving without one has lost it. */
static enum error_code refuse_homeless(bool homeless, const char *state,
                                       struct error *e)
{
    return homeless && strcmp(state, "receiving") == 0
               ? error_set(e, ERR_GONE, "The upload's bytes are gone.")
               : ERR_NONE;
}

enum error_code session_take_home(struct upload *u, bool evict, struct error *e)
{
    struct wait w = {.until = clock_monotonic_ms() + (evict ? TAKEOVER_MS : 0)};
    enum lock_result result = LOCK_HELD;
    enum error_code code = ERR_NONE;
    struct session_now now;

    for (;;) {
        code = try_lock(u, &result, e);
        if (code != ERR_NONE || result == LOCK_OURS)
            return code;
        code = session_read_now(u->store, u->id, &now, e);
        if (code == ERR_NONE)
            code = session_refuse(now.state, e);
        if (code == ERR_NONE)
            code = refuse_homeless(result == LOCK_HOMELESS, now.state, e);
        if (code == ERR_NONE)
            code = wait_turn(u, &w, now.claim, e);
        if (code != ERR_NONE)
            return code;
    }
}
