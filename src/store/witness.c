/*
 * Two files with random name and content: <data>/reach-ID and
 * <uploads>/ID/reach-ID.
 */
#include "store/witness.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "store/internal.h"

static const char prefix[] = "reach-";

static bool is_name(const char *s)
{
    size_t len = sizeof prefix - 1;

    return strncmp(s, prefix, len) == 0 && id_is_generated(s + len);
}

static void set_name(struct witness *w, const char *id)
{
    (void)snprintf(w->name, sizeof w->name, "%s%s", prefix, id);
    (void)snprintf(w->path, sizeof w->path, "%s/%s%s", id, prefix, id);
}

static enum error_code put_file(int dir, const struct witness *w,
                                struct error *e)
{
    int fd = disk_create(dir, w->name, PUBLIC_FILE_MODE, e);
    enum error_code code;

    if (fd < 0)
        return e->code;
    code = disk_write(fd, w->content, ID_LENGTH, 0, e);
    close(fd);
    return code;
}

static enum error_code put_public(int uploads, const struct witness *w,
                                  struct error *e)
{
    const char *id = w->name + sizeof prefix - 1;
    int dir = disk_make_dir(uploads, id, PUBLIC_DIR_MODE, false, e);
    enum error_code code;

    if (dir < 0)
        return e->code;
    code = put_file(dir, w, e);
    close(dir);
    return code;
}

enum error_code witness_put(struct store *s, struct witness *w, struct error *e)
{
    char random[ID_LENGTH + 1];
    enum error_code code;

    if (id_new(random, e) != ERR_NONE || id_new(w->content, e) != ERR_NONE)
        return e->code;
    set_name(w, random);
    code = put_file(s->data, w, e);
    if (code == ERR_NONE)
        code = put_public(s->uploads.dir, w, e);
    if (code != ERR_NONE)
        witness_remove(s, w->name);
    return code;
}

/* The directory goes only if nothing else is in it. */
void witness_remove(struct store *s, const char *name)
{
    struct witness w = {.content = ""};
    struct error e;

    if (!is_name(name))
        return;
    set_name(&w, name + sizeof prefix - 1);
    if (disk_remove_file(s->uploads.dir, w.path, false, &e) == ERR_NONE) {
        (void)unlinkat(s->uploads.dir, name + sizeof prefix - 1, AT_REMOVEDIR);
        if (disk_remove_file(s->data, name, false, &e) == ERR_NONE)
            return;
    }
    log_failure(LOG_WARNING, &e);
}

bool witness_read(struct store *s, const char *name, struct witness *w)
{
    uint64_t size;
    struct error e;
    ssize_t n;
    int fd;

    if (!is_name(name))
        return false;
    fd = disk_open_file(s->data, name, &size, &e);
    if (fd < 0)
        return false;
    n = pread(fd, w->content, ID_LENGTH, 0);
    close(fd);
    w->content[ID_LENGTH] = '\0';
    set_name(w, name + sizeof prefix - 1);
    return size == ID_LENGTH && n == ID_LENGTH && id_is_generated(w->content);
}
