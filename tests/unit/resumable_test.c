/*
 * Resumable sessions: that what is promised in store/resumable.h holds, when
 * threads and processes want the same session, when they are killed, and when
 * time goes by.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>

#include "store_children.h"
#include "store_fixture.h"

enum { MIB = 1024 * 1024, TICK_US = 20 * 1000 };

static void expect_no_resume(struct fixture *f, const char *id,
                             enum error_code code)
{
    struct upload *u;
    struct error e;

    assert_int_equal(upload_resume(f->store, f->arena, id, &u, &e), code);
    assert_null(u);
}

static struct progress progress_of(struct fixture *f, const char *id)
{
    struct progress p;
    struct error e;

    assert_int_equal(progress_get(f->store, f->arena, id, &p, &e), ERR_NONE);
    return p;
}

static void expect_failed(struct fixture *f, const char *id, const char *slug)
{
    struct progress p = progress_of(f, id);

    assert_int_equal(p.state, UPLOAD_FAILED);
    assert_string_equal(p.error, slug);
}

/* As if the last news of the session were so many seconds older. */
static void age(const struct fixture *f, const char *id, int seconds)
{
    char sql[160];

    (void)snprintf(sql, sizeof sql,
                   "UPDATE upload SET updated_at = updated_at - %d000 "
                   "WHERE id = '%s' RETURNING 1",
                   seconds, id);
    sql_expect(f, sql, 1);
}

static void sweep(struct fixture *f)
{
    struct error e;

    assert_int_equal(store_sweep(f->store, true, &e), ERR_NONE);
}

/* Hold the session as a request does, until somebody wants it, but do not look
 * before so many ms have passed. Gives what the look said. */
static enum error_code hold(struct upload *u, int64_t deaf_ms)
{
    int64_t start = clock_monotonic_ms();
    enum error_code code = ERR_NONE;
    struct error e;

    while (code == ERR_NONE && clock_monotonic_ms() - start < 10000) {
        usleep(TICK_US);
        if (clock_monotonic_ms() - start >= deaf_ms)
            code = upload_check(u, &e);
    }
    if (code == ERR_BUSY)
        (void)upload_suspend(u, &e);
    else
        upload_discard(u, &e);
    return code;
}

/* A thread that does something with a session. */
struct worker {
    pthread_t thread;     /* */
    struct store *store;  /* */
    struct arena *arena;  /* its own */
    const char *id;       /* of the session */
    int64_t deaf_ms;      /* of a holder */
    atomic_bool holding;  /* it has the session */
    enum error_code code; /* what came out */
    uint64_t offset;      /* where a taker found the session */
    int64_t ms;           /* how long that took */
};

static void *taker(void *p)
{
    struct worker *w = p;
    int64_t start = clock_monotonic_ms();
    struct upload *u;
    struct error e;

    w->code = upload_resume(w->store, w->arena, w->id, &u, &e);
    w->ms = clock_monotonic_ms() - start;
    if (w->code == ERR_NONE) {
        w->offset = upload_offset(u);
        (void)upload_suspend(u, &e);
    }
    return NULL;
}

static void *holder(void *p)
{
    struct worker *w = p;
    struct upload *u;
    struct error e;

    w->code = upload_resume(w->store, w->arena, w->id, &u, &e);
    if (w->code == ERR_NONE)
        w->code = upload_append(u, "!", 1, &e);
    atomic_store(&w->holding, true);
    if (w->code == ERR_NONE)
        w->code = hold(u, w->deaf_ms);
    return NULL;
}

static void start(struct fixture *f, struct worker *w, const char *id,
                  void *(*fn)(void *))
{
    w->store = f->store;
    w->arena = arena_new(MIB);
    w->id = id;
    assert_int_equal(pthread_create(&w->thread, NULL, fn, w), 0);
    while (fn == holder && !atomic_load(&w->holding))
        usleep(1000);
}

static enum error_code end(struct worker *w)
{
    assert_int_equal(pthread_join(w->thread, NULL), 0);
    arena_free(w->arena);
    return w->code;
}

/* ---- Going on ---- */

static int add_lost_bytes(struct fixture *f, int line)
{
    (void)line;
    put(resume(f, "resume-1"), "never acknowledged, and longer than the rest");
    return raise(SIGKILL);
}

/* Two pauses, one of them the death of the process with bytes that were never
 * acknowledged: same content, same digest as in one go. */
static void resumes_where_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct upload *u;

    create_paused(f, "resume-1", 11, "hello");
    expect_killed(start_child(f, add_lost_bytes));
    sweep(f);
    assert_int_equal(state_of(f, "resume-1"), UPLOAD_RECEIVING);
    u = resume(f, "resume-1");
    assert_int_equal(upload_offset(u), 5);
    assert_int_equal(upload_total(u), 11);
    assert_int_equal(upload_remaining(u), 6);
    put(u, " world");
    expect_file(f, complete(u), "hello world");
    expect_no_resume(f, "resume-1", ERR_COMPLETED);
    expect_no_resume(f, "never-was", ERR_NOT_FOUND);
    expect_no_resume(f, "../x", ERR_NOT_FOUND);
}

/* As a killed request leaves them. */
static void blocks_behind_the_end_are_freed(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    struct stat st;

    create_paused(f, "blocks-1", 100 * MIB, "hello");
    u = resume(f, "blocks-1");
    if (fallocate(u->fd, FALLOC_FL_KEEP_SIZE, 0, 8 * MIB) != 0)
        skip();
    upload_abandon(u);
    u = resume(f, "blocks-1");
    assert_int_equal(fstat(u->fd, &st), 0);
    assert_int_equal(st.st_size, 5);
    assert_true(st.st_blocks * 512 < MIB);
    upload_abandon(u);
}

/* What the process loses with its last bytes are those in the file too. */
static void abandoned_bytes_are_cut_off(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    char path[256];
    struct stat st;

    create_paused(f, "abandon-1", UPLOAD_SIZE_UNKNOWN, "hello");
    u = resume(f, "abandon-1");
    put(u, " nobody will know");
    (void)snprintf(path, sizeof path, "%s/data/incoming/%s/%s/%s", f->root,
                   u->home, u->current->id, u->current->name);
    upload_abandon(u);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 5);
    assert_int_equal(progress_of(f, "abandon-1").loaded, 5);
    u = resume(f, "abandon-1");
    assert_int_equal(upload_offset(u), 5);
    put(u, "!");
    expect_file(f, complete(u), "hello!");
}

static void held_bytes_wait(void **state)
{
    static char much[CHECKPOINT_BYTES];
    struct fixture *f = *state;
    struct upload *u = create(f, "held-001", UPLOAD_SIZE_UNKNOWN);
    struct error e;

    upload_hold(u);
    put(u, "hello");
    u->shown_at = u->checked_at = 0;
    assert_int_equal(upload_check(u, &e), ERR_NONE);
    assert_int_equal(progress_of(f, "held-001").loaded, 0);
    assert_int_equal(upload_append(u, much, sizeof much, &e), ERR_NONE);
    assert_int_equal(upload_check(u, &e), ERR_NONE);
    assert_int_equal(progress_of(f, "held-001").loaded, 0);
    upload_abandon(u);
    u = resume(f, "held-001");
    assert_int_equal(upload_offset(u), 0);
    upload_hold(u);
    put(u, "right");
    suspend(u);
    assert_int_equal(progress_of(f, "held-001").loaded, 5);
}

static void missing_bytes_are_damage(void **state)
{
    struct fixture *f = *state;
    struct upload *u = create(f, "damage-1", UPLOAD_SIZE_UNKNOWN);
    char path[256];

    put(u, "hello");
    (void)snprintf(path, sizeof path, "%s/data/incoming/%s/%s/a.txt", f->root,
                   u->home, u->current->id);
    suspend(u);
    assert_int_equal(truncate(path, 4), 0);
    expect_no_resume(f, "damage-1", ERR_IO);
    assert_int_equal(truncate(path, 5), 0);
    upload_abandon(resume(f, "damage-1"));
}

static int send_much(struct fixture *f, int line)
{
    static char piece[MIB];
    struct upload *u = create(f, "point-01", UPLOAD_SIZE_UNKNOWN);
    struct error e;

    (void)line;
    for (int i = 0; i < CHECKPOINT_BYTES / MIB + 3; i++) {
        u->shown_at = clock_monotonic_ms();
        assert_int_equal(upload_append(u, piece, sizeof piece, &e), ERR_NONE);
        assert_int_equal(upload_check(u, &e), ERR_NONE);
    }
    return raise(SIGKILL);
}

static void many_bytes_make_a_checkpoint(void **state)
{
    struct fixture *f = *state;

    expect_killed(start_child(f, send_much));
    assert_int_equal(upload_offset(resume(f, "point-01")), CHECKPOINT_BYTES);
}

static int send_slowly(struct fixture *f, int line)
{
    struct upload *u = create(f, "point-02", UPLOAD_SIZE_UNKNOWN);
    struct error e;

    (void)line;
    put(u, "hello");
    for (int us = 0; us < 1200 * 1000; us += TICK_US) {
        usleep(TICK_US);
        assert_int_equal(upload_check(u, &e), ERR_NONE);
    }
    u->shown_at = clock_monotonic_ms();
    put(u, " lost");
    assert_int_equal(upload_check(u, &e), ERR_NONE);
    return raise(SIGKILL);
}

static void time_makes_a_checkpoint(void **state)
{
    struct fixture *f = *state;

    expect_killed(start_child(f, send_slowly));
    assert_int_equal(upload_offset(resume(f, "point-02")), 5);
}

/* More of them than the length would make a whole file of what is refused. */
static void last_byte_waits_for_the_end_of_its_request(void **state)
{
    struct fixture *f = *state;
    struct upload *u = create(f, "point-03", 5);
    struct error e;

    put(u, "hell");
    u->shown_at = 0;
    assert_int_equal(upload_check(u, &e), ERR_NONE);
    put(u, "o");
    u->shown_at = 0;
    assert_int_equal(upload_check(u, &e), ERR_NONE);
    upload_abandon(u);
    assert_int_equal(upload_offset(resume(f, "point-03")), 4);
}

/* ---- Taking over ---- */

static void thread_takes_over(void **state)
{
    struct fixture *f = *state;
    struct upload *u = create(f, "take-001", UPLOAD_SIZE_UNKNOWN);
    struct worker w = {0};
    enum error_code held;

    put(u, "hello");
    start(f, &w, "take-001", taker);
    held = hold(u, 0);
    assert_int_equal(end(&w), ERR_NONE);
    assert_int_equal(held, ERR_BUSY);
    assert_int_equal(w.offset, 5);
    assert_true(w.ms < 1000);
}

static int hold_in_child(struct fixture *f, int line)
{
    struct upload *u = create(f, "take-002", UPLOAD_SIZE_UNKNOWN);

    put(u, "hello");
    tell(line);
    return hold(u, 0) == ERR_BUSY ? 0 : 1;
}

static void process_takes_over(void **state)
{
    struct fixture *f = *state;
    struct child c = start_child(f, hold_in_child);
    int64_t from;
    struct upload *u;

    hear(c.line);
    from = clock_monotonic_ms();
    u = resume(f, "take-002");
    assert_true(clock_monotonic_ms() - from < 1000);
    assert_int_equal(upload_offset(u), 5);
    assert_int_equal(end_child(c), 0);
}

/* The new holder is not disturbed by the claim that made it one. */
static void claim_is_used_up(void **state)
{
    struct fixture *f = *state;
    struct worker h = {0};
    enum error_code code, held;
    struct upload *u;
    struct error e;

    create_paused(f, "take-003", UPLOAD_SIZE_UNKNOWN, "hello");
    start(f, &h, "take-003", holder);
    code = upload_resume(f->store, f->arena, "take-003", &u, &e);
    held = end(&h);
    assert_int_equal(code, ERR_NONE);
    assert_int_equal(held, ERR_BUSY);
    assert_int_equal(upload_offset(u), 6);
    u->checked_at = 0;
    assert_int_equal(upload_check(u, &e), ERR_NONE);
    suspend(u);
}

static void deaf_holder_keeps_it(void **state)
{
    struct fixture *f = *state;
    struct upload *u = create(f, "take-004", UPLOAD_SIZE_UNKNOWN);
    int64_t from = clock_monotonic_ms(), ms;
    struct error e;

    put(u, "hello");
    expect_no_resume(f, "take-004", ERR_BUSY);
    ms = clock_monotonic_ms() - from;
    assert_true(ms >= TAKEOVER_MS && ms < TAKEOVER_MS + 1000);
    assert_int_equal(upload_settle(f->store, f->arena, "take-004", &e),
                     ERR_BUSY);
    suspend(u);
    assert_int_equal(upload_offset(resume(f, "take-004")), 5);
}

/* Until the session was claimed so often. */
static void await_claim(struct fixture *f, const char *id, int64_t count)
{
    struct error e;
    int64_t claim = 0;

    for (int ms = 0; claim < count && ms < TAKEOVER_MS; ms++) {
        struct conn *c = db_read(f->store->db, &e);
        struct stmt *q = db_statement(c, SQL_UPLOAD_STATE);

        stmt_text(q, ":id", id);
        if (stmt_step(q))
            claim = stmt_get_int(q, 1);
        (void)db_end(c, true, &e);
        usleep(1000);
    }
}

/* The early ones are told at once, not when the session is free. */
static void last_waiter_wins(void **state)
{
    struct fixture *f = *state;
    struct upload *u = create(f, "take-005", UPLOAD_SIZE_UNKNOWN);
    enum error_code codes[3], held;
    struct worker w[3];

    memset(w, 0, sizeof w);
    put(u, "hello");
    for (int i = 0; i < 3; i++) {
        start(f, &w[i], "take-005", taker);
        await_claim(f, "take-005", i + 1);
    }
    codes[0] = end(&w[0]);
    codes[1] = end(&w[1]);
    held = hold(u, 0);
    codes[2] = end(&w[2]);
    assert_int_equal(codes[0], ERR_BUSY);
    assert_int_equal(codes[1], ERR_BUSY);
    assert_int_equal(held, ERR_BUSY);
    assert_int_equal(codes[2], ERR_NONE);
    assert_int_equal(w[2].offset, 5);
    assert_true(w[0].ms < 1500 && w[1].ms < 1500);
}

/* A third request found the lock free, without any claim, just before the
 * waiting one did: it has to let go too. */
static void waiter_outlasts_a_third(void **state)
{
    struct fixture *f = *state;
    struct upload *u = create(f, "take-006", UPLOAD_SIZE_UNKNOWN);
    struct worker w = {0};
    enum error_code held;

    start(f, &w, "take-006", taker);
    await_claim(f, "take-006", 1);
    u->claim = 1; /* as the third would have read it */
    held = hold(u, 0);
    assert_int_equal(end(&w), ERR_NONE);
    assert_int_equal(held, ERR_BUSY);
    assert_true(w.ms < 1000);
}

static void settling_makes_the_offset_true(void **state)
{
    struct fixture *f = *state;
    struct worker h = {0};
    enum error_code code;
    uint64_t before, after;
    struct error e;

    create_paused(f, "settle-1", 6, "hello");
    start(f, &h, "settle-1", holder);
    before = progress_of(f, "settle-1").loaded;
    code = upload_settle(f->store, f->arena, "settle-1", &e);
    after = progress_of(f, "settle-1").loaded;
    assert_int_equal(end(&h), ERR_BUSY);
    assert_int_equal(code, ERR_NONE);
    assert_int_equal(before, 5);
    assert_int_equal(after, 6);
    expect_file(f, complete(resume(f, "settle-1")), "hello!");
}

static void nothing_to_settle(void **state)
{
    static const char *const ids[] = {"settle-2", "settle-3", "settle-4",
                                      "unknown-1"};
    struct fixture *f = *state;
    struct error e;

    create_paused(f, "settle-2", 6, "hello");
    create_paused(f, "settle-3", 6, "hello");
    assert_int_equal(upload_cancel(f->store, "settle-3", &e), ERR_NONE);
    create_paused(f, "settle-4", 5, "hello");
    complete(resume(f, "settle-4"));
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        assert_int_equal(upload_settle(f->store, f->arena, ids[i], &e),
                         ERR_NONE);
}

/* ---- Killed while it publishes ---- */

static int die_publishing(struct fixture *f, int line)
{
    static const char *const ids[] = {"publish-1", "publish-2", "publish-3"};

    (void)line;
    for (int i = 0; i < 3; i++)
        half_publish(f, create_whole(f, ids[i], "hello"));
    return raise(SIGKILL);
}

/* Between the rename and the commit: acknowledged bytes go back at once to
 * where the client may finish them, whoever asks first. */
static void killed_publishing_goes_on(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    struct error e;

    expect_killed(start_child(f, die_publishing));
    assert_int_equal(entries(f, "uploads"), 3);
    u = resume(f, "publish-1");
    assert_int_equal(entries(f, "uploads"), 2);
    assert_int_equal(upload_offset(u), 5);
    expect_file(f, complete(u), "hello");
    assert_int_equal(upload_settle(f->store, f->arena, "publish-2", &e),
                     ERR_NONE);
    sql_expect(f,
               "SELECT state = 'receiving' FROM upload "
               "WHERE id = 'publish-2'",
               1);
    expect_file(f, complete(resume(f, "publish-2")), "hello");
    close_store(f);
    load_store(f);
    sql_expect(f,
               "SELECT state = 'receiving' FROM upload "
               "WHERE id = 'publish-3'",
               1);
    assert_int_equal(entries(f, "uploads"), 2);
    expect_file(f, complete(resume(f, "publish-3")), "hello");
    sql_expect(f, "SELECT count(*) FROM file WHERE state = 'stored'", 3);
}

/* ---- Time ---- */

static void silent_session_expires(void **state)
{
    struct fixture *f = *state;
    struct progress p;

    close_store(f);
    open_store(f, "[upload]\nexpire_after = 10s\n");
    create_paused(f, "expire-1", UPLOAD_SIZE_UNKNOWN, "hello");
    create_paused(f, "expire-2", UPLOAD_SIZE_UNKNOWN, "hello");
    age(f, "expire-1", 11);
    age(f, "expire-2", 8);
    assert_int_equal(state_of(f, "expire-1"), UPLOAD_EXPIRED);
    expect_no_resume(f, "expire-1", ERR_GONE);
    assert_int_equal(entries(f, "data/incoming"), 2);
    sweep(f);
    assert_int_equal(entries(f, "data/incoming"), 1);
    assert_int_equal(state_of(f, "expire-1"), UPLOAD_EXPIRED);
    expect_no_resume(f, "expire-1", ERR_GONE);
    p = progress_of(f, "expire-2");
    assert_true(p.expires_at - clock_wall_ms() <= 2000);
    assert_true(p.expires_at > clock_wall_ms());
    suspend(resume(f, "expire-2"));
    assert_true(progress_of(f, "expire-2").expires_at - clock_wall_ms() > 9000);
    age(f, "expire-1", 11);
    sweep(f);
    expect_no_resume(f, "expire-1", ERR_NOT_FOUND);
    sql_expect(f, "SELECT count(*) FROM upload", 1);
}

/* The end of a session is remembered for expire_after as well, however short
 * that of other uploads is. */
/* As long as there is a file, and expire_after beyond that. */
static void end_is_remembered(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    struct error e;

    close_store(f);
    open_store(f, "[upload]\nexpire_after = 1h\nprogress_keep = 1m\n");
    u = create(f, "remember-1", UPLOAD_SIZE_UNKNOWN);
    put(u, "hello");
    complete(u);
    age(f, "remember-1", 100 * 24 * 3600);
    sweep(f);
    expect_no_resume(f, "remember-1", ERR_COMPLETED);
    assert_int_equal(upload_terminate(f->store, "remember-1", &e), ERR_NONE);
    age(f, "remember-1", 3500);
    sweep(f);
    expect_no_resume(f, "remember-1", ERR_GONE);
    age(f, "remember-1", 200);
    sweep(f);
    expect_no_resume(f, "remember-1", ERR_NOT_FOUND);
}

/* Bytes that nobody acknowledges come in for long: the session lives. */
static void held_session_does_not_expire(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    struct error e;

    close_store(f);
    open_store(f, "[upload]\nexpire_after = 10s\n");
    u = create(f, "expire-3", UPLOAD_SIZE_UNKNOWN);
    upload_hold(u);
    put(u, "hello");
    age(f, "expire-3", 11);
    u->shown_at = u->checked_at = 0;
    assert_int_equal(upload_check(u, &e), ERR_NONE);
    sweep(f);
    u->shown_at = u->checked_at = 0;
    assert_int_equal(upload_check(u, &e), ERR_NONE);
    suspend(u);
}

/* ---- What the whole file must be ---- */

static void wrong_digest_is_refused(void **state)
{
    struct fixture *f = *state;
    unsigned char right[DIGEST_SIZE], wrong[DIGEST_SIZE] = {1};
    struct upload *u = create(f, "expect-1", UPLOAD_SIZE_UNKNOWN);
    struct error e;

    digest_of("hello", right);
    upload_expect(u, right);
    put(u, "hello");
    expect_file(f, complete(u), "hello");
    u = create(f, "expect-2", UPLOAD_SIZE_UNKNOWN);
    upload_expect(u, wrong);
    put(u, "hello");
    suspend(u);
    u = resume(f, "expect-2");
    assert_int_equal(upload_end_file(u, &e), ERR_DIGEST);
    upload_discard(u, &e);
    expect_failed(f, "expect-2", "digest-mismatch");
    expect_no_resume(f, "expect-2", ERR_GONE);
    assert_int_equal(entries(f, "data/incoming"), 0);
}

/* The announcement is kept with the session, not with its first bytes. */
static void digest_is_expected_from_the_beginning(void **state)
{
    struct fixture *f = *state;
    const unsigned char wrong[DIGEST_SIZE] = {1};
    struct upload_spec spec = {
        .id = "expect-8", .total = UPLOAD_SIZE_UNKNOWN, .arena = f->arena};
    struct resumable_spec r = {.name = "a.txt", .sha256 = wrong};
    struct upload *u;
    struct error e;

    assert_int_equal(upload_create(f->store, &spec, &r, &u, &e), ERR_NONE);
    upload_abandon(u);
    u = resume(f, "expect-8");
    put(u, "hello");
    assert_int_equal(upload_end_file(u, &e), ERR_DIGEST);
    upload_discard(u, &e);
}

static void fields_can_change(void **state)
{
    struct fixture *f = *state;
    struct upload *u = create(f, "fields-1", UPLOAD_SIZE_UNKNOWN);
    struct file_list files = {0};
    struct error e;

    assert_string_equal(upload_fields(u), "{}");
    put(u, "hello");
    upload_set_fields(u, "{\"k\":\"new\"}");
    suspend(u);
    u = resume(f, "fields-1");
    assert_string_equal(upload_fields(u), "{\"k\":\"new\"}");
    assert_int_equal(upload_end_file(u, &e), ERR_NONE);
    assert_int_equal(upload_finish(u, upload_fields(u), &files, &e), ERR_NONE);
    assert_string_equal(progress_of(f, "fields-1").files.first->metadata,
                        "{\"k\":\"new\"}");
}

/* Digests that nobody wants are not made; one that is wanted is. */
static void expected_digest_needs_no_option(void **state)
{
    struct fixture *f = *state;
    unsigned char right[DIGEST_SIZE];
    struct upload_spec spec = {
        .id = "expect-3", .total = UPLOAD_SIZE_UNKNOWN, .arena = f->arena};
    struct resumable_spec r = {.name = "a.txt", .sha256 = right};
    struct upload *u;
    struct error e;

    close_store(f);
    open_store(f, "[upload]\ndigest = none\n");
    digest_of("hello world", right);
    assert_int_equal(upload_create(f->store, &spec, &r, &u, &e), ERR_NONE);
    put(u, "hello");
    suspend(u);
    u = resume(f, "expect-3");
    put(u, " world");
    expect_file(f, complete(u), "hello world");
    u = create(f, "expect-4", UPLOAD_SIZE_UNKNOWN);
    put(u, "hello world");
    assert_false(complete(u)->has_sha256);
}

/* The digest is told with the last request, when bytes are there already that
 * no digest was made of. */
static void digest_can_be_expected_late(void **state)
{
    struct fixture *f = *state;
    unsigned char right[DIGEST_SIZE], wrong[DIGEST_SIZE] = {1};
    struct upload *u;
    struct error e;

    close_store(f);
    open_store(f, "[upload]\ndigest = none\n");
    digest_of("hello world", right);
    create_paused(f, "expect-5", UPLOAD_SIZE_UNKNOWN, "hello");
    u = resume(f, "expect-5");
    upload_expect(u, right);
    put(u, " world");
    expect_file(f, complete(u), "hello world");
    create_paused(f, "expect-6", UPLOAD_SIZE_UNKNOWN, "hello");
    u = resume(f, "expect-6");
    upload_expect(u, wrong);
    assert_int_equal(upload_end_file(u, &e), ERR_DIGEST);
    upload_discard(u, &e);
    create_paused(f, "expect-7", UPLOAD_SIZE_UNKNOWN, "");
    u = resume(f, "expect-7");
    upload_expect(u, right);
    put(u, "hello world");
    expect_file(f, complete(u), "hello world");
}

/* A digest over a part of the bytes would be a lie. */
static void no_digest_over_a_part(void **state)
{
    struct fixture *f = *state;
    struct upload *u;

    close_store(f);
    open_store(f, "[upload]\ndigest = none\n");
    create_paused(f, "resume-5", UPLOAD_SIZE_UNKNOWN, "hello");
    close_store(f);
    open_store(f, "");
    u = resume(f, "resume-5");
    put(u, "world");
    assert_false(complete(u)->has_sha256);
}

static void length_comes_later_once(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    struct error e;

    close_store(f);
    open_store(f, "[limits]\nmax_file_size = 100\nmin_file_size = 6\n");
    u = create(f, "length-1", UPLOAD_SIZE_UNKNOWN);
    put(u, "hello hello");
    assert_true(upload_remaining(u) == UINT64_MAX);
    assert_int_equal(upload_set_total(u, 10, &e), ERR_LENGTH);
    assert_int_equal(upload_set_total(u, 101, &e), ERR_FILE_TOO_LARGE);
    assert_true(upload_total(u) == UPLOAD_SIZE_UNKNOWN);
    assert_int_equal(upload_set_total(u, 12, &e), ERR_NONE);
    assert_int_equal(upload_remaining(u), 1);
    assert_int_equal(upload_set_total(u, 12, &e), ERR_NONE);
    assert_int_equal(upload_set_total(u, 13, &e), ERR_LENGTH);
    suspend(u);
    assert_true(progress_of(f, "length-1").has_total);
    u = resume(f, "length-1");
    assert_int_equal(upload_total(u), 12);
    assert_int_equal(upload_set_total(u, 13, &e), ERR_LENGTH);
    put(u, "!");
    expect_file(f, complete(u), "hello hello!");
    u = create(f, "length-2", UPLOAD_SIZE_UNKNOWN);
    put(u, "hello");
    assert_int_equal(upload_set_total(u, 5, &e), ERR_FILE_TOO_SMALL);
    suspend(u);
}

static struct upload *create_unnamed(struct fixture *f, const char *id)
{
    struct upload_spec spec = {
        .id = id, .total = UPLOAD_SIZE_UNKNOWN, .arena = f->arena};
    struct resumable_spec r = {.name = UPLOAD_UNNAMED};
    struct upload *u;
    struct error e;

    assert_int_equal(upload_create(f->store, &spec, &r, &u, &e), ERR_NONE);
    return u;
}

static void name_comes_later_once(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    struct file *file;
    struct error e;

    close_store(f);
    open_store(f, "[limits]\naccept = .txt, application/octet-stream\n");
    u = create_unnamed(f, "name-001");
    put(u, "hello");
    assert_int_equal(upload_set_name(u, "..", &e), ERR_BAD_NAME);
    assert_int_equal(upload_set_name(u, "b.png", &e), ERR_TYPE_NOT_ACCEPTED);
    assert_int_equal(upload_set_name(u, "b.txt", &e), ERR_NONE);
    assert_int_equal(upload_set_name(u, "c.txt", &e), ERR_NONE);
    put(u, " world");
    suspend(u);
    file = complete(resume(f, "name-001"));
    assert_string_equal(file->name, "b.txt");
    assert_string_equal(file->type, "text/plain");
    expect_file(f, file, "hello world");
}

/* Whatever name the process died at, the bytes are found. */
static void killed_naming_goes_on(void **state)
{
    struct fixture *f = *state;
    struct upload *u = create_unnamed(f, "name-002");
    struct file *file;

    put(u, "hello");
    suspend(u);
    sql_expect(f, "UPDATE upload SET name = 'b.txt' RETURNING 1", 1);
    u = resume(f, "name-002");
    assert_int_equal(upload_offset(u), 5);
    put(u, "!");
    file = complete(u);
    assert_string_equal(file->name, "b.txt");
    expect_file(f, file, "hello!");
}

static int die_naming(struct fixture *f, int line)
{
    struct upload *u = create_unnamed(f, "name-003");
    struct error e;

    (void)line;
    put(u, "hello");
    assert_int_equal(upload_set_name(u, "b.txt", &e), ERR_NONE);
    put(u, " lost");
    return raise(SIGKILL);
}

static void name_is_kept(void **state)
{
    struct fixture *f = *state;
    struct file *file;

    expect_killed(start_child(f, die_naming));
    file = complete(resume(f, "name-003"));
    assert_string_equal(file->name, "b.txt");
    expect_file(f, file, "hello");
}

/* ---- Final sessions ---- */

static struct upload *create_partial(struct fixture *f, const char *id,
                                     uint64_t total)
{
    struct upload_spec spec = {.id = id, .total = total, .arena = f->arena};
    struct resumable_spec r = {.name = UPLOAD_UNNAMED, .partial = true};
    struct upload *u;
    struct error e;

    assert_int_equal(upload_create(f->store, &spec, &r, &u, &e), ERR_NONE);
    assert_true(upload_is_partial(u));
    return u;
}

static void make_part(struct fixture *f, const char *id, const char *text)
{
    struct upload *u = create_partial(f, id, strlen(text));

    put(u, text);
    suspend(u);
}

enum { IDS_MAX = 8 };

/* Concatenate the sessions whose ids stand in a list with blanks. */
static enum error_code concat(struct fixture *f, const char *list,
                              const char **id)
{
    struct upload_spec spec = {.arena = f->arena};
    struct resumable_spec r = {.name = "whole.txt", .fields = "{\"k\":\"v\"}"};
    const char *ids[IDS_MAX];
    size_t count = 0;
    struct error e;

    for (const char *p = list; *p && count < IDS_MAX; count++) {
        size_t len = strcspn(p, " ");

        ids[count] = arena_strndup(f->arena, p, len);
        p += p[len] ? len + 1 : len;
    }
    return upload_concat(f->store, &spec, &r, "final;as it came", ids, count,
                         id, &e);
}

static const char *expect_concat(struct fixture *f, const char *list)
{
    const char *id;

    assert_int_equal(concat(f, list, &id), ERR_NONE);
    return id;
}

static void expect_no_concat(struct fixture *f, const char *list,
                             enum error_code code)
{
    const char *id;

    assert_int_equal(concat(f, list, &id), code);
}

/* Begin a final session, but leave all of the copying for later. */
static const char *concat_later(struct fixture *f, const char *list)
{
    const char *id;

    store_stop(f->store);
    id = expect_concat(f, list);
    atomic_store(&f->store->stopping, false);
    return id;
}

static void expect_stored(struct fixture *f, const char *id, const char *text)
{
    struct progress p = progress_of(f, id);

    assert_int_equal(p.state, UPLOAD_STORED);
    assert_int_equal(p.files.count, 1);
    expect_file(f, p.files.first, text);
}

static void parts_become_one_file(void **state)
{
    struct fixture *f = *state;
    struct progress p;
    const char *id;

    make_part(f, "part-000", "hello");
    make_part(f, "part-001", ", ");
    make_part(f, "part-002", "world");
    make_part(f, "part-003", "");
    id = expect_concat(f, "part-002 part-001 part-003 part-000 part-001 "
                          "part-000");
    expect_stored(f, id, "world, hello, hello");
    p = progress_of(f, id);
    assert_true(p.final && !p.partial);
    assert_string_equal(p.concat, "final;as it came");
    assert_string_equal(p.files.first->name, "whole.txt");
    assert_string_equal(p.files.first->metadata, "{\"k\":\"v\"}");
    assert_true(p.files.first->has_sha256);
    assert_int_equal(entries(f, "data/incoming"), 0);
    p = progress_of(f, "part-000");
    assert_true(p.partial && !p.final);
    assert_int_equal(p.loaded, 5);
    assert_int_equal(p.total, 5);
    expect_no_resume(f, "part-000", ERR_COMPLETED);
    expect_no_resume(f, id, ERR_FORBIDDEN);
    assert_string_equal(expect_concat(f, "part-002 part-001 part-003 part-000 "
                                         "part-001 part-000"),
                        id);
    expect_no_concat(f, "part-000", ERR_GONE);
    sql_expect(f, "SELECT count(*) FROM file", 1);
}

/* Their bytes are gone: who asks is to send them again. */
static void parts_go_with_their_file(void **state)
{
    struct fixture *f = *state;
    struct progress p;
    struct error e;
    const char *id;

    make_part(f, "part-020", "hello");
    make_part(f, "part-021", "world");
    id = expect_concat(f, "part-020 part-021");
    p = progress_of(f, id);
    assert_int_equal(file_delete(f->store, p.files.first->id, &e), ERR_NONE);
    assert_int_equal(state_of(f, "part-020"), UPLOAD_CANCELLED);
    assert_int_equal(state_of(f, "part-021"), UPLOAD_CANCELLED);
    make_part(f, "part-022", "hello");
    id = expect_concat(f, "part-022");
    assert_int_equal(state_of(f, "part-022"), UPLOAD_STORED);
    assert_int_equal(upload_terminate(f->store, id, &e), ERR_NONE);
    assert_int_equal(state_of(f, "part-022"), UPLOAD_CANCELLED);
}

static void expect_terminate(struct fixture *f, const char *id,
                             enum error_code code)
{
    struct error e;

    assert_int_equal(upload_terminate(f->store, id, &e), code);
}

/* Parts are forgotten before the file that they became; other ones that get
 * their ids are no business of that. */
static void ids_of_forgotten_parts_are_free(void **state)
{
    struct fixture *f = *state;
    const char *first;
    struct upload *u;

    make_part(f, "part-030", "hello");
    make_part(f, "part-031", " world");
    first = expect_concat(f, "part-030 part-031");
    sql_in_file(f, "UPDATE upload SET updated_at = updated_at - 172800000");
    sweep(f);
    make_part(f, "part-030", "HELLO");
    u = create_partial(f, "part-031", 6);
    put(u, " WO");
    suspend(u);
    sweep(f);
    assert_int_equal(state_of(f, "part-031"), UPLOAD_RECEIVING);
    u = resume(f, "part-031");
    put(u, "RLD");
    suspend(u);
    expect_stored(f, expect_concat(f, "part-030 part-031"), "HELLO WORLD");
    expect_stored(f, first, "hello world");
    expect_terminate(f, first, ERR_NONE);
    assert_int_equal(state_of(f, "part-030"), UPLOAD_STORED);
}

static void only_whole_parts_are_taken(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    struct error e;

    close_store(f);
    open_store(f, "[limits]\nmax_file_size = 10\n");
    make_part(f, "part-010", "hello!");
    make_part(f, "part-011", "hello");
    make_part(f, "part-012", "gone");
    assert_int_equal(upload_cancel(f->store, "part-012", &e), ERR_NONE);
    make_part(f, "part-013", "old");
    age(f, "part-013", 2 * 24 * 3600);
    create_paused(f, "plain-01", 5, "hello");
    u = create_partial(f, "part-014", UPLOAD_SIZE_UNKNOWN);
    put(u, "hello");
    suspend(u);
    u = create_partial(f, "part-015", 9);
    put(u, "hello");
    suspend(u);
    expect_no_concat(f, "part-010 nowhere1", ERR_NOT_FOUND);
    expect_no_concat(f, "part-010 part-012", ERR_GONE);
    expect_no_concat(f, "part-010 part-013", ERR_GONE);
    expect_no_concat(f, "part-010 plain-01", ERR_BAD_REQUEST);
    expect_no_concat(f, "part-010 part-014", ERR_UNFINISHED);
    expect_no_concat(f, "part-010 part-015", ERR_UNFINISHED);
    expect_no_concat(f, "part-010 part-011", ERR_FILE_TOO_LARGE);
    assert_int_equal(entries(f, "uploads"), 0);
    sql_expect(f, "SELECT count(*) FROM upload WHERE parts IS NOT NULL", 0);
    expect_stored(f, expect_concat(f, "part-010"), "hello!");
}

/* Ids are those of a client, whatever that is. */
/* One that cannot go on behind an answer is waited for. */
static void final_is_waited_for(void **state)
{
    struct fixture *f = *state;
    const char *id;
    struct error e;

    make_part(f, "wait-0001", "hello ");
    make_part(f, "wait-0002", "world");
    id = concat_later(f, "wait-0001 wait-0002");
    assert_int_equal(state_of(f, id), UPLOAD_RECEIVING);
    assert_int_equal(upload_concat_wait(f->store, id, 10, &e), ERR_NONE);
    expect_stored(f, id, "hello world");
    assert_int_equal(upload_concat_wait(f->store, "unknown-1", 1, &e),
                     ERR_NOT_FOUND);
}

/* Whoever holds a part while it is used up removes its bytes. */
static void held_part_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    struct error e;

    make_part(f, "held-0001", "hello");
    u = resume(f, "held-0001");
    expect_stored(f, expect_concat(f, "held-0001"), "hello");
    assert_int_equal(upload_suspend(u, &e), ERR_COMPLETED);
    assert_int_equal(entries(f, "data/incoming"), 0);
}

static void odd_ids_are_unknown(void **state)
{
    struct fixture *f = *state;

    make_part(f, "part-016", "hello");
    expect_no_concat(f, "part-016 \"", ERR_NOT_FOUND);
    expect_no_concat(f, "part-016\",\"part-016", ERR_NOT_FOUND);
}

/* The request has no time for it: the work goes on behind it, here and, when
 * somebody asks, in any other process. */
static void copying_goes_on_behind(void **state)
{
    struct fixture *f = *state;
    const char *here, *there;
    struct error e;

    make_part(f, "part-020", "hello");
    make_part(f, "part-021", " world");
    here = concat_later(f, "part-020 part-021");
    assert_true(atomic_load(&f->store->finals_wait));
    assert_int_equal(state_of(f, here), UPLOAD_RECEIVING);
    assert_string_equal(expect_concat(f, "part-020 part-021"), here);
    atomic_store(&f->store->next_sweep, INT64_MAX);
    assert_int_equal(store_sweep(f->store, false, &e), ERR_NONE);
    expect_stored(f, here, "hello world");
    make_part(f, "part-022", "hello");
    there = concat_later(f, "part-022");
    close_store(f);
    load_store(f);
    atomic_store(&f->store->next_sweep, INT64_MAX);
    assert_int_equal(store_sweep(f->store, false, &e), ERR_NONE);
    assert_int_equal(state_of(f, there), UPLOAD_RECEIVING);
    assert_int_equal(store_sweep(f->store, false, &e), ERR_NONE);
    expect_stored(f, there, "hello");
    make_part(f, "part-023", "hello");
    there = concat_later(f, "part-023");
    close_store(f);
    load_store(f);
    sweep(f);
    expect_stored(f, there, "hello");
}

/* A part of so many bytes, each block of which is different. */
static void make_large_part(struct fixture *f, const char *id, int mib)
{
    struct upload *u = create_partial(f, id, (uint64_t)mib * MIB);
    char *block = malloc(MIB);
    struct error e;

    assert_non_null(block);
    for (int i = 0; i < mib; i++) {
        memset(block, 'a' + i, MIB);
        assert_int_equal(upload_append(u, block, MIB, &e), ERR_NONE);
    }
    free(block);
    suspend(u);
}

/* Twice is fine; much out of little is not. */
static void parts_do_not_multiply(void **state)
{
    struct fixture *f = *state;

    make_large_part(f, "little-1", 1);
    make_part(f, "little-2", "");
    expect_no_concat(f, "little-1 little-1 little-1", ERR_BAD_REQUEST);
    expect_no_concat(f, "little-2 little-1 little-1 little-1", ERR_BAD_REQUEST);
    assert_non_null(expect_concat(f, "little-1 little-2 little-1"));
}

/* The blocks of the file are those letters, a MiB each. */
static void expect_letters(const struct fixture *f, const struct file *file,
                           const char *letters)
{
    char path[256];
    char *block = malloc(MIB);
    struct digest d;
    unsigned char sha256[DIGEST_SIZE];
    int fd;

    assert_non_null(block);
    (void)snprintf(path, sizeof path, "%s/uploads/%s", f->root, file->path);
    fd = open(path, O_RDONLY);
    digest_init(&d);
    for (const char *p = letters; *p; p++) {
        assert_int_equal(read(fd, block, MIB), MIB);
        assert_int_equal(block[0], *p);
        assert_memory_equal(block, block + 1, MIB - 1);
        digest_update(&d, block, MIB);
    }
    digest_final(&d, sha256);
    assert_int_equal(read(fd, block, 1), 0);
    assert_memory_equal(sha256, file->sha256, DIGEST_SIZE);
    close(fd);
    free(block);
}

static void die(int sig)
{
    (void)sig;
    (void)raise(SIGKILL);
}

/* The kernel kills it at byte 20 Mi of the final file. */
static int die_copying(struct fixture *f, int line)
{
    const struct rlimit size = {20 * MIB, 20 * MIB};

    (void)line;
    (void)signal(SIGXFSZ, die);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &size), 0);
    (void)expect_concat(f, "large-01 large-02");
    return 1;
}

static void killed_copier_goes_on(void **state)
{
    struct fixture *f = *state;
    struct progress p;
    const char *id;

    make_large_part(f, "large-01", 10);
    make_large_part(f, "large-02", 14);
    expect_killed(start_child(f, die_copying));
    id = expect_concat(f, "large-01 large-02");
    p = progress_of(f, id);
    assert_int_equal(p.state, UPLOAD_RECEIVING);
    assert_in_range(p.loaded, 1, 20 * MIB);
    sweep(f);
    p = progress_of(f, id);
    assert_int_equal(p.state, UPLOAD_STORED);
    expect_letters(f, p.files.first, "abcdefghijabcdefghijklmn");
    assert_int_equal(entries(f, "data/incoming"), 0);
}

/* Stand still for longer than a request may copy, again and again. */
static void pause_long(int sig)
{
    const struct timespec long_time = {0, (CONCAT_MS + 100) * 1000000L};
    const struct itimerval soon = {{0, 0}, {0, 5000}};

    (void)sig;
    nanosleep(&long_time, NULL);
    (void)setitimer(ITIMER_REAL, &soon, NULL);
}

static void request_copies_for_a_while(void **state)
{
    const struct itimerval soon = {{0, 0}, {0, 5000}}, never = {{0, 0}, {0, 0}};
    struct fixture *f = *state;
    const char *id;

    make_large_part(f, "large-03", 48);
    (void)signal(SIGALRM, pause_long);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    id = expect_concat(f, "large-03");
    assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
    (void)signal(SIGALRM, SIG_DFL);
    assert_int_equal(state_of(f, id), UPLOAD_RECEIVING);
    sweep(f);
    assert_int_equal(state_of(f, id), UPLOAD_STORED);
}

static void cancelled_part_fails_the_final(void **state)
{
    struct fixture *f = *state;
    struct error e;
    const char *id;

    make_part(f, "part-030", "hello");
    make_part(f, "part-031", " world");
    id = concat_later(f, "part-030 part-031");
    assert_int_equal(upload_terminate(f->store, "part-031", &e), ERR_NONE);
    sweep(f);
    expect_failed(f, id, "gone");
    assert_int_equal(entries(f, "data/incoming"), 1);
    assert_int_equal(entries(f, "uploads"), 0);
    make_part(f, "part-032", " again");
    expect_stored(f, expect_concat(f, "part-030 part-032"), "hello again");
}

/* Has sent all, and is slow to let go. */
static void *slow_sender(void *p)
{
    struct worker *w = p;
    struct upload *u;
    struct error e;

    w->code = upload_resume(w->store, w->arena, w->id, &u, &e);
    if (w->code == ERR_NONE)
        w->code = session_acknowledge(u, &e);
    atomic_store(&w->holding, true);
    usleep(2 * TICK_US);
    session_close(u);
    return NULL;
}

static void part_goes_when_its_sender_lets_go(void **state)
{
    struct fixture *f = *state;
    struct worker w = {0};

    make_part(f, "part-050", "hello");
    start(f, &w, "part-050", slow_sender);
    while (!atomic_load(&w.holding))
        usleep(1000);
    expect_stored(f, expect_concat(f, "part-050"), "hello");
    assert_int_equal(end(&w), ERR_NONE);
    assert_int_equal(entries(f, "data/incoming"), 0);
}

static void shared_part_stays_while_needed(void **state)
{
    struct fixture *f = *state;
    const char *first, *second;

    make_part(f, "part-040", "hello");
    make_part(f, "part-041", " world");
    first = concat_later(f, "part-040 part-041");
    second = expect_concat(f, "part-040");
    expect_stored(f, second, "hello");
    assert_int_equal(state_of(f, "part-040"), UPLOAD_RECEIVING);
    sweep(f);
    expect_stored(f, first, "hello world");
    assert_int_equal(entries(f, "data/incoming"), 0);
    expect_no_concat(f, "part-041", ERR_GONE);
}

/* The process ends after the final session was stored, before its parts are
 * removed. */
static void sweep_removes_used_parts(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    struct error e;
    const char *id;

    make_part(f, "part-053", "hello");
    make_part(f, "part-054", "hello");
    id = concat_later(f, "part-053");
    assert_int_equal(session_take_up(f->store, f->arena, id, false, &u, &e),
                     ERR_NONE);
    put(u, "hello");
    complete(u);
    assert_int_equal(entries(f, "data/incoming"), 2);
    sweep(f);
    assert_int_equal(entries(f, "data/incoming"), 1);
    assert_int_equal(state_of(f, "part-053"), UPLOAD_STORED);
    assert_int_equal(state_of(f, "part-054"), UPLOAD_RECEIVING);
}

/* A home that is lost does not keep anybody waiting. */
static void lost_home_is_gone(void **state)
{
    struct fixture *f = *state;
    struct upload *u = create(f, "damage-2", UPLOAD_SIZE_UNKNOWN);
    int64_t from = clock_monotonic_ms();
    struct error e;

    suspend(u);
    assert_int_equal(disk_remove_tree(f->store->incoming, u->home, &e),
                     ERR_NONE);
    expect_no_resume(f, "damage-2", ERR_GONE);
    assert_true(clock_monotonic_ms() - from < 1000);
}

/* A final session that has all its bytes needs its parts no longer, but until
 * it is stored it may have to go on. */
static void publishing_final_keeps_its_parts(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    struct error e;
    const char *id;

    make_part(f, "part-050", "hello");
    id = concat_later(f, "part-050 part-050");
    assert_int_equal(session_take_up(f->store, f->arena, id, false, &u, &e),
                     ERR_NONE);
    put(u, "hellohello");
    assert_int_equal(upload_end_file(u, &e), ERR_NONE);
    half_publish(f, u);
    upload_abandon(u); /* as if killed there */
    expect_stored(f, expect_concat(f, "part-050"), "hello");
    assert_int_equal(upload_settle(f->store, f->arena, id, &e), ERR_NONE);
    sweep(f);
    expect_stored(f, id, "hellohello");
}

/* Parts that nobody asked for since live as long as what needs them. */
static void parts_do_not_expire_before_the_final(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    struct error e;
    const char *id;

    close_store(f);
    open_store(f, "[upload]\nexpire_after = 10s\n");
    make_part(f, "part-051", "hello");
    make_part(f, "part-052", " world");
    age(f, "part-051", 8);
    id = concat_later(f, "part-051 part-052");
    sql_expect(f,
               "UPDATE upload SET updated_at = updated_at - 8000 "
               "WHERE state = 'receiving' RETURNING 1",
               1);
    assert_int_equal(session_take_up(f->store, f->arena, id, false, &u, &e),
                     ERR_NONE);
    put(u, "hel");
    suspend(u);
    age(f, "part-051", 4);
    age(f, "part-052", 4);
    sweep(f);
    expect_stored(f, id, "hello world");
}

/* ---- Ending ---- */

/* The session is over, and nothing of it is left but its row. */
static void expect_terminated(struct fixture *f, const char *id)
{
    expect_terminate(f, id, ERR_NONE);
    assert_int_equal(state_of(f, id), UPLOAD_CANCELLED);
    assert_int_equal(entries(f, "data/incoming"), 0);
    assert_int_equal(entries(f, "uploads"), 0);
    sql_expect(f, "SELECT count(*) FROM file", 0);
    expect_terminate(f, id, ERR_GONE);
}

static void any_session_can_be_ended(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    const char *id;

    expect_terminate(f, "unknown-1", ERR_NOT_FOUND);
    create_paused(f, "end-0001", UPLOAD_SIZE_UNKNOWN, "hello");
    expect_terminated(f, "end-0001");
    expect_no_resume(f, "end-0001", ERR_GONE);
    u = create(f, "end-0002", UPLOAD_SIZE_UNKNOWN);
    put(u, "hello");
    complete(u);
    expect_terminated(f, "end-0002");
    expect_no_resume(f, "end-0002", ERR_GONE);
    make_part(f, "end-0003", "hello");
    expect_terminated(f, "end-0003");
    make_part(f, "end-0004", "hello");
    id = expect_concat(f, "end-0004");
    expect_terminated(f, id);
    create_paused(f, "end-0005", UPLOAD_SIZE_UNKNOWN, "hello");
    age(f, "end-0005", 2 * 24 * 3600);
    expect_terminate(f, "end-0005", ERR_GONE);
    sweep(f);
    expect_terminate(f, "end-0005", ERR_GONE);
}

static void unfinished_final_can_be_ended(void **state)
{
    struct fixture *f = *state;
    const char *id;

    make_part(f, "end-0010", "hello");
    id = concat_later(f, "end-0010");
    expect_terminate(f, id, ERR_NONE);
    sweep(f);
    assert_int_equal(state_of(f, id), UPLOAD_CANCELLED);
    assert_int_equal(entries(f, "data/incoming"), 1);
    expect_stored(f, expect_concat(f, "end-0010"), "hello");
}

/* End a session whose holder looks up only after so many ms. */
static void end_running(struct fixture *f, const char *id, int64_t deaf_ms)
{
    struct worker h = {.deaf_ms = deaf_ms};
    enum error_code code, held;
    struct error e;

    create_paused(f, id, UPLOAD_SIZE_UNKNOWN, "hello");
    start(f, &h, id, holder);
    code = upload_terminate(f->store, id, &e);
    held = end(&h);
    assert_int_equal(code, ERR_NONE);
    assert_int_equal(held, ERR_CANCELLED);
    assert_int_equal(state_of(f, id), UPLOAD_CANCELLED);
    assert_int_equal(entries(f, "data/incoming"), 0);
}

static void running_session_can_be_ended(void **state)
{
    end_running(*state, "end-0006", 0);
    end_running(*state, "end-0007", TAKEOVER_MS - 500);
}

/* The end is written down, so that it comes even if the holder is late. */
static void deaf_holder_is_busy(void **state)
{
    struct fixture *f = *state;
    struct upload *u = create(f, "end-0008", UPLOAD_SIZE_UNKNOWN);
    struct error e;

    put(u, "hello");
    expect_terminate(f, "end-0008", ERR_BUSY);
    assert_int_equal(upload_suspend(u, &e), ERR_CANCELLED);
    assert_int_equal(state_of(f, "end-0008"), UPLOAD_CANCELLED);
    assert_int_equal(entries(f, "data/incoming"), 0);
    expect_terminate(f, "end-0008", ERR_GONE);
}

static void killed_publishing_can_be_ended(void **state)
{
    struct fixture *f = *state;

    expect_killed(start_child(f, die_publishing));
    expect_terminate(f, "publish-1", ERR_NONE);
    assert_int_equal(state_of(f, "publish-1"), UPLOAD_CANCELLED);
    assert_int_equal(entries(f, "uploads"), 2);
    assert_int_equal(entries(f, "data/incoming"), 2);
}

static void deleted_file_ends_its_session(void **state)
{
    struct fixture *f = *state;
    struct upload *u = create(f, "end-0009", UPLOAD_SIZE_UNKNOWN);
    struct file *file;
    struct error e;

    put(u, "hello");
    file = complete(u);
    assert_int_equal(file_delete(f->store, file->id, &e), ERR_NONE);
    assert_int_equal(state_of(f, "end-0009"), UPLOAD_CANCELLED);
    expect_no_resume(f, "end-0009", ERR_GONE);
    expect_terminate(f, "end-0009", ERR_GONE);
}

/* The id that a form's sender chose is for progress; what the form has stored
 * is not removed by it. The id of a form that chose none is secret. */
static void form_is_ended_by_its_own_id_only(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, "order-0815", false);
    char id[UPLOAD_ID_MAX + 1];

    add(u, "a.txt", "hello");
    finish(u);
    expect_terminate(f, "order-0815", ERR_NOT_FOUND);
    assert_int_equal(entries(f, "uploads"), 1);
    u = begin(f, NULL, false);
    memcpy(id, upload_id(u), sizeof id);
    add(u, "b.txt", "hello");
    finish(u);
    assert_int_equal(entries(f, "uploads"), 2);
    expect_terminate(f, id, ERR_NONE);
    assert_int_equal(entries(f, "uploads"), 1);
    expect_terminate(f, id, ERR_NOT_FOUND);
}

/* Of one request, with many files and much about them. */
static void large_upload_can_be_ended(void **state)
{
    enum { FILES = 300, FIELDS = 100 * 1024 };
    struct fixture *f = *state;
    struct upload_spec spec = {
        .id = "end-0012", .total = UPLOAD_SIZE_UNKNOWN, .arena = f->arena};
    char *fields = arena_alloc(f->arena, FIELDS + 1);
    struct resumable_spec r = {.name = "a.txt", .fields = fields};
    struct upload *u;
    struct error e;

    close_store(f);
    open_store(f, "durability = process\n[limits]\nmax_files = 1000\n");
    u = begin(f, NULL, false);
    for (int i = 0; i < FILES; i++)
        add(u, "a.txt", "hello");
    finish(u);
    expect_terminate(f, upload_id(u), ERR_NONE);
    assert_int_equal(entries(f, "uploads"), 0);
    memset(fields, 'x', FIELDS);
    memcpy(fields, "{\"k\":\"", 6);
    memcpy(fields + FIELDS - 2, "\"}", 3);
    assert_int_equal(upload_create(f->store, &spec, &r, &u, &e), ERR_NONE);
    suspend(u);
    expect_terminated(f, "end-0012");
}

static void paused_upload_can_be_cancelled(void **state)
{
    struct fixture *f = *state;
    struct error e;

    create_paused(f, "cancel-1", UPLOAD_SIZE_UNKNOWN, "hello");
    assert_int_equal(entries(f, "data/incoming"), 1);
    assert_int_equal(upload_cancel(f->store, "cancel-1", &e), ERR_NONE);
    assert_int_equal(entries(f, "data/incoming"), 0);
    expect_no_resume(f, "cancel-1", ERR_GONE);
}

static void created_as_asked(void **state)
{
    struct fixture *f = *state;
    struct upload_spec spec = {.id = "create-1", .total = 5, .arena = f->arena};
    struct resumable_spec r = {.name = "a.txt",
                               .fields = "{\"k\":\"v\"}",
                               .echo = "filename YS50eHQ="};
    struct upload *u, *second;
    struct progress p;
    struct error e;

    assert_int_equal(upload_create(f->store, &spec, &r, &u, &e), ERR_NONE);
    assert_int_equal(upload_create(f->store, &spec, &r, &second, &e),
                     ERR_ID_IN_USE);
    assert_null(second);
    assert_int_equal(entries(f, "data/incoming"), 1);
    put(u, "hello");
    upload_abandon(u);
    p = progress_of(f, "create-1");
    assert_true(p.resumable && !p.partial && !p.final);
    assert_string_equal(p.echo, "filename YS50eHQ=");
    u = resume(f, "create-1");
    assert_string_equal(upload_fields(u), "{\"k\":\"v\"}");
    upload_abandon(u);
    close_store(f);
    open_store(f, "[limits]\nmin_file_size = 2\nmax_file_size = 9\n");
    spec.id = "create-2";
    spec.total = 1;
    assert_int_equal(upload_create(f->store, &spec, &r, &u, &e),
                     ERR_FILE_TOO_SMALL);
    spec.total = 10;
    assert_int_equal(upload_create(f->store, &spec, &r, &u, &e),
                     ERR_FILE_TOO_LARGE);
    r.name = "..";
    spec.total = 5;
    assert_int_equal(upload_create(f->store, &spec, &r, &u, &e), ERR_BAD_NAME);
    assert_int_equal(entries(f, "data/incoming"), 1);
    sql_expect(f, "SELECT count(*) FROM upload", 1);
}

/* ---- The schema before there were such sessions ---- */

static void old_database_keeps_its_rows(void **state)
{
    struct fixture *f = *state;
    const char *file = "aaaaaaaaaaaaaaaaaaaaaaaaaa";
    char path[128];
    struct error e;

    close_store(f);
    (void)snprintf(path, sizeof path, "%s/data/slipway.db", f->root);
    assert_int_equal(unlink(path), 0);
    sql_in_file(f, sql_migrations[0]);
    sql_in_file(f, "PRAGMA application_id = 0x736c7077;"
                   "PRAGMA user_version = 1;"
                   "INSERT INTO upload (id, home, state, resumable, total,"
                   " received, updated_at) VALUES ('old-0001',"
                   " 'bbbbbbbbbbbbbbbbbbbbbbbbbb', 'stored', 0, 5, 5,"
                   " unixepoch() * 1000);"
                   "INSERT INTO file VALUES ('aaaaaaaaaaaaaaaaaaaaaaaaaa',"
                   " 'bbbbbbbbbbbbbbbbbbbbbbbbbb', NULL, 0, 'stored', 0,"
                   " 'uploads', 'aaaaaaaaaaaaaaaaaaaaaaaaaa/a.txt', 'a.txt',"
                   " 5, 1, 'text/plain', NULL, 1)");
    load_store(f);
    assert_int_equal(state_of(f, "old-0001"), UPLOAD_STORED);
    assert_int_equal(progress_of(f, "old-0001").files.count, 1);
    assert_non_null(file_get(f->store, f->arena, file, &e));
    expect_no_resume(f, "old-0001", ERR_NOT_FOUND);
    create_paused(f, "new-0001", UPLOAD_SIZE_UNKNOWN, "hello");
    expect_file(f, complete(resume(f, "new-0001")), "hello");
    close_store(f);
    load_store(f);
    assert_int_equal(state_of(f, "old-0001"), UPLOAD_STORED);
    sql_expect(f, "SELECT user_version FROM pragma_user_version",
               SQL_MIGRATIONS);
}

static void every_statement_runs(void **state)
{
    (void)state;
    expect_all_ran(true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(resumes_where_acknowledged),
        STORE_TEST(blocks_behind_the_end_are_freed),
        STORE_TEST(abandoned_bytes_are_cut_off),
        STORE_TEST(held_bytes_wait),
        STORE_TEST(missing_bytes_are_damage),
        STORE_TEST(many_bytes_make_a_checkpoint),
        STORE_TEST(time_makes_a_checkpoint),
        STORE_TEST(last_byte_waits_for_the_end_of_its_request),
        STORE_TEST(thread_takes_over),
        STORE_TEST(process_takes_over),
        STORE_TEST(claim_is_used_up),
        STORE_TEST(deaf_holder_keeps_it),
        STORE_TEST(last_waiter_wins),
        STORE_TEST(waiter_outlasts_a_third),
        STORE_TEST(settling_makes_the_offset_true),
        STORE_TEST(nothing_to_settle),
        STORE_TEST(killed_publishing_goes_on),
        STORE_TEST(silent_session_expires),
        STORE_TEST(end_is_remembered),
        STORE_TEST(held_session_does_not_expire),
        STORE_TEST(wrong_digest_is_refused),
        STORE_TEST(digest_is_expected_from_the_beginning),
        STORE_TEST(fields_can_change),
        STORE_TEST(expected_digest_needs_no_option),
        STORE_TEST(digest_can_be_expected_late),
        STORE_TEST(no_digest_over_a_part),
        STORE_TEST(length_comes_later_once),
        STORE_TEST(name_comes_later_once),
        STORE_TEST(killed_naming_goes_on),
        STORE_TEST(name_is_kept),
        STORE_TEST(parts_become_one_file),
        STORE_TEST(parts_go_with_their_file),
        STORE_TEST(ids_of_forgotten_parts_are_free),
        STORE_TEST(only_whole_parts_are_taken),
        STORE_TEST(held_part_leaves_nothing),
        STORE_TEST(odd_ids_are_unknown),
        STORE_TEST(final_is_waited_for),
        STORE_TEST(parts_do_not_multiply),
        STORE_TEST(copying_goes_on_behind),
        STORE_TEST(killed_copier_goes_on),
        STORE_TEST(request_copies_for_a_while),
        STORE_TEST(cancelled_part_fails_the_final),
        STORE_TEST(part_goes_when_its_sender_lets_go),
        STORE_TEST(shared_part_stays_while_needed),
        STORE_TEST(sweep_removes_used_parts),
        STORE_TEST(lost_home_is_gone),
        STORE_TEST(publishing_final_keeps_its_parts),
        STORE_TEST(parts_do_not_expire_before_the_final),
        STORE_TEST(any_session_can_be_ended),
        STORE_TEST(unfinished_final_can_be_ended),
        STORE_TEST(running_session_can_be_ended),
        STORE_TEST(deaf_holder_is_busy),
        STORE_TEST(killed_publishing_can_be_ended),
        STORE_TEST(deleted_file_ends_its_session),
        STORE_TEST(form_is_ended_by_its_own_id_only),
        STORE_TEST(large_upload_can_be_ended),
        STORE_TEST(paused_upload_can_be_cancelled),
        STORE_TEST(created_as_asked),
        STORE_TEST(old_database_keeps_its_rows),
        cmocka_unit_test(every_statement_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
