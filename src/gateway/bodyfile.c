/*
 * A body read from a file. Removing the file is the front server's business,
 * unless somebody has moved it away.
 */
#define _GNU_SOURCE
#include "gateway/bodyfile.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "store/disk.h"

enum { BUFFER_SIZE = 128 * 1024 };

static enum body_result next(struct body *body, const void **data, size_t *len,
                             int wait_ms, struct error *e)
{
    struct bodyfile *b = (struct bodyfile *)body;
    ssize_t n = pread(b->fd, b->buffer, BUFFER_SIZE, (off_t)b->body.received);

    (void)wait_ms;
    if (n < 0) {
        error_set(e, ERR_IO, "The request body cannot be read.");
        return BODY_FAILED;
    }
    *data = b->buffer;
    *len = (size_t)n;
    return n > 0 ? BODY_DATA : BODY_END;
}

enum error_code bodyfile_open(struct bodyfile *b, const struct config *c,
                              struct request *req, struct error *e)
{
    const char *dir = config_text(c, OPT_BODY_FILES);
    const char *path = request_variable(req, "SLIPWAY_BODY_FILE");
    uint64_t size;

    b->fd = b->file.dir = -1;
    if (*dir == '\0' || !path)
        return ERR_NONE;
    b->buffer = arena_alloc(req->arena, BUFFER_SIZE);
    if (!b->buffer)
        return error_set(e, ERR_MEMORY, "No memory for a request.");
    b->file.path = text_path_below(path, dir);
    b->file.dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (b->file.path && b->file.dir >= 0)
        b->fd = disk_open_file(b->file.dir, b->file.path, &size, e);
    if (b->fd < 0)
        return error_set(e, ERR_CONFIG,
                         "The web server hands over a request body that "
                         "cannot be read below [server] body_files.");
    b->body = (struct body){
        .next = next, .length = req->body->length, .file = &b->file};
    req->body = &b->body;
    return ERR_NONE;
}

void bodyfile_close(struct bodyfile *b)
{
    if (b->fd >= 0)
        close(b->fd);
    if (b->file.dir >= 0)
        close(b->file.dir);
}
