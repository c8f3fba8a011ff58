/*
 * The decisions. Pure over configuration and request.
 */
#include "access/access.h"

#include <nettle/memops.h>
#include <string.h>

#include "http/query.h"

enum { TOKEN_MAX = 256 };

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

enum error_code access_owner(const struct config *c, const struct request *req,
                             struct error *e)
{
    const char *token = config_text(c, OPT_PROBE_TOKEN);
    char shown[TOKEN_MAX];

    if (*token == '\0')
        return error_set(e, ERR_FORBIDDEN,
                         "Nobody can ask for this: [access] probe_token in "
                         "slipway.ini is empty.");
    if (query_get(request_variable(req, "QUERY_STRING"), "probe", shown,
                  sizeof shown) == QUERY_FOUND &&
        strlen(shown) == strlen(token) &&
        memeql_sec(shown, token, strlen(token)))
        return ERR_NONE;
    return error_set(e, ERR_FORBIDDEN,
                     "This is for the owner, who knows [access] probe_token.");
}
