/*
 * Removing files that are marked as 'deleting': first their bytes, which leave
 * the public in one step, then their rows. Each step can be killed and done
 * again, by any process; a file that cannot be removed does not keep others.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "http/filename.h"
#include "store/internal.h"

enum { PURGE_STEP = 100 }; /* files that are looked at in one read */

/* What has to be known of a file to remove it. */
struct victim {
    char id[ID_LENGTH + 1];
    bool inside; /* of a directory upload */
    char path[ID_LENGTH + 1 + FILENAME_PATH_MAX + 1]; /* below the mount */
};

struct victims {
    struct victim list[PURGE_STEP];
    size_t count;
};

static void take_victim(struct stmt *row, struct victim *v)
{
    memset(v, 0, sizeof *v);
    strncpy(v->id, stmt_get_text(row, 0), sizeof v->id - 1);
    v->inside = !stmt_is_null(row, 1);
    strncpy(v->path, stmt_get_text(row, 2), sizeof v->path - 1);
}

static enum error_code list_victims(struct store *s, const char *after,
                                    struct victims *v, struct error *e)
{
    struct conn *c = db_read(s->db, e);
    struct stmt *q;

    v->count = 0;
    if (!c)
        return e->code;
    q = db_statement(c, SQL_FILES_MARKED);
    stmt_text(q, ":after", after);
    stmt_int(q, ":limit", PURGE_STEP);
    while (v->count < PURGE_STEP && stmt_step(q))
        take_victim(q, &v->list[v->count++]);
    return db_end(c, true, e);
}

static enum error_code take_away(struct store *s, const char *id,
                                 struct error *e)
{
    int mount = s->uploads.dir;
    enum error_code code = disk_move(mount, id, s->incoming, id, e);

    if (code != ERR_NONE && (e->sys == ENOTEMPTY || e->sys == EEXIST)) {
        code = disk_remove_tree(s->incoming, id, e);
        if (code == ERR_NONE)
            code = disk_move(mount, id, s->incoming, id, e);
    }
    if (code != ERR_NONE && e->sys == ENOENT)
        code = ERR_NONE;
    if (code == ERR_NONE && s->power)
        code = disk_sync_dir(mount, e);
    return code;
}

static enum error_code forget(struct store *s, const char *id, struct error *e)
{
    struct conn *c = db_write(s->db, e);
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_FILE_FORGET);
    stmt_text(q, ":id", id);
    stmt_run(q);
    return db_end(c, true, e);
}

/* What has left the public. On a network file system a file that somebody has
 * open keeps its directory; then the sweep removes it as an orphan. */
static enum error_code remove_private(struct store *s, const char *id,
                                      struct error *e)
{
    enum error_code code = disk_remove_tree(s->incoming, id, e);

    return code != ERR_NONE && e->sys == ENOTEMPTY ? ERR_NONE : code;
}

static enum error_code purge(struct store *s, const struct victim *v,
                             struct error *e)
{
    enum error_code code;

    if (v->inside)
        code = disk_remove_file(s->uploads.dir, v->path, s->power, e);
    else
        code = take_away(s, v->id, e);
    if (code == ERR_NONE && !v->inside)
        code = remove_private(s, v->id, e);
    return code == ERR_NONE ? forget(s, v->id, e) : code;
}

enum error_code purge_one(struct store *s, const char *id, struct error *e)
{
    struct conn *c = db_read(s->db, e);
    struct victim v;
    struct stmt *q;
    bool found;
    enum error_code code;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_FILE_MARKED);
    stmt_text(q, ":id", id);
    found = stmt_step(q);
    if (found)
        take_victim(q, &v);
    code = db_end(c, true, e);
    return code == ERR_NONE && found ? purge(s, &v, e) : code;
}

enum error_code purge_deleted(struct store *s, struct error *e)
{
    struct victims *v = malloc(sizeof *v);
    char after[ID_LENGTH + 1] = "";
    enum error_code code = ERR_NONE;

    if (!v)
        return error_set(e, ERR_MEMORY, "No memory to delete files.");
    do {
        code = list_victims(s, after, v, e);
        for (size_t i = 0; i < v->count; i++) {
            if (purge(s, &v->list[i], e) != ERR_NONE)
                log_failure(LOG_ERROR, e);
            memcpy(after, v->list[i].id, sizeof after);
        }
    } while (code == ERR_NONE && v->count == PURGE_STEP);
    free(v);
    return code;
}
