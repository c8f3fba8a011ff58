/*
 * The yardstick of `make bench`: the least a libfcgi program can do.
 *
 * Threads call FCGX_Accept_r on fd 0 and serve one request at a time each:
 *   PUT, POST           the body goes to a new file of MINIMAL_DIR; 201
 *   GET ...?file=N      X-Sendfile with the path of file N
 *   DELETE ...?file=N   the file goes; 204
 *   GET .../status      a constant JSON object
 * Nothing is checked, hashed, synced or recorded. The 201 answer has the
 * members of slipway's that the harness reads, so the harness treats both
 * alike and this program can stand in slipway's place to measure the noise.
 *
 * MINIMAL_THREADS is the number of threads (default 32). The only state the
 * threads share is the counter of files. SIGTERM ends the process at once.
 */
#include <fcgiapp.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 64 * 1024, PATH_SIZE = 1024 };

static const char *directory; /* where the files go; set before the threads */
static atomic_ulong files;    /* the number of the newest file */

static void file_path(char path[PATH_SIZE], unsigned long number)
{
    snprintf(path, PATH_SIZE, "%s/%lu", directory, number);
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t n = write(fd, data, size);
        if (n <= 0) {
            return false;
        }
        data += n;
        size -= (size_t)n;
    }
    return true;
}

/* The body of r into file number; false if a byte of it is missing. */
static bool store(FCGX_Request *r, unsigned long number)
{
    const char *length = FCGX_GetParam("CONTENT_LENGTH", r->envp);
    unsigned long long missing = length ? strtoull(length, NULL, 10) : 0;
    char path[PATH_SIZE];
    char piece[PIECE];
    bool ok = true;
    int n;

    file_path(path, number);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0) {
        return false;
    }
    while (ok && (n = FCGX_GetStr(piece, PIECE, r->in)) > 0) {
        ok = write_all(fd, piece, (size_t)n);
        missing -= (unsigned long long)n;
    }
    close(fd);
    return ok && missing == 0 && FCGX_GetError(r->in) == 0;
}

static void upload(FCGX_Request *r, const char *script)
{
    unsigned long number = atomic_fetch_add(&files, 1) + 1;

    if (!store(r, number)) {
        FCGX_PutS("Status: 500\r\n\r\n", r->out);
        return;
    }
    FCGX_FPrintF(r->out,
                 "Status: 201\r\nContent-Type: application/json\r\n\r\n"
                 "{\"files\":[{\"url\":\"/files%s/%lu\","
                 "\"download\":\"%s?file=%lu\",\"delete\":\"%s?file=%lu\"}]}",
                 script, number, script, number, script, number);
}

static void answer(FCGX_Request *r)
{
    const char *method = FCGX_GetParam("REQUEST_METHOD", r->envp);
    const char *query = FCGX_GetParam("QUERY_STRING", r->envp);
    const char *script = FCGX_GetParam("SCRIPT_NAME", r->envp);
    char path[PATH_SIZE];

    if (strcmp(method, "PUT") == 0 || strcmp(method, "POST") == 0) {
        upload(r, script);
        return;
    }
    if (!query || strncmp(query, "file=", 5) != 0) {
        FCGX_PutS("Content-Type: application/json\r\n\r\n"
                  "{\"status\":\"ok\",\"version\":\"0\"}",
                  r->out);
        return;
    }
    file_path(path, strtoul(query + 5, NULL, 10));
    if (strcmp(method, "DELETE") == 0) {
        unlink(path);
        FCGX_PutS("Status: 204\r\n\r\n", r->out);
        return;
    }
    FCGX_FPrintF(r->out,
                 "Content-Type: application/octet-stream\r\n"
                 "X-Sendfile: %s\r\n\r\n",
                 path);
}

static void *serve(void *unused)
{
    FCGX_Request r;

    if (FCGX_InitRequest(&r, 0, 0) != 0) {
        return unused;
    }
    while (FCGX_Accept_r(&r) == 0) {
        answer(&r);
        FCGX_Finish_r(&r);
    }
    return unused;
}

int main(void)
{
    const char *wanted = getenv("MINIMAL_THREADS");
    unsigned long threads = wanted ? strtoul(wanted, NULL, 10) : 32;
    pthread_attr_t small;
    pthread_t thread;

    directory = getenv("MINIMAL_DIR");
    if (!directory || FCGX_Init() != 0) {
        fputs("minimal: needs MINIMAL_DIR and a socket on fd 0\n", stderr);
        return 1;
    }
    signal(SIGTERM, SIG_DFL);
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 4 * PIECE);
    for (unsigned long i = 1; i < threads; i++) {
        if (pthread_create(&thread, &small, serve, NULL) != 0) {
            perror("minimal: pthread_create");
            return 1;
        }
    }
    serve(NULL);
    return 0;
}
