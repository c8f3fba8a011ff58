/*
 * Files whose bytes did not pass through upload_append: one that a front
 * server has received already is moved in, not copied; and a digest that
 * nobody has computed on the way is computed from the disk.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/upload_internal.h"

enum { PIECE = 256 * 1024 }; /* bytes read at once */

/* Into dir, in place of the empty file name. Renaming over that file would make
 * ext4 write out the moved one first; no cleaned name begins with a dot.
 * ERR_UNSUPPORTED: nothing has been done. */
static enum error_code replace(int from, const char *path, int dir,
                               const char *name, struct error *e)
{
    static const char moved[] = ".moved";

    if (renameat(from, path, dir, moved) != 0)
        return ERR_UNSUPPORTED;
    if (unlinkat(dir, name, 0) != 0 || renameat(dir, moved, dir, name) != 0)
        return error_errno(e, errno, "Moving a file in");
    return ERR_NONE;
}

/* Put the file at path in the place of the current one, if it is ours alone
 * and on this filesystem; else ERR_UNSUPPORTED. */
static enum error_code move_in(struct upload *u, int fd, int from,
                               const char *path, struct error *e)
{
    const char *slash = strrchr(u->current->name, '/');
    const char *name = slash ? slash + 1 : u->current->name;
    enum error_code code = ERR_UNSUPPORTED;
    struct stat st;
    int dir = disk_open_dir(u->home_dir, u->current->id, e);

    if (dir >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 1 &&
        st.st_uid == geteuid() && fchmod(fd, PUBLIC_FILE_MODE) == 0)
        code = replace(from, path, dir, name, e);
    if (dir >= 0)
        close(dir);
    if (code == ERR_UNSUPPORTED)
        error_set(e, code, "The file cannot be moved.");
    return code;
}

/* The digest of a file whose bytes did not pass by. */
static enum error_code digest_file(struct upload *u, int fd, struct error *e)
{
    enum error_code code = ERR_NONE;
    char *buffer = malloc(PIECE);
    uint64_t at = 0;

    if (!buffer)
        return error_set(e, ERR_MEMORY, "No memory for a digest.");
    while (code == ERR_NONE && at < u->current->size) {
        ssize_t n = pread(fd, buffer, PIECE, (off_t)at);

        if (n <= 0)
            code = error_set(e, ERR_IO, "A file cannot be read.");
        else
            digest_update(&u->digest, buffer, (size_t)n);
        at += n > 0 ? (uint64_t)n : 0;
        if (code == ERR_NONE)
            code = upload_check(u, e);
    }
    free(buffer);
    return code;
}

enum error_code upload_adopt(struct upload *u, int from, const char *path,
                             struct error *e)
{
    struct file *f = u->current;
    uint64_t size;
    int fd = disk_open_file(from, path, &size, e);
    enum error_code code;

    if (fd < 0)
        return e->code;
    code = session_check_size(u, size, f->name, e);
    if (code == ERR_NONE && u->announced != UPLOAD_SIZE_UNKNOWN &&
        size != u->announced)
        code = error_set(e, ERR_TRUNCATED, "The request's file is not whole.");
    if (code == ERR_NONE && u->directory)
        code = error_set(e, ERR_UNSUPPORTED, "The file cannot be moved.");
    if (code == ERR_NONE)
        code = move_in(u, fd, from, path, e);
    if (code != ERR_NONE) {
        close(fd);
        return code;
    }
    close(u->fd);
    u->fd = fd;
    f->size = u->received = size;
    return u->digesting ? digest_file(u, fd, e) : ERR_NONE;
}

enum error_code session_catch_up(struct upload *u, struct error *e)
{
    enum error_code code;
    uint64_t size;
    int fd;

    if (!u->has_expected || u->digesting)
        return ERR_NONE;
    fd = disk_open_file(u->home_dir, u->current->path, &size, e);
    if (fd < 0)
        return e->code;
    digest_init(&u->digest);
    code = digest_file(u, fd, e);
    u->digesting = code == ERR_NONE;
    close(fd);
    return code;
}
