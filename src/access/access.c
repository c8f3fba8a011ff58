/*
 * The decision. Pure over the configuration.
 */
#include "access/access.h"

static const char *const wants[] = {
    [ACCESS_UPLOAD] = "upload files",
    [ACCESS_DOWNLOAD] = "download files",
    [ACCESS_LIST] = "list files",
    [ACCESS_DELETE] = "delete files",
};

enum error_code access_check(const struct config *c, enum access_scope scope,
                             struct error *e)
{
    if (scope == ACCESS_NONE ||
        config_choice(c, OPT_ANONYMOUS) & 1U << (unsigned)scope)
        return ERR_NONE;
    return error_set(e, ERR_FORBIDDEN,
                     "The owner of this site does not let everybody %s.",
                     wants[scope]);
}
