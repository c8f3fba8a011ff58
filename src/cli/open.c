/*
 * See open.h. Runs before any thread.
 */
#define _GNU_SOURCE
#include "cli/open.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct config *open_config(const char *flag, struct error *e)
{
    char *path = config_find(flag);
    struct config *c = config_load(path, e);

    free(path);
    return c;
}

/* With the groups that the user has at log-in. */
static bool become(uid_t user, gid_t group)
{
    const struct passwd *p = getpwuid(user);

    if (p)
        group = p->pw_gid;
    return (p ? initgroups(p->pw_name, group) : setgroups(0, NULL)) == 0 &&
           setresgid(group, group, group) == 0 &&
           setresuid(user, user, user) == 0;
}

static enum error_code become_owner(const char *data, struct error *e)
{
    struct stat st;

    if (stat(data, &st) != 0)
        return error_set(e, ERR_CONFIG,
                         "[storage] data cannot be found: %s. slipway makes it "
                         "when the web server first runs it, as the web "
                         "server's user.",
                         strerror(errno));
    if (geteuid() != 0 || st.st_uid == 0 || become(st.st_uid, st.st_gid))
        return ERR_NONE;
    return error_errno(e, errno, "Becoming the owner of [storage] data");
}

enum error_code open_store(const struct config *c, struct store **out,
                           struct error *e)
{
    enum error_code code = become_owner(config_text(c, OPT_DATA), e);

    *out = NULL;
    return code == ERR_NONE ? store_open(c, out, e) : code;
}
