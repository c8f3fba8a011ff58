/*
 * The part of the doctor that needs no web server.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/units.h"
#include "probe/doctor.h"
#include "store/files.h"
#include "store/place.h"
#include "store/survey.h"

enum {
    SKEW_MS = 2000,     /* between two clocks that is no harm */
    FEW_FILES = 1000,   /* left to make: wrong below */
    FUTURE_MS = 60000,  /* a stored file may be younger than now */
    ARENA_MAX = 1 << 20 /* of one file's row */
};

/* 2026-01-01: no clock shows less. */
#define EARLIEST_MS (INT64_C(1767225600) * 1000)

/* Whether others can do nothing with the ini file that they must not. */
static bool has_safe_rights(const struct config *c, const char *path,
                            struct report *r)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return true;
    if (st.st_mode & S_IWOTH) {
        report_add(r, "configuration", VERDICT_WRONG,
                   "Everybody on this machine may change %s.", path);
        report_remedy(r, "chmod o-w '%s'", path);
        return false;
    }
    if (*config_text(c, OPT_PROBE_TOKEN) == '\0' || !(st.st_mode & S_IROTH))
        return true;
    report_add(r, "configuration", VERDICT_WRONG,
               "Everybody on this machine may read the probe_token in %s.",
               path);
    if (st.st_uid == geteuid())
        report_remedy(r, "chmod 600 '%s'", path);
    else
        report_remedy(r, "chgrp %u '%s' && chmod 640 '%s'", (unsigned)getegid(),
                      path, path);
    return false;
}

static void examine_config(const struct config *c, struct report *r)
{
    const char *file = config_file(c);
    const char *dir = config_directory(c);
    unsigned set = 0;
    char *path;

    for (int id = 0; id < OPT_COUNT_; id++)
        set += config_is_set(c, (enum option_id)id);
    if (!file) {
        report_add(r, "configuration", VERDICT_FINE,
                   "There is no slipway.ini in %s: defaults are in force.",
                   dir);
        return;
    }
    path = arena_printf(r->arena, "%s/%s", dir, file);
    if (path && has_safe_rights(c, path, r))
        report_add(r, "configuration", VERDICT_FINE,
                   "%s is in force and sets %u options.", path, set);
}

static void examine_data(const struct store *s, const struct survey *v,
                         struct report *r)
{
    const char *path = place_data(s);

    if (v->data.st_uid != geteuid()) {
        report_add(r, "data directory", VERDICT_WRONG,
                   "%s belongs to user %u, and slipway runs as user %u.", path,
                   (unsigned)v->data.st_uid, (unsigned)geteuid());
        report_remedy(r, "chown -R %u '%s'", (unsigned)geteuid(), path);
    } else if (v->data.st_mode & 077) {
        report_add(r, "data directory", VERDICT_WRONG,
                   "Others on this machine may look into %s (mode %04o).", path,
                   (unsigned)v->data.st_mode & 07777);
        report_remedy(r, "chmod 700 '%s'", path);
    } else {
        report_add(r, "data directory", VERDICT_FINE,
                   "%s belongs to slipway's user alone and can be written to.",
                   path);
    }
}

static void examine_uploads(const struct store *s, const struct survey *v,
                            struct report *r)
{
    const char *path = place_uploads(s);

    if (v->uploads.st_mode & S_IWOTH) {
        report_add(r, "uploads directory", VERDICT_WRONG,
                   "Everybody on this machine may write into %s (mode %04o).",
                   path, (unsigned)v->uploads.st_mode & 07777);
        report_remedy(r, "chmod o-w '%s'", path);
    } else {
        report_add(r, "uploads directory", VERDICT_FINE,
                   "%s can be written to.", path);
    }
}

static void examine_filesystem(const struct config *c, const struct survey *v,
                               struct report *r)
{
    const char *name = v->filesystem ? v->filesystem : "another one";

    if (v->is_volatile &&
        config_choice(c, OPT_DURABILITY) == DURABILITY_POWER) {
        report_add(r, "file system", VERDICT_WRONG,
                   "The file system (%s) is gone when the machine stops, but "
                   "[storage] durability is power.",
                   name);
        report_remedy(r, "Put [storage] data and [uploads] directory on a "
                         "disk.");
    } else {
        report_add(r, "file system", VERDICT_FINE,
                   "Data and uploads are on one file system (%s).", name);
    }
    if (v->has_wal)
        report_add(r, "database", VERDICT_FINE,
                   "It is written to and read, with a write-ahead log.");
    else
        report_add(r, "database", VERDICT_FINE,
                   "It is written to and read, with a rollback journal%s%s.",
                   v->journal_reason ? ": " : "",
                   v->journal_reason ? v->journal_reason : "");
}

static void examine_space(const struct config *c, const struct survey *v,
                          struct report *r)
{
    uint64_t reserve = config_number(c, OPT_MIN_FREE_SPACE);
    uint64_t mib = v->free_space >> 20;
    char text[UNITS_TEXT_MAX];

    units_format_size(text, reserve);
    if (v->free_space <= reserve) {
        report_add(r, "free space", VERDICT_WRONG,
                   "%" PRIu64 " MiB are left on the disk, and [storage] "
                   "min_free_space is %s: uploads are refused.",
                   mib, text);
        report_remedy(r, "Make room, or lower min_free_space.");
    } else if (v->free_files < FEW_FILES) {
        report_add(r, "free space", VERDICT_WRONG,
                   "The file system can hold only %" PRIu64 " more files.",
                   v->free_files);
        report_remedy(r, "Remove files; space alone does not help.");
    } else {
        report_add(r, "free space", VERDICT_FINE,
                   "%" PRIu64 " MiB are free, %s of which are kept back.", mib,
                   text);
    }
}

/* Time of the newest file, in ms; 0 if there is none. */
static int64_t newest_file(struct store *s)
{
    const struct file_filter newest = {
        .metadata = "{}", .before = INT64_MAX, .limit = 1};
    struct arena *a = arena_new(ARENA_MAX);
    struct file_list list = {0};
    int64_t at = 0;
    struct error e;

    if (a && files_page(s, a, &newest, &list, &e) == ERR_NONE && list.first)
        at = list.first->created_at / 1000;
    arena_free(a);
    return at;
}

static void examine_clock(struct store *s, const struct survey *v,
                          struct report *r)
{
    int64_t now = clock_wall_ms();

    if (now < EARLIEST_MS || newest_file(s) > now + FUTURE_MS) {
        report_add(r, "clock", VERDICT_WRONG,
                   now < EARLIEST_MS
                       ? "The clock shows a year before 2026."
                       : "A stored file is younger than the clock shows: it "
                         "was set back.");
        report_remedy(r, "Set the clock; uploads expire and links end by it.");
    } else if (llabs(v->clock_ahead_ms) > SKEW_MS) {
        report_add(r, "clock", VERDICT_WRONG,
                   "The clock of the file server and that of this machine are "
                   "%lld seconds apart.",
                   llabs(v->clock_ahead_ms) / 1000);
        report_remedy(r, "Let both follow a time server.");
    } else {
        report_add(r, "clock", VERDICT_FINE,
                   "It agrees with the file system and with what is stored.");
    }
}

void doctor_examine_place(const struct config *c, struct store *s,
                          struct report *r)
{
    struct survey v;
    struct error e;

    examine_config(c, r);
    if (!s)
        return;
    if (survey_take(s, &v, &e) != ERR_NONE) {
        report_add(r, "database", VERDICT_WRONG, "%s", e.detail);
        report_remedy(r, "Look into the error log of the web server.");
        return;
    }
    examine_data(s, &v, r);
    examine_uploads(s, &v, r);
    examine_filesystem(c, &v, r);
    examine_space(c, &v, r);
    examine_clock(s, &v, r);
}
