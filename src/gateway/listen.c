/*
 * Making and recognising listening sockets. No state.
 */
#define _GNU_SOURCE
#include "gateway/listen.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 1024 };

/* Does anybody answer there? */
static bool is_live(const struct sockaddr_un *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool live = fd >= 0 &&
                (connect(fd, (const struct sockaddr *)a, sizeof *a) == 0 ||
                 errno == EAGAIN);

    if (fd >= 0)
        close(fd);
    return live;
}

/* Make room at the path of a. */
static enum error_code clear_path(const struct sockaddr_un *a, struct error *e)
{
    struct stat st;

    if (lstat(a->sun_path, &st) != 0)
        return errno == ENOENT ? ERR_NONE
                               : error_errno(e, errno, "Looking for a socket");
    if (!S_ISSOCK(st.st_mode))
        return error_set(e, ERR_CONFIG,
                         "There is something else at the socket's path.");
    if (is_live(a))
        return error_set(e, ERR_CONFIG,
                         "Another process serves this socket already.");
    return unlink(a->sun_path) == 0
               ? ERR_NONE
               : error_errno(e, errno, "Removing a dead socket");
}

static int bind_new(const struct sockaddr_un *a, struct error *e)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    mode_t mask = umask(0117);
    bool ok = fd >= 0 && bind(fd, (const struct sockaddr *)a, sizeof *a) == 0 &&
              listen(fd, BACKLOG) == 0;

    if (!ok)
        error_errno(e, errno, "Opening the socket");
    umask(mask);
    if (!ok && fd >= 0)
        close(fd);
    return ok ? fd : -1;
}

int listen_unix(const char *path, struct error *e)
{
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof a.sun_path) {
        error_set(e, ERR_CONFIG, "The socket's path must have 1 to %zu bytes.",
                  sizeof a.sun_path - 1);
        return -1;
    }
    memcpy(a.sun_path, path, len + 1);
    return clear_path(&a, e) == ERR_NONE ? bind_new(&a, e) : -1;
}

bool listen_is_listener(int fd)
{
    int value = 0;
    socklen_t len = sizeof value;

    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &value, &len) == 0 &&
           value != 0;
}

bool listen_is_waiting(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};

    return poll(&p, 1, 0) > 0;
}
