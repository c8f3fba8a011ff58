/*
 * The store against a real SQLite and a real directory: sessions, publishing,
 * undoing, deleting, cleaning, and that every named statement runs.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "store/internal.h"
#include "store/progress.h"
#include "store/upload_internal.h"

struct fixture {
    char root[64];         /* temporary directory */
    struct config *config; /* */
    struct store *store;   /* */
    struct arena *arena;   /* */
};

static void write_ini(const struct fixture *f, const char *extra)
{
    char path[128];
    FILE *out;

    (void)snprintf(path, sizeof path, "%s/slipway.ini", f->root);
    out = fopen(path, "w");
    assert_non_null(out);
    fprintf(out, "[storage]\nmin_free_space = 0\n%s", extra);
    fclose(out);
}

static void open_store(struct fixture *f, const char *extra)
{
    struct error e;
    char path[128];

    write_ini(f, extra);
    (void)snprintf(path, sizeof path, "%s/slipway.ini", f->root);
    f->config = config_load(path, &e);
    assert_non_null(f->config);
    assert_int_equal(store_open(f->config, &f->store, &e), ERR_NONE);
}

static uint64_t all_runs[SQL_COUNT]; /* of statements, in all tests */

static void close_store(struct fixture *f)
{
    uint64_t runs[SQL_COUNT] = {0};

    if (f->store)
        db_runs(f->store->db, runs);
    for (int i = 0; i < SQL_COUNT; i++)
        all_runs[i] += runs[i];
    store_close(f->store);
    config_free(f->config);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    strcpy(f->root, "/tmp/slipway-store-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    f->arena = arena_new(1024 * 1024);
    open_store(f, "");
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct error e;

    close_store(f);
    arena_free(f->arena);
    assert_int_equal(disk_remove_tree(AT_FDCWD, f->root, &e), ERR_NONE);
    free(f);
    return 0;
}

static int entries(const struct fixture *f, const char *below)
{
    char command[160];
    char line[32] = "";
    FILE *p;

    (void)snprintf(command, sizeof command, "ls -A %s/%s | wc -l", f->root,
                   below);
    p = popen(command, "r");
    assert_non_null(fgets(line, sizeof line, p));
    pclose(p);
    return (int)strtol(line, NULL, 10);
}

static struct upload *begin(struct fixture *f, const char *id, bool directory)
{
    struct upload_spec spec = {.id = id,
                               .total = UPLOAD_SIZE_UNKNOWN,
                               .directory = directory,
                               .arena = f->arena};
    struct upload *u;
    struct error e;

    assert_int_equal(upload_open(f->store, &spec, &u, &e), ERR_NONE);
    return u;
}

static void add(struct upload *u, const char *name, const char *content)
{
    struct error e;

    assert_int_equal(upload_begin_file(u, name, NULL, UPLOAD_SIZE_UNKNOWN, &e),
                     ERR_NONE);
    assert_int_equal(upload_append(u, content, strlen(content), &e), ERR_NONE);
    assert_int_equal(upload_end_file(u, &e), ERR_NONE);
}

static struct file *finish(struct upload *u)
{
    struct file_list l = {0};
    struct error e;

    assert_int_equal(upload_finish(u, "{\"k\":\"v\"}", &l, &e), ERR_NONE);
    assert_non_null(l.first);
    return l.first;
}

static enum upload_state state_of(struct fixture *f, const char *id)
{
    struct progress p;
    struct error e;

    assert_int_equal(progress_get(f->store, f->arena, id, &p, &e), ERR_NONE);
    return p.state;
}

static void publishes_whole_files(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, "chosen-1", false);
    struct file *file, *again;
    struct error e;
    char path[256], content[8] = "";
    int fd;

    add(u, "a.txt", "hello");
    assert_int_equal(entries(f, "uploads"), 0);
    assert_int_equal(state_of(f, "chosen-1"), UPLOAD_RECEIVING);
    file = finish(u);
    assert_int_equal(entries(f, "uploads"), 1);
    assert_int_equal(entries(f, "data/incoming"), 0);
    assert_int_equal(state_of(f, "chosen-1"), UPLOAD_STORED);
    again = file_get(f->store, f->arena, file->id, &e);
    assert_non_null(again);
    assert_int_equal(again->size, 5);
    assert_memory_equal(again->sha256, file->sha256, DIGEST_SIZE);
    (void)snprintf(path, sizeof path, "%s/uploads/%s", f->root, again->path);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, content, sizeof content), 5);
    close(fd);
    assert_string_equal(content, "hello");
}

static void directory_is_one_entry(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, NULL, true);
    struct file_list inside = {0};
    struct file *d;
    struct error e;

    add(u, "photos/a.txt", "1");
    add(u, "photos/sub/b.txt", "22");
    add(u, "photos/a.txt", "333");
    d = finish(u);
    assert_true(d->is_directory);
    assert_string_equal(d->name, "photos");
    assert_int_equal(d->size, 6);
    assert_int_equal(d->count, 3);
    assert_int_equal(files_of_directory(f->store, f->arena, d->id, &inside, &e),
                     ERR_NONE);
    assert_int_equal(inside.count, 3);
    assert_string_equal(inside.first->next->name, "photos/a.txt");
    assert_int_equal(file_delete(f->store, inside.first->id, &e), ERR_NONE);
    d = file_get(f->store, f->arena, d->id, &e);
    assert_non_null(d);
    assert_int_equal(d->count, 2);
    assert_int_equal(file_delete(f->store, d->id, &e), ERR_NONE);
    assert_int_equal(entries(f, "uploads"), 0);
    assert_null(file_get(f->store, f->arena, inside.last->id, &e));
    assert_int_equal(e.code, ERR_NOT_FOUND);
}

static void directory_refuses_file_as_parent(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, NULL, true);
    struct error e;

    add(u, "a", "1");
    assert_int_equal(upload_begin_file(u, "a/b", NULL, UPLOAD_SIZE_UNKNOWN, &e),
                     ERR_BAD_NAME);
    upload_discard(u, &e);
    assert_int_equal(entries(f, "data/incoming"), 0);
}

static void discard_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, "chosen-2", false);
    struct progress p;
    struct error e;

    add(u, "a.txt", "hello");
    error_set(&e, ERR_TRUNCATED, "Cut.");
    upload_discard(u, &e);
    assert_int_equal(entries(f, "data/incoming"), 0);
    assert_int_equal(progress_get(f->store, f->arena, "chosen-2", &p, &e),
                     ERR_NONE);
    assert_int_equal(p.state, UPLOAD_FAILED);
    assert_string_equal(p.error, "truncated");
}

static void chosen_id_is_used_once(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, "chosen-3", false);
    struct upload_spec spec = {.id = "chosen-3", .arena = f->arena};
    struct upload *second;
    struct error e;

    assert_int_equal(upload_open(f->store, &spec, &second, &e), ERR_ID_IN_USE);
    assert_int_equal(entries(f, "data/incoming"), 1);
    assert_int_equal(state_of(f, "chosen-3"), UPLOAD_RECEIVING);
    add(u, "a", "1");
    finish(u);
    assert_int_equal(upload_open(f->store, &spec, &second, &e), ERR_ID_IN_USE);
}

static void refusal_shows_in_progress(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, "chosen-11", false);
    struct progress p;
    struct error e;

    assert_int_equal(upload_begin_file(u, "..", NULL, UPLOAD_SIZE_UNKNOWN, &e),
                     ERR_BAD_NAME);
    upload_discard(u, &e);
    assert_int_equal(entries(f, "data/incoming"), 0);
    assert_int_equal(progress_get(f->store, f->arena, "chosen-11", &p, &e),
                     ERR_NONE);
    assert_int_equal(p.state, UPLOAD_FAILED);
    assert_string_equal(p.error, "bad-name");
}

/* The holder runs in a child process that notices the cancel. */
static void cancel_reaches_the_holder(void **state)
{
    struct fixture *f = *state;
    struct error e;
    int ready[2], status;
    pid_t child;

    assert_int_equal(pipe(ready), 0);
    child = fork();
    if (child == 0) {
        struct fixture mine = *f;
        struct upload *u;

        store_open(f->config, &mine.store, &e);
        u = begin(&mine, "chosen-4", false);
        add(u, "a", "1");
        (void)!write(ready[1], "x", 1);
        for (int ms = 0; ms < 5000 && upload_check(u, &e) == ERR_NONE; ms++)
            usleep(1000);
        upload_discard(u, &e);
        _exit(e.code == ERR_CANCELLED ? 0 : 1);
    }
    assert_int_equal(read(ready[0], &status, 1), 1);
    assert_int_equal(upload_cancel(f->store, "chosen-4", &e), ERR_NONE);
    assert_int_equal(entries(f, "data/incoming"), 0);
    assert_int_equal(state_of(f, "chosen-4"), UPLOAD_CANCELLED);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(upload_cancel(f->store, "chosen-4", &e), ERR_NONE);
    assert_int_equal(upload_cancel(f->store, "no-such-id", &e), ERR_NOT_FOUND);
    close(ready[0]);
    close(ready[1]);
}

static void cancel_wins_against_finish_once(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, "chosen-5", false);
    struct file_list l = {0};
    struct error e;
    struct conn *c;
    struct stmt *q;

    add(u, "a", "1");
    c = db_write(f->store->db, &e);
    q = db_statement(c, SQL_UPLOAD_CANCEL);
    stmt_text(q, ":id", "chosen-5");
    stmt_int(q, ":now", clock_wall_ms());
    assert_int_equal(stmt_run(q), 1);
    assert_int_equal(db_end(c, true, &e), ERR_NONE);
    assert_int_equal(upload_finish(u, "{}", &l, &e), ERR_CANCELLED);
    assert_int_equal(entries(f, "uploads"), 0);
    assert_int_equal(entries(f, "data/incoming"), 0);
    assert_int_equal(state_of(f, "chosen-5"), UPLOAD_CANCELLED);
    u = begin(f, "chosen-6", false);
    add(u, "a", "1");
    finish(u);
    assert_int_equal(upload_cancel(f->store, "chosen-6", &e), ERR_FINISHED);
}

/* Run one statement in a connection of its own; its value must be want. */
static void sql_expect(const struct fixture *f, const char *sql, int want)
{
    char path[128];
    sqlite3_stmt *q;
    sqlite3 *h;

    (void)snprintf(path, sizeof path, "%s/data/slipway.db", f->root);
    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(h, sql, -1, &q, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(q), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(q, 0), want);
    sqlite3_finalize(q);
    sqlite3_close(h);
}

static void make_orphan(const struct fixture *f, const char *name, int lock)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/data/incoming/%s", f->root, name);
    assert_int_equal(mkdir(path, 0700), 0);
    if (lock >= 0) {
        lock = open(path, O_RDONLY | O_DIRECTORY);
        assert_int_equal(flock(lock, LOCK_EX), 0);
    }
    (void)snprintf(path, sizeof path,
                   "touch -d '1 hour ago' %s/data/incoming/%s", f->root, name);
    assert_int_equal(system(path), 0);
}

/* Publish the first file of u up to the rename, as publish.c does. */
static void half_publish(struct fixture *f, struct upload *u)
{
    const struct file *file = u->files.first;
    struct error e;
    struct conn *c = db_write(f->store->db, &e);
    struct stmt *q = db_statement(c, SQL_UPLOAD_PUBLISH);

    stmt_text(q, ":id", u->id);
    stmt_int(q, ":received", (int64_t)u->received);
    stmt_int(q, ":now", clock_wall_ms());
    stmt_run(q);
    q = db_statement(c, SQL_FILE_INSERT);
    stmt_text(q, ":id", file->id);
    stmt_text(q, ":upload", u->home);
    stmt_int(q, ":is_directory", 0);
    stmt_int(q, ":position", 0);
    stmt_text(q, ":mount", "uploads");
    stmt_text(q, ":path", file->path);
    stmt_text(q, ":name", file->name);
    stmt_int(q, ":size", (int64_t)file->size);
    stmt_int(q, ":count", 1);
    stmt_text(q, ":type", "x/y");
    stmt_int(q, ":now", clock_wall_us());
    stmt_run(q);
    db_end(c, true, &e);
    disk_move(u->home_dir, file->id, f->store->uploads.dir, file->id, &e);
}

/* A process dies in the middle of publishing; the next one undoes it. */
static void undoes_half_published(void **state)
{
    struct fixture *f = *state;
    struct error e;
    int status;
    pid_t child = fork();

    if (child == 0) {
        struct fixture mine = *f;
        struct upload *u;

        store_open(f->config, &mine.store, &e);
        u = begin(&mine, "chosen-7", false);
        add(u, "a", "1");
        add(u, "b", "2");
        half_publish(&mine, u);
        raise(SIGKILL);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(entries(f, "uploads"), 1);
    close_store(f);
    open_store(f, "");
    assert_int_equal(entries(f, "uploads"), 0);
    assert_int_equal(entries(f, "data/incoming"), 0);
    assert_int_equal(state_of(f, "chosen-7"), UPLOAD_FAILED);
}

/* Many sessions that lost their process are all noticed at once. */
static void recovers_more_than_one_step(void **state)
{
    enum { SESSIONS = 230 };
    struct fixture *f = *state;
    struct error e;
    int status;

    if (fork() == 0) {
        struct fixture mine = *f;
        char id[32];

        store_open(f->config, &mine.store, &e);
        for (int i = 0; i < SESSIONS; i++) {
            (void)snprintf(id, sizeof id, "session-%d", i);
            add(begin(&mine, id, false), "a", "1");
        }
        raise(SIGKILL);
    }
    wait(&status);
    assert_int_equal(entries(f, "data/incoming"), SESSIONS);
    close_store(f);
    open_store(f, "");
    assert_int_equal(entries(f, "data/incoming"), 0);
    assert_int_equal(state_of(f, "session-0"), UPLOAD_FAILED);
    assert_int_equal(state_of(f, "session-229"), UPLOAD_FAILED);
}

/* A file that cannot be removed does not keep others, nor their sweep. */
static void stuck_file_keeps_nobody(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, NULL, false);
    struct file *stuck, *other;
    struct error e;
    char path[256];

    add(u, "a", "1");
    stuck = finish(u);
    u = begin(f, NULL, false);
    add(u, "b", "2");
    other = finish(u);
    /* A file where the directory would go: the move cannot succeed. */
    (void)snprintf(path, sizeof path, "%s/data/incoming/%s", f->root,
                   stuck->id);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_not_equal(file_delete(f->store, stuck->id, &e), ERR_NONE);
    assert_int_equal(file_delete(f->store, other->id, &e), ERR_NONE);
    assert_int_equal(entries(f, "uploads"), 1);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(store_sweep(f->store, true, &e), ERR_NONE);
    assert_int_equal(entries(f, "uploads"), 0);
}

/* The form's fields are kept once, however many files it has. */
static void metadata_is_kept_once(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, NULL, false);
    struct file *first;
    struct error e;

    add(u, "a", "1");
    add(u, "b", "2");
    first = finish(u);
    sql_expect(f, "SELECT count(*) FROM form", 1);
    assert_int_equal(file_delete(f->store, first->id, &e), ERR_NONE);
    sql_expect(f, "SELECT count(*) FROM form", 1);
    assert_int_equal(file_delete(f->store, first->next->id, &e), ERR_NONE);
    sql_expect(f, "SELECT count(*) FROM form", 0);
}

static void data_inside_uploads_is_refused(void **state)
{
    struct fixture *f = *state;
    struct store *s;
    struct error e;
    char path[128];

    close_store(f);
    write_ini(f, "data = uploads/data\n");
    (void)snprintf(path, sizeof path, "%s/slipway.ini", f->root);
    f->config = config_load(path, &e);
    assert_non_null(f->config);
    assert_int_equal(store_open(f->config, &s, &e), ERR_CONFIG);
    config_free(f->config);
    open_store(f, "");
}

static void data_behind_a_symlink_works(void **state)
{
    struct fixture *f = *state;
    char link[128];

    close_store(f);
    (void)snprintf(link, sizeof link, "%s/link", f->root);
    assert_int_equal(symlink(".", link), 0);
    open_store(f, "data = link/data\n");
    assert_int_equal(entries(f, "data/incoming"), 0);
}

static void lease_of_a_wrong_clock_ends(void **state)
{
    struct fixture *f = *state;
    struct error e;

    sql_expect(f, "UPDATE lease SET until = 99999999999999 RETURNING 1", 1);
    make_orphan(f, "dddddddddddddddddddddddddd", -1);
    atomic_store(&f->store->next_sweep, 0);
    assert_int_equal(store_sweep(f->store, false, &e), ERR_NONE);
    assert_int_equal(entries(f, "data/incoming"), 0);
}

static void limits_are_named(void **state)
{
    struct fixture *f = *state;
    struct upload *u;
    struct error e;

    close_store(f);
    open_store(f, "[limits]\nmax_file_size = 4\nmin_file_size = 2\n"
                  "max_files = 2\naccept = .txt, image/*\n");
    u = begin(f, NULL, false);
    add(u, "a.txt", "123");
    assert_int_equal(upload_begin_file(u, "a.exe", "image/png", 1, &e),
                     ERR_TYPE_NOT_ACCEPTED);
    assert_string_equal(e.limit, "accept");
    assert_int_equal(upload_begin_file(u, "b.txt", NULL, 5, &e),
                     ERR_FILE_TOO_LARGE);
    assert_int_equal(
        upload_begin_file(u, "b.txt", NULL, UPLOAD_SIZE_UNKNOWN, &e), ERR_NONE);
    assert_int_equal(upload_append(u, "1234", 4, &e), ERR_NONE);
    assert_int_equal(upload_append(u, "5", 1, &e), ERR_FILE_TOO_LARGE);
    assert_string_equal(e.limit, "max_file_size");
    assert_int_equal(e.limit_value, 4);
    assert_string_equal(e.file, "b.txt");
    upload_discard(u, &e);
    u = begin(f, NULL, false);
    assert_int_equal(upload_begin_file(u, "c.txt", NULL, 1, &e), ERR_NONE);
    assert_int_equal(upload_append(u, "1", 1, &e), ERR_NONE);
    assert_int_equal(upload_end_file(u, &e), ERR_FILE_TOO_SMALL);
    upload_discard(u, &e);
    assert_int_equal(entries(f, "data/incoming"), 0);
}

static void reserve_is_kept(void **state)
{
    struct fixture *f = *state;
    struct upload_spec spec = {.total = 1, .arena = f->arena};
    struct upload *u;
    struct error e;

    close_store(f);
    open_store(f, "");
    spec.total = UINT64_MAX / 2;
    assert_int_equal(upload_open(f->store, &spec, &u, &e), ERR_NONE);
    assert_int_equal(upload_begin_file(u, "a", NULL, UPLOAD_SIZE_UNKNOWN, &e),
                     ERR_NO_SPACE);
    upload_discard(u, &e);
    assert_string_equal(e.limit, "min_free_space");
    assert_int_equal(entries(f, "data/incoming"), 0);
}

static void pages_filter_and_order(void **state)
{
    struct fixture *f = *state;
    struct file_filter filter = {
        .before = INT64_MAX, .metadata = "{}", .limit = 2};
    struct file_list page = {0};
    struct file *newest = NULL;
    struct error e;

    for (int i = 0; i < 3; i++) {
        struct upload *u = begin(f, NULL, false);

        add(u, i == 1 ? "Needle.txt" : "hay.txt", "x");
        newest = finish(u);
    }
    assert_int_equal(files_page(f->store, f->arena, &filter, &page, &e),
                     ERR_NONE);
    assert_int_equal(page.count, 2);
    assert_string_equal(page.first->id, newest->id);
    filter.before = page.last->created_at;
    memset(&page, 0, sizeof page);
    assert_int_equal(files_page(f->store, f->arena, &filter, &page, &e),
                     ERR_NONE);
    assert_int_equal(page.count, 1);
    filter = (struct file_filter){.before = INT64_MAX,
                                  .name = "nEEDle",
                                  .metadata = "{\"k\":\"v\"}",
                                  .limit = 9};
    memset(&page, 0, sizeof page);
    assert_int_equal(files_page(f->store, f->arena, &filter, &page, &e),
                     ERR_NONE);
    assert_int_equal(page.count, 1);
    filter.metadata = "{\"k\":\"other\"}";
    memset(&page, 0, sizeof page);
    assert_int_equal(files_page(f->store, f->arena, &filter, &page, &e),
                     ERR_NONE);
    assert_int_equal(page.count, 0);
}

static void download_survives_delete(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, NULL, false);
    struct file *file;
    struct source *s;
    struct error e;
    char c;

    add(u, "a", "hello");
    file = finish(u);
    s = file_source(f->store, f->arena, file);
    assert_int_equal(s->open(s, &e), ERR_NONE);
    assert_int_equal(file_delete(f->store, file->id, &e), ERR_NONE);
    assert_int_equal(s->read(s, &c, 1, 4, &e), 1);
    assert_int_equal(c, 'o');
    s->close(s);
    assert_int_equal(s->open(s, &e), ERR_NOT_FOUND);
    assert_int_equal(file_delete(f->store, file->id, &e), ERR_NOT_FOUND);
}

static void symlink_is_not_followed(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, NULL, false);
    struct file *file;
    struct source *s;
    struct error e;
    char path[256];

    add(u, "a", "hello");
    file = finish(u);
    (void)snprintf(path, sizeof path, "%s/uploads/%s", f->root, file->path);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/etc/hostname", path), 0);
    s = file_source(f->store, f->arena, file);
    assert_int_equal(s->open(s, &e), ERR_NOT_FOUND);
}

static void sweep_removes_only_orphans(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, "chosen-8", false);
    struct error e;

    add(u, "a", "1");
    make_orphan(f, "aaaaaaaaaaaaaaaaaaaaaaaaaa", -1);
    make_orphan(f, "bbbbbbbbbbbbbbbbbbbbbbbbbb", 1);
    make_orphan(f, "not-ours", -1);
    assert_int_equal(entries(f, "data/incoming"), 4);
    assert_int_equal(store_sweep(f->store, true, &e), ERR_NONE);
    assert_int_equal(entries(f, "data/incoming"), 3);
    assert_int_equal(state_of(f, "chosen-8"), UPLOAD_RECEIVING);
    error_set(&e, ERR_TRUNCATED, "Cut.");
    upload_discard(u, &e);
}

static void put(struct upload *u, const char *text)
{
    struct error e;

    assert_int_equal(upload_append(u, text, strlen(text), &e), ERR_NONE);
}

/* Two pauses, one of them the death of the process with bytes that were never
 * acknowledged: same content, same digest as in one go. */
static void resumes_where_acknowledged(void **state)
{
    struct fixture *f = *state;
    struct upload_spec spec = {
        .id = "resume-1", .total = 11, .arena = f->arena};
    struct upload *u, *second;
    struct file *whole, *resumed;
    struct source *source;
    struct error e;
    int status;

    assert_int_equal(upload_create(f->store, &spec, "a.txt", NULL, &u, &e),
                     ERR_NONE);
    put(u, "hello");
    assert_int_equal(upload_resume(f->store, f->arena, "resume-1", &second, &e),
                     ERR_BUSY);
    assert_int_equal(upload_suspend(u, &e), ERR_NONE);
    if (fork() == 0) {
        struct fixture mine = *f;

        store_open(f->config, &mine.store, &e);
        upload_resume(mine.store, f->arena, "resume-1", &u, &e);
        put(u, "never acknowledged, and longer than the rest");
        raise(SIGKILL);
    }
    wait(&status);
    assert_int_equal(store_sweep(f->store, true, &e), ERR_NONE);
    assert_int_equal(state_of(f, "resume-1"), UPLOAD_RECEIVING);
    assert_int_equal(upload_resume(f->store, f->arena, "resume-1", &u, &e),
                     ERR_NONE);
    assert_int_equal(upload_received(u), 5);
    put(u, " world");
    assert_int_equal(upload_end_file(u, &e), ERR_NONE);
    resumed = finish(u);
    assert_int_equal(resumed->size, 11);
    source = file_source(f->store, f->arena, resumed);
    assert_int_equal(source->open(source, &e), ERR_NONE);
    source->close(source);
    u = begin(f, NULL, false);
    add(u, "a.txt", "hello world");
    whole = finish(u);
    assert_memory_equal(whole->sha256, resumed->sha256, DIGEST_SIZE);
    assert_int_equal(upload_resume(f->store, f->arena, "resume-1", &u, &e),
                     ERR_FINISHED);
}

/* Killed between the rename and the commit: acknowledged bytes go back to
 * where the client may finish them. */
static void resumable_survives_publishing(void **state)
{
    struct fixture *f = *state;
    struct upload_spec spec = {.id = "resume-4", .total = 5, .arena = f->arena};
    struct upload *u;
    struct file *file;
    struct error e;
    int status;

    assert_int_equal(upload_create(f->store, &spec, "a.txt", NULL, &u, &e),
                     ERR_NONE);
    put(u, "hello");
    assert_int_equal(upload_suspend(u, &e), ERR_NONE);
    if (fork() == 0) {
        struct fixture mine = *f;

        store_open(f->config, &mine.store, &e);
        upload_resume(mine.store, f->arena, "resume-4", &u, &e);
        upload_end_file(u, &e);
        half_publish(&mine, u);
        raise(SIGKILL);
    }
    wait(&status);
    assert_int_equal(entries(f, "uploads"), 1);
    close_store(f);
    open_store(f, "");
    assert_int_equal(entries(f, "uploads"), 0);
    assert_int_equal(upload_resume(f->store, f->arena, "resume-4", &u, &e),
                     ERR_NONE);
    assert_int_equal(upload_received(u), 5);
    assert_int_equal(upload_end_file(u, &e), ERR_NONE);
    file = finish(u);
    assert_int_equal(file->size, 5);
    assert_true(file->has_sha256);
}

/* A digest over a part of the bytes would be a lie. */
static void no_digest_over_a_part(void **state)
{
    struct fixture *f = *state;
    struct upload_spec spec = {
        .id = "resume-5", .total = UPLOAD_SIZE_UNKNOWN, .arena = f->arena};
    struct upload *u;
    struct error e;

    close_store(f);
    open_store(f, "[upload]\ndigest = none\n");
    assert_int_equal(upload_create(f->store, &spec, "a.txt", NULL, &u, &e),
                     ERR_NONE);
    put(u, "hello");
    assert_int_equal(upload_suspend(u, &e), ERR_NONE);
    close_store(f);
    open_store(f, "");
    assert_int_equal(upload_resume(f->store, f->arena, "resume-5", &u, &e),
                     ERR_NONE);
    put(u, "world");
    assert_int_equal(upload_end_file(u, &e), ERR_NONE);
    assert_false(finish(u)->has_sha256);
}

static void paused_upload_can_be_cancelled(void **state)
{
    struct fixture *f = *state;
    struct upload_spec spec = {
        .id = "resume-2", .total = UPLOAD_SIZE_UNKNOWN, .arena = f->arena};
    struct upload *u;
    struct error e;

    assert_int_equal(upload_create(f->store, &spec, "a.txt", NULL, &u, &e),
                     ERR_NONE);
    put(u, "hello");
    assert_int_equal(upload_suspend(u, &e), ERR_NONE);
    assert_int_equal(entries(f, "data/incoming"), 1);
    assert_int_equal(upload_cancel(f->store, "resume-2", &e), ERR_NONE);
    assert_int_equal(entries(f, "data/incoming"), 0);
    assert_int_equal(upload_resume(f->store, f->arena, "resume-2", &u, &e),
                     ERR_CANCELLED);
}

static void missing_bytes_are_damage(void **state)
{
    struct fixture *f = *state;
    struct upload_spec spec = {
        .id = "resume-3", .total = UPLOAD_SIZE_UNKNOWN, .arena = f->arena};
    struct upload *u;
    struct error e;
    char path[256];

    assert_int_equal(upload_create(f->store, &spec, "a.txt", NULL, &u, &e),
                     ERR_NONE);
    put(u, "hello");
    (void)snprintf(path, sizeof path, "%s/data/incoming/%s/%s/a.txt", f->root,
                   u->home, u->current->id);
    assert_int_equal(upload_suspend(u, &e), ERR_NONE);
    assert_int_equal(truncate(path, 4), 0);
    assert_int_equal(upload_resume(f->store, f->arena, "resume-3", &u, &e),
                     ERR_IO);
}

static void sql_in_file(const struct fixture *f, const char *sql)
{
    char path[128];
    sqlite3 *h;

    (void)snprintf(path, sizeof path, "%s/data/slipway.db", f->root);
    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(h);
}

static void expect_refusal(struct fixture *f, const char *words)
{
    struct store *s;
    struct error e;

    assert_int_equal(store_open(f->config, &s, &e), ERR_DATABASE);
    if (!strstr(e.detail, words))
        fail_msg("\"%s\" does not say \"%s\"", e.detail, words);
}

static void newer_schema_is_refused(void **state)
{
    struct fixture *f = *state;

    store_close(f->store);
    f->store = NULL;
    sql_in_file(f, "PRAGMA user_version = 999");
    expect_refusal(f, "newer slipway");
    sql_in_file(f, "PRAGMA user_version = 1; PRAGMA application_id = 7");
    expect_refusal(f, "another program");
}

static void damage_is_reported(void **state)
{
    struct fixture *f = *state;
    char path[128];
    int fd;

    store_close(f->store);
    f->store = NULL;
    (void)snprintf(path, sizeof path, "%s/data/slipway.db", f->root);
    fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, "garbage garbage garbage", 23, 0), 23);
    close(fd);
    expect_refusal(f, "damaged");
}

static void digest_survives_a_pause(void **state)
{
    unsigned char saved[DIGEST_STATE_SIZE], a[DIGEST_SIZE], b[DIGEST_SIZE];
    char text[200];
    struct digest d;

    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t cut = 0; cut <= sizeof text; cut++) {
        digest_init(&d);
        digest_update(&d, text, sizeof text);
        digest_final(&d, a);
        digest_init(&d);
        digest_update(&d, text, cut);
        digest_save(&d, saved);
        memset(&d, 0xaa, sizeof d);
        assert_true(digest_restore(&d, saved, sizeof saved));
        digest_update(&d, text + cut, sizeof text - cut);
        digest_final(&d, b);
        assert_memory_equal(a, b, sizeof a);
    }
    assert_false(digest_restore(&d, saved, sizeof saved - 1));
    saved[3] = 9;
    assert_false(digest_restore(&d, saved, sizeof saved));
    saved[3] = 1;
    saved[7] = 64;
    assert_false(digest_restore(&d, saved, sizeof saved));
}

/* Cancelled while this very thread holds it: the canceller gives up waiting,
 * and the holder learns of it. */
static void stuck_holder_is_reported(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, "chosen-10", false);
    struct error e;

    add(u, "a", "1");
    assert_int_equal(upload_cancel(f->store, "chosen-10", &e), ERR_BUSY);
    u->checked_at = 0;
    assert_int_equal(upload_check(u, &e), ERR_CANCELLED);
    upload_discard(u, &e);
    assert_int_equal(entries(f, "data/incoming"), 0);
}

static void progress_is_shown(void **state)
{
    struct fixture *f = *state;
    struct upload *u = begin(f, "chosen-9", false);
    struct progress p;
    struct error e;

    add(u, "a", "123");
    u->checked_at = u->shown_at = 0;
    assert_int_equal(upload_check(u, &e), ERR_NONE);
    assert_int_equal(progress_get(f->store, f->arena, "chosen-9", &p, &e),
                     ERR_NONE);
    assert_int_equal(p.loaded, 3);
    u->checked_at = 0;
    assert_int_equal(upload_check(u, &e), ERR_NONE);
    finish(u);
}

/* The last test: by now, every statement has run in one of the others. */
static void every_statement_runs(void **state)
{
    (void)state;
    for (int i = 0; i < SQL_COUNT; i++)
        if (all_runs[i] == 0)
            fail_msg("the statement %s never ran", sql_names[i]);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STORE_TEST(publishes_whole_files),
        STORE_TEST(directory_is_one_entry),
        STORE_TEST(directory_refuses_file_as_parent),
        STORE_TEST(discard_leaves_nothing),
        STORE_TEST(chosen_id_is_used_once),
        STORE_TEST(refusal_shows_in_progress),
        STORE_TEST(cancel_reaches_the_holder),
        STORE_TEST(cancel_wins_against_finish_once),
        STORE_TEST(undoes_half_published),
        STORE_TEST(recovers_more_than_one_step),
        STORE_TEST(stuck_file_keeps_nobody),
        STORE_TEST(metadata_is_kept_once),
        STORE_TEST(data_inside_uploads_is_refused),
        STORE_TEST(data_behind_a_symlink_works),
        STORE_TEST(lease_of_a_wrong_clock_ends),
        STORE_TEST(limits_are_named),
        STORE_TEST(reserve_is_kept),
        STORE_TEST(pages_filter_and_order),
        STORE_TEST(download_survives_delete),
        STORE_TEST(symlink_is_not_followed),
        STORE_TEST(sweep_removes_only_orphans),
        STORE_TEST(resumes_where_acknowledged),
        STORE_TEST(resumable_survives_publishing),
        STORE_TEST(no_digest_over_a_part),
        STORE_TEST(paused_upload_can_be_cancelled),
        STORE_TEST(missing_bytes_are_damage),
        STORE_TEST(newer_schema_is_refused),
        STORE_TEST(damage_is_reported),
        cmocka_unit_test(digest_survives_a_pause),
        STORE_TEST(stuck_holder_is_reported),
        STORE_TEST(progress_is_shown),
        cmocka_unit_test(every_statement_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
