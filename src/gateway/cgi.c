/*
 * CGI: variables from the environment, body from fd 0, response to fd 1.
 *
 * What remains of a body that was refused is read and dropped, within bounds,
 * before the process ends: with mod_cgid both directions are one socket, and
 * unread bytes would destroy the response.
 *
 * Apache sends SIGTERM when the client leaves, and SIGKILL seconds later. The
 * signal is only taken note of, between reads, so that what has been received
 * is removed in order. Once a body is complete, its upload is finished.
 */
#define _GNU_SOURCE
#include "gateway/cgi.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"

enum {
    BUFFER_SIZE = 128 * 1024,
    DROP_MAX = 64 * 1024 * 1024, /* bytes of a refused body */
    DROP_MS = 10 * 1000,         /* for dropping it */
    BREAK_MS = 100 /* in which a server that closes fd 0 closes fd 1 as well,
                      if the client has left */
};

struct cgi {
    struct body body; /* first: the body is found from it */
    bool ended;       /* fd 0 has no more */
    char buffer[BUFFER_SIZE];
};

static volatile sig_atomic_t told_to_leave;

static void on_signal(int sig)
{
    (void)sig;
    told_to_leave = 1;
}

static void catch_signals(void)
{
    struct sigaction a = {.sa_handler = on_signal};

    sigemptyset(&a.sa_mask);
    (void)sigaction(SIGTERM, &a, NULL);
    (void)sigaction(SIGHUP, &a, NULL);
}

/* Without CONTENT_LENGTH the end of fd 0 is the end of the body; with it, at
 * most so many bytes belong to us (RFC 3875 section 4.2). */
static size_t wanted(const struct cgi *c)
{
    uint64_t left = c->body.length - c->body.received;

    if (c->body.length == BODY_LENGTH_UNKNOWN || left > BUFFER_SIZE)
        return BUFFER_SIZE;
    return (size_t)left;
}

/* Is the other end of fd 1 gone, at the latest after so long? */
static bool is_abandoned(int wait_ms)
{
    struct pollfd p = {.fd = STDOUT_FILENO, .events = 0};
    bool closed = poll(&p, 1, wait_ms) > 0;

    return told_to_leave || (closed && (p.revents & (POLLERR | POLLHUP)));
}

/* fd 0 has ended. Without a length, a body that was cut off looks the same as
 * a whole one, but for what the server does next. */
static enum body_result ended(struct cgi *c, struct error *e)
{
    c->ended = true;
    if (c->body.length != BODY_LENGTH_UNKNOWN || !is_abandoned(BREAK_MS))
        return BODY_END;
    error_set(e, ERR_CLIENT_GONE, "The connection was closed in mid-body.");
    return BODY_FAILED;
}

static enum body_result next(struct body *b, const void **data, size_t *len,
                             int wait_ms, struct error *e)
{
    struct cgi *c = (struct cgi *)b;
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    size_t want = wanted(c);
    ssize_t n;

    if (c->ended || want == 0)
        return BODY_END;
    if (told_to_leave) {
        error_set(e, ERR_CLIENT_GONE, "The client or the server has left.");
        return BODY_FAILED;
    }
    if (poll(&p, 1, wait_ms) <= 0)
        return BODY_WAIT;
    n = read(STDIN_FILENO, c->buffer, want);
    if (n < 0 && errno == EINTR)
        return BODY_WAIT;
    if (n < 0) {
        error_set(e, ERR_CLIENT_GONE, "The connection was closed.");
        return BODY_FAILED;
    }
    if (n == 0)
        return ended(c, e);
    *data = c->buffer;
    *len = (size_t)n;
    return BODY_DATA;
}

static void drop_rest(struct cgi *c)
{
    int64_t until = clock_monotonic_ms() + DROP_MS;
    enum body_result r = BODY_WAIT;
    uint64_t dropped = 0;
    const void *data;
    size_t len;
    struct error e;

    if (c->body.length == BODY_LENGTH_UNKNOWN && c->body.received == 0)
        return;
    while ((r == BODY_DATA || r == BODY_WAIT) && dropped < DROP_MAX &&
           clock_monotonic_ms() < until) {
        r = next(&c->body, &data, &len, DROP_MS / 10, &e);
        if (r == BODY_DATA) {
            c->body.received += len;
            dropped += len;
        }
    }
}

static const char *variable(const void *ctx, const char *name)
{
    (void)ctx;
    return getenv(name);
}

static bool put(void *ctx, const void *data, size_t len)
{
    const char *p = data;

    (void)ctx;
    while (len > 0) {
        ssize_t n = write(STDOUT_FILENO, p, len);

        if (n < 0 && errno == EINTR && !told_to_leave)
            continue;
        if (n <= 0)
            return false;
        p += n;
        len -= (size_t)n;
    }
    return true;
}

static bool flush(void *ctx)
{
    (void)ctx;
    return true;
}

static bool gone(void *ctx)
{
    (void)ctx;
    return is_abandoned(0);
}

void cgi_serve(struct service *s)
{
    static struct cgi c;
    static char scratch[BUFFER_SIZE];
    struct request req = {.variable = variable, .body = &c.body};
    struct transport t = {put, flush, gone, NULL, scratch, sizeof scratch};
    struct error e;

    catch_signals();
    c.body = (struct body){.next = next, .length = BODY_LENGTH_UNKNOWN};
    service_answer(s, &req, &t);
    drop_rest(&c);
    if (s->app.store)
        (void)store_sweep(s->app.store, false, &e);
}
