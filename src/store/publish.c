/*
 * Publishing: from complete bytes in incoming/ to files that everybody sees,
 * all of an upload or nothing, whatever is killed when.
 *
 * The order, each step on disk before the next one begins (with durability =
 * power; with durability = process the sync calls fall away):
 *   1. content and directories of all files are synced;
 *   2. one commit: the files have rows, 'publishing' like the session;
 *   3. each file's directory is moved to its mount; the mount is synced;
 *   4. one commit: session and files are 'stored'.
 * The client hears of it after step 4. Whoever finds an upload at step 2 or 3
 * without a holder undoes it: nobody was told of it. Undoing marks the files
 * as 'deleting' in one commit and leaves the rest to delete.c. A resumable
 * session, whose bytes were acknowledged, is moved back and goes on instead,
 * after a commit that settles that step 4 was not reached (see db.h).
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store/upload_internal.h"

static enum error_code sync_content(struct upload *u, struct error *e)
{
    return u->store->power ? disk_sync_tree(u->home_dir, e) : ERR_NONE;
}

static void insert_file(struct conn *c, const struct upload *u,
                        const struct file *f, int64_t position)
{
    struct stmt *q = db_statement(c, SQL_FILE_INSERT);

    stmt_text(q, ":id", f->id);
    stmt_text(q, ":upload", u->home);
    if (f->directory)
        stmt_text(q, ":directory", f->directory);
    stmt_int(q, ":is_directory", f->is_directory);
    stmt_int(q, ":position", position);
    stmt_text(q, ":mount", u->store->uploads.name);
    stmt_text(q, ":path", f->path);
    stmt_text(q, ":name", f->name);
    stmt_int(q, ":size", (int64_t)f->size);
    stmt_int(q, ":count", (int64_t)f->count);
    stmt_text(q, ":type", f->type);
    if (f->has_sha256)
        stmt_blob(q, ":sha256", f->sha256, sizeof f->sha256);
    stmt_int(q, ":now", clock_wall_us());
    stmt_run(q);
}

/* The session's row, if it has one, becomes 'publishing'. false if somebody
 * cancelled it. */
static bool session_publishing(struct conn *c, const struct upload *u)
{
    struct stmt *q;

    if (!u->has_row)
        return true;
    q = db_statement(c, SQL_UPLOAD_PUBLISH);
    stmt_text(q, ":id", u->id);
    stmt_int(q, ":received", (int64_t)u->received);
    stmt_int(q, ":now", clock_wall_ms());
    return stmt_run(q) == 1;
}

static enum error_code commit_intent(struct upload *u, const char *metadata,
                                     struct error *e)
{
    struct conn *c = db_write(u->store->db, e);
    int64_t position = 0;
    struct stmt *q;
    bool alive;
    enum error_code code;

    if (!c)
        return e->code;
    alive = session_publishing(c, u);
    if (u->directory)
        insert_file(c, u, u->directory, position++);
    for (const struct file *f = u->files.first; f; f = f->next)
        insert_file(c, u, f, position++);
    if (strcmp(metadata, "{}") != 0) {
        q = db_statement(c, SQL_FORM_INSERT);
        stmt_text(q, ":upload", u->home);
        stmt_text(q, ":metadata", metadata);
        stmt_run(q);
    }
    code = db_end(c, alive, e);
    if (code != ERR_NONE)
        return code;
    return alive ? ERR_NONE
                 : error_set(e, ERR_CANCELLED, "The upload was cancelled.");
}

/* Move what the upload consists of, all that can be moved; gives the first
 * failure. This needs no database and no room on the disk, so that it also
 * takes files back from the public where both are gone. */
static enum error_code move_files(const struct upload *u, int from, int to,
                                  struct error *e)
{
    const struct file *f = u->directory ? u->directory : u->files.first;
    enum error_code code = ERR_NONE;
    struct error failure;

    for (; f; f = f->next)
        if (disk_move(from, f->id, to, f->id, &failure) != ERR_NONE &&
            code == ERR_NONE) {
            code = failure.code;
            *e = failure;
        }
    return code;
}

static enum error_code commit_stored(struct upload *u, struct error *e)
{
    int rows = (int)u->files.count + (u->directory ? 1 : 0);
    struct conn *c = db_write(u->store->db, e);
    struct stmt *q;
    bool ours;
    enum error_code code;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_FILES_STORED);
    stmt_text(q, ":upload", u->home);
    stmt_int(q, ":now", clock_wall_us());
    ours = stmt_run(q) == rows;
    if (u->has_row) {
        q = db_statement(c, SQL_UPLOAD_STORED);
        stmt_text(q, ":id", u->id);
        stmt_int(q, ":now", clock_wall_ms());
        ours = stmt_run(q) == 1 && ours;
    }
    code = db_end(c, ours, e);
    if (code == ERR_NONE && !ours)
        code = error_set(e, ERR_INTERNAL, "The upload changed hands.");
    return code;
}

/* Sum up a directory upload. Its name is the first component that all paths
 * share, if there is one. */
static void describe_directory(struct upload *u, const char *metadata)
{
    struct file *d = u->directory;
    const char *name = u->files.first->name;
    size_t len = strcspn(name, "/");
    bool shared = name[len] == '/';

    for (const struct file *f = u->files.first; f; f = f->next) {
        shared = shared && strncmp(f->name, name, len + 1) == 0;
        d->size += f->size;
        d->count++;
    }
    d->name = shared ? arena_strndup(u->arena, name, len) : "upload";
    if (!d->name)
        d->name = "upload";
    d->metadata = metadata;
}

/* After a failure: everything is as it was before. What is stored after all
 * stays; and if that cannot be settled, or the file of a resumable session
 * cannot be moved, all is left to recover_home. */
static void take_back(const struct upload *u, enum error_code why)
{
    struct store *s = u->store;
    struct error ignored;
    bool any = true;

    if (db_in_doubt(why) &&
        (publish_retract(s, u->home, &any, &ignored) != ERR_NONE || !any))
        return;
    if (move_files(u, s->uploads.dir, u->home_dir, &ignored) != ERR_NONE &&
        u->resumable && ignored.sys != ENOENT)
        return;
    if (s->power) {
        (void)disk_sync_dir(u->home_dir, &ignored);
        (void)disk_sync_dir(s->uploads.dir, &ignored);
    }
    if (u->resumable)
        (void)publish_reopen(s, u->home, &ignored);
    else
        (void)publish_undo(s, u->home, error_slug(why), &ignored);
}

enum error_code publish(struct upload *u, const char *metadata, struct error *e)
{
    int mount = u->store->uploads.dir;
    struct error ignored;
    enum error_code code;

    if (u->directory)
        describe_directory(u, metadata);
    for (struct file *f = u->files.first; f; f = f->next)
        f->metadata = metadata;
    code = sync_content(u, e);
    if (code == ERR_NONE)
        code = commit_intent(u, metadata, e);
    if (code != ERR_NONE)
        return code;
    code = move_files(u, u->home_dir, mount, e);
    if (code == ERR_NONE && u->store->power)
        code = disk_sync_dir(mount, e);
    if (code == ERR_NONE)
        code = commit_stored(u, e);
    if (code != ERR_NONE) {
        take_back(u, code);
        return code;
    }
    if (disk_remove_tree(u->store->incoming, u->home, &ignored) != ERR_NONE)
        log_failure(LOG_WARNING, &ignored);
    return ERR_NONE;
}

enum error_code publish_undo(struct store *s, const char *home,
                             const char *slug, struct error *e)
{
    struct conn *c = db_write(s->db, e);
    struct stmt *q;
    int files;
    enum error_code code;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_UPLOAD_FAIL);
    stmt_text(q, ":home", home);
    stmt_text(q, ":error", slug);
    stmt_int(q, ":now", clock_wall_ms());
    stmt_run(q);
    q = db_statement(c, SQL_FILES_UNDO);
    stmt_text(q, ":upload", home);
    files = stmt_run(q);
    code = db_end(c, true, e);
    if (code == ERR_NONE && files > 0)
        code = purge_deleted(s, e);
    return code;
}

enum error_code publish_retract(struct store *s, const char *home, bool *any,
                                struct error *e)
{
    struct conn *c = db_write(s->db, e);
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_FILES_RETRACT);
    stmt_text(q, ":upload", home);
    stmt_int(q, ":now", clock_wall_us());
    *any = stmt_run(q) > 0;
    return db_end(c, true, e);
}

enum error_code publish_reopen(struct store *s, const char *home,
                               struct error *e)
{
    struct conn *c = db_write(s->db, e);
    struct stmt *q;

    if (!c)
        return e->code;
    q = db_statement(c, SQL_UPLOAD_REOPEN);
    stmt_text(q, ":home", home);
    stmt_int(q, ":now", clock_wall_ms());
    stmt_run(q);
    q = db_statement(c, SQL_FILES_UNPUBLISH);
    stmt_text(q, ":upload", home);
    stmt_run(q);
    return db_end(c, true, e);
}
