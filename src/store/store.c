/*
 * Opening and closing the store. The only file of store/ that opens configured
 * paths; afterwards everything is relative to open directories.
 */
#define _GNU_SOURCE
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "store/internal.h"

enum { PATH_MAX_BYTES = 4096, PRIVATE_DIR_MODE = 0700 };

/* For the owner: what is wrong with a directory, and what to do. The path
 * goes to the log. */
static int bad_directory(const char *what, const char *path, int sys,
                         struct error *e)
{
    log_write(LOG_ERROR, "%s = %s", what, path);
    error_set(e, ERR_CONFIG,
              "The directory of %s cannot be used: %s. The user that slipway "
              "runs as must be able to make it or, if it is there, to write "
              "into it.",
              what, strerror(sys));
    e->sys = sys;
    return -1;
}

static int open_root(const char *what, const char *path, mode_t mode,
                     char **real, struct error *e)
{
    int dir = disk_open_root(path, mode, e);

    if (dir < 0)
        return bad_directory(what, path, e->sys, e);
    *real = realpath(path, NULL);
    if (*real && faccessat(dir, ".", W_OK | X_OK, AT_EACCESS) == 0)
        return dir;
    bad_directory(what, path, errno, e);
    close(dir);
    return -1;
}

/* Should the directory be within reach of an Apache: it is to bar it. The
 * owner's own file is left alone. */
static void bar_data(const struct store *s)
{
    static const char rule[] =
        "# Made by slipway: nothing in here is for the web.\n"
        "<IfModule mod_authz_core.c>\n    Require all denied\n</IfModule>\n"
        "<IfModule !mod_authz_core.c>\n    Deny from all\n</IfModule>\n";
    struct error e;
    int fd = disk_create(s->data, ".htaccess", PUBLIC_FILE_MODE, &e);

    if (fd < 0 && e.sys == EEXIST)
        return;
    if (fd < 0 || disk_write(fd, rule, sizeof rule - 1, 0, &e) != ERR_NONE) {
        log_failure(LOG_WARNING, &e);
        if (fd >= 0)
            (void)unlinkat(s->data, ".htaccess", 0);
    }
    if (fd >= 0)
        close(fd);
}

/* The data directory holds everybody's names and half-received files. */
static enum error_code check_roots(const struct store *s, struct error *e)
{
    if (text_path_below(s->data_path, s->uploads.real_path))
        return error_set(e, ERR_CONFIG,
                         "[storage] data must not lie in [uploads] directory, "
                         "where the web server would serve it.");
    if (text_path_below(s->uploads.real_path, s->data_path))
        return error_set(e, ERR_CONFIG,
                         "[uploads] directory must not lie in [storage] data, "
                         "which is not for the web server.");
    if (!disk_same_filesystem(s->incoming, s->uploads.dir))
        return error_set(e, ERR_CONFIG,
                         "[storage] data and [uploads] directory must be on "
                         "one filesystem, so that a file can be published in "
                         "one step.");
    return ERR_NONE;
}

static enum error_code open_directories(struct store *s, struct error *e)
{
    s->data = open_root("[storage] data", config_text(s->config, OPT_DATA),
                        PRIVATE_DIR_MODE, &s->data_path, e);
    if (s->data < 0)
        return e->code;
    bar_data(s);
    s->incoming = disk_make_dir(s->data, "incoming", PRIVATE_DIR_MODE, true, e);
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
    s->data = s->incoming = s->uploads.dir = -1;
    s->power = config_choice(c, OPT_DURABILITY) == DURABILITY_POWER;
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

void store_stop(struct store *s)
{
    atomic_store(&s->stopping, true);
}

void store_close(struct store *s)
{
    if (!s)
        return;
    db_close(s->db);
    if (s->data >= 0)
        close(s->data);
    if (s->incoming >= 0)
        close(s->incoming);
    if (s->uploads.dir >= 0)
        close(s->uploads.dir);
    free(s->data_path);
    free(s->uploads.real_path);
    free(s->found_url);
    free(s);
}

const struct config *store_config(const struct store *s)
{
    return s->config;
}
