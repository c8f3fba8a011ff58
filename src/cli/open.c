/*
 * See open.h. Runs before any thread.
 */
#define _GNU_SOURCE
#include "cli/open.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct config *open_config(const char *flag, struct error *e)
{
    char *path = config_find(flag);
    struct config *c = config_load(path, e);

    free(path);
    return c;
}

static enum error_code become_owner(const char *data, struct error *e)
{
    struct stat st;

    if (geteuid() != 0)
        return ERR_NONE;
    if (stat(data, &st) != 0)
        return error_set(e, ERR_CONFIG,
                         "[storage] data is not there yet. The web server's "
                         "user must make it: run this as that user, or upload "
                         "a file first.");
    if (st.st_uid == 0)
        return ERR_NONE;
    if (setgroups(0, NULL) != 0 ||
        setresgid(st.st_gid, st.st_gid, st.st_gid) != 0 ||
        setresuid(st.st_uid, st.st_uid, st.st_uid) != 0)
        return error_errno(e, errno, "Becoming the owner of [storage] data");
    return ERR_NONE;
}

enum error_code open_store(const struct config *c, struct store **out,
                           struct error *e)
{
    enum error_code code = become_owner(config_text(c, OPT_DATA), e);

    *out = NULL;
    return code == ERR_NONE ? store_open(c, out, e) : code;
}
