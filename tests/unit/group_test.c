/*
 * Writers that share a commit: what each of them is told is what is there.
 *
 * This program's fdatasync and sqlite3_busy_timeout stand in for the real ones,
 * so that a test sees commits, and says what a wait for the file does.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#include "store_fixture.h"

enum { WAIT_US = 50 * 1000 }; /* until a thread surely waits for its turn */

static atomic_int commits;     /* waits of the log for the disk */
static atomic_bool disk_fails; /* all of them */

int fdatasync(int fd)
{
    atomic_fetch_add(&commits, 1);
    if (!atomic_load(&disk_fails))
        return (int)syscall(SYS_fdatasync, fd);
    errno = EIO;
    return -1;
}

static int (*on_busy)(void *, int); /* NULL: as a file that is not locked */

int sqlite3_busy_timeout(sqlite3 *h, int ms)
{
    (void)ms;
    return sqlite3_busy_handler(h, on_busy, NULL);
}

/* A thread that puts a lease of its name. */
struct writer {
    pthread_t thread;     /* */
    struct db *db;        /* */
    const char *name;     /* of the lease */
    bool commit;          /* else it takes it back */
    enum error_code code; /* what it was told */
};

static struct conn *put_lease(struct db *db, const char *name, struct error *e)
{
    struct conn *c = db_write(db, e);
    struct stmt *q;

    if (!c)
        return NULL;
    q = db_statement(c, SQL_LEASE_PUT);
    stmt_text(q, ":name", name);
    stmt_int(q, ":until", 1);
    stmt_run(q);
    return c;
}

static void *write_once(void *p)
{
    struct writer *w = p;
    struct error e;
    struct conn *c = put_lease(w->db, w->name, &e);

    w->code = c ? db_end(c, w->commit, &e) : e.code;
    return NULL;
}

static void start(const struct fixture *f, struct writer *w)
{
    w->db = f->store->db;
    assert_int_equal(pthread_create(&w->thread, NULL, write_once, w), 0);
}

static enum error_code end(struct writer *w)
{
    assert_int_equal(pthread_join(w->thread, NULL), 0);
    return w->code;
}

/* One writer, and two that come while it is at work. */
static enum error_code write_three(const struct fixture *f, struct writer *b,
                                   struct writer *c)
{
    struct error e;
    struct conn *a = put_lease(f->store->db, "a", &e);

    assert_non_null(a);
    start(f, b);
    start(f, c);
    usleep(WAIT_US);
    return db_end(a, true, &e);
}

static void waiting_writers_share_a_commit(void **state)
{
    struct fixture *f = *state;
    struct writer b = {.name = "b", .commit = true};
    struct writer c = {.name = "c", .commit = true};
    int before = atomic_load(&commits);

    assert_int_equal(write_three(f, &b, &c), ERR_NONE);
    assert_int_equal(end(&b), ERR_NONE);
    assert_int_equal(end(&c), ERR_NONE);
    assert_int_equal(atomic_load(&commits) - before, 1);
    sql_expect(f, "SELECT count(*) FROM lease WHERE name <> 'sweep'", 3);
}

static void one_takes_back_the_others_stay(void **state)
{
    struct fixture *f = *state;
    struct writer b = {.name = "b", .commit = false};
    struct writer c = {.name = "a", .commit = true};

    assert_int_equal(write_three(f, &b, &c), ERR_NONE);
    assert_int_equal(end(&b), ERR_NONE);
    assert_int_equal(end(&c), ERR_NONE);
    sql_expect(f, "SELECT count(*) FROM lease WHERE name = 'a'", 1);
    sql_expect(f, "SELECT count(*) FROM lease WHERE name = 'b'", 0);
}

static void failed_commit_is_told_to_all(void **state)
{
    struct fixture *f = *state;
    struct writer b = {.name = "b", .commit = true};
    struct writer c = {.name = "c", .commit = true};

    atomic_store(&disk_fails, true);
    assert_int_equal(write_three(f, &b, &c), ERR_DATABASE);
    assert_int_equal(end(&b), ERR_DATABASE);
    assert_int_equal(end(&c), ERR_DATABASE);
    atomic_store(&disk_fails, false);
    sql_expect(f, "SELECT count(*) FROM lease WHERE name <> 'sweep'", 0);
    b = (struct writer){.name = "b", .commit = true};
    start(f, &b);
    assert_int_equal(end(&b), ERR_NONE);
}

/* ---- A file that another process has locked ---- */

static const struct fixture *locked; /* whose file it is */
static sqlite3 *other;               /* has it locked */
static struct writer waiting = {.name = "b", .commit = true};

/* The first wait is in vain, and another writer comes meanwhile; the second
 * one is not. */
static int busy(void *unused, int calls)
{
    static int waits;

    (void)unused;
    if (calls == 0)
        waits++;
    if (waits > 1)
        return sqlite3_exec(other, "COMMIT", NULL, NULL, NULL) == SQLITE_OK;
    start(locked, &waiting);
    usleep(WAIT_US);
    return 0;
}

/* Who heard that the file is busy must not leave a group that counts on him. */
static void an_open_group_ends(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct error e;
    struct conn *c;

    close_store(f);
    on_busy = busy;
    load_store(f);
    locked = f;
    (void)snprintf(path, sizeof path, "%s/data/slipway.db", f->root);
    assert_int_equal(sqlite3_open(path, &other), SQLITE_OK);
    assert_int_equal(sqlite3_exec(other, "BEGIN IMMEDIATE", NULL, NULL, NULL),
                     SQLITE_OK);
    assert_null(put_lease(f->store->db, "a", &e));
    c = put_lease(f->store->db, "a", &e);
    assert_int_equal(e.code, ERR_BUSY);
    assert_non_null(c);
    alarm(10);
    assert_int_equal(db_end(c, true, &e), ERR_NONE);
    alarm(0);
    end(&waiting);
    sqlite3_close(other);
    on_busy = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(waiting_writers_share_a_commit),
        STORE_TEST(one_takes_back_the_others_stay),
        STORE_TEST(failed_commit_is_told_to_all),
        STORE_TEST(an_open_group_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
