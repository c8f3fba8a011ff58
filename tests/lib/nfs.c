/*
 * Preloaded into a program: every file system is a network's. For tests on
 * machines that have none.
 */
#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

int statfs(const char *path, struct statfs *out)
{
    long r = syscall(SYS_statfs, path, out);

    out->f_type = NFS_SUPER_MAGIC;
    return (int)r;
}
