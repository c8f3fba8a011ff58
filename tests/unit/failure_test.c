/*
 * Reads, moves and descriptors that fail for a moment: nothing that was
 * acknowledged is lost by it, nothing is half-visible after it, and what
 * cannot be known is not guessed.
 */
#define _GNU_SOURCE
#include <sys/stat.h>

#include "store/place.h"
#include "store_faults.h"

static bool always(void)
{
    return true;
}

static bool once(void)
{
    faults.read = NULL;
    return true;
}

/* Something new in the log, so that a reader has to read. */
static void write_something(const struct fixture *f)
{
    place_remember(f->store, "x", 1);
}

/* ---- Reading a row ---- */

static void failed_look_at_the_row_cancels_nothing(void **state)
{
    struct fixture *f = *state;
    struct upload *u = create(f, "fails-01", 11);
    struct error e;

    put(u, "hello");
    assert_int_equal(session_acknowledge(u, &e), ERR_NONE);
    write_something(f);
    u->checked_at = 0;
    fail_reads(always);
    assert_int_equal(upload_check(u, &e), ERR_DATABASE);
    upload_abandon(u);
    faults.read = NULL;
    u = resume(f, "fails-01");
    assert_int_equal(upload_offset(u), 5);
    put(u, " world");
    expect_file(f, complete(u), "hello world");
}

static void failed_read_makes_no_upload_unknown(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    struct error e;

    create_paused(f, "fails-02", 11, "hello");
    write_something(f);
    fail_reads(always);
    assert_int_equal(upload_resume(f->store, f->arena, "fails-02", &u, &e),
                     ERR_DATABASE);
    assert_int_equal(upload_settle(f->store, f->arena, "fails-02", &e),
                     ERR_DATABASE);
}

/* As a form leaves it that is killed with its files in the public. */
static int die_with_two_files(struct fixture *f, int line)
{
    struct upload *u = begin(f, "fails-03", false);

    (void)line;
    add(u, "a.txt", "hello");
    half_publish(f, u);
    u->has_row = false;
    u->files.first = u->files.last = NULL;
    add(u, "b.txt", "hello");
    half_publish(f, u);
    return raise(SIGKILL);
}

static bool fail_next_read(void)
{
    write_something(faulty);
    fail_reads(once);
    return false;
}

static void unreadable_kind_is_not_guessed(void **state)
{
    struct fixture *f = *state;
    struct error e;

    expect_killed(start_child(f, die_with_two_files));
    assert_int_equal(entries(f, "uploads"), 2);
    faults.lock = fail_next_read;
    assert_int_equal(store_recover(f->store, &e), ERR_NONE);
    assert_null(faults.lock);
    assert_null(faults.read);
    assert_int_equal(store_recover(f->store, &e), ERR_NONE);
    assert_int_equal(entries(f, "uploads"), 0);
    sql_expect(f, "SELECT count(*) FROM file", 0);
}

/* ---- Moving ---- */

static bool fail_storing_once(const char *path)
{
    static bool failed;
    bool fails = !failed && ends_with(path, "-wal") && is_public();

    failed = failed || fails;
    return fails;
}

static bool from_uploads(int from)
{
    return from == faulty->store->uploads.dir;
}

static void what_cannot_be_moved_back_is_not_reopened(void **state)
{
    struct fixture *f = *state;
    struct upload *u = create_whole(f, "fails-04", "hello");
    struct file_list files = {0};
    struct error e;

    keep_the_log(f);
    faults.sync = fail_storing_once;
    faults.rename = from_uploads;
    assert_int_equal(upload_finish(u, "{}", &files, &e), ERR_DATABASE);
    faults.rename = NULL;
    u = resume(f, "fails-04");
    assert_int_equal(entries(f, "uploads"), 0);
    expect_file(f, complete(u), "hello");
}

static int die_with_two_sessions(struct fixture *f, int line)
{
    static const char *const ids[] = {"fails-05", "fails-06"};

    (void)line;
    for (int i = 0; i < 2; i++)
        half_publish(f, create_whole(f, ids[i], "hello"));
    return raise(SIGKILL);
}

static bool from_uploads_once(int from)
{
    if (!from_uploads(from))
        return false;
    faults.rename = NULL;
    return true;
}

static void one_that_is_stuck_keeps_no_other(void **state)
{
    struct fixture *f = *state;
    struct error e;

    expect_killed(start_child(f, die_with_two_sessions));
    faults.rename = from_uploads_once;
    assert_int_equal(store_recover(f->store, &e), ERR_NONE);
    assert_int_equal(entries(f, "uploads"), 1);
    assert_int_equal(store_recover(f->store, &e), ERR_NONE);
    assert_int_equal(entries(f, "uploads"), 0);
}

/* ---- A rollback journal, whose removal is the commit ---- */

/* The first sync of its directory once it is gone and the file public. */
static bool fail_after_storing(const char *path)
{
    static bool failed;
    char journal[128];
    bool fails;

    (void)snprintf(journal, sizeof journal, "%s/data/slipway.db-journal",
                   faulty->root);
    fails = !failed && ends_with(path, "/data") && is_public() &&
            access(journal, F_OK) != 0;
    failed = failed || fails;
    return fails;
}

static void what_is_stored_after_all_stays(void **state)
{
    struct fixture *f = *state;
    struct file_list files = {0};
    struct upload *u;
    struct error e;

    close_store(f);
    sql_in_file(f, "PRAGMA journal_mode = DELETE");
    faults.remote = true;
    load_store(f);
    u = create(f, "fails-07", 5);
    put(u, "hello");
    assert_int_equal(upload_end_file(u, &e), ERR_NONE);
    faults.sync = fail_after_storing;
    assert_int_equal(upload_finish(u, "{}", &files, &e), ERR_DATABASE);
    assert_int_equal(state_of(f, "fails-07"), UPLOAD_STORED);
    assert_int_equal(entries(f, "uploads"), 1);
}

/* ---- Descriptors ---- */

static const char *unopenable; /* name */

static bool no_descriptor(const char *name)
{
    return strcmp(name, unopenable) == 0;
}

static void lack_of_descriptors_ends_no_final_upload(void **state)
{
    static const char *const parts[] = {"part-001"};
    struct fixture *f = *state;
    struct upload_spec part = {.id = "part-001", .total = 5, .arena = f->arena};
    struct upload_spec whole = {.total = UPLOAD_SIZE_UNKNOWN,
                                .arena = f->arena};
    struct resumable_spec partial = {.name = "p.txt", .partial = true};
    struct resumable_spec final = {.name = "a.txt"};
    struct upload *u;
    struct error e;
    const char *id;

    assert_int_equal(upload_create(f->store, &part, &partial, &u, &e),
                     ERR_NONE);
    put(u, "hello");
    suspend(u);
    unopenable = "p.txt";
    faults.open = no_descriptor;
    assert_int_equal(
        upload_concat(f->store, &whole, &final, "final;x", parts, 1, &id, &e),
        ERR_MEMORY);
    faults.open = NULL;
    assert_int_equal(
        upload_concat(f->store, &whole, &final, "final;x", parts, 1, &id, &e),
        ERR_NONE);
    assert_int_equal(upload_concat_wait(f->store, id, 1, &e), ERR_NONE);
    assert_int_equal(state_of(f, id), UPLOAD_STORED);
}

static void what_cannot_be_synced_is_not_stored(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, NULL, false);
    struct file_list files = {0};
    struct error e;

    add(u, "a.txt", "hello");
    unopenable = u->files.first->id;
    faults.open = no_descriptor;
    assert_int_equal(upload_finish(u, "{}", &files, &e), ERR_MEMORY);
    assert_int_equal(entries(f, "uploads"), 0);
}

static void no_memory_behind_a_new_file(void **state)
{
    struct fixture *f = *state;
    struct upload_spec spec = {.total = UPLOAD_SIZE_UNKNOWN};
    char name[201];
    struct upload *u;
    struct error e;

    memset(name, 'n', 200);
    name[200] = '\0';
    for (size_t size = 1024; size < 3500; size += 64) {
        spec.arena = arena_new(size);
        if (upload_open(f->store, &spec, &u, &e) == ERR_NONE) {
            (void)upload_begin_file(u, name, NULL, UPLOAD_SIZE_UNKNOWN, &e);
            error_set(&e, ERR_MEMORY, "No memory.");
            upload_discard(u, &e);
        }
        arena_free(spec.arena);
    }
    assert_int_equal(entries(f, "data/incoming"), 0);
}

/* ---- The sweep ---- */

static struct upload *slow; /* its creator, whose disk is slow */

static bool creator_ends(void)
{
    struct error e;

    assert_int_equal(session_insert(slow, &e), ERR_NONE);
    put(slow, "hello");
    suspend(slow);
    return false;
}

static void sweep_looks_behind_the_lock(void **state)
{
    static const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct fixture *f = *state;
    struct upload_spec spec = {.id = "fails-08", .total = 5, .arena = f->arena};
    struct error e;

    slow = session_begin(f->store, &spec, &e);
    slow->resumable = true;
    slow->fields = "{}";
    assert_int_equal(upload_begin_file(slow, "a.txt", NULL, 5, &e), ERR_NONE);
    assert_int_equal(utimensat(f->store->incoming, slow->home, old, 0), 0);
    faults.lock = creator_ends;
    assert_int_equal(store_sweep(f->store, true, &e), ERR_NONE);
    assert_null(faults.lock);
    expect_file(f, complete(resume(f, "fails-08")), "hello");
}

/* A disk that takes more time than a sweep has for orphans. */
static bool slow_rename(int from)
{
    (void)from;
    usleep(1100 * 1000);
    return false;
}

static void orphans_go_though_there_was_work(void **state)
{
    static const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
    struct fixture *f = *state;
    struct upload *u = create(f, "fails-09", 5);
    char id[ID_LENGTH + 1];
    struct error e;

    put(u, "hello");
    assert_int_equal(session_acknowledge(u, &e), ERR_NONE);
    half_publish(f, u);
    session_close(u);
    sql_in_file(f, "UPDATE upload SET updated_at = updated_at - 10000;"
                   "UPDATE file SET created_at = created_at - 10000000");
    assert_int_equal(id_new(id, &e), ERR_NONE);
    assert_int_equal(mkdirat(f->store->incoming, id, 0700), 0);
    assert_int_equal(utimensat(f->store->incoming, id, old, 0), 0);
    faults.rename = slow_rename;
    assert_int_equal(store_sweep(f->store, true, &e), ERR_NONE);
    assert_int_equal(state_of(f, "fails-09"), UPLOAD_RECEIVING);
    assert_int_equal(entries(f, "data/incoming"), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULT_TEST(failed_look_at_the_row_cancels_nothing),
        FAULT_TEST(failed_read_makes_no_upload_unknown),
        FAULT_TEST(unreadable_kind_is_not_guessed),
        FAULT_TEST(what_cannot_be_moved_back_is_not_reopened),
        FAULT_TEST(one_that_is_stuck_keeps_no_other),
        FAULT_TEST(what_is_stored_after_all_stays),
        FAULT_TEST(lack_of_descriptors_ends_no_final_upload),
        FAULT_TEST(what_cannot_be_synced_is_not_stored),
        FAULT_TEST(no_memory_behind_a_new_file),
        FAULT_TEST(sweep_looks_behind_the_lock),
        FAULT_TEST(orphans_go_though_there_was_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
