/*
 * Calls to the kernel's file system, checked. No state.
 */
#define _GNU_SOURCE
#include "store/disk.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum {
    DIR_FLAGS = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC,
    TREE_DEPTH_MAX = 64, /* deeper trees are not ours */
    COMPONENT_MAX = 255, /* bytes of one name */
    PARENT_MODE = 0755   /* of a root's missing parents */
};

int disk_open_root(const char *path, mode_t mode, struct error *e)
{
    char partial[4096];
    size_t len = strlen(path);
    int refused = ENOENT; /* why a missing directory was not made */
    bool made = false;
    int fd;

    if (len >= sizeof partial) {
        error_errno(e, ENAMETOOLONG, "Opening a directory");
        return -1;
    }
    memcpy(partial, path, len + 1);
    for (size_t i = 1; i <= len; i++) {
        mode_t m = path[i] ? PARENT_MODE : mode;

        if (path[i] && path[i] != '/')
            continue;
        partial[i] = '\0';
        if (mkdir(partial, m) == 0)
            made = chmod(partial, m) == 0;
        else if (errno != EEXIST)
            refused = errno;
        partial[i] = path[i];
    }
    fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        error_errno(e, errno == ENOENT ? refused : errno,
                    "Opening a directory");
    else if (made)
        (void)syncfs(fd);
    return fd;
}

int disk_make_dir(int dir, const char *name, mode_t mode, bool may_exist,
                  struct error *e)
{
    bool made = mkdirat(dir, name, mode) == 0;
    int fd;

    if (!made && (errno != EEXIST || !may_exist)) {
        error_errno(e, errno, "Making a directory");
        return -1;
    }
    fd = disk_open_dir(dir, name, e);
    if (fd >= 0 && made && fchmod(fd, mode) != 0) {
        error_errno(e, errno, "Making a directory");
        close(fd);
        fd = -1;
    }
    if (fd < 0 && made)
        (void)unlinkat(dir, name, AT_REMOVEDIR);
    return fd;
}

int disk_open_dir(int dir, const char *name, struct error *e)
{
    int fd = openat(dir, name, DIR_FLAGS);

    if (fd < 0)
        error_errno(e, errno, "Opening a directory");
    return fd;
}

int disk_create(int dir, const char *name, mode_t mode, struct error *e)
{
    int fd = openat(dir, name,
                    O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);

    if (fd >= 0 && fchmod(fd, mode) == 0)
        return fd;
    error_errno(e, errno, "Creating a file");
    if (fd >= 0) {
        close(fd);
        (void)unlinkat(dir, name, 0);
    }
    return -1;
}

/* Open the directory that holds the last component of path, which goes to
 * *base. The descriptor is new. */
static int open_parent(int dir, const char *path, const char **base)
{
    int fd = fcntl(dir, F_DUPFD_CLOEXEC, 3);
    const char *slash;

    while (fd >= 0 && (slash = strchr(path, '/'))) {
        char name[COMPONENT_MAX + 1];
        size_t len = (size_t)(slash - path);
        int next = -1;

        if (len > 0 && len < sizeof name) {
            memcpy(name, path, len);
            name[len] = '\0';
            if (strcmp(name, "..") != 0)
                next = openat(fd, name, DIR_FLAGS);
        }
        close(fd);
        fd = next;
        path = slash + 1;
    }
    *base = path;
    return fd;
}

/* Does a failure to open it say that there is no such file or directory? */
static bool is_absent(int sys)
{
    return sys == ENOENT || sys == ENOTDIR || sys == ELOOP;
}

int disk_open_file(int dir, const char *path, uint64_t *size, struct error *e)
{
    const char *base;
    int parent = open_parent(dir, path, &base);
    int fd = parent < 0
                 ? -1
                 : openat(parent, base,
                          O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    int sys = errno;
    struct stat st;

    if (parent >= 0)
        close(parent);
    if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
        *size = (uint64_t)st.st_size;
        return fd;
    }
    if (fd < 0 && !is_absent(sys))
        error_errno(e, sys, "Opening a file");
    else
        error_set(e, ERR_NOT_FOUND, "The file is gone.");
    if (fd >= 0)
        close(fd);
    return -1;
}

enum error_code disk_write(int fd, const void *data, size_t len,
                           uint64_t offset, struct error *e)
{
    const char *p = data;

    while (len > 0) {
        ssize_t n = pwrite(fd, p, len, (off_t)offset);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return error_errno(e, n < 0 ? errno : EIO, "Writing a file");
        p += n;
        len -= (size_t)n;
        offset += (uint64_t)n;
    }
    return ERR_NONE;
}

void disk_preallocate(int fd, uint64_t offset, uint64_t len)
{
    (void)fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len);
}

void disk_trim(int fd)
{
    struct stat st;

    if (fstat(fd, &st) == 0)
        (void)!ftruncate(fd, st.st_size);
}

enum error_code disk_sync_file(int fd, struct error *e)
{
    return fdatasync(fd) == 0 ? ERR_NONE
                              : error_errno(e, errno, "Securing a file");
}

enum error_code disk_sync_dir(int fd, struct error *e)
{
    return fsync(fd) == 0 ? ERR_NONE
                          : error_errno(e, errno, "Securing a directory");
}

/* What is done with each entry of a tree, children first. */
typedef enum error_code visit_fn(int dir, const char *name, int child,
                                 struct error *e);

/* Visit all entries of the directory fd, which is consumed. child is the
 * entry opened as a directory, or -1 for anything else. */
static enum error_code walk(int fd, int depth, visit_fn *visit, struct error *e)
{
    enum error_code code = ERR_NONE;
    DIR *d = fdopendir(fd);
    struct dirent *entry;

    if (!d || depth > TREE_DEPTH_MAX) {
        int sys = d ? ELOOP : errno;

        if (d)
            closedir(d);
        else
            close(fd);
        return error_errno(e, sys, "Reading a directory");
    }
    while (code == ERR_NONE && (entry = readdir(d))) {
        const char *name = entry->d_name;
        int child;

        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
            continue;
        child = openat(dirfd(d), name, DIR_FLAGS);
        if (child < 0 && !is_absent(errno)) {
            code = error_errno(e, errno, "Reading a directory");
        } else if (child >= 0) {
            int again = fcntl(child, F_DUPFD_CLOEXEC, 3);

            code = again < 0 ? error_errno(e, errno, "Reading a directory")
                             : walk(again, depth + 1, visit, e);
        }
        if (code == ERR_NONE)
            code = visit(dirfd(d), name, child, e);
        if (child >= 0)
            close(child);
    }
    closedir(d);
    return code;
}

static enum error_code visit_sync(int dir, const char *name, int child,
                                  struct error *e)
{
    (void)dir;
    (void)name;
    return child >= 0 ? disk_sync_dir(child, e) : ERR_NONE;
}

enum error_code disk_sync_tree(int dir, struct error *e)
{
    int again = openat(dir, ".", DIR_FLAGS);
    enum error_code code;

    if (again < 0)
        return error_errno(e, errno, "Securing a directory");
    code = walk(again, 0, visit_sync, e);
    return code == ERR_NONE ? disk_sync_dir(dir, e) : code;
}

enum error_code disk_move(int from, const char *from_name, int to,
                          const char *to_name, struct error *e)
{
    if (renameat(from, from_name, to, to_name) == 0)
        return ERR_NONE;
    return error_errno(e, errno, "Moving into place");
}

static enum error_code visit_remove(int dir, const char *name, int child,
                                    struct error *e)
{
    if (unlinkat(dir, name, child >= 0 ? AT_REMOVEDIR : 0) == 0 ||
        errno == ENOENT)
        return ERR_NONE;
    return error_errno(e, errno, "Removing a file");
}

enum error_code disk_remove_file(int dir, const char *path, bool sync,
                                 struct error *e)
{
    const char *base;
    int parent = open_parent(dir, path, &base);
    enum error_code code;

    if (parent < 0)
        return errno == ENOENT ? ERR_NONE
                               : error_errno(e, errno, "Removing a file");
    code = visit_remove(parent, base, -1, e);
    if (code == ERR_NONE && sync)
        code = disk_sync_dir(parent, e);
    close(parent);
    return code;
}

enum error_code disk_remove_tree(int dir, const char *name, struct error *e)
{
    enum error_code code;
    int fd;

    if (unlinkat(dir, name, AT_REMOVEDIR) == 0)
        return ERR_NONE;
    fd = openat(dir, name, DIR_FLAGS);
    if (fd < 0)
        return visit_remove(dir, name, -1, e);
    code = walk(fd, 0, visit_remove, e);
    return code == ERR_NONE ? visit_remove(dir, name, 1, e) : code;
}

bool disk_try_lock(int fd)
{
    return flock(fd, LOCK_EX | LOCK_NB) == 0;
}

uint64_t disk_free_space(int fd)
{
    struct statvfs v;

    if (fstatvfs(fd, &v) != 0)
        return UINT64_MAX;
    return (uint64_t)v.f_bavail * (uint64_t)v.f_frsize;
}

bool disk_same_filesystem(int a, int b)
{
    struct stat x, y;

    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev;
}
