/*
 * Commits in doubt: written to the log, but their process was killed, or the
 * disk failed, before anybody could see them. They come true when the next
 * process finds all others dead and reads the log. Until then, somebody else
 * may have acted on what the database said meanwhile.
 *
 * This program's fdatasync and fsync stand in for the kernel's, also for
 * SQLite: each test says what happens at which of them.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>

#include "store_children.h"

/* What happens at a sync of the file at path; true: it fails. */
static bool (*at_sync)(const char *path);
static const struct fixture *synced; /* whose directories are looked at */

static int sync_or_fail(long call, int fd)
{
    bool (*fn)(const char *path) = at_sync;
    char link[32], path[256] = "";
    bool fails;

    if (!fn)
        return (int)syscall(call, fd);
    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    assert_true(readlink(link, path, sizeof path - 1) > 0);
    at_sync = NULL;
    fails = fn(path);
    at_sync = fn;
    if (!fails)
        return (int)syscall(call, fd);
    errno = EIO;
    return -1;
}

int fdatasync(int fd)
{
    return sync_or_fail(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return sync_or_fail(SYS_fsync, fd);
}

static bool ends_with(const char *path, const char *end)
{
    size_t len = strlen(path), n = strlen(end);

    return len >= n && strcmp(path + len - n, end) == 0;
}

static bool die_in_commit(const char *path)
{
    return ends_with(path, "-wal") && raise(SIGKILL);
}

static bool die_in_commit_once_moved(const char *path)
{
    return entries(synced, "uploads") > 0 && die_in_commit(path);
}

static bool die_once_taken_back(const char *path)
{
    return entries(synced, "uploads") == 0 && ends_with(path, "/uploads") &&
           raise(SIGKILL);
}

static bool fail_in_commit(const char *path)
{
    return ends_with(path, "-wal");
}

/* The disk fails once, when the file has been moved. */
static bool fail_storing_die_taking_back(const char *path)
{
    static bool failed;
    bool fails = !failed && entries(synced, "uploads") > 0 &&
                 fail_in_commit(path);

    failed = failed || fails;
    return fails || (failed && die_once_taken_back(path));
}

static void from_now_on(struct fixture *f, bool (*fn)(const char *path))
{
    synced = f;
    at_sync = fn;
}

/* A reader, so that the failed writer is not the last to close the file. */
static void keep_the_log(struct fixture *f)
{
    struct error e;

    assert_int_equal(db_end(db_read(f->store->db, &e), true, &e), ERR_NONE);
}

/* The only process that has the store open dies; then it is opened anew. */
static void alone(struct fixture *f, child_fn *fn)
{
    struct child c;

    close_store(f);
    c = fork_child(f, fn);
    tell(c.line);
    expect_killed(c);
    load_store(f);
}

/* Two processes: the second one is there all the time, and begins its work
 * when the first one is dead. Then both are, and the store is opened anew. */
static void one_after_the_other(struct fixture *f, child_fn *first,
                                child_fn *second)
{
    struct child a, b;

    close_store(f);
    a = fork_child(f, first);
    b = fork_child(f, second);
    tell(b.line);
    hear(b.line);
    tell(a.line);
    expect_killed(a);
    tell(b.line);
    expect_killed(b);
    load_store(f);
}

/* ---- Publishing ---- */

static int die_storing(struct fixture *f, int line)
{
    struct upload *u = create(f, "doubt-01", 5);
    struct error e;

    (void)line;
    put(u, "hello");
    assert_int_equal(upload_end_file(u, &e), ERR_NONE);
    from_now_on(f, die_in_commit_once_moved);
    return finish(u) != NULL;
}

static int die_taking_back(struct fixture *f, int line)
{
    tell(line);
    hear(line);
    from_now_on(f, die_once_taken_back);
    return resume(f, "doubt-01") != NULL;
}

/* Whoever takes a file back from the public must know that it was never
 * stored. */
static void taking_back_outlives_a_storing_in_doubt(void **state)
{
    struct fixture *f = *state;

    one_after_the_other(f, die_storing, die_taking_back);
    expect_file(f, complete(resume(f, "doubt-01")), "hello");
}

static int fail_storing(struct fixture *f, int line)
{
    struct upload *u = create(f, "doubt-02", 5);
    struct error e;

    (void)line;
    put(u, "hello");
    assert_int_equal(upload_end_file(u, &e), ERR_NONE);
    keep_the_log(f);
    from_now_on(f, fail_storing_die_taking_back);
    return finish(u) != NULL;
}

static int fail_storing_form(struct fixture *f, int line)
{
    struct upload *u = begin(f, NULL, false);

    (void)line;
    add(u, "b.txt", "hello");
    keep_the_log(f);
    from_now_on(f, fail_storing_die_taking_back);
    return finish(u) != NULL;
}

static void taking_back_outlives_a_failed_storing(void **state)
{
    struct fixture *f = *state;

    alone(f, fail_storing_form);
    sql_expect(f, "SELECT count(*) FROM file", 0);
    assert_int_equal(entries(f, "uploads"), 0);
    alone(f, fail_storing);
    expect_file(f, complete(resume(f, "doubt-02")), "hello");
}

/* ---- Checkpoints ---- */

static int die_in_checkpoint(struct fixture *f, int line)
{
    struct upload *u = create(f, "doubt-03", 11);
    struct error e;

    (void)line;
    put(u, "hello");
    assert_int_equal(session_acknowledge(u, &e), ERR_NONE);
    put(u, " wor");
    from_now_on(f, die_in_commit);
    return (int)upload_suspend(u, &e);
}

static int die_having_cut(struct fixture *f, int line)
{
    tell(line);
    hear(line);
    resume(f, "doubt-03");
    return raise(SIGKILL);
}

/* Whoever cuts off what was not acknowledged must know that it was not. */
static void cutting_outlives_a_checkpoint_in_doubt(void **state)
{
    struct fixture *f = *state;
    struct upload *u;

    one_after_the_other(f, die_in_checkpoint, die_having_cut);
    u = resume(f, "doubt-03");
    assert_int_equal(upload_offset(u), 5);
    put(u, " world");
    expect_file(f, complete(u), "hello world");
}

static int fail_in_checkpoint(struct fixture *f, int line)
{
    struct upload *u = create(f, "doubt-04", 11);
    struct error e;

    (void)line;
    put(u, "hello");
    from_now_on(f, fail_in_commit);
    assert_int_equal(session_acknowledge(u, &e), ERR_DATABASE);
    upload_abandon(u);
    return raise(SIGKILL);
}

static void failed_checkpoint_comes_true_as_a_whole(void **state)
{
    struct fixture *f = *state;
    struct upload *u;

    alone(f, fail_in_checkpoint);
    u = resume(f, "doubt-04");
    assert_int_equal(upload_offset(u), 5);
    put(u, " world");
    expect_file(f, complete(u), "hello world");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(taking_back_outlives_a_storing_in_doubt),
        STORE_TEST(taking_back_outlives_a_failed_storing),
        STORE_TEST(cutting_outlives_a_checkpoint_in_doubt),
        STORE_TEST(failed_checkpoint_comes_true_as_a_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
