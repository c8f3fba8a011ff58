/*
 * A history of uploads, killed at each of its calls to the kernel, failing at
 * each of them, and killed twice: once in the middle, and once more in another
 * process while that puts in order what the first one left. Whatever happens,
 * what was acknowledged is there, and what is listed is whole.
 *
 * The directories are in memory, where waiting for the disk takes no time, and
 * the program is built without sanitizers, which make each fork slow.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "store_children.h"

enum { COMMITS_MOST = 100, CALLS_MOST = 4000 };

static const char long_text[] = "all of the bytes of the longest file";

/* What its clients were told, in memory that outlives it. */
static struct told {
    bool created;    /* "single" */
    uint64_t offset; /* of it */
    bool stored;     /* it is */
    bool parts[2];   /* are whole */
    char final[UPLOAD_ID_MAX + 1];
    bool form; /* both of its files are stored */
    char deleted[ID_LENGTH + 1];
    bool cancelled; /* "cancel-1" */
    long calls;     /* of the whole history */
    size_t commits; /* among them */
    long commit[COMMITS_MOST];
} * told;

/* ---- Calls to the kernel ---- */

static long calls; /* since the count began */
static long fatal; /* the one that does not return, or 0 */

/* Those that fail. */
static struct {
    long first; /* 0: none */
    long count; /* in a row */
    int sys;    /* errno */
} failing;

static bool fails(void)
{
    calls++;
    if (calls == fatal)
        (void)raise(SIGKILL);
    errno = failing.sys;
    return calls >= failing.first && calls < failing.first + failing.count;
}

#define CALL(number, ...) (fails() ? -1 : (int)syscall(number, __VA_ARGS__))

/* SQLite's; of the log it is the last step of a commit. */
int fdatasync(int fd)
{
    char link[32], path[256] = "";

    (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    assert_true(readlink(link, path, sizeof path - 1) > 0);
    if (strcmp(path + strlen(path) - 4, "-wal") == 0 &&
        told->commits < COMMITS_MOST)
        told->commit[told->commits++] = calls + 1;
    return CALL(SYS_fdatasync, fd);
}

int fsync(int fd)
{
    return CALL(SYS_fsync, fd);
}

int renameat(int from, const char *old, int to, const char *new)
{
    return CALL(SYS_renameat2, from, old, to, new, 0);
}

int renameat2(int from, const char *old, int to, const char *new,
              unsigned flags)
{
    return CALL(SYS_renameat2, from, old, to, new, flags);
}

int unlinkat(int dir, const char *name, int flags)
{
    return CALL(SYS_unlinkat, dir, name, flags);
}

int mkdirat(int dir, const char *name, mode_t mode)
{
    return CALL(SYS_mkdirat, dir, name, mode);
}

int ftruncate64(int fd, off_t size)
{
    return CALL(SYS_ftruncate, fd, size);
}

int ftruncate(int fd, off_t size)
{
    return CALL(SYS_ftruncate, fd, size);
}

int openat(int dir, const char *name, int flags, ...)
{
    va_list more;
    int mode;

    va_start(more, flags);
    mode = flags & O_CREAT ? va_arg(more, int) : 0;
    va_end(more);
    return CALL(SYS_openat, dir, name, flags, mode);
}

ssize_t pwrite64(int fd, const void *data, size_t len, off_t offset)
{
    return fails() ? -1 : syscall(SYS_pwrite64, fd, data, len, offset);
}

ssize_t pread64(int fd, void *data, size_t len, off_t offset)
{
    return fails() ? -1 : syscall(SYS_pread64, fd, data, len, offset);
}

ssize_t pread(int fd, void *data, size_t len, off_t offset)
{
    return pread64(fd, data, len, offset);
}

ssize_t pwrite(int fd, const void *data, size_t len, off_t offset)
{
    return pwrite64(fd, data, len, offset);
}

/* ---- The history ---- */

static struct upload_spec spec_of(struct fixture *f, const char *id,
                                  uint64_t total)
{
    return (struct upload_spec){.id = id, .total = total, .arena = f->arena};
}

/* Bytes behind what is there, up to the end. */
static enum error_code send_rest(struct upload *u, const char *text, size_t end,
                                 struct error *e)
{
    uint64_t at = upload_offset(u);

    return at >= end ? ERR_NONE : upload_append(u, text + at, end - at, e);
}

static enum error_code end_session(struct upload *u, struct error *e)
{
    struct file_list files = {0};
    enum error_code code = upload_end_file(u, e);

    if (code == ERR_NONE)
        return upload_finish(u, "{}", &files, e);
    upload_abandon(u);
    return code;
}

/* One file in three requests. */
static void send_single(struct fixture *f)
{
    struct upload_spec spec = spec_of(f, "single-1", sizeof long_text - 1);
    struct resumable_spec r = {.name = "a.txt"};
    struct upload *u;
    struct error e;

    if (upload_create(f->store, &spec, &r, &u, &e) != ERR_NONE)
        return;
    told->created = true;
    if (send_rest(u, long_text, 9, &e) == ERR_NONE) {
        if (upload_suspend(u, &e) == ERR_NONE)
            told->offset = 9;
    } else {
        upload_abandon(u);
    }
    if (upload_resume(f->store, f->arena, "single-1", &u, &e) != ERR_NONE)
        return;
    if (send_rest(u, long_text, 20, &e) == ERR_NONE &&
        session_acknowledge(u, &e) == ERR_NONE)
        told->offset = 20;
    upload_abandon(u);
    if (upload_resume(f->store, f->arena, "single-1", &u, &e) != ERR_NONE)
        return;
    if (send_rest(u, long_text, sizeof long_text - 1, &e) != ERR_NONE)
        upload_abandon(u);
    else
        told->stored = end_session(u, &e) == ERR_NONE;
}

static const char *const part_ids[] = {"part-001", "part-002"};
static const char *const part_texts[] = {"hello, ", "world"};

static void send_part(struct fixture *f, int i)
{
    struct upload_spec spec = spec_of(f, part_ids[i], strlen(part_texts[i]));
    struct resumable_spec r = {.name = UPLOAD_UNNAMED, .partial = true};
    struct upload *u;
    struct error e;

    if (upload_create(f->store, &spec, &r, &u, &e) != ERR_NONE)
        return;
    if (send_rest(u, part_texts[i], strlen(part_texts[i]), &e) != ERR_NONE)
        upload_abandon(u);
    else
        told->parts[i] = upload_suspend(u, &e) == ERR_NONE;
}

static enum error_code send_final(struct fixture *f, struct error *e)
{
    struct upload_spec spec = spec_of(f, NULL, UPLOAD_SIZE_UNKNOWN);
    struct resumable_spec r = {.name = "b.txt"};
    const char *id;
    enum error_code code = upload_concat(f->store, &spec, &r, "final;x",
                                         part_ids, 2, &id, e);

    if (code == ERR_NONE)
        memcpy(told->final, id, strlen(id) + 1);
    return code;
}

/* Two files, of which one is deleted afterwards. */
static void send_form(struct fixture *f)
{
    static const char *const names[] = {"c.txt", "d.txt"};
    struct upload_spec spec = spec_of(f, NULL, UPLOAD_SIZE_UNKNOWN);
    struct file_list files = {0};
    enum error_code code;
    struct upload *u;
    struct error e;

    if (upload_open(f->store, &spec, &u, &e) != ERR_NONE)
        return;
    for (int i = 0; i < 2; i++) {
        code = upload_begin_file(u, names[i], NULL, UPLOAD_SIZE_UNKNOWN, &e);
        if (code == ERR_NONE)
            code = upload_append(u, "form", 4, &e);
        if (code == ERR_NONE)
            code = upload_end_file(u, &e);
        if (code != ERR_NONE) {
            upload_discard(u, &e);
            return;
        }
    }
    told->form = upload_finish(u, "{\"k\":\"v\"}", &files, &e) == ERR_NONE;
    if (told->form && file_delete(f->store, files.first->id, &e) == ERR_NONE)
        memcpy(told->deleted, files.first->id, ID_LENGTH);
}

static void cancel_one(struct fixture *f)
{
    struct upload_spec spec = spec_of(f, "cancel-1", 100);
    struct resumable_spec r = {.name = "e.txt"};
    struct upload *u;
    struct error e;

    if (upload_create(f->store, &spec, &r, &u, &e) != ERR_NONE)
        return;
    (void)upload_suspend(u, &e);
    told->cancelled = upload_terminate(f->store, "cancel-1", &e) == ERR_NONE;
}

static int live(struct fixture *f, int line)
{
    struct error e;

    (void)line;
    calls = 0;
    told->commits = 0;
    send_single(f);
    for (int i = 0; i < 2; i++)
        send_part(f, i);
    if (told->parts[0] && told->parts[1])
        (void)send_final(f, &e);
    send_form(f);
    cancel_one(f);
    (void)store_sweep(f->store, true, &e);
    told->calls = calls;
    return 0;
}

/* ---- Afterwards ---- */

static void expect_stored(struct fixture *f, const char *id, const char *text)
{
    struct progress p;
    struct error e;

    assert_int_equal(progress_get(f->store, f->arena, id, &p, &e), ERR_NONE);
    assert_int_equal(p.state, UPLOAD_STORED);
    assert_int_equal(p.files.count, 1);
    expect_file(f, p.files.first, text);
}

static void check_single(struct fixture *f)
{
    struct upload *u;
    struct error e;
    enum error_code code = upload_resume(f->store, f->arena, "single-1", &u,
                                         &e);

    if (code == ERR_NOT_FOUND && !told->created)
        return;
    if (code != ERR_COMPLETED) {
        assert_int_equal(code, ERR_NONE);
        assert_false(told->stored);
        assert_true(upload_offset(u) >= told->offset);
        assert_int_equal(send_rest(u, long_text, sizeof long_text - 1, &e),
                         ERR_NONE);
        assert_int_equal(end_session(u, &e), ERR_NONE);
    }
    expect_stored(f, "single-1", long_text);
}

static void check_final(struct fixture *f)
{
    char before[UPLOAD_ID_MAX + 1];
    struct error e;

    if (!told->parts[0] || !told->parts[1])
        return;
    memcpy(before, told->final, sizeof before);
    assert_int_equal(send_final(f, &e), ERR_NONE);
    assert_true(!*before || strcmp(before, told->final) == 0);
    assert_int_equal(upload_concat_wait(f->store, told->final, 1, &e),
                     ERR_NONE);
    expect_stored(f, told->final, "hello, world");
}

/* Rows and files are the same, and every file has its bytes. */
static void check_list(struct fixture *f)
{
    struct file_filter filter = {
        .before = INT64_MAX, .limit = 100, .metadata = "{}"};
    struct file_list files = {0};
    char path[512];
    struct stat st;
    struct error e;

    assert_int_equal(files_page(f->store, f->arena, &filter, &files, &e),
                     ERR_NONE);
    for (const struct file *p = files.first; p; p = p->next) {
        (void)snprintf(path, sizeof path, "%s/uploads/%s", f->root, p->path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal((uint64_t)st.st_size, p->size);
        assert_string_not_equal(p->id, told->deleted);
    }
    sql_expect(f, "SELECT count(*) FROM file WHERE state <> 'stored'", 0);
    assert_int_equal(entries(f, "uploads"), (int)files.count);
}

static void check_all(struct fixture *f)
{
    struct error e;

    assert_int_equal(store_sweep(f->store, true, &e), ERR_NONE);
    check_single(f);
    check_final(f);
    if (told->cancelled)
        assert_int_equal(state_of(f, "cancel-1"), UPLOAD_CANCELLED);
    check_list(f);
    if (told->form)
        sql_expect(f, "SELECT count(*) > 0 FROM file WHERE name = 'd.txt'", 1);
}

/* ---- Lives ---- */

/* In a process of its own. true if it was killed. */
static bool run(struct fixture *f, child_fn *fn)
{
    struct child c = fork_child(f, fn);
    int status;

    tell(c.line);
    status = end_child(c);
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
        return true;
    }
    assert_int_equal(WEXITSTATUS(status), 0);
    return false;
}

static struct fixture *begin_life(void)
{
    struct fixture *f = calloc(1, sizeof *f);

    memset(told, 0, sizeof *told);
    strcpy(f->root, access("/dev/shm", W_OK) == 0
                        ? "/dev/shm/slipway-crash-XXXXXX"
                        : "/tmp/slipway-crash-XXXXXX");
    assert_non_null(mkdtemp(f->root));
    f->arena = arena_new(1024 * 1024);
    open_store(f, "[log]\nlevel = error\n");
    close_store(f);
    return f;
}

static void end_life(struct fixture *f)
{
    struct error e;

    load_store(f);
    check_all(f);
    close_store(f);
    arena_free(f->arena);
    assert_int_equal(disk_remove_tree(AT_FDCWD, f->root, &e), ERR_NONE);
    free(f);
}

static void killed_at_each_call(void **state)
{
    bool killed = true;
    long k = 0;

    (void)state;
    while (killed && ++k < CALLS_MOST) {
        struct fixture *f = begin_life();

        fatal = k;
        killed = run(f, live);
        fatal = 0;
        end_life(f);
    }
    assert_in_range(k, 100, CALLS_MOST - 1);
    print_message("%ld calls\n", k);
}

/* Once, and for a while. */
static void failing_at_each_call(void **state)
{
    static const struct {
        int sys;
        long count;
    } rows[] = {{EIO, 1}, {ENOSPC, 1}, {EMFILE, 1}, {EIO, 7}};

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        long k = 0;

        do {
            struct fixture *f = begin_life();

            failing.first = ++k;
            failing.count = rows[i].count;
            failing.sys = rows[i].sys;
            assert_false(run(f, live));
            failing.first = failing.count = 0;
            end_life(f);
        } while (told->calls >= k && k < CALLS_MOST);
        assert_in_range(k, 100, CALLS_MOST - 1);
    }
}

/* ---- Two deaths ---- */

/* Does what the next process and its clients do. */
static int put_in_order(struct fixture *f, int line)
{
    struct upload *u;
    struct error e;

    tell(line);
    hear(line);
    calls = 0;
    (void)store_recover(f->store, &e);
    (void)store_sweep(f->store, true, &e);
    if (upload_resume(f->store, f->arena, "single-1", &u, &e) == ERR_NONE) {
        if (send_rest(u, long_text, sizeof long_text - 1, &e) == ERR_NONE)
            told->stored = end_session(u, &e) == ERR_NONE;
        else
            upload_abandon(u);
    }
    if (told->parts[0] && told->parts[1])
        (void)send_final(f, &e);
    return 0;
}

/* The second process has the database open before the first one begins, so
 * that nobody reads the log anew before both are dead. true if it was killed.
 */
static bool live_twice(long first, long second)
{
    struct fixture *f = begin_life();
    struct child b;
    int status;

    fatal = second;
    b = fork_child(f, put_in_order);
    tell(b.line);
    hear(b.line);
    fatal = first;
    assert_true(run(f, live));
    fatal = 0;
    tell(b.line);
    status = end_child(b);
    end_life(f);
    return WIFSIGNALED(status);
}

/* First while a commit is on its way to the disk, where it is in doubt; then
 * at each call of whoever acts on what he sees. */
static void killed_in_a_commit_and_after_it(void **state)
{
    struct fixture *f = begin_life();
    struct told whole;

    (void)state;
    assert_false(run(f, live));
    whole = *told;
    end_life(f);
    assert_in_range(whole.commits, 20, COMMITS_MOST);
    for (size_t i = 0; i < whole.commits; i++)
        for (long second = 1; live_twice(whole.commit[i], second); second++)
            assert_true(second < CALLS_MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_each_call),
        cmocka_unit_test(failing_at_each_call),
        cmocka_unit_test(killed_in_a_commit_and_after_it),
    };

    told = mmap(NULL, sizeof *told, PROT_READ | PROT_WRITE,
                MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(told != MAP_FAILED);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
