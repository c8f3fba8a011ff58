/*
 * Calls to the kernel that fail where a test says so, also those of SQLite.
 * Included by one program each, whose calls these then are. One thread only.
 */
#ifndef SLIPWAY_TESTS_STORE_FAULTS_H
#define SLIPWAY_TESTS_STORE_FAULTS_H

#include <errno.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "store_children.h"

enum { NFS_MAGIC = 0x6969 };

/* Each says whether its call fails; NULL: it does not. */
static struct faults {
    bool (*sync)(const char *path); /* with EIO */
    bool (*read)(void);             /* of SQLite, with EIO */
    bool (*rename)(int from);       /* of a name in from, with EIO */
    bool (*open)(const char *name); /* with EMFILE */
    bool (*lock)(void);             /* once, with EWOULDBLOCK */
    bool remote;                    /* file systems seem to be a network's */
} faults;

static const struct fixture *faulty; /* whose store the faults look at */

static inline int fails_with(int sys)
{
    errno = sys;
    return -1;
}

static inline int sync_or_fail(long call, int fd)
{
    char link[32], path[256] = "";

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    assert_true(readlink(link, path, sizeof path - 1) > 0);
    if (faults.sync && faults.sync(path))
        return fails_with(EIO);
    return (int)syscall(call, fd);
}

int fdatasync(int fd)
{
    return sync_or_fail(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return sync_or_fail(SYS_fsync, fd);
}

static inline ssize_t read_or_fail(int fd, void *data, size_t len, off_t offset)
{
    if (faults.read && faults.read())
        return fails_with(EIO);
    return syscall(SYS_pread64, fd, data, len, offset);
}

/* SQLite's reads are known to it by name. */
static inline void fail_reads(bool (*fault)(void))
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
    sqlite3_syscall_ptr ours = (sqlite3_syscall_ptr)read_or_fail;

    assert_int_equal(vfs->xSetSystemCall(vfs, "pread", ours), SQLITE_OK);
    assert_int_equal(vfs->xSetSystemCall(vfs, "pread64", ours), SQLITE_OK);
    faults.read = fault;
}

int renameat(int from, const char *old, int to, const char *new)
{
    if (faults.rename && faults.rename(from))
        return fails_with(EIO);
    return (int)syscall(SYS_renameat2, from, old, to, new, 0);
}

int openat(int dir, const char *name, int flags, ...)
{
    va_list more;
    int mode;

    if (faults.open && faults.open(name))
        return fails_with(EMFILE);
    va_start(more, flags);
    mode = flags & O_CREAT ? va_arg(more, int) : 0;
    va_end(more);
    return (int)syscall(SYS_openat, dir, name, flags, mode);
}

int flock(int fd, int operation)
{
    bool (*fault)(void) = faults.lock;

    faults.lock = NULL;
    if (fault && fault())
        return fails_with(EWOULDBLOCK);
    return (int)syscall(SYS_flock, fd, operation);
}

int statfs(const char *path, struct statfs *out)
{
    int result = (int)syscall(SYS_statfs, path, out);

    if (faults.remote)
        out->f_type = NFS_MAGIC;
    return result;
}

static inline bool ends_with(const char *path, const char *end)
{
    size_t len = strlen(path), n = strlen(end);

    return len >= n && strcmp(path + len - n, end) == 0;
}

static inline bool is_public(void)
{
    return entries(faulty, "uploads") > 0;
}

/* A reader, so that a writer that fails is not the last to close the file,
 * which would empty the log. */
static inline void keep_the_log(struct fixture *f)
{
    struct error e;

    assert_int_equal(db_end(db_read(f->store->db, &e), true, &e), ERR_NONE);
}

static inline int setup_faults(void **state)
{
    faults = (struct faults){0};
    (void)setup(state);
    faulty = *state;
    return 0;
}

static inline int teardown_faults(void **state)
{
    faults = (struct faults){0};
    return teardown(state);
}

#define FAULT_TEST(name) \
    cmocka_unit_test_setup_teardown(name, setup_faults, teardown_faults)

#endif
