/*
 * The clock of the bench cold-start: starts programs as a web server starts
 * CGI programs, and measures how long their first byte takes.
 *
 *   cold ROUNDS PROGRAM...
 *
 * Each round starts every program once, one after the other, with /dev/null as
 * fd 0, a pipe as fd 1, and the environment of this process. The time counts
 * from before the new process to the first byte in the pipe. Prints a JSON
 * array with an array of microseconds for each program. A program that fails,
 * or whose answer does not have MARK, ends the run with status 1.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MARK "\"status\":\"ok\""

enum { ANSWER_SIZE = 16 * 1024 }; /* room for the answer of a program */

_Noreturn static void fail(const char *program, const char *what)
{
    fprintf(stderr, "cold: %s: %s\n", program, what);
    exit(1);
}

/* Microseconds of the monotonic clock. */
static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

/* Start program with fd 1 as out. */
static pid_t start(char *program, int out)
{
    char *argv[] = {program, NULL};
    posix_spawn_file_actions_t fds;
    pid_t pid;

    posix_spawn_file_actions_init(&fds);
    posix_spawn_file_actions_addopen(&fds, STDIN_FILENO, "/dev/null", O_RDONLY,
                                     0);
    posix_spawn_file_actions_adddup2(&fds, out, STDOUT_FILENO);
    errno = posix_spawn(&pid, program, &fds, NULL, argv, environ);
    if (errno) {
        fail(program, strerror(errno));
    }
    posix_spawn_file_actions_destroy(&fds);
    return pid;
}

/* Read what comes from fd up to its end; gives when the first byte came. */
static uint64_t collect(int fd, char answer[ANSWER_SIZE])
{
    uint64_t first = 0;
    size_t size = 0;
    ssize_t n;

    while ((n = read(fd, answer + size, ANSWER_SIZE - 1 - size)) > 0) {
        first = first ? first : now();
        size += (size_t)n;
    }
    answer[size] = '\0';
    return first;
}

/* Run program once; gives the microseconds to its first byte. */
static uint64_t run(char *program)
{
    char answer[ANSWER_SIZE];
    int ends[2];
    int status;

    if (pipe2(ends, O_CLOEXEC) != 0) {
        fail("pipe", strerror(errno));
    }
    uint64_t begin = now();
    pid_t pid = start(program, ends[1]);
    close(ends[1]);
    uint64_t first = collect(ends[0], answer);
    close(ends[0]);
    if (waitpid(pid, &status, 0) != pid || status != 0) {
        fail(program, "failed");
    }
    if (!strstr(answer, MARK)) {
        fail(program, answer);
    }
    return first - begin;
}

int main(int argc, char **argv)
{
    unsigned long rounds = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
    size_t programs = argc > 2 ? (size_t)argc - 2 : 0;
    uint64_t *took = calloc(rounds * programs + 1, sizeof *took);

    if (rounds == 0 || !took) {
        fail("usage", "cold ROUNDS PROGRAM...");
    }
    for (size_t i = 0; i < rounds * programs; i++) {
        took[i] = run(argv[2 + i % programs]);
    }
    for (size_t p = 0; p < programs; p++) {
        for (size_t r = 0; r < rounds; r++) {
            printf("%s%ju", r ? "," : p ? ",[" : "[[", took[r * programs + p]);
        }
        putchar(']');
    }
    puts("]");
    free(took);
    return 0;
}
