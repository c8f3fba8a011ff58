/*
 * The socket does not block; everything waits in poll(), up to the limit.
 */
#define _GNU_SOURCE
#include "probe/client.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

enum { HEAD_MAX = 10 * 1024, PIECE = 64 * 1024 };

/* Wait until the socket is ready for one of events, but not beyond the limit.
 * Gives those it is ready for, 0 at the limit. */
static int await(int fd, short events, int64_t until)
{
    struct pollfd p = {.fd = fd, .events = events};
    int64_t left = until - clock_monotonic_ms();

    return left > 0 && poll(&p, 1, (int)left) > 0 ? p.revents : 0;
}

static bool connect_within(int fd, const struct client_address *to,
                           int64_t until)
{
    int failure = 0;
    socklen_t size = sizeof failure;

    if (connect(fd, (const struct sockaddr *)&to->socket, to->len) == 0)
        return true;
    return errno == EINPROGRESS && await(fd, POLLOUT, until) &&
           getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 &&
           failure == 0;
}

/* What is around the file (RFC 7578). */
static const char form_begin[] =
    "--b\r\nContent-Disposition: form-data; name=\"file\"; "
    "filename=\"probe\"\r\n\r\n";
static const char form_end[] = "\r\n--b--\r\n";

static uint64_t body_length(const struct client_call *call)
{
    return call->length +
           (call->is_form ? sizeof form_begin - 1 + sizeof form_end - 1 : 0);
}

/* It fits the buffer of a fresh connection. */
static bool send_head(int fd, const struct client_call *call)
{
    char length[48] = "";
    char text[HEAD_MAX];
    int n;

    if (body_length(call) > 0)
        (void)snprintf(length, sizeof length, "Content-Length: %" PRIu64 "\r\n",
                       body_length(call));
    n = snprintf(text, sizeof text,
                 "%s %s HTTP/1.1\r\nHost: %s\r\n%s%sUser-Agent: slipway\r\n"
                 "Connection: close\r\n\r\n",
                 call->method, call->path, call->host, call->fields, length);
    return n > 0 && (size_t)n < sizeof text &&
           send(fd, text, (size_t)n, MSG_NOSIGNAL) == n;
}

/* Send some of data until there is an answer or a failure, which the answer
 * may explain. Gives the number of bytes sent, 0 to give up. */
static size_t send_some(int fd, const char *data, size_t len, int64_t until)
{
    for (;;) {
        int ready = await(fd, POLLIN | POLLOUT, until);
        ssize_t n;

        if (!(ready & POLLOUT) || ready & (POLLIN | POLLERR | POLLHUP))
            return 0;
        n = send(fd, data, len, MSG_NOSIGNAL);
        if (n > 0)
            return (size_t)n;
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return 0;
    }
}

static void send_text(int fd, const char *text, int64_t until)
{
    size_t n;

    for (size_t len = strlen(text); len > 0; text += n, len -= n)
        if ((n = send_some(fd, text, len, until)) == 0)
            return;
}

static void send_zeros(int fd, uint64_t left, int64_t until)
{
    static const char zeros[PIECE];

    while (left > 0) {
        size_t n = send_some(fd, zeros, left < PIECE ? (size_t)left : PIECE,
                             until);

        if (n == 0)
            return;
        left -= n;
    }
}

static void send_body(int fd, const struct client_call *call, int64_t until)
{
    uint64_t first = call->pause_ms > 0 ? call->length / 2 : call->length;

    if (call->is_form)
        send_text(fd, form_begin, until);
    send_zeros(fd, first, until);
    if (call->pause_ms > 0) {
        (void)await(fd, POLLIN, clock_monotonic_ms() + call->pause_ms);
        send_zeros(fd, call->length - first, until);
    }
    if (call->is_form)
        send_text(fd, form_end, until);
}

/* Has the final answer come with all the bytes that it announces (RFC 9112
 * section 6.3)? One that announces none ends with the connection. */
static bool is_whole(const char *answer, size_t have)
{
    static const char blank[] = "\r\n\r\n", field[] = "\r\nContent-Length:";
    const char *head = answer, *end, *length;

    while ((end = strstr(head, blank)) && strncmp(head, "HTTP/1.1 1", 10) == 0)
        head = end + sizeof blank - 1;
    length = end ? strcasestr(head, field) : NULL;
    if (!length || length >= end)
        return false;
    have -= (size_t)(end + sizeof blank - 1 - answer);
    return have >= strtoull(length + sizeof field - 1, NULL, 10);
}

/* A server that has not read the whole body may keep the connection open for
 * seconds after its answer. */
static bool receive(int fd, char *answer, size_t cap, int64_t until)
{
    size_t have = 0;

    while (have < cap - 1 && !is_whole(answer, have) &&
           await(fd, POLLIN, until)) {
        ssize_t n = recv(fd, answer + have, cap - 1 - have, 0);

        if (n <= 0)
            break;
        have += (size_t)n;
        answer[have] = '\0';
    }
    return have > 0;
}

bool client_exchange(const struct client_address *to,
                     const struct client_call *call, char *answer, size_t cap)
{
    int64_t until = clock_monotonic_ms() + call->limit_ms;
    bool ok;
    int fd;

    answer[0] = '\0';
    if (to->len == 0)
        return false;
    fd = socket(to->socket.ss_family,
                SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    ok = connect_within(fd, to, until) && send_head(fd, call);
    if (ok) {
        send_body(fd, call, until);
        ok = receive(fd, answer, cap, until);
    }
    close(fd);
    return ok;
}

long client_status(const char *answer)
{
    const char *blank = strchr(answer, ' ');

    return blank && strncmp(answer, "HTTP/1.", 7) == 0 ? strtol(blank, NULL, 10)
                                                       : 0;
}

const char *client_body(const char *answer)
{
    const char *blank = strstr(answer, "\r\n\r\n");

    return blank ? blank + 4 : NULL;
}
