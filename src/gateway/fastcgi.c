/*
 * Threads, signals and draining. Signals are blocked in all threads and taken
 * by the main thread with sigtimedwait, so no read is ever interrupted.
 */
#define _GNU_SOURCE
#include "gateway/fastcgi.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "gateway/connection.h"

enum {
    STACK_SIZE = 256 * 1024, /* bytes of a worker's stack */
    SPARE_THREADS = 8,       /* idle threads that stay */
    IDLE_SECONDS = 10,       /* after which others leave */
    WATCH_SECONDS = 2,       /* between two looks at the executable */
    DRAIN_SECONDS = 4,       /* for requests that run; then bodies end */
    END_SECONDS = 2          /* for the answers to those */
};

struct server {
    struct app *app;       /* */
    int listener;          /* non-blocking */
    int wake[2];           /* closing [1] wakes the accepting worker */
    unsigned max_threads;  /* */
    pthread_attr_t attr;   /* of workers */
    pthread_mutex_t mutex; /* guards all below */
    pthread_cond_t turn;   /* the place of the accepting worker is free */
    pthread_cond_t left;   /* a thread has left */
    bool accepting;        /* a worker is in poll and accept4 */
    bool drained;          /* told to leave, and no connection waits */
    unsigned threads;      /* that exist */
    unsigned idle;         /* that wait for work */
    atomic_bool stop;      /* bodies that still arrive are given up */
};

static void *worker_main(void *ctx);

/* With the mutex held. */
static void spawn(struct server *s)
{
    pthread_t t;

    if (s->threads >= s->max_threads)
        return;
    if (pthread_create(&t, &s->attr, worker_main, s) == 0)
        s->threads++;
    else
        log_write(LOG_WARNING, "no further thread: %u are at work", s->threads);
}

/* Wait for the accepting worker's place. false: leave. */
static bool take_place(struct server *s)
{
    struct timespec until;
    bool stay;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += IDLE_SECONDS;
    pthread_mutex_lock(&s->mutex);
    s->idle++;
    stay = true;
    while (s->accepting && !s->drained && stay)
        if (pthread_cond_timedwait(&s->turn, &s->mutex, &until) == ETIMEDOUT &&
            s->accepting) {
            stay = s->idle <= SPARE_THREADS;
            until.tv_sec += IDLE_SECONDS;
        }
    stay = stay && !s->drained;
    if (stay)
        s->accepting = true;
    else
        s->idle--;
    pthread_mutex_unlock(&s->mutex);
    return stay;
}

/* Give the place on, making a thread for it if nobody else is idle. */
static void leave_place(struct server *s, bool drained)
{
    pthread_mutex_lock(&s->mutex);
    s->accepting = false;
    s->idle--;
    s->drained = s->drained || drained;
    if (s->idle == 0 && !s->drained)
        spawn(s);
    if (drained)
        pthread_cond_broadcast(&s->turn);
    else
        pthread_cond_signal(&s->turn);
    pthread_mutex_unlock(&s->mutex);
}

/* The next connection, or -1 when it is time to leave and none waits. */
static int accept_next(struct server *s)
{
    struct pollfd p[2] = {{.fd = s->listener, .events = POLLIN},
                          {.fd = s->wake[0], .events = POLLIN}};

    for (;;) {
        int fd;

        if (poll(p, 2, -1) < 0 && errno != EINTR)
            return -1;
        fd = atomic_load(&s->stop)
                 ? -1
                 : accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0 || p[1].revents)
            return fd;
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM ||
            errno == ENOBUFS) {
            log_write(LOG_ERROR, "accept: %s", strerror(errno));
            poll(&p[1], 1, 100);
        }
    }
}

static void work(struct server *s, struct connection *c)
{
    while (take_place(s)) {
        int fd = accept_next(s);

        leave_place(s, fd < 0);
        if (fd < 0)
            break;
        connection_serve(c, s->app, fd);
        store_sweep(s->app->store, false);
    }
}

static void *worker_main(void *ctx)
{
    struct server *s = ctx;
    struct connection *c = connection_new(&s->stop);

    if (c) {
        work(s, c);
        connection_free(c);
    }
    pthread_mutex_lock(&s->mutex);
    s->threads--;
    pthread_cond_broadcast(&s->left);
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

/* The executable that runs, to notice when another one takes its place. */
struct executable {
    char path[4096]; /* "" if unknown */
    struct stat st;  /* when we started */
};

static void executable_note(struct executable *x)
{
    ssize_t n = readlink("/proc/self/exe", x->path, sizeof x->path - 1);

    x->path[n > 0 ? n : 0] = '\0';
    if (stat(x->path, &x->st) != 0)
        x->path[0] = '\0';
}

static bool executable_replaced(const struct executable *x)
{
    struct stat now;

    return *x->path && stat(x->path, &now) == 0 &&
           (now.st_ino != x->st.st_ino || now.st_dev != x->st.st_dev);
}

static bool is_busy(struct server *s)
{
    bool busy;

    pthread_mutex_lock(&s->mutex);
    busy = s->threads > s->idle;
    pthread_mutex_unlock(&s->mutex);
    return busy;
}

/* Until there is a reason to leave: a signal, or a moment without requests
 * after the executable was replaced. */
static void wait_for_end(struct server *s, const sigset_t *signals)
{
    const struct timespec watch = {WATCH_SECONDS, 0};
    struct executable x;
    int sig;

    executable_note(&x);
    do {
        sig = sigtimedwait(signals, NULL, &watch);
        if (sig < 0 && executable_replaced(&x) && !is_busy(s)) {
            log_write(LOG_INFO, "the executable was replaced; leaving");
            return;
        }
    } while (sig < 0);
    log_write(LOG_INFO, "signal %d; leaving", sig);
}

/* Wait until all threads have left. false if they need longer. */
static bool await_threads(struct server *s, int seconds)
{
    struct timespec until;
    bool all;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    pthread_mutex_lock(&s->mutex);
    while (s->threads > 0 &&
           pthread_cond_timedwait(&s->left, &s->mutex, &until) != ETIMEDOUT)
        ;
    all = s->threads == 0;
    pthread_mutex_unlock(&s->mutex);
    return all;
}

static void drain(struct server *s)
{
    close(s->wake[1]);
    if (await_threads(s, DRAIN_SECONDS))
        return;
    atomic_store(&s->stop, true);
    if (!await_threads(s, END_SECONDS))
        log_write(LOG_WARNING, "leaving while %u requests still run",
                  s->threads);
}

static enum error_code prepare(struct server *s, struct error *e)
{
    int flags = fcntl(s->listener, F_GETFL);

    if (flags < 0 || fcntl(s->listener, F_SETFL, flags | O_NONBLOCK) < 0 ||
        pipe2(s->wake, O_CLOEXEC) != 0)
        return error_errno(e, errno, "Preparing the socket");
    (void)fcntl(s->listener, F_SETFD, FD_CLOEXEC);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->turn, NULL);
    pthread_cond_init(&s->left, NULL);
    pthread_attr_init(&s->attr);
    pthread_attr_setdetachstate(&s->attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&s->attr, STACK_SIZE);
    return ERR_NONE;
}

enum error_code fastcgi_serve(struct app *app, int fd, struct error *e)
{
    static struct server s;
    sigset_t signals;

    s.app = app;
    s.listener = fd;
    s.max_threads = (unsigned)config_number(app->config, OPT_MAX_THREADS);
    if (prepare(&s, e) != ERR_NONE)
        return e->code;
    connection_library_init();
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    pthread_mutex_lock(&s.mutex);
    spawn(&s);
    pthread_mutex_unlock(&s.mutex);
    wait_for_end(&s, &signals);
    drain(&s);
    return ERR_NONE;
}
