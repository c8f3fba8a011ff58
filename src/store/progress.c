/*
 * Progress and cancel: the row, corrected by the lock. A row that says
 * 'receiving' while nobody holds the home has lost its process; the first who
 * notices says so in the row and cleans up.
 */
#include "store/progress.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "store/internal.h"

enum {
    CANCEL_WAIT_MS = 2000, /* how long the holder has for cleaning up */
    CANCEL_STEP_MS = 10,   /* between two looks */
    CANCEL_ARENA = 64 * 1024
};

static const char *const state_names[] = {
    [UPLOAD_RECEIVING] = "receiving", [UPLOAD_STORED] = "stored",
    [UPLOAD_CANCELLED] = "cancelled", [UPLOAD_FAILED] = "failed",
    [UPLOAD_EXPIRED] = "expired",
};

const char *upload_state_name(enum upload_state state)
{
    return state_names[state];
}

static enum upload_state state_of(const char *word)
{
    for (int i = UPLOAD_RECEIVING; i <= UPLOAD_EXPIRED; i++)
        if (strcmp(word, state_names[i]) == 0)
            return (enum upload_state)i;
    return UPLOAD_RECEIVING;
}

/* The row of a session. */
struct session_row {
    char home[ID_LENGTH + 1];
    char state[16]; /* as in the row */
    bool resumable;
    int64_t updated_at; /* ms since the epoch */
};

static enum error_code unknown(struct error *e)
{
    return error_set(e, ERR_NOT_FOUND, "There is no upload with this id.");
}

static bool row_text(char *out, size_t cap, const char *value)
{
    size_t len = strlen(value);

    if (len >= cap)
        return false;
    memcpy(out, value, len + 1);
    return true;
}

static const char *text_or_null(struct arena *a, struct stmt *q, int column)
{
    return stmt_is_null(q, column) ? NULL
                                   : arena_strdup(a, stmt_get_text(q, column));
}

static void read_resumable(struct store *s, struct arena *a, struct stmt *q,
                           struct progress *p, int64_t updated_at)
{
    uint64_t keep = config_number(s->config, OPT_EXPIRE_AFTER);

    p->echo = text_or_null(a, q, 7);
    p->concat = text_or_null(a, q, 8);
    p->partial = p->concat && strcmp(p->concat, "partial") == 0;
    p->final = p->concat && !p->partial;
    p->expires_at = updated_at + (int64_t)keep * 1000;
    if (p->state == UPLOAD_RECEIVING && p->expires_at < clock_wall_ms())
        p->state = UPLOAD_EXPIRED;
    if (p->state == UPLOAD_RECEIVING && p->final)
        atomic_store(&s->finals_wait, true);
}

static enum error_code read_row(struct store *s, struct arena *a,
                                const char *id, struct progress *p,
                                struct session_row *row, struct error *e)
{
    struct conn *c = db_read(s->db, e);
    struct stmt *q;
    bool found;
    enum error_code code;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_UPLOAD_GET);
    stmt_text(q, ":id", id);
    found = stmt_step(q);
    if (found) {
        found = row_text(row->home, sizeof row->home, stmt_get_text(q, 0)) &&
                row_text(row->state, sizeof row->state, stmt_get_text(q, 1));
        row->resumable = stmt_get_int(q, 2) != 0;
        row->updated_at = stmt_get_int(q, 6);
        p->has_total = !stmt_is_null(q, 3);
        p->total = (uint64_t)stmt_get_int(q, 3);
        p->loaded = (uint64_t)stmt_get_int(q, 4);
        p->error = arena_strdup(a, stmt_get_text(q, 5));
        p->state = state_of(row->state);
        p->resumable = row->resumable;
        if (p->resumable)
            read_resumable(s, a, q, p, row->updated_at);
    }
    code = db_end(c, true, e);
    return code == ERR_NONE && !found ? unknown(e) : code;
}

/* A session without a row is known by its files, once they are stored. */
static enum error_code get_by_files(struct store *s, struct arena *a,
                                    const char *id, struct progress *out,
                                    struct error *e)
{
    enum error_code code = files_of_upload(s, a, id, &out->files, e);

    if (code != ERR_NONE)
        return code;
    if (!out->files.first)
        return unknown(e);
    out->state = UPLOAD_STORED;
    out->error = "";
    out->has_total = true;
    for (const struct file *f = out->files.first; f; f = f->next)
        out->total += f->size;
    out->loaded = out->total;
    return ERR_NONE;
}

/* A silent session whose holder is gone has failed, even where that cannot be
 * written down now. */
static enum error_code correct_row(struct store *s, struct arena *a,
                                   const char *id, struct progress *out,
                                   struct session_row *row, struct error *e)
{
    struct error ignored;

    if (out->state != UPLOAD_RECEIVING || row->resumable ||
        clock_wall_ms() - row->updated_at <= SILENT_MS ||
        !home_reclaim(s, row->home))
        return ERR_NONE;
    if (publish_undo(s, row->home, error_slug(ERR_CLIENT_GONE), &ignored) ==
        ERR_NONE)
        return read_row(s, a, id, out, row, e);
    out->state = UPLOAD_FAILED;
    out->error = error_slug(ERR_CLIENT_GONE);
    return ERR_NONE;
}

enum error_code progress_get(struct store *s, struct arena *a, const char *id,
                             struct progress *out, struct error *e)
{
    struct session_row row = {0};
    enum error_code code;

    memset(out, 0, sizeof *out);
    if (!id_is_upload(id))
        return unknown(e);
    out->id = id;
    code = read_row(s, a, id, out, &row, e);
    if (code == ERR_NOT_FOUND)
        return get_by_files(s, a, id, out, e);
    if (code == ERR_NONE)
        code = correct_row(s, a, id, out, &row, e);
    if (code == ERR_NONE && out->state == UPLOAD_STORED) {
        out->loaded = out->total;
        code = files_of_upload(s, a, row.home, &out->files, e);
    }
    return code;
}

static enum error_code mark_cancelled(struct store *s, const char *id,
                                      bool *done, struct error *e)
{
    struct conn *c = db_write(s->db, e);
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_UPLOAD_CANCEL);
    stmt_text(q, ":id", id);
    stmt_int(q, ":now", clock_wall_ms());
    *done = stmt_run(q) == 1;
    return db_end(c, true, e);
}

/* The holder sees the row within UPLOAD_CHECK_MS and removes its home. */
static enum error_code await_holder(struct store *s, const char *home,
                                    struct error *e)
{
    if (home_await(s, home, CANCEL_WAIT_MS))
        return ERR_NONE;
    return error_set(e, ERR_BUSY,
                     "The upload is cancelled, but its sender has not stopped "
                     "yet.");
}

/* One try. *again if the session changed between looking and acting, or is
 * just being published. */
static enum error_code try_cancel(struct store *s, struct arena *a,
                                  const char *id, bool *again, struct error *e)
{
    struct progress p = {0};
    struct session_row row = {0};
    bool done = false;
    enum error_code code = mark_cancelled(s, id, &done, e);

    *again = false;
    if (code == ERR_NONE)
        code = read_row(s, a, id, &p, &row, e);
    if (code != ERR_NONE)
        return code;
    if (done || p.state == UPLOAD_CANCELLED)
        return await_holder(s, row.home, e);
    if (p.state != UPLOAD_RECEIVING)
        return error_set(e, ERR_FINISHED, "The upload is over already: %s.",
                         row.state);
    *again = true;
    code = recover_home(s, row.home, e);
    return code == ERR_NONE
               ? error_set(e, ERR_FINISHED, "The upload is being stored.")
               : code;
}

enum error_code upload_cancel(struct store *s, const char *id, struct error *e)
{
    const struct timespec step = {0, CANCEL_STEP_MS * 1000000L};
    struct arena *a = arena_new(CANCEL_ARENA);
    bool again = true;
    enum error_code code = ERR_NONE;

    if (!a)
        return error_set(e, ERR_MEMORY, "No memory to cancel an upload.");
    if (!id_is_upload(id)) {
        again = false;
        code = unknown(e);
    }
    for (int ms = 0; again && ms < CANCEL_WAIT_MS; ms += CANCEL_STEP_MS) {
        arena_reset(a);
        code = try_cancel(s, a, id, &again, e);
        if (again)
            nanosleep(&step, NULL);
    }
    arena_free(a);
    return code;
}
