/*
 * Commits in doubt: written to the log, but their process was killed, or the
 * disk failed, before anybody could see them. They come true when the next
 * process finds all others dead and reads the log. Until then, somebody else
 * may have acted on what the database said meanwhile.
 */
#define _GNU_SOURCE
#include "store_faults.h"

static bool die_in_commit(const char *path)
{
    return ends_with(path, "-wal") && raise(SIGKILL);
}

static bool die_in_commit_once_moved(const char *path)
{
    return is_public() && die_in_commit(path);
}

static bool die_once_taken_back(const char *path)
{
    return !is_public() && ends_with(path, "/uploads") && raise(SIGKILL);
}

static bool fail_in_commit(const char *path)
{
    return ends_with(path, "-wal");
}

/* The disk fails once, when the file has been moved. */
static bool fail_storing_die_taking_back(const char *path)
{
    static bool failed;
    bool fails = !failed && is_public() && fail_in_commit(path);

    failed = failed || fails;
    return fails || (failed && die_once_taken_back(path));
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
    struct upload *u = create_whole(f, "doubt-01", "hello");

    (void)line;
    faults.sync = die_in_commit_once_moved;
    return finish(u) != NULL;
}

static int die_taking_back(struct fixture *f, int line)
{
    tell(line);
    hear(line);
    faults.sync = die_once_taken_back;
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
    struct upload *u = create_whole(f, "doubt-02", "hello");

    (void)line;
    keep_the_log(f);
    faults.sync = fail_storing_die_taking_back;
    return finish(u) != NULL;
}

static int fail_storing_form(struct fixture *f, int line)
{
    struct upload *u = begin(f, NULL, false);

    (void)line;
    add(u, "b.txt", "hello");
    keep_the_log(f);
    faults.sync = fail_storing_die_taking_back;
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
    faults.sync = die_in_commit;
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
    faults.sync = fail_in_commit;
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

/* ---- Creating ---- */

/* A session of parts, whose one part is whole. */
static enum error_code concat(struct fixture *f, const char **id)
{
    static const char *const parts[] = {"part-001"};
    struct upload_spec spec = {.total = UPLOAD_SIZE_UNKNOWN, .arena = f->arena};
    struct resumable_spec r = {.name = "a.txt"};
    struct error e;

    return upload_concat(f->store, &spec, &r, "final;x", parts, 1, id, &e);
}

/* There is a home beside that of the part. */
static bool fail_in_insert(const char *path)
{
    return entries(faulty, "data/incoming") > 1 && fail_in_commit(path);
}

static int fail_creating(struct fixture *f, int line)
{
    const char *id;

    (void)line;
    keep_the_log(f);
    faults.sync = fail_in_insert;
    assert_int_equal(concat(f, &id), ERR_DATABASE);
    return raise(SIGKILL);
}

/* Its parts would wait in vain for a session that has lost its home. */
static void failed_creation_comes_true_as_a_whole(void **state)
{
    struct fixture *f = *state;
    struct upload_spec spec = {.id = "part-001", .total = 5, .arena = f->arena};
    struct resumable_spec r = {.name = UPLOAD_UNNAMED, .partial = true};
    struct upload *u;
    struct error e;
    const char *id;

    assert_int_equal(upload_create(f->store, &spec, &r, &u, &e), ERR_NONE);
    put(u, "hello");
    suspend(u);
    alone(f, fail_creating);
    sql_expect(f, "SELECT count(*) FROM upload WHERE parts IS NOT NULL", 1);
    assert_int_equal(concat(f, &id), ERR_NONE);
    assert_int_equal(upload_concat_wait(f->store, id, 1, &e), ERR_NONE);
    assert_int_equal(state_of(f, id), UPLOAD_STORED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FAULT_TEST(taking_back_outlives_a_storing_in_doubt),
        FAULT_TEST(taking_back_outlives_a_failed_storing),
        FAULT_TEST(cutting_outlives_a_checkpoint_in_doubt),
        FAULT_TEST(failed_checkpoint_comes_true_as_a_whole),
        FAULT_TEST(failed_creation_comes_true_as_a_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
