/*
 * Choosing the journal. Runs when a process opens the database for writing;
 * the trial only as long as the file has no write-ahead log.
 */
#define _GNU_SOURCE
#include "store/journal.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

enum {
    PATH_MAX_BYTES = 4096,
    READ_VERSION = 19, /* byte of the file header: 2 means WAL */
    WAL_VERSION = 2
};

bool journal_is_remote(unsigned long type)
{
    /* The magic numbers of linux/magic.h and of modules outside of it. */
    static const uint32_t remote[] = {
        0x6969,     /* NFS */
        0x517b,     /* SMB */
        0xff534d42, /* CIFS */
        0xfe534d42, /* SMB 2 */
        0x65735546, /* FUSE: sshfs, s3fs, GlusterFS, and local ones */
        0x01021997, /* 9P */
        0x0bd00bd0, /* Lustre */
        0x00c36400, /* Ceph */
        0x5346414f, /* AFS */
        0x6b414653, /* AFS of the kernel */
        0x73757245, /* Coda */
        0x564c,     /* NCP */
        0x01161970, /* GFS2 */
        0x7461636f, /* OCFS2 */
        0x47504653, /* GPFS */
        0x19830326, /* BeeGFS */
        0x20030528, /* OrangeFS */
        0xaad7aaea, /* PanFS */
        0x786f4256, /* VirtualBox' shared folders */
    };

    for (size_t i = 0; i < sizeof remote / sizeof remote[0]; i++)
        if (remote[i] == (uint32_t)type)
            return true;
    return false;
}

static void look_at_file(const char *path, struct journal_choice *out)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    unsigned char head[READ_VERSION + 1];

    out->is_new = true;
    if (fd < 0)
        return;
    if (read(fd, head, sizeof head) == (ssize_t)sizeof head) {
        out->is_new = false;
        out->is_wal = head[READ_VERSION] == WAL_VERSION;
    }
    close(fd);
}

/* One number, or -1. */
static int number(sqlite3 *h, const char *sql)
{
    sqlite3_stmt *q = NULL;
    int value = -1;

    if (sqlite3_prepare_v2(h, sql, -1, &q, NULL) == SQLITE_OK &&
        sqlite3_step(q) == SQLITE_ROW)
        value = sqlite3_column_int(q, 0);
    sqlite3_finalize(q);
    return value;
}

static bool run(sqlite3 *h, const char *sql)
{
    return sqlite3_exec(h, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* Does each of two connections see what the other one has written? */
static bool share_a_log(sqlite3 *a, sqlite3 *b)
{
    return run(a, "PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL;"
                  "CREATE TABLE t (v); INSERT INTO t VALUES (1)") &&
           number(b, "SELECT sum(v) FROM t") == 1 &&
           run(b, "PRAGMA synchronous = OFF; INSERT INTO t VALUES (2)") &&
           number(a, "SELECT sum(v) FROM t") == 3 &&
           number(b, "SELECT count(*) FROM pragma_journal_mode "
                     "WHERE journal_mode = 'wal'") == 1;
}

static void remove_scratch(const char *path)
{
    static const char *const ends[] = {"", "-wal", "-shm", "-journal"};
    char name[PATH_MAX_BYTES + 16];

    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        (void)snprintf(name, sizeof name, "%s%s", path, ends[i]);
        (void)unlink(name);
    }
}

/* Use a write-ahead log beside the database at path. */
static bool log_works(const char *path)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE |
                      SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_PRIVATECACHE;
    char scratch[PATH_MAX_BYTES];
    sqlite3 *a = NULL, *b = NULL;
    uint64_t random;
    bool works;
    int n;

    sqlite3_randomness(sizeof random, &random);
    n = snprintf(scratch, sizeof scratch, "%s-try-%016" PRIx64, path, random);
    if (n < 0 || (size_t)n >= sizeof scratch)
        return false;
    works = sqlite3_open_v2(scratch, &a, flags, NULL) == SQLITE_OK &&
            sqlite3_open_v2(scratch, &b, flags, NULL) == SQLITE_OK &&
            share_a_log(a, b);
    sqlite3_close(a);
    sqlite3_close(b);
    remove_scratch(scratch);
    return works;
}

static bool directory_is_remote(const char *path)
{
    const char *slash = strrchr(path, '/');
    char directory[PATH_MAX_BYTES];
    size_t len = slash ? (size_t)(slash - path) + 1 : 0;
    struct statfs fs;

    if (len == 0 || len >= sizeof directory)
        return false;
    memcpy(directory, path, len);
    directory[len] = '\0';
    return statfs(directory, &fs) == 0 &&
           journal_is_remote((unsigned long)fs.f_type);
}

void journal_choose(const char *path, struct journal_choice *out)
{
    memset(out, 0, sizeof *out);
    look_at_file(path, out);
    if (directory_is_remote(path)) {
        out->wanted = JOURNAL_ROLLBACK;
        out->reason = "the file system may be a network's";
    } else if (!out->is_wal && !log_works(path)) {
        out->wanted = JOURNAL_ROLLBACK;
        out->reason = "a write-ahead log does not work there";
    }
}
