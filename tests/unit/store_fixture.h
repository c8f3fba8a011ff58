/*
 * What the tests of the store share: a store in a directory of its own, small
 * steps with sessions, a look past the store into its database, and the count
 * of the statements that ran. Included by one program each, so everything is
 * static. Nothing here may be called by two threads at once.
 */
#ifndef SLIPWAY_TESTS_STORE_FIXTURE_H
#define SLIPWAY_TESTS_STORE_FIXTURE_H

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static inline void write_ini(const struct fixture *f, const char *extra)
{
    char path[128];
    FILE *out;

    (void)snprintf(path, sizeof path, "%s/slipway.ini", f->root);
    out = fopen(path, "w");
    assert_non_null(out);
    fprintf(out, "[storage]\nmin_free_space = 0\n%s", extra);
    fclose(out);
}

/* Open the store with the ini file that is there. */
static inline void load_store(struct fixture *f)
{
    struct error e;
    char path[128];

    (void)snprintf(path, sizeof path, "%s/slipway.ini", f->root);
    f->config = config_load(path, &e);
    assert_non_null(f->config);
    assert_int_equal(store_open(f->config, &f->store, &e), ERR_NONE);
}

static inline void open_store(struct fixture *f, const char *extra)
{
    write_ini(f, extra);
    load_store(f);
}

static uint64_t all_runs[SQL_COUNT]; /* of statements, in all tests */

static inline void close_store(struct fixture *f)
{
    uint64_t runs[SQL_COUNT] = {0};

    if (f->store)
        db_runs(f->store->db, runs);
    for (int i = 0; i < SQL_COUNT; i++)
        all_runs[i] += runs[i];
    store_close(f->store);
    config_free(f->config);
}

static inline int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    strcpy(f->root, "/tmp/slipway-store-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    f->arena = arena_new(1024 * 1024);
    open_store(f, "");
    *state = f;
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;
    struct error e;

    close_store(f);
    arena_free(f->arena);
    assert_int_equal(disk_remove_tree(AT_FDCWD, f->root, &e), ERR_NONE);
    free(f);
    return 0;
}

/* Names in a directory below the root. */
static inline int entries(const struct fixture *f, const char *below)
{
    const struct dirent *entry;
    char path[128];
    int count = 0;
    DIR *d;

    (void)snprintf(path, sizeof path, "%s/%s", f->root, below);
    d = opendir(path);
    assert_non_null(d);
    while ((entry = readdir(d)))
        count += strcmp(entry->d_name, ".") != 0 &&
                 strcmp(entry->d_name, "..") != 0;
    closedir(d);
    return count;
}

static inline struct upload *begin(struct fixture *f, const char *id,
                                   bool directory)
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

static inline void add(struct upload *u, const char *name, const char *content)
{
    struct error e;

    assert_int_equal(upload_begin_file(u, name, NULL, UPLOAD_SIZE_UNKNOWN, &e),
                     ERR_NONE);
    assert_int_equal(upload_append(u, content, strlen(content), &e), ERR_NONE);
    assert_int_equal(upload_end_file(u, &e), ERR_NONE);
}

static inline struct file *finish(struct upload *u)
{
    struct file_list l = {0};
    struct error e;

    assert_int_equal(upload_finish(u, "{\"k\":\"v\"}", &l, &e), ERR_NONE);
    assert_non_null(l.first);
    return l.first;
}

static inline enum upload_state state_of(struct fixture *f, const char *id)
{
    struct progress p;
    struct error e;

    assert_int_equal(progress_get(f->store, f->arena, id, &p, &e), ERR_NONE);
    return p.state;
}

/* Run one statement in a connection of its own; its value must be want. */
static inline void sql_expect(const struct fixture *f, const char *sql,
                              int want)
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

/* Publish the first file of u up to the rename, as publish.c does. */
static inline void half_publish(struct fixture *f, struct upload *u)
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

/* Run statements in a connection of their own. */
static inline void sql_in_file(const struct fixture *f, const char *sql)
{
    char path[128];
    sqlite3 *h;

    (void)snprintf(path, sizeof path, "%s/data/slipway.db", f->root);
    assert_int_equal(sqlite3_open(path, &h), SQLITE_OK);
    assert_int_equal(sqlite3_exec(h, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(h);
}

/* Statements for resumable sessions only: the tests of those run them. */
static inline bool is_resumable_sql(int id)
{
    static const enum sql_id ids[] = {
        SQL_UPLOAD_RESUME,     SQL_UPLOAD_CLAIM,    SQL_UPLOAD_REOPEN,
        SQL_FILES_PUBLISHING,  SQL_FILES_UNPUBLISH, SQL_UPLOADS_EXPIRE,
        SQL_UPLOAD_TERMINATE,  SQL_FILES_TERMINATE, SQL_PARTS_GET,
        SQL_PARTS_TOUCH,       SQL_PARTS_CONSUME,   SQL_FINAL_GET,
        SQL_FINALS_UNFINISHED, SQL_UPLOAD_TOUCH,    SQL_PARTS_SIZE,
        SQL_FILES_RETRACT,
    };

    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        if ((int)ids[i] == id)
            return true;
    return false;
}

/* For the last test of a program: by now every statement of its half has run
 * in one of the others. */
static inline void expect_all_ran(bool resumable)
{
    for (int i = 0; i < SQL_COUNT; i++)
        if (is_resumable_sql(i) == resumable && all_runs[i] == 0)
            fail_msg("the statement %s never ran", sql_names[i]);
}

#define STORE_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
