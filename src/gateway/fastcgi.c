/*
 * Threads, signals and draining. Signals are blocked in all threads and taken
 * by the main thread with sigtimedwait, so no read is ever interrupted.
 *
 * Idle workers sleep in accept4, where the kernel wakes one of them for each
 * connection. A receive timeout on the listening socket lets them look up now
 * and then: whether to leave, because the process ends or because there are
 * more idle ones than needed.
 */
#define _GNU_SOURCE
#include "gateway/fastcgi.h"

#include <errno.h>
#include <fcntl.h>
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
#include "gateway/listen.h"

enum {
    STACK_SIZE = 256 * 1024, /* bytes of a worker's stack */
    SPARE_THREADS = 8,       /* idle threads that stay */
    LOOK_UP_MS = 500,        /* an idle worker's sleep */
    WATCH_SECONDS = 2,       /* between two looks at the executable */
    DRAIN_SECONDS = 4,       /* for requests that run; then bodies end */
    END_SECONDS = 2,         /* for the answers to those */
    CHANGED_SECONDS = 30,    /* for a moment without requests, once the
                                executable or the ini file has changed */
    EXPLAINING_THREADS = 16  /* at most, while nothing else is to be said */
};

struct server {
    struct service *service;
    int listener;   /* with a receive timeout */
    bool respawned; /* a new process comes when this one leaves */
    int max_threads;
    pthread_attr_t attr;   /* of workers */
    pthread_mutex_t mutex; /* guards threads */
    pthread_cond_t left;   /* a thread has left */
    int threads;           /* that exist */
    atomic_int idle;       /* that are in accept4 */
    atomic_bool draining;  /* take what waits in the socket, then leave */
    atomic_bool stop;      /* bodies that still arrive are given up */
};

static void *worker_main(void *ctx);

static void spawn(struct server *s)
{
    pthread_t t;

    pthread_mutex_lock(&s->mutex);
    if (s->threads < s->max_threads) {
        if (pthread_create(&t, &s->attr, worker_main, s) == 0)
            s->threads++;
        else
            log_write(LOG_WARNING, "no further thread: %d are at work",
                      s->threads);
    }
    pthread_mutex_unlock(&s->mutex);
}

/* A moment for the system to find descriptors or memory again, or whatever
 * it was. */
static void pause_accepting(void)
{
    const struct timespec moment = {0, 100 * 1000000L};

    log_write(LOG_ERROR, "accept: %s", strerror(errno));
    nanosleep(&moment, NULL);
}

/* Is this idle worker one too many? Then it no longer counts as idle. */
static bool is_spare(struct server *s)
{
    int idle = atomic_load(&s->idle);

    while (idle > SPARE_THREADS)
        if (atomic_compare_exchange_weak(&s->idle, &idle, idle - 1))
            return true;
    return false;
}

/* The next connection, or -1 when this worker is to leave. */
static int accept_next(struct server *s)
{
    int fd = -1;

    atomic_fetch_add(&s->idle, 1);
    for (;;) {
        if (atomic_load(&s->draining) &&
            (atomic_load(&s->stop) || !listen_is_waiting(s->listener)))
            break;
        fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            break;
        if (errno == EAGAIN && is_spare(s))
            return -1;
        if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
            pause_accepting();
    }
    if (atomic_fetch_sub(&s->idle, 1) == 1 && fd >= 0)
        spawn(s);
    return fd;
}

static void *worker_main(void *ctx)
{
    struct server *s = ctx;
    struct store *store = s->service->app.store;
    struct connection *c = connection_new(&s->stop);
    struct error e;
    int fd;

    while (c && (fd = accept_next(s)) >= 0) {
        connection_serve(c, s->service, fd);
        if (store)
            (void)store_sweep(store, false, &e);
    }
    if (c)
        connection_free(c);
    pthread_mutex_lock(&s->mutex);
    s->threads--;
    pthread_cond_broadcast(&s->left);
    pthread_mutex_unlock(&s->mutex);
    return NULL;
}

/* The executable that runs, to notice when another one takes its place. */
struct executable {
    char path[4096]; /* "" if unknown */
    struct stat st;  /* what runs */
};

static void executable_note(struct executable *x)
{
    static const char gone[] = " (deleted)"; /* the kernel's word */
    ssize_t n = readlink("/proc/self/exe", x->path, sizeof x->path - 1);
    size_t len = n > 0 ? (size_t)n : 0;

    x->path[len] = '\0';
    if (len >= sizeof gone &&
        strcmp(x->path + len - (sizeof gone - 1), gone) == 0)
        x->path[len - (sizeof gone - 1)] = '\0';
    if (stat("/proc/self/exe", &x->st) != 0)
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
    busy = s->threads > atomic_load(&s->idle);
    pthread_mutex_unlock(&s->mutex);
    return busy;
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

/* Let all threads leave so that the service can be opened anew. false if they
 * do not at once; then all goes on as before. */
static bool pause_service(struct server *s)
{
    atomic_store(&s->draining, true);
    if (await_threads(s, DRAIN_SECONDS))
        return true;
    atomic_store(&s->draining, false);
    spawn(s);
    return false;
}

/* The system may have refused the first thread, or the only one. */
static void ensure_thread(struct server *s)
{
    bool none;

    pthread_mutex_lock(&s->mutex);
    none = s->threads == 0;
    pthread_mutex_unlock(&s->mutex);
    if (none)
        spawn(s);
}

/* Until there is a reason to stop: a signal; and a moment without requests,
 * which is not awaited for ever, after the executable was replaced or the
 * service has become stale. */
static enum fastcgi_end wait_for_end(struct server *s, const sigset_t *signals)
{
    const struct timespec watch = {WATCH_SECONDS, 0};
    int patience = CHANGED_SECONDS;
    bool replaced = false, stale = false;
    struct executable x;
    int sig;

    executable_note(&x);
    while ((sig = sigtimedwait(signals, NULL, &watch)) < 0) {
        ensure_thread(s);
        replaced = s->respawned && executable_replaced(&x);
        stale = stale || service_is_stale(s->service);
        if (!replaced && !stale)
            continue;
        patience -= WATCH_SECONDS;
        if (replaced && (!is_busy(s) || patience <= 0)) {
            log_write(LOG_INFO, "the executable was replaced; leaving");
            return FASTCGI_REPLACED;
        }
        if (stale && (patience <= 0 || (!is_busy(s) && pause_service(s)))) {
            log_write(LOG_INFO, "starting anew");
            return FASTCGI_AGAIN;
        }
    }
    log_write(LOG_INFO, "signal %d; leaving", sig);
    return FASTCGI_LEAVE;
}

/* false if some thread does not end. */
static bool drain(struct server *s)
{
    atomic_store(&s->draining, true);
    if (s->service->app.store)
        store_stop(s->service->app.store);
    if (await_threads(s, DRAIN_SECONDS))
        return true;
    atomic_store(&s->stop, true);
    return await_threads(s, END_SECONDS);
}

static bool prepare(struct server *s)
{
    const struct timeval look_up = {0, LOOK_UP_MS * 1000L};
    int flags = fcntl(s->listener, F_GETFL);

    if (flags < 0 || fcntl(s->listener, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
        setsockopt(s->listener, SOL_SOCKET, SO_RCVTIMEO, &look_up,
                   sizeof look_up) != 0) {
        log_write(LOG_ERROR, "preparing the socket: %s", strerror(errno));
        return false;
    }
    (void)fcntl(s->listener, F_SETFD, FD_CLOEXEC);
    pthread_mutex_init(&s->mutex, NULL);
    pthread_cond_init(&s->left, NULL);
    pthread_attr_init(&s->attr);
    pthread_attr_setdetachstate(&s->attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&s->attr, STACK_SIZE);
    return true;
}

enum fastcgi_end fastcgi_serve(struct service *service, int fd, bool respawned)
{
    static struct server s; /* static: a thread that does not end uses it */
    enum fastcgi_end end;
    sigset_t signals;

    memset(&s, 0, sizeof s);
    s.service = service;
    s.listener = fd;
    s.respawned = respawned;
    s.max_threads = service->app.store
                        ? (int)config_number(service->loaded, OPT_MAX_THREADS)
                        : EXPLAINING_THREADS;
    if (!prepare(&s))
        return FASTCGI_STUCK;
    connection_library_init();
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    sigaddset(&signals, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    spawn(&s);
    end = wait_for_end(&s, &signals);
    if (drain(&s))
        return end;
    log_write(LOG_ERROR, "leaving while requests still run");
    return FASTCGI_STUCK;
}
