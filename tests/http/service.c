/*
 * Services for the HTTP cases: see service.h.
 */
#define _GNU_SOURCE
#include "service.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "answer.h"
#include "base/log.h"
#include "base/text.h"
#include "store/disk.h"

enum { LOG_CHUNK = 16 * 1024 * 1024, BUSY_MS = 5000 };

struct service {
    struct service *next;  /* */
    char *key;             /* its configuration as JSON */
    size_t piece;          /* bytes a read gives; part of the key */
    char dir[96];          /* holds slipway.ini, data/ and uploads/ */
    struct config *config; /* */
    struct app app;        /* */
    sqlite3 *db;           /* read-only */
};

struct services {
    struct service *first; /* newest */
    int count;             /* also names the next directory */
    char dir[64];          /* */
    int log;               /* descriptor of its log */
};

struct services *services_open(void)
{
    struct services *all = calloc(1, sizeof *all);
    char path[96];

    if (!all)
        return NULL;
    (void)snprintf(all->dir, sizeof all->dir, "/tmp/slipway-http-XXXXXX");
    if (!mkdtemp(all->dir)) {
        free(all);
        return NULL;
    }
    (void)snprintf(path, sizeof path, "%s/log", all->dir);
    all->log = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    log_open(all->log, LOG_DEBUG);
    return all;
}

static void service_free(struct service *s)
{
    (void)sqlite3_close(s->db);
    if (s->app.store)
        store_close(s->app.store);
    if (s->config)
        config_free(s->config);
    free(s->key);
    free(s);
}

void services_close(struct services *all)
{
    struct service *s = all->first;
    struct error e;

    while (s) {
        struct service *next = s->next;

        service_free(s);
        s = next;
    }
    log_open(STDERR_FILENO, LOG_ERROR);
    close(all->log);
    if (disk_remove_tree(AT_FDCWD, all->dir, &e) != ERR_NONE)
        log_failure(LOG_ERROR, &e);
    free(all);
}

/* The ini file in the order of the table. Durability is process unless a case
 * says otherwise, so that nothing waits for a busy disk. */
static void write_ini(FILE *out, json_t *config, struct buf *wrong)
{
    const char *section = "";
    size_t known = 0;

    for (size_t i = 0; i < OPT_COUNT_; i++) {
        const struct config_option *o = &config_options[i];
        char name[64];
        const char *value;

        (void)snprintf(name, sizeof name, "%s.%s", o->section, o->key);
        value = json_string_value(json_object_get(config, name));
        known += value != NULL;
        if (!value && i == OPT_DURABILITY)
            value = "process";
        if (!value)
            continue;
        if (strcmp(section, o->section) != 0)
            fprintf(out, "[%s]\n", o->section);
        section = o->section;
        fprintf(out, "%s = %s\n", o->key, value);
    }
    if (known != json_object_size(config))
        wrong_add(wrong, "unknown ini option, or a value that is no string");
}

static bool service_start(struct service *s, json_t *config, struct buf *wrong)
{
    struct error e = {0};
    char path[128];
    FILE *ini;

    (void)snprintf(path, sizeof path, "%s/slipway.ini", s->dir);
    if (mkdir(s->dir, 0700) != 0 || !(ini = fopen(path, "w")) ||
        fchmod(fileno(ini), 0600) != 0) {
        wrong_add(wrong, "cannot write slipway.ini: %s", strerror(errno));
        return false;
    }
    write_ini(ini, config, wrong);
    (void)fclose(ini);
    s->config = config_load(path, &e);
    s->app.config = s->config;
    if (!s->config || store_open(s->config, &s->app.store, &e) != ERR_NONE) {
        wrong_add(wrong, "slipway does not start: %s", e.detail);
        return false;
    }
    (void)snprintf(path, sizeof path, "%s/data/slipway.db", s->dir);
    if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READONLY, NULL) !=
        SQLITE_OK) {
        wrong_add(wrong, "no database: %s", sqlite3_errmsg(s->db));
        return false;
    }
    (void)sqlite3_busy_timeout(s->db, BUSY_MS);
    return true;
}

struct service *service_get(struct services *all, json_t *config, size_t piece,
                            struct buf *wrong)
{
    char *key = json_dumps(config, JSON_SORT_KEYS | JSON_COMPACT);
    struct service *s = all->first;

    if (!key)
        key = strdup("{}");
    while (s && (s->piece != piece || strcmp(s->key, key) != 0))
        s = s->next;
    if (s) {
        free(key);
        return s;
    }
    s = calloc(1, sizeof *s);
    if (!s) {
        free(key);
        return NULL;
    }
    s->key = key;
    s->piece = piece;
    (void)snprintf(s->dir, sizeof s->dir, "%s/%d", all->dir, ++all->count);
    if (!service_start(s, config, wrong)) {
        service_free(s);
        return NULL;
    }
    s->next = all->first;
    all->first = s;
    return s;
}

struct app *service_app(struct service *s)
{
    return &s->app;
}

struct service *service_next(const struct services *all,
                             const struct service *after)
{
    return after ? after->next : all->first;
}

/* The files below dir. */
static long count_files(const struct service *s, const char *dir)
{
    char path[128];
    char *const roots[] = {path, NULL};
    long count = 0;
    FTSENT *entry;
    FTS *walk;

    (void)snprintf(path, sizeof path, "%s/%s", s->dir, dir);
    walk = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, NULL);
    if (!walk)
        return -1;
    while ((entry = fts_read(walk)))
        count += entry->fts_info != FTS_D && entry->fts_info != FTS_DP;
    (void)fts_close(walk);
    return count;
}

/* What is in dir itself, whatever it is. */
static long count_entries(const struct service *s, const char *dir)
{
    char path[128];
    long count = 0;
    const struct dirent *entry;
    DIR *open;

    (void)snprintf(path, sizeof path, "%s/%s", s->dir, dir);
    open = opendir(path);
    if (!open)
        return -1;
    while ((entry = readdir(open)))
        count += strcmp(entry->d_name, ".") != 0 &&
                 strcmp(entry->d_name, "..") != 0;
    (void)closedir(open);
    return count;
}

static long count_rows(const struct service *s, const char *sql)
{
    sqlite3_stmt *statement;
    long count = -1;

    if (sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL) != SQLITE_OK)
        return -1;
    if (sqlite3_step(statement) == SQLITE_ROW)
        count = (long)sqlite3_column_int64(statement, 0);
    (void)sqlite3_finalize(statement);
    return count;
}

struct traces service_traces(const struct service *s)
{
    return (struct traces){count_files(s, "uploads"),
                           count_rows(s, "SELECT count(*) FROM file"),
                           count_entries(s, "data/incoming")};
}

/* C1 controls are valid UTF-8, but steer terminals. */
static bool printable(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)s[i];

        if (c < 0x20 || c == 0x7F)
            return false;
        if (c == 0xC2 && i + 1 < len && (unsigned char)s[i + 1] < 0xA0)
            return false;
    }
    return text_is_utf8(s, len);
}

static void check_lines(const struct buf *text, struct buf *wrong)
{
    const char *line = buf_text(text);
    const char *end = line + text->len;

    while (line < end) {
        const char *eol = memchr(line, '\n', (size_t)(end - line));

        if (!eol)
            eol = end;
        if (eol == end || !printable(line, (size_t)(eol - line)))
            wrong_add(wrong, "the log has %.*s", (int)(eol - line), line);
        line = eol + 1;
    }
}

void service_check_log(struct services *all, struct buf *wrong)
{
    char chunk[4096];
    struct buf text;
    ssize_t n;

    buf_init(&text, LOG_CHUNK);
    (void)lseek(all->log, 0, SEEK_SET);
    while ((n = read(all->log, chunk, sizeof chunk)) > 0)
        buf_append(&text, chunk, (size_t)n);
    if (n < 0 || buf_failed(&text))
        wrong_add(wrong, "the log cannot be read whole");
    check_lines(&text, wrong);
    buf_free(&text);
    if (ftruncate(all->log, 0) != 0 || lseek(all->log, 0, SEEK_SET) != 0)
        wrong_add(wrong, "the log cannot be emptied");
}

bool service_named_in(const struct services *all, const char *text, size_t len)
{
    return memmem(text, len, all->dir, strlen(all->dir)) != NULL;
}

void service_check_store(const struct service *s, struct buf *wrong)
{
    long files = count_files(s, "uploads");
    long rows = count_rows(s, "SELECT count(*) FROM file "
                              "WHERE is_directory = 0");

    if (count_rows(s, "SELECT count(*) FROM pragma_integrity_check "
                      "WHERE integrity_check = 'ok'") != 1)
        wrong_add(wrong, "the database of %s is damaged", s->key);
    if (files != rows)
        wrong_add(wrong, "%ld files in uploads for %ld rows with %s", files,
                  rows, s->key);
}
