/*
 * Opening and closing the store. The only place that looks at configured
 * paths; afterwards everything is relative to open directories.
 */
#include "store/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "store/internal.h"

enum { PATH_MAX_BYTES = 4096, PRIVATE_DIR_MODE = 0700 };

static int open_root(const char *what, const char *path, mode_t mode,
                     char **real, struct error *e)
{
    int dir = disk_open_root(path, mode, e);

    if (dir < 0) {
        log_write(LOG_ERROR, "%s = %s cannot be opened", what, path);
        return -1;
    }
    *real = realpath(path, NULL);
    if (*real)
        return dir;
    error_errno(e, errno, "Resolving a directory");
    close(dir);
    return -1;
}

/* Is path the directory dir, or below it? Both are real paths. */
static bool is_below(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    return strncmp(path, dir, len) == 0 &&
           (path[len] == '/' || path[len] == '\0');
}

/* The data directory holds everybody's names and half-received files. */
static enum error_code check_roots(const struct store *s, struct error *e)
{
    if (is_below(s->data_path, s->uploads.real_path))
        return error_set(e, ERR_CONFIG,
                         "[storage] data must not lie in [uploads] directory, "
                         "where the web server would serve it.");
    if (!disk_same_filesystem(s->incoming, s->uploads.dir))
        return error_set(e, ERR_CONFIG,
                         "[storage] data and [uploads] directory must be on "
                         "one filesystem, so that a file can be published in "
                         "one step.");
    return ERR_NONE;
}

static enum error_code open_directories(struct store *s, struct error *e)
{
    int data = open_root("[storage] data", config_text(s->config, OPT_DATA),
                         PRIVATE_DIR_MODE, &s->data_path, e);

    if (data < 0)
        return e->code;
    s->incoming = disk_make_dir(data, "incoming", PRIVATE_DIR_MODE, true, e);
    close(data);
    if (s->incoming < 0)
        return e->code;
    s->uploads.dir = open_root("[uploads] directory", s->uploads.path,
                               PUBLIC_DIR_MODE, &s->uploads.real_path, e);
    return s->uploads.dir < 0 ? e->code : check_roots(s, e);
}

static enum error_code open_database(struct store *s, struct error *e)
{
    char path[PATH_MAX_BYTES];
    int n = snprintf(path, sizeof path, "%s/slipway.db", s->data_path);

    if (n < 0 || (size_t)n >= sizeof path)
        return error_set(e, ERR_CONFIG, "[storage] data is too long a path.");
    return db_open(path, s->power, &s->db, e);
}

enum error_code store_open(const struct config *c, struct store **out,
                           struct error *e)
{
    struct store *s = calloc(1, sizeof *s);
    enum error_code code;

    *out = NULL;
    if (!s)
        return error_set(e, ERR_MEMORY, "No memory for the store.");
    s->config = c;
    s->incoming = s->uploads.dir = -1;
    s->power = config_choice(c, OPT_DURABILITY) == 0;
    s->uploads.name = "uploads";
    s->uploads.path = config_text(c, OPT_UPLOADS_DIR);
    s->uploads.url = config_text(c, OPT_UPLOADS_URL);
    code = open_directories(s, e);
    if (code == ERR_NONE)
        code = open_database(s, e);
    if (code != ERR_NONE) {
        store_close(s);
        return code;
    }
    code = store_recover(s, e);
    if (code == ERR_DATABASE) {
        store_close(s);
        return code;
    }
    *out = s;
    return ERR_NONE;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    db_close(s->db);
    if (s->incoming >= 0)
        close(s->incoming);
    if (s->uploads.dir >= 0)
        close(s->uploads.dir);
    free(s->data_path);
    free(s->uploads.real_path);
    free(s);
}

const struct config *store_config(const struct store *s)
{
    return s->config;
}
