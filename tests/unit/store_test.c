/*
 * The store against a real SQLite and a real directory: sessions of one
 * request, publishing, undoing, deleting, cleaning. Resumable sessions have a
 * program of their own.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "store/place.h"
#include "store/witness.h"
#include "store_fixture.h"

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

static void facts_are_believed_for_a_while(void **state)
{
    struct fixture *f = *state;

    assert_false(place_recall(f->store, "barred /x", 60000));
    place_remember(f->store, "barred /x", 60000);
    assert_true(place_recall(f->store, "barred /x", 60000));
    assert_false(place_recall(f->store, "barred /y", 60000));
    /* written under a clock that was ahead */
    assert_false(place_recall(f->store, "barred /x", 1000));
    place_remember(f->store, "barred /x", -1);
    assert_false(place_recall(f->store, "barred /x", 60000));
}

static void a_witness_comes_and_goes(void **state)
{
    struct fixture *f = *state;
    struct witness w;
    struct witness same;
    struct error e;
    int data = entries(f, "data");
    int uploads = entries(f, "uploads");

    assert_int_equal(witness_put(f->store, &w, &e), ERR_NONE);
    assert_int_equal(entries(f, "data"), data + 1);
    assert_int_equal(entries(f, "uploads"), uploads + 1);
    assert_true(witness_read(f->store, w.name, &same));
    assert_string_equal(same.name, w.name);
    assert_string_equal(same.content, w.content);
    witness_remove(f->store, w.name);
    assert_int_equal(entries(f, "data"), data);
    assert_int_equal(entries(f, "uploads"), uploads);
    assert_false(witness_read(f->store, w.name, &same));
}

#define TWENTY_SIX "abcdefghijklmnopqrstuvwxyz"

/* Anybody may ask for any name. */
static void only_a_witness_is_read(void **state)
{
    static const char *const names[] = {"",
                                        "1",
                                        "slipway.db",
                                        "reach-",
                                        "reach-../slipway.db",
                                        "../data/reach-" TWENTY_SIX,
                                        "reach-" TWENTY_SIX "a",
                                        "incoming/reach-" TWENTY_SIX,
                                        "reach-ABCDEFGHIJKLMNOPQRSTUVWXYZ"};
    static const char name[] = "reach-" TWENTY_SIX;
    struct fixture *f = *state;
    struct witness w;
    struct error e;
    int fd;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        assert_false(witness_read(f->store, names[i], &w));
        witness_remove(f->store, names[i]);
    }
    assert_int_equal(symlinkat("slipway.db", f->store->data, name), 0);
    assert_false(witness_read(f->store, name, &w));
    witness_remove(f->store, name);
    assert_int_equal(mkfifoat(f->store->data, name, 0600), 0);
    assert_false(witness_read(f->store, name, &w));
    witness_remove(f->store, name);
    fd = disk_create(f->store->data, name, 0600, &e);
    assert_int_equal(disk_write(fd, TWENTY_SIX "a", 27, 0, &e), ERR_NONE);
    assert_false(witness_read(f->store, name, &w));
    assert_int_equal(ftruncate(fd, 26), 0);
    assert_true(witness_read(f->store, name, &w));
    assert_int_equal(disk_write(fd, "\r\n", 2, 0, &e), ERR_NONE);
    assert_false(witness_read(f->store, name, &w));
    close(fd);
}

static void a_witness_of_a_killed_process_goes(void **state)
{
    static const struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    struct fixture *f = *state;
    struct witness left;
    struct witness used;
    struct witness none;
    struct error e;
    int uploads = entries(f, "uploads");

    assert_int_equal(witness_put(f->store, &left, &e), ERR_NONE);
    assert_int_equal(witness_put(f->store, &used, &e), ERR_NONE);
    assert_int_equal(utimensat(f->store->data, left.name, old, 0), 0);
    assert_int_equal(store_sweep(f->store, true, &e), ERR_NONE);
    assert_false(witness_read(f->store, left.name, &none));
    assert_true(witness_read(f->store, used.name, &none));
    assert_int_equal(entries(f, "uploads"), uploads + 1);
}

/* What the owner has put there is not overwritten. */
static void apache_is_told_to_bar_the_data(void **state)
{
    struct fixture *f = *state;
    char path[128];
    struct stat st;
    FILE *own;

    (void)snprintf(path, sizeof path, "%s/data/.htaccess", f->root);
    assert_int_equal(stat(path, &st), 0);
    assert_true(st.st_size > 0);
    close_store(f);
    own = fopen(path, "w");
    fputs("#", own);
    fclose(own);
    load_store(f);
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, 1);
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

/* The web server shows one and gc empties the other. */
static void data_and_uploads_lie_apart(void **state)
{
    static const char *const extra[] = {"data = uploads/inner\n",
                                        "[uploads]\ndirectory = data/inner\n",
                                        "[uploads]\ndirectory = data\n"};
    struct fixture *f = *state;
    struct error e;
    char path[128];

    (void)snprintf(path, sizeof path, "%s/slipway.ini", f->root);
    for (size_t i = 0; i < sizeof extra / sizeof extra[0]; i++) {
        struct config *c;
        struct store *s;

        write_ini(f, extra[i]);
        c = config_load(path, &e);
        assert_non_null(c);
        assert_int_equal(store_open(c, &s, &e), ERR_CONFIG);
        config_free(c);
    }
}

/* Blocks are allocated ahead of the bytes, never more than there are bytes
 * already, and none is left beyond the end of the file. */
static void blocks_ahead_are_given_back(void **state)
{
    enum { MIB = 1024 * 1024, SLACK = MIB / 2 };
    static char data[MIB];
    struct fixture *f = *state;
    struct upload_spec spec = {.total = UINT64_C(100) * MIB, .arena = f->arena};
    bool ends[] = {true, false};
    struct error e = {0};
    struct upload *u;
    struct stat st;
    int fd = open(f->root, O_TMPFILE | O_WRONLY, 0600);
    bool can = fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, MIB) == 0;

    close(fd);
    if (!can)
        skip();
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(upload_open(f->store, &spec, &u, &e), ERR_NONE);
        assert_int_equal(
            upload_begin_file(u, "a", NULL, UPLOAD_SIZE_UNKNOWN, &e), ERR_NONE);
        for (int n = 0; n < 9; n++)
            assert_int_equal(upload_append(u, data, MIB, &e), ERR_NONE);
        fd = dup(u->fd);
        assert_int_equal(fstat(fd, &st), 0);
        assert_true(st.st_blocks * 512 > 15 * MIB);
        assert_true(st.st_blocks * 512 < 18 * MIB + SLACK);
        if (ends[i])
            assert_int_equal(upload_end_file(u, &e), ERR_NONE);
        else
            session_close(u);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_size, 9 * MIB);
        assert_true(st.st_blocks * 512 < 9 * MIB + SLACK);
        close(fd);
        upload_discard(u, &e);
    }
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

/* A file in the data directory, old unless fresh. */
static void make_private(const struct fixture *f, const char *name, bool fresh)
{
    char command[320];

    (void)snprintf(command, sizeof command, "touch %s '%s/data/%s'",
                   fresh ? "" : "-d '1 hour ago'", f->root, name);
    assert_int_equal(system(command), 0);
}

static bool is_private(const struct fixture *f, const char *name)
{
    char path[256];

    (void)snprintf(path, sizeof path, "%s/data/%s", f->root, name);
    return access(path, F_OK) == 0;
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
    make_private(f, "slipway.db-try-0123", false);
    make_private(f, "slipway.db-try-4567-wal", true);
    make_private(f, "slipway.db-mine", false);
    assert_int_equal(entries(f, "data/incoming"), 4);
    assert_int_equal(store_sweep(f->store, true, &e), ERR_NONE);
    assert_int_equal(entries(f, "data/incoming"), 3);
    assert_int_equal(state_of(f, "chosen-8"), UPLOAD_RECEIVING);
    error_set(&e, ERR_TRUNCATED, "Cut.");
    upload_discard(u, &e);
    assert_false(is_private(f, "slipway.db-try-0123"));
    assert_true(is_private(f, "slipway.db-try-4567-wal"));
    assert_true(is_private(f, "slipway.db-mine"));
}

static void expect_refusal(struct fixture *f, const char *words)
{
    struct store *s;
    struct error e;

    assert_int_equal(store_open(f->config, &s, &e), ERR_DATABASE);
    if (!strstr(e.detail, words))
        fail_msg("\"%s\" does not say \"%s\"", e.detail, words);
}

/* How many locks this process has on the database file itself. */
static int locks_on_database(const struct fixture *f)
{
    char path[128], line[256], wanted[64];
    struct stat st;
    FILE *in = fopen("/proc/locks", "re");
    int count = 0;

    (void)snprintf(path, sizeof path, "%s/data/slipway.db", f->root);
    assert_int_equal(stat(path, &st), 0);
    (void)snprintf(wanted, sizeof wanted, ":%llu ",
                   (unsigned long long)st.st_ino);
    assert_non_null(in);
    while (fgets(line, sizeof line, in)) {
        int pid = 0;

        if (sscanf(line, "%*d: %*s %*s %*s %d", &pid) == 1 && pid == getpid() &&
            strstr(line, wanted))
            count++;
    }
    (void)fclose(in);
    return count;
}

/* A writer that is opened anew after an I/O error must not take the locks of
 * the readers off: another process would believe to be alone. */
static void reopened_writer_keeps_the_locks(void **state)
{
    enum { LARGE = 300 * 1000 };
    struct fixture *f = *state;
    char *name = malloc(LARGE + 1);
    struct rlimit was, small;
    struct conn *c;
    struct stmt *q;
    struct error e;

    assert_non_null(name);
    c = db_read(f->store->db, &e);
    assert_non_null(c);
    q = db_statement(c, SQL_LEASE_GET);
    stmt_text(q, ":name", "sweep");
    assert_true(stmt_step(q));
    assert_int_equal(db_end(c, true, &e), ERR_NONE);
    assert_true(locks_on_database(f) > 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &was);
    small = was;
    small.rlim_cur = 100 * 1000;
    setrlimit(RLIMIT_FSIZE, &small);
    memset(name, 'x', LARGE);
    name[LARGE] = '\0';
    c = db_write(f->store->db, &e);
    assert_non_null(c);
    q = db_statement(c, SQL_LEASE_PUT);
    stmt_text(q, ":name", name);
    stmt_int(q, ":until", 1);
    stmt_run(q);
    assert_int_not_equal(db_end(c, true, &e), ERR_NONE);
    setrlimit(RLIMIT_FSIZE, &was);
    c = db_write(f->store->db, &e);
    assert_non_null(c);
    assert_int_equal(db_end(c, true, &e), ERR_NONE);
    assert_true(locks_on_database(f) > 0);
    free(name);
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

static void every_statement_runs(void **state)
{
    (void)state;
    expect_all_ran(false);
}

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
        STORE_TEST(facts_are_believed_for_a_while),
        STORE_TEST(a_witness_comes_and_goes),
        STORE_TEST(only_a_witness_is_read),
        STORE_TEST(a_witness_of_a_killed_process_goes),
        STORE_TEST(apache_is_told_to_bar_the_data),
        STORE_TEST(limits_are_named),
        STORE_TEST(reserve_is_kept),
        STORE_TEST(data_and_uploads_lie_apart),
        STORE_TEST(blocks_ahead_are_given_back),
        STORE_TEST(pages_filter_and_order),
        STORE_TEST(download_survives_delete),
        STORE_TEST(symlink_is_not_followed),
        STORE_TEST(sweep_removes_only_orphans),
        STORE_TEST(newer_schema_is_refused),
        STORE_TEST(reopened_writer_keeps_the_locks),
        STORE_TEST(damage_is_reported),
        cmocka_unit_test(digest_survives_a_pause),
        STORE_TEST(stuck_holder_is_reported),
        STORE_TEST(progress_is_shown),
        cmocka_unit_test(every_statement_runs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
