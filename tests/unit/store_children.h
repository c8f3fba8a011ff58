/*
 * Resumable sessions in small steps, and children: processes with a store of
 * their own that die at a chosen moment. Included by one program each.
 */
#ifndef SLIPWAY_TESTS_STORE_CHILDREN_H
#define SLIPWAY_TESTS_STORE_CHILDREN_H

#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "store_fixture.h"

static inline struct upload *create(struct fixture *f, const char *id,
                                    uint64_t total)
{
    struct upload_spec spec = {.id = id, .total = total, .arena = f->arena};
    struct resumable_spec r = {.name = "a.txt"};
    struct upload *u;
    struct error e;

    assert_int_equal(upload_create(f->store, &spec, &r, &u, &e), ERR_NONE);
    return u;
}

static inline void put(struct upload *u, const char *text)
{
    struct error e;

    assert_int_equal(upload_append(u, text, strlen(text), &e), ERR_NONE);
}

static inline void suspend(struct upload *u)
{
    struct error e;

    assert_int_equal(upload_suspend(u, &e), ERR_NONE);
}

/* A session whose file only waits to be published. */
static inline struct upload *create_whole(struct fixture *f, const char *id,
                                          const char *text)
{
    struct upload *u = create(f, id, strlen(text));
    struct error e;

    put(u, text);
    assert_int_equal(upload_end_file(u, &e), ERR_NONE);
    return u;
}

/* A paused session with these bytes. */
static inline void create_paused(struct fixture *f, const char *id,
                                 uint64_t total, const char *text)
{
    struct upload *u = create(f, id, total);

    put(u, text);
    suspend(u);
}

static inline struct upload *resume(struct fixture *f, const char *id)
{
    struct upload *u;
    struct error e;

    assert_int_equal(upload_resume(f->store, f->arena, id, &u, &e), ERR_NONE);
    return u;
}

/* End the session: its file is stored. */
static inline struct file *complete(struct upload *u)
{
    struct error e;

    assert_int_equal(upload_end_file(u, &e), ERR_NONE);
    return finish(u);
}

static inline void digest_of(const char *text, unsigned char out[DIGEST_SIZE])
{
    struct digest d;

    digest_init(&d);
    digest_update(&d, text, strlen(text));
    digest_final(&d, out);
}

/* A file below the root, with all of its bytes. */
static inline void expect_content(const struct fixture *f, const char *below,
                                  const char *path, const char *text)
{
    char full[512], content[256] = "";
    int fd;

    (void)snprintf(full, sizeof full, "%s/%s/%s", f->root, below, path);
    fd = open(full, O_RDONLY);
    assert_true(fd >= 0);
    assert_true(read(fd, content, sizeof content - 1) >= 0);
    close(fd);
    assert_string_equal(content, text);
}

static inline void expect_file(const struct fixture *f, const struct file *file,
                               const char *text)
{
    unsigned char sha256[DIGEST_SIZE];

    expect_content(f, "uploads", file->path, text);
    assert_int_equal(file->size, strlen(text));
    if (file->has_sha256) {
        digest_of(text, sha256);
        assert_memory_equal(file->sha256, sha256, DIGEST_SIZE);
    }
}

/*
 * Children: a process with a store of its own, made while the parent has none
 * open. It runs a function, and talks with the parent in single bytes.
 */
struct child {
    pid_t pid; /* */
    int line;  /* to the other one */
};

typedef int child_fn(struct fixture *f, int line);

static inline void tell(int line)
{
    assert_int_equal(write(line, "x", 1), 1);
}

static inline void hear(int line)
{
    char c;

    assert_int_equal(read(line, &c, 1), 1);
}

/* A child that waits for its first byte, the parent's store being closed. */
static inline struct child fork_child(struct fixture *f, child_fn *fn)
{
    struct child c;
    int lines[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, lines), 0);
    c.pid = fork();
    if (c.pid == 0) {
        setenv("CMOCKA_TEST_ABORT", "1", 1);
        alarm(30);
        close(lines[0]);
        hear(lines[1]);
        load_store(f);
        _exit(fn(f, lines[1]));
    }
    close(lines[1]);
    c.line = lines[0];
    return c;
}

static inline struct child start_child(struct fixture *f, child_fn *fn)
{
    struct child c;

    close_store(f);
    c = fork_child(f, fn);
    load_store(f);
    tell(c.line);
    return c;
}

static inline int end_child(struct child c)
{
    int status = -1;

    assert_int_equal(waitpid(c.pid, &status, 0), c.pid);
    close(c.line);
    return status;
}

static inline void expect_killed(struct child c)
{
    int status = end_child(c);

    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
}

#endif
