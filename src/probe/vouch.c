/*
 * The variables hold the name of a directory beside the program.
 */
#define _GNU_SOURCE
#include "probe/vouch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool names(const struct request *req, const char *variable,
                  const char *dir)
{
    const char *name = request_variable(req, variable);
    const char *script = request_variable(req, "SCRIPT_FILENAME");
    const char *slash = script ? strrchr(script, '/') : NULL;
    char *path = NULL, *real = NULL;
    bool same;

    if (name && slash &&
        asprintf(&path, "%.*s/%s", (int)(slash - script), script, name) < 0)
        path = NULL;
    if (path)
        real = realpath(path, NULL);
    same = real && strcmp(real, dir) == 0;
    free(real);
    free(path);
    return same;
}

bool vouch_bars(const struct request *req, const char *dir)
{
    return names(req, "SSL_SLIPWAY_BARS", dir);
}

bool vouch_guards(const struct request *req, const char *dir)
{
    return names(req, "SSL_SLIPWAY_GUARDS", dir);
}
