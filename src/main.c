/*
 * Decides what this process is, and is the only file that ends it:
 * - fd 0 is a listening socket: a FastCGI program started by a web server;
 * - CGI variables are set: a CGI program; its arguments are not looked at,
 *   because a web server makes them from the query (RFC 3875 section 4.4);
 * - `slipway serve --socket PATH`: a FastCGI program of its own;
 * - anything else: a command.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/cli.h"
#include "gateway/cgi.h"
#include "gateway/fastcgi.h"
#include "gateway/listen.h"

/* Upload files must never get the numbers 0, 1 and 2: a stray message would
 * be written into them. */
static void occupy_standard_fds(void)
{
    int fd;

    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd >= 0)
        close(fd);
}

static void prepare_process(void)
{
    struct rlimit files;
    const struct rlimit no_core = {0, 0};

    occupy_standard_fds();
    umask(077);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    unsetenv("HTTP_PROXY");
    (void)setrlimit(RLIMIT_CORE, &no_core);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* Serve until told to leave; a program that was replaced also serves those who
 * came while it was closing, as they would be cut off. Threads that would not
 * end use the service to the last, so then it is not closed. */
static int serve(struct service *s, const char *config, int fd, bool respawned)
{
    enum fastcgi_end end = fastcgi_serve(s, fd, respawned);

    while (end == FASTCGI_AGAIN || end == FASTCGI_REPLACED) {
        service_close(s);
        if (end == FASTCGI_REPLACED && !listen_is_waiting(fd))
            return 0;
        service_open(s, config);
        end = fastcgi_serve(s, fd, respawned);
    }
    if (end != FASTCGI_LEAVE)
        return 1;
    service_close(s);
    return 0;
}

/* Started by a web server, which hands over the socket. Stays and explains what
 * is wrong. */
static int run_spawned(void)
{
    struct service s;

    service_open(&s, NULL);
    return serve(&s, NULL, STDIN_FILENO, true);
}

/* Started by hand. Says what is wrong and ends. */
static int run_socket(const char *config, const char *socket)
{
    struct service s;
    struct error e;
    int fd = -1, status;

    service_open(&s, config);
    if (s.app.store && (fd = listen_unix(socket, &e)) < 0)
        log_failure(LOG_ERROR, &e);
    if (fd < 0) {
        service_close(&s);
        return 1;
    }
    status = serve(&s, config, fd, false);
    (void)unlink(socket);
    return status;
}

static int run_cgi(void)
{
    struct service s;

    service_open(&s, NULL);
    cgi_serve(&s);
    service_close(&s);
    return 0;
}

static int run_serve(int argc, char **argv)
{
    const char *config = NULL;
    const char *socket = NULL;

    for (int i = 2; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--config") == 0) {
            config = argv[i + 1];
        } else if (i + 1 < argc && strcmp(argv[i], "--socket") == 0) {
            socket = argv[i + 1];
        } else {
            socket = NULL;
            break;
        }
    }
    if (!socket) {
        fputs("usage: slipway serve --socket PATH [--config PATH]\n", stderr);
        return 2;
    }
    return run_socket(config, socket);
}

int main(int argc, char **argv)
{
    prepare_process();
    log_open(STDERR_FILENO, LOG_INFO);
    if (listen_is_listener(STDIN_FILENO))
        return run_spawned();
    if (getenv("GATEWAY_INTERFACE") || getenv("REQUEST_METHOD"))
        return run_cgi();
    if (argc > 1 && strcmp(argv[1], "serve") == 0)
        return run_serve(argc, argv);
    return cli_run(argc, argv);
}
