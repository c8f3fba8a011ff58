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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "gateway/exchange.h"

enum {
    BUFFER_SIZE = 128 * 1024,
    DROP_MAX = 64 * 1024 * 1024, /* bytes of a refused body */
    DROP_MS = 10 * 1000          /* for dropping it */
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
    c->ended = n == 0;
    *data = c->buffer;
    *len = (size_t)n;
    return n > 0 ? BODY_DATA : BODY_END;
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
    struct pollfd p = {.fd = STDOUT_FILENO, .events = 0};

    (void)ctx;
    return told_to_leave ||
           (poll(&p, 1, 0) > 0 && (p.revents & (POLLERR | POLLHUP)));
}

void cgi_serve(struct app *app)
{
    static struct cgi c;
    static char scratch[BUFFER_SIZE];
    struct request req = {.variable = variable, .body = &c.body};
    struct transport t = {put, flush, gone, NULL, scratch, sizeof scratch};
    struct error e;

    catch_signals();
    c.body = (struct body){.next = next, .length = BODY_LENGTH_UNKNOWN};
    exchange_serve(app, &req, &t);
    drop_rest(&c);
    (void)store_sweep(app->store, false, &e);
}

void cgi_failed(const struct error *why)
{
    char text[1024];
    int n = snprintf(text, sizeof text,
                     "Status: %d Failed\r\nContent-Type: text/plain; "
                     "charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
                     "Cache-Control: no-store\r\n\r\nslipway cannot work: "
                     "%s\n",
                     error_status(why->code), why->detail);

    if (n > 0)
        (void)put(NULL, text,
                  (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}
