/*
 * Which journal a database gets: by the type of the file system, and by what
 * works there.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/magic.h>
#include <sqlite3.h>

#include "store/journal.h"

static void network_file_systems(void **state)
{
    static const unsigned long remote[] = {
        NFS_SUPER_MAGIC,
        SMB_SUPER_MAGIC,
        CIFS_SUPER_MAGIC,
        SMB2_SUPER_MAGIC,
        V9FS_MAGIC,
        CEPH_SUPER_MAGIC,
        CODA_SUPER_MAGIC,
        FUSE_SUPER_MAGIC,
        AFS_SUPER_MAGIC,
        AFS_FS_MAGIC,
        OCFS2_SUPER_MAGIC,
        /* a 32-bit f_type comes with its sign */
        (unsigned long)(long)(int32_t)CIFS_SUPER_MAGIC,
    };
    static const unsigned long local[] = {
        EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,       BTRFS_SUPER_MAGIC,
        TMPFS_MAGIC,      OVERLAYFS_SUPER_MAGIC,
    };

    (void)state;
    for (size_t i = 0; i < sizeof remote / sizeof remote[0]; i++)
        assert_true(journal_is_remote(remote[i]));
    for (size_t i = 0; i < sizeof local / sizeof local[0]; i++)
        assert_false(journal_is_remote(local[i]));
}

struct place {
    char directory[64]; /* */
    char path[96];      /* of the database */
};

static struct place make_place(void)
{
    struct place p;

    strcpy(p.directory, "/tmp/slipway-journal-XXXXXX");
    assert_non_null(mkdtemp(p.directory));
    (void)snprintf(p.path, sizeof p.path, "%s/slipway.db", p.directory);
    return p;
}

static void exec(const struct place *p, const char *sql)
{
    sqlite3 *h;

    assert_int_equal(sqlite3_open(p->path, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(h);
}

/* The trial must leave nothing behind. */
static void remove_place(const struct place *p)
{
    (void)unlink(p->path);
    assert_int_equal(rmdir(p->directory), 0);
}

static void a_new_file_gets_what_works(void **state)
{
    struct place p = make_place();
    struct journal_choice j;

    (void)state;
    journal_choose(p.path, &j);
    assert_int_equal(j.wanted, JOURNAL_WAL);
    assert_true(j.is_new);
    remove_place(&p);
}

static void the_journal_of_a_file_is_seen(void **state)
{
    struct place p = make_place();
    struct journal_choice j;

    (void)state;
    exec(&p, "CREATE TABLE t (v)");
    journal_choose(p.path, &j);
    assert_false(j.is_new);
    assert_false(j.is_wal);
    exec(&p, "PRAGMA journal_mode = WAL; INSERT INTO t VALUES (1)");
    journal_choose(p.path, &j);
    assert_true(j.is_wal);
    assert_int_equal(j.wanted, JOURNAL_WAL);
    remove_place(&p);
}

/* A log needs a second file to be as large as shared memory is; where that
 * cannot be, a small rollback journal still may do. */
static void where_a_log_does_not_work(void **state)
{
    const struct rlimit tight = {16 * 1024, RLIM_INFINITY};
    struct place p = make_place();
    struct journal_choice j;
    struct rlimit before;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
    journal_choose(p.path, &j);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(j.wanted, JOURNAL_ROLLBACK);
    assert_non_null(j.reason);
    remove_place(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(network_file_systems),
        cmocka_unit_test(a_new_file_gets_what_works),
        cmocka_unit_test(the_journal_of_a_file_is_seen),
        cmocka_unit_test(where_a_log_does_not_work),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
