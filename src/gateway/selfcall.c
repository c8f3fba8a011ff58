/*
 * One short HTTP exchange on a socket of its own, with one time limit over
 * all of it. Addresses are numeric, so no name is looked up.
 */
#define _GNU_SOURCE
#include "gateway/selfcall.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

enum { REQUEST_MAX = 10 * 1024, HOST_MAX = 255 };

static const char marker[] = "Slipway-Self";

const char *selfcall_mark(const struct request *req)
{
    return request_header(req, marker);
}

bool selfcall_is_tls(const struct request *req)
{
    const char *https = request_variable(req, "HTTPS");
    const char *port = request_variable(req, "SERVER_PORT");

    return (https && strcasecmp(https, "off") != 0) ||
           (port && strcmp(port, "443") == 0);
}

/* The address the request came in by; 0 if the web server does not tell. */
static socklen_t server_address(const struct request *req, int port,
                                struct sockaddr_storage *out)
{
    const char *address = request_variable(req, "SERVER_ADDR");
    const char *own = request_variable(req, "SERVER_PORT");
    struct sockaddr_in *v4 = (struct sockaddr_in *)out;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)out;
    char bare[INET6_ADDRSTRLEN + 2];
    long number = port ? port : own ? strtol(own, NULL, 10) : 0;

    memset(out, 0, sizeof *out);
    if (!address || strlen(address) >= sizeof bare || number < 1 ||
        number > UINT16_MAX)
        return 0;
    (void)snprintf(bare, sizeof bare, "%s", address + (*address == '['));
    bare[strcspn(bare, "]%")] = '\0';
    if (inet_pton(AF_INET, bare, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = htons((uint16_t)number);
        return sizeof *v4;
    }
    if (inet_pton(AF_INET6, bare, &v6->sin6_addr) != 1)
        return 0;
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)number);
    return sizeof *v6;
}

/* Wait until the socket is ready for events, but not beyond the limit. */
static bool await(int fd, short events, int64_t until)
{
    struct pollfd p = {.fd = fd, .events = events};
    int64_t left = until - clock_monotonic_ms();

    return left > 0 && poll(&p, 1, (int)left) > 0;
}

static bool connect_within(int fd, const struct sockaddr_storage *a,
                           socklen_t len, int64_t until)
{
    int failure = 0;
    socklen_t size = sizeof failure;

    if (connect(fd, (const struct sockaddr *)a, len) == 0)
        return true;
    return errno == EINPROGRESS && await(fd, POLLOUT, until) &&
           getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 &&
           failure == 0;
}

/* A few hundred bytes on a fresh connection: they fit its buffer. */
static bool send_request(int fd, const struct request *req,
                         const struct selfcall *call)
{
    const char *host = request_header(req, "Host");
    char text[REQUEST_MAX];
    int n;

    if (!host || strlen(host) > HOST_MAX || host[strcspn(host, " \t\r\n")])
        host = "localhost";
    n = snprintf(text, sizeof text,
                 "GET %s HTTP/1.1\r\nHost: %s\r\n%s: %s\r\nAccept: */*\r\n"
                 "User-Agent: slipway\r\nConnection: close\r\n\r\n",
                 call->path, host, marker, call->mark);
    return n > 0 && (size_t)n < sizeof text &&
           send(fd, text, (size_t)n, MSG_NOSIGNAL) == n;
}

static bool receive(int fd, char *answer, size_t cap, int64_t until)
{
    size_t have = 0;

    while (have < cap - 1 && await(fd, POLLIN, until)) {
        ssize_t n = recv(fd, answer + have, cap - 1 - have, 0);

        if (n <= 0)
            break;
        have += (size_t)n;
    }
    answer[have] = '\0';
    return have > 0;
}

bool selfcall_get(const struct request *req, const struct selfcall *call,
                  char *answer, size_t cap)
{
    int64_t until = clock_monotonic_ms() + call->limit_ms;
    struct sockaddr_storage a;
    socklen_t len = server_address(req, call->port, &a);
    bool ok;
    int fd;

    answer[0] = '\0';
    if (len == 0)
        return false;
    fd = socket(a.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    ok = connect_within(fd, &a, len, until) && send_request(fd, req, call) &&
         receive(fd, answer, cap, until);
    close(fd);
    return ok;
}
