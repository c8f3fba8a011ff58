/*
 * The row of a session: made, kept up to date, and read back when a resumable
 * session is taken up again.
 */
#define _GNU_SOURCE
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

void session_trim(struct upload *u)
{
    if (u->fd >= 0 && u->current && u->allocated_to > u->current->size)
        disk_trim(u->fd);
    u->allocated_to = 0;
}

void session_close(struct upload *u)
{
    session_trim(u);
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
        stmt_text(q, ":fields", u->fields);
    }
    if (u->echo)
        stmt_text(q, ":echo", u->echo);
    if (u->concat)
        stmt_text(q, ":concat", u->concat);
    if (u->parts)
        stmt_text(q, ":parts", u->parts);
    if (u->has_expected)
        stmt_blob(q, ":sha256", u->expected, sizeof u->expected);
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

/* What has become of a session that this request held. */
static enum error_code refuse_lost(const char *state, struct error *e)
{
    if (strcmp(state, "stored") == 0)
        return error_set(e, ERR_COMPLETED, "The upload is stored already.");
    return error_set(e, ERR_CANCELLED, "The upload was cancelled.");
}

enum error_code session_check_row(struct upload *u, struct error *e)
{
    struct conn *c = db_read(u->store->db, e);
    enum error_code code = ERR_NONE, ended;
    const char *state;
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_UPLOAD_STATE);
    stmt_text(q, ":id", u->id);
    state = stmt_step(q) ? stmt_get_text(q, 0) : "";
    if (strcmp(state, "receiving") != 0)
        code = refuse_lost(state, e);
    else if (stmt_get_int(q, 1) != u->claim)
        code = error_set(e, ERR_BUSY,
                         "A newer request goes on with this upload.");
    ended = db_end(c, true, e);
    return ended == ERR_NONE ? code : ended;
}

enum error_code session_acknowledge(struct upload *u, struct error *e)
{
    unsigned char midstate[DIGEST_STATE_SIZE];
    enum error_code code = ERR_NONE;
    struct conn *c;
    struct stmt *q;
    bool alive;

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
    if (u->resumable) {
        stmt_text(q, ":name", u->current->name);
        stmt_text(q, ":type", u->current->type);
        stmt_text(q, ":fields", u->fields);
        if (u->announced != UPLOAD_SIZE_UNKNOWN)
            stmt_int(q, ":total", (int64_t)u->announced);
        if (u->has_expected)
            stmt_blob(q, ":sha256", u->expected, sizeof u->expected);
    }
    stmt_int(q, ":now", clock_wall_ms());
    alive = stmt_run(q) == 1;
    code = db_end(c, true, e);
    u->in_doubt = db_in_doubt(code);
    if (code != ERR_NONE)
        return code;
    if (!alive) {
        code = session_check_row(u, e);
        return code == ERR_NONE ? refuse_lost("", e) : code;
    }
    u->shown = u->received;
    return ERR_NONE;
}

/* Bytes that came while digests were switched off are read again only if a
 * digest is expected; else the file has none. */
static bool take_columns(struct upload *u, struct stmt *q)
{
    struct file *f = arena_alloc(u->arena, sizeof *f);
    const void *midstate, *expected;
    size_t len;

    if (!f)
        return false;
    strncpy(u->home, stmt_get_text(q, 0), sizeof u->home - 1);
    strncpy(f->id, stmt_get_text(q, 3), sizeof f->id - 1);
    f->name = arena_strdup(u->arena, stmt_get_text(q, 4));
    f->type = arena_strdup(u->arena, stmt_get_text(q, 5));
    f->metadata = "{}";
    f->count = 1;
    f->size = u->received = u->shown = (uint64_t)stmt_get_int(q, 7);
    u->announced = stmt_is_null(q, 6) ? UPLOAD_SIZE_UNKNOWN
                                      : (uint64_t)stmt_get_int(q, 6);
    u->claim = stmt_get_int(q, 10);
    u->fields = stmt_is_null(q, 11)
                    ? "{}"
                    : arena_strdup(u->arena, stmt_get_text(q, 11));
    u->partial = strcmp(stmt_get_text(q, 12), "partial") == 0;
    u->parts = stmt_is_null(q, 13)
                   ? NULL
                   : arena_strdup(u->arena, stmt_get_text(q, 13));
    expected = stmt_get_blob(q, 14, &len);
    u->has_expected = len == sizeof u->expected;
    if (u->has_expected)
        memcpy(u->expected, expected, len);
    midstate = stmt_get_blob(q, 8, &len);
    digest_init(&u->digest);
    u->digesting = wants_digest(u) && (len > 0 || u->received == 0);
    if (u->digesting && len > 0 && !digest_restore(&u->digest, midstate, len))
        return false;
    f->path = f->name ? arena_printf(u->arena, "%s/%s", f->id, f->name) : NULL;
    u->current = f;
    file_list_append(&u->files, f);
    return f->path && f->type && u->fields;
}

enum error_code session_touch(struct upload *u, struct error *e)
{
    struct conn *c = db_write(u->store->db, e);
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_UPLOAD_TOUCH);
    stmt_text(q, ":id", u->id);
    stmt_int(q, ":now", clock_wall_ms());
    stmt_run(q);
    return db_end(c, true, e);
}

bool session_has_expired(const struct store *s, int64_t updated_at)
{
    uint64_t keep = config_number(s->config, OPT_EXPIRE_AFTER);

    return updated_at + (int64_t)keep * 1000 < clock_wall_ms();
}

/* The state as the row says it, or "expired" if only the time says so. */
static const char *state_word(const struct upload *u, struct stmt *q)
{
    const char *word = stmt_get_text(q, 1);

    if (strcmp(word, "receiving") == 0 &&
        session_has_expired(u->store, stmt_get_int(q, 9)))
        return "expired";
    return arena_strdup(u->arena, word);
}

enum error_code session_read(struct upload *u, const char **state,
                             struct error *e)
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
    else if (!take_columns(u, q) || !(*state = state_word(u, q)))
        code = error_set(e, ERR_INTERNAL, "The upload's row is incomplete.");
    ended = db_end(c, true, e);
    return ended == ERR_NONE ? code : ended;
}
