/*
 * The witness that is left for a moment shows that both directories can be
 * written to, and what time the file system has.
 */
#define _GNU_SOURCE
#include "store/survey.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "store/internal.h"
#include "store/place.h"
#include "store/witness.h"

enum { REMEMBER_MS = 10000 };

/* The magic numbers of linux/magic.h and of modules outside of it. */
static void look_at_filesystem(const struct store *s, struct survey *out)
{
    static const struct {
        uint32_t type;
        const char *name;
        bool is_volatile;
    } known[] = {
        {0xef53, "ext4", false},        {0x58465342, "xfs", false},
        {0x9123683e, "btrfs", false},   {0x2fc12fc1, "zfs", false},
        {0xf2f52010, "f2fs", false},    {0xca451a4e, "bcachefs", false},
        {0x794c7630, "overlay", false}, {0x6969, "nfs", false},
        {0xff534d42, "cifs", false},    {0xfe534d42, "smb", false},
        {0x65735546, "fuse", false},    {0x00c36400, "ceph", false},
        {0x01021997, "9p", false},      {0x01021994, "tmpfs", true},
        {0x858458f6, "ramfs", true},
    };
    struct statfs fs;

    if (fstatfs(s->uploads.dir, &fs) != 0)
        return;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (known[i].type == (uint32_t)fs.f_type) {
            out->filesystem = known[i].name;
            out->is_volatile = known[i].is_volatile;
        }
}

static void look_at_space(const struct store *s, struct survey *out)
{
    struct statvfs fs;

    out->free_space = disk_free_space(s->uploads.dir);
    out->free_files = UINT64_MAX;
    if (fstatvfs(s->uploads.dir, &fs) == 0 && fs.f_files > 0)
        out->free_files = fs.f_favail;
}

static enum error_code write_files(struct store *s, struct survey *out,
                                   struct error *e)
{
    int64_t now = clock_wall_ms();
    struct stat st = {0};
    struct witness w;

    if (witness_put(s, &w, e) != ERR_NONE)
        return e->code;
    if (fstatat(s->data, w.name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        st.st_mtim = (struct timespec){.tv_sec = now / 1000};
    out->clock_ahead_ms = (int64_t)st.st_mtim.tv_sec * 1000 +
                          st.st_mtim.tv_nsec / 1000000 - now;
    witness_remove(s, w.name);
    return ERR_NONE;
}

static enum error_code write_database(struct store *s, struct survey *out,
                                      struct error *e)
{
    const struct journal_choice *j = db_journal(s->db);

    place_remember(s, "survey", REMEMBER_MS);
    if (!place_recall(s, "survey", REMEMBER_MS))
        return error_set(e, ERR_DATABASE,
                         "The database does not keep what is written to it.");
    out->has_wal = j->wanted == JOURNAL_WAL;
    out->journal_reason = j->reason;
    return ERR_NONE;
}

enum error_code survey_take(struct store *s, struct survey *out,
                            struct error *e)
{
    *out = (struct survey){0};
    if (fstat(s->data, &out->data) != 0 ||
        fstat(s->uploads.dir, &out->uploads) != 0)
        return error_errno(e, errno, "Looking at the directories");
    look_at_filesystem(s, out);
    look_at_space(s, out);
    if (write_files(s, out, e) != ERR_NONE)
        return e->code;
    return write_database(s, out, e);
}
