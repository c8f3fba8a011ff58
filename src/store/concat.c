/*
 * Final sessions: one file from the bytes of whole partial sessions.
 *
 * A final session is an ordinary resumable one whose bytes come from files in
 * incoming/ instead of a request. Whoever holds it copies; a killed copier has
 * lost what came after its last checkpoint, and the next one goes on there. So
 * the request that begins it copies for CONCAT_MS only, and store_sweep does
 * the rest, in any process. Partial sessions lose their bytes once no final one
 * needs them; their rows stay for those who ask again.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/upload_internal.h"

enum {
    PIECE = 256 * 1024,              /* bytes copied at once */
    LET_GO_MS = 200,                 /* for who has sent a part, and ends */
    REPEATS_MAX = 2,                 /* total bytes for each distinct one */
    REPEATS_MIN_BYTES = 1024 * 1024, /* that nobody counts */
    PARTS_MAX = 4 * 1024 * 1024,     /* bytes of the list of ids */
    WORK_ARENA = 16 * 1024 * 1024    /* for one final session */
};

/* A partial session as its final one sees it. */
struct part {
    const char *path; /* of its bytes, below incoming/ */
    uint64_t size;
};

struct parts {
    struct part *list; /* in order */
    size_t count;
    uint64_t total; /* bytes of all */
};

static char *ids_as_json(struct arena *a, const char *const *ids, size_t count)
{
    char *text = NULL;
    struct buf b;

    buf_init(&b, PARTS_MAX);
    for (size_t i = 0; i < count; i++)
        buf_printf(&b, "%s\"%s\"", i == 0 ? "[" : ",", ids[i]);
    buf_puts(&b, "]");
    if (!buf_failed(&b))
        text = arena_strdup(a, buf_text(&b));
    buf_free(&b);
    return text;
}

static enum error_code no_such_part(struct error *e)
{
    return error_set(e, ERR_NOT_FOUND,
                     "A part does not exist: no upload has its id.");
}

/* Why the row of a part cannot be used; ERR_NONE if it can. */
static enum error_code judge_part(const struct store *s, const struct stmt *q,
                                  struct error *e)
{
    if (stmt_is_null(q, 0))
        return no_such_part(e);
    if (!stmt_get_int(q, 5))
        return error_set(e, ERR_BAD_REQUEST, "A part is not a partial upload.");
    if (strcmp(stmt_get_text(q, 4), "receiving") != 0 ||
        session_has_expired(s, stmt_get_int(q, 7)))
        return error_set(e, ERR_GONE,
                         "A part was cancelled, has expired, or was used up.");
    if (!stmt_get_int(q, 6))
        return error_set(e, ERR_UNFINISHED, "A part is not whole yet.");
    return ERR_NONE;
}

static enum error_code take_part(struct arena *a, const struct stmt *q,
                                 struct parts *out, struct error *e)
{
    struct part *p = &out->list[out->count++];

    p->path = arena_printf(a, "%s/%s/%s", stmt_get_text(q, 0),
                           stmt_get_text(q, 1), stmt_get_text(q, 2));
    p->size = (uint64_t)stmt_get_int(q, 3);
    out->total += p->size;
    return p->path ? ERR_NONE
                   : error_set(e, ERR_MEMORY, "No memory for the parts.");
}

/* The parts that the JSON array names; its commas bound their number. */
static enum error_code read_parts(struct store *s, struct arena *a,
                                  const char *json, struct parts *out,
                                  struct error *e)
{
    enum error_code code = ERR_NONE, ended;
    struct conn *c;
    struct stmt *q;
    size_t most = 1;

    memset(out, 0, sizeof *out);
    for (const char *p = json; *p; p++)
        most += *p == ',';
    out->list = arena_alloc(a, most * sizeof *out->list);
    if (!out->list)
        return error_set(e, ERR_MEMORY, "No memory for the parts.");
    c = db_read(s->db, e);
    if (!c)
        return e->code;
    q = db_statement(c, SQL_PARTS_GET);
    stmt_text(q, ":parts", json);
    while (code == ERR_NONE && out->count < most && stmt_step(q)) {
        code = judge_part(s, q, e);
        if (code == ERR_NONE)
            code = take_part(a, q, out, e);
    }
    ended = db_end(c, true, e);
    return ended == ERR_NONE ? code : ended;
}

/* The bytes of one part from offset on, until *until (monotonic ms). */
static enum error_code copy_part(struct upload *u, const struct part *p,
                                 uint64_t offset, char *buffer, int64_t until,
                                 struct error *e)
{
    enum error_code code = ERR_NONE;
    uint64_t size;
    int fd = disk_open_file(u->store->incoming, p->path, &size, e);

    if (fd < 0)
        return e->code == ERR_NOT_FOUND
                   ? error_set(e, ERR_GONE, "A part was removed meanwhile.")
                   : e->code;
    while (code == ERR_NONE && offset < p->size &&
           clock_monotonic_ms() < until && !atomic_load(&u->store->stopping)) {
        size_t want = p->size - offset < PIECE ? (size_t)(p->size - offset)
                                               : (size_t)PIECE;
        ssize_t n = pread(fd, buffer, want, (off_t)offset);

        if (n <= 0) {
            code = error_set(e, ERR_IO, "A part cannot be read.");
            break;
        }
        code = upload_append(u, buffer, (size_t)n, e);
        if (code == ERR_NONE)
            code = upload_check(u, e);
        offset += (uint64_t)n;
    }
    close(fd);
    return code;
}

static enum error_code copy_parts(struct upload *u, const struct parts *parts,
                                  int64_t until, struct error *e)
{
    char *buffer = malloc(PIECE);
    enum error_code code = ERR_NONE;
    uint64_t start = 0;

    if (!buffer)
        return error_set(e, ERR_MEMORY, "No memory for copying.");
    for (size_t i = 0; i < parts->count && code == ERR_NONE; i++) {
        const struct part *p = &parts->list[i];
        uint64_t end = start + p->size;

        if (u->received >= start && u->received < end)
            code = copy_part(u, p, u->received - start, buffer, until, e);
        start = end;
    }
    free(buffer);
    return code;
}

/* The final session with these parts is stored: remove their bytes. */
static enum error_code consume(struct store *s, const char *json,
                               struct error *e)
{
    struct conn *c = db_write(s->db, e);
    struct buf homes;
    struct stmt *q;
    enum error_code code;

    if (!c)
        return e->code;
    buf_init(&homes, PARTS_MAX);
    q = db_statement(c, SQL_PARTS_CONSUME);
    stmt_text(q, ":parts", json);
    stmt_int(q, ":now", clock_wall_ms());
    while (stmt_step(q))
        buf_append(&homes, stmt_get_text(q, 0), ID_LENGTH + 1);
    code = db_end(c, true, e);
    for (size_t at = 0;
         code == ERR_NONE && !buf_failed(&homes) && at < homes.len;
         at += ID_LENGTH + 1)
        (void)home_await(s, homes.data + at, LET_GO_MS);
    buf_free(&homes);
    return code;
}

/* A failure that no later try will mend. */
static bool is_hopeless(enum error_code code)
{
    return code == ERR_GONE || code == ERR_NOT_FOUND ||
           code == ERR_BAD_REQUEST || code == ERR_DIGEST ||
           code == ERR_FILE_TOO_LARGE || code == ERR_FILE_TOO_SMALL;
}

/* Copy until all is there or the time is over, and let go of u. */
static enum error_code put_together(struct upload *u, const struct parts *parts,
                                    int64_t until, struct error *e)
{
    struct file_list files = {0};
    enum error_code code = copy_parts(u, parts, until, e);

    if (code == ERR_NONE && u->received < parts->total) {
        atomic_store(&u->store->finals_wait, true);
        return upload_suspend(u, e);
    }
    if (code == ERR_NONE)
        code = upload_end_file(u, e);
    if (code == ERR_NONE) {
        code = upload_finish(u, u->fields, &files, e);
        return code == ERR_NONE ? consume(u->store, u->parts, e) : code;
    }
    if (is_hopeless(code) || code == ERR_CANCELLED)
        upload_discard(u, e);
    else
        upload_abandon(u);
    return code;
}

static enum error_code touch(struct store *s, const char *json, struct error *e)
{
    struct conn *c = db_write(s->db, e);
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_PARTS_TOUCH);
    stmt_text(q, ":parts", json);
    stmt_int(q, ":now", clock_wall_ms());
    stmt_run(q);
    return db_end(c, true, e);
}

static enum error_code work_on(struct store *s, struct arena *a, const char *id,
                               struct error *e)
{
    struct parts parts;
    struct upload *u;
    enum error_code code = session_take_up(s, a, id, false, &u, e);

    if (code != ERR_NONE)
        return code;
    if (u->received == u->announced)
        parts = (struct parts){.total = u->received};
    else if ((code = touch(s, u->parts, e)) == ERR_NONE)
        code = read_parts(s, a, u->parts, &parts, e);
    if (code == ERR_NONE)
        return put_together(u, &parts, INT64_MAX, e);
    if (is_hopeless(code))
        upload_discard(u, e);
    else
        upload_abandon(u);
    return code;
}

static enum error_code
next_unfinished(struct store *s, char id[UPLOAD_ID_MAX + 1], struct error *e)
{
    struct conn *c = db_read(s->db, e);
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_FINALS_UNFINISHED);
    stmt_text(q, ":after", id);
    id[0] = '\0';
    if (stmt_step(q))
        strncpy(id, stmt_get_text(q, 0), UPLOAD_ID_MAX);
    return db_end(c, true, e);
}

/* Parts whose final session was stored by a process that ended before it had
 * removed them. */
static enum error_code consume_rest(struct store *s, struct arena *a,
                                    struct error *e)
{
    const char *id = "", *parts;
    enum error_code code;

    do {
        struct conn *c = db_read(s->db, e);
        struct stmt *q;

        if (!c)
            return e->code;
        q = db_statement(c, SQL_FINALS_UNCONSUMED);
        stmt_text(q, ":after", id);
        id = parts = NULL;
        if (stmt_step(q)) {
            id = arena_strdup(a, stmt_get_text(q, 0));
            parts = arena_strdup(a, stmt_get_text(q, 1));
        }
        code = db_end(c, true, e);
        if (code == ERR_NONE && id && parts)
            code = consume(s, parts, e);
    } while (code == ERR_NONE && id && parts);
    return code;
}

enum error_code concat_work(struct store *s, struct error *e)
{
    struct arena *a = arena_new(WORK_ARENA);
    char id[UPLOAD_ID_MAX + 1] = "";
    enum error_code code;

    if (!a)
        return error_set(e, ERR_MEMORY, "No memory for final uploads.");
    do {
        code = next_unfinished(s, id, e);
        arena_reset(a);
        if (code == ERR_NONE && *id && work_on(s, a, id, e) != ERR_NONE &&
            e->code != ERR_BUSY && e->code != ERR_COMPLETED &&
            e->code != ERR_GONE)
            log_failure(LOG_WARNING, e);
    } while (code == ERR_NONE && *id && !atomic_load(&s->stopping));
    if (code == ERR_NONE)
        code = consume_rest(s, a, e);
    arena_free(a);
    return code;
}

/* *id is that of a session with the same parts, or NULL. */
static enum error_code find_final(struct store *s, struct arena *a,
                                  const char *json, const char **id,
                                  struct error *e)
{
    struct conn *c = db_read(s->db, e);
    struct stmt *q;

    *id = NULL;
    if (!c)
        return e->code;
    q = db_statement(c, SQL_FINAL_GET);
    stmt_text(q, ":parts", json);
    if (stmt_step(q))
        *id = arena_strdup(a, stmt_get_text(q, 0));
    return db_end(c, true, e);
}

/* A part may come twice, but a list must not make much of little. */
static enum error_code check_repeats(struct store *s, const char *json,
                                     uint64_t total, struct error *e)
{
    struct conn *c = db_read(s->db, e);
    uint64_t distinct = 0;
    enum error_code code;
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_PARTS_SIZE);
    stmt_text(q, ":parts", json);
    if (stmt_step(q))
        distinct = (uint64_t)stmt_get_int(q, 0);
    code = db_end(c, true, e);
    if (code == ERR_NONE && total > REPEATS_MIN_BYTES &&
        total > REPEATS_MAX * distinct)
        code = error_set(e, ERR_BAD_REQUEST,
                         "The same parts are listed too often.");
    return code;
}

static enum error_code begin_final(struct store *s,
                                   const struct upload_spec *spec,
                                   const struct resumable_spec *r,
                                   const char *concat, const char *json,
                                   const char **id, struct error *e)
{
    struct upload_spec whole = *spec;
    struct parts parts;
    struct upload *u;
    enum error_code code = read_parts(s, spec->arena, json, &parts, e);

    if (code == ERR_NONE)
        code = check_repeats(s, json, parts.total, e);
    if (code == ERR_NONE)
        code = touch(s, json, e);
    if (code != ERR_NONE)
        return code;
    whole.total = parts.total;
    u = session_begin(s, &whole, e);
    if (!u)
        return e->code;
    u->concat = concat;
    u->parts = json;
    code = session_create(u, r, e);
    if (code != ERR_NONE)
        return code;
    *id = u->id;
    return put_together(u, &parts, clock_monotonic_ms() + CONCAT_MS, e);
}

enum error_code upload_concat_wait(struct store *s, const char *id,
                                   unsigned seconds, struct error *e)
{
    const struct timespec step = {0, UPLOAD_CHECK_MS * 1000000L};
    int64_t until = clock_monotonic_ms() + (int64_t)seconds * 1000;
    enum error_code code = ERR_NONE;
    struct session_now now;

    do {
        code = concat_work(s, e);
        if (code == ERR_NONE)
            code = session_read_now(s, id, &now, e);
        if (code == ERR_NONE)
            code = session_refuse(now.state, e);
        if (code != ERR_NONE)
            return code == ERR_COMPLETED ? ERR_NONE : code;
        nanosleep(&step, NULL);
    } while (clock_monotonic_ms() < until && !atomic_load(&s->stopping));
    return error_set(e, ERR_BUSY, "The upload is being put together.");
}

enum error_code upload_concat(struct store *s, const struct upload_spec *spec,
                              const struct resumable_spec *r,
                              const char *concat, const char *const *ids,
                              size_t count, const char **id, struct error *e)
{
    enum error_code code = ERR_NONE;
    char *json;

    if (count == 0)
        return error_set(e, ERR_BAD_REQUEST, "A final upload needs parts.");
    for (size_t i = 0; i < count; i++)
        if (!id_is_upload(ids[i]))
            return no_such_part(e);
    json = ids_as_json(spec->arena, ids, count);
    if (!json)
        return error_set(e, ERR_MEMORY, "No memory for the parts.");
    code = find_final(s, spec->arena, json, id, e);
    if (code == ERR_NONE && !*id)
        code = begin_final(s, spec, r, concat, json, id, e);
    /* Another request may have used the parts for the same one meanwhile. */
    if ((code == ERR_ID_IN_USE || code == ERR_GONE) &&
        find_final(s, spec->arena, json, id, e) == ERR_NONE && *id)
        code = ERR_NONE;
    return code;
}
