/*
 * Preloaded into a program: of the steps by which a body file is moved in, the
 * one that FAIL_MOVE names fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static int is_named(const char *step)
{
    const char *name = getenv("FAIL_MOVE");

    return name && strcmp(name, step) == 0;
}

int renameat(int from, const char *old, int to, const char *new)
{
    if ((is_named("first") && strcmp(new, ".moved") == 0) ||
        (is_named("last") && strcmp(old, ".moved") == 0)) {
        errno = ENOSPC;
        return -1;
    }
    return (int)syscall(SYS_renameat2, from, old, to, new, 0);
}

int unlinkat(int dir, const char *name, int flags)
{
    static int failed;

    if (is_named("middle") && !failed && flags == 0 &&
        faccessat(dir, ".moved", F_OK, 0) == 0) {
        failed = 1;
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_unlinkat, dir, name, flags);
}
