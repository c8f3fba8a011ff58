/*
 * The load of `make bench`: an HTTP/1.1 client for 127.0.0.1 that costs
 * little itself.
 *
 *   client put PORT PATH BYTES                     one PUT
 *   client patch PORT PATH BYTES                   one PATCH of tus 1.0.0, from
 *                                                  offset 0 on
 *   client download PORT PATH                      one GET, bytes discarded
 *   client get PORT PATH CONNECTIONS SECONDS       GETs, one after the other
 *   client small PORT PATH CONNECTIONS SECONDS BYTES put|form
 *                                                  uploads, likewise
 *   client slow PORT PATH CLIENTS BYTES RATE       CLIENTS uploads of BYTES
 *                    at RATE bytes a second each, and a probe beside them
 *
 * A `*` in PATH becomes a number that no other request of this run has. Each
 * mode prints one line of JSON (seconds, latencies in milliseconds); put and
 * patch print the body of the answer after it. Any answer but 2xx, and any
 * error of a socket, ends the run with status 1.
 *
 * One blocking connection per thread; slow paces all its clients from the
 * main thread, and the probe has a thread of its own. Bodies that are not
 * wanted are dropped inside the kernel (MSG_TRUNC).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BOUNDARY "bench-boundary"

enum {
    PATTERN_SIZE = 256 * 1024, /* what one send takes of a big body */
    INPUT_SIZE = 16 * 1024,    /* room for the head of an answer */
    HEAD_SIZE = 1024,          /* room for the head of a request */
    FORM_SIZE = 512,           /* room for the frame of a form */
    TIMEOUT = 120,             /* seconds a socket may stand still */
    PIECES = 5,                /* sends a second of a slow client */
    PROBE_BYTES = 1024,        /* body of the probe */
    PROBE_MS = 20              /* time between two probes */
};

struct conn {
    int fd;                 /* -1 while closed */
    bool last;              /* the server closes after this answer */
    size_t start, end;      /* what of input is not yet consumed */
    char input[INPUT_SIZE]; /* always ended by a zero byte */
};

struct latencies {
    uint32_t *us;       /* microseconds, one per request */
    size_t count, room; /* used and allocated */
};

struct worker {
    pthread_t thread;      /* runs until end */
    struct conn conn;      /* its own connection */
    struct latencies done; /* its own answers */
    const char *method;    /* of every request */
    const char *type;      /* content type, or NULL */
    const char *body;      /* of every request, shared */
    size_t body_size;      /* bytes of body */
    uint64_t end;          /* when no new request begins */
};

static in_port_t port;             /* of the server */
static const char *path;           /* as given */
static const char *fields = "";    /* further ones of requests with a body */
static atomic_ulong serial;        /* the last number put in place of `*` */
static atomic_bool slow_over;      /* the slow clients have sent everything */
static char pattern[PATTERN_SIZE]; /* what bodies are made of */

__attribute__((format(printf, 1, 2), noreturn)) static void
fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("client: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static void *need(void *memory)
{
    if (!memory) {
        fail("out of memory");
    }
    return memory;
}

/* Nanoseconds of the monotonic clock. */
static uint64_t now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t when)
{
    struct timespec t = {.tv_sec = (time_t)(when / 1000000000u),
                         .tv_nsec = (long)(when % 1000000000u)};

    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

static double seconds_since(uint64_t start)
{
    return (double)(now() - start) / 1e9;
}

static uint64_t number(const char *text)
{
    char *rest;

    errno = 0;
    unsigned long long n = strtoull(text, &rest, 10);
    if (errno || *rest || rest == text) {
        fail("not a number: %s", text);
    }
    return n;
}

/* Connections. */

static void conn_open(struct conn *c)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = port};
    struct timeval limit = {.tv_sec = TIMEOUT};
    int on = 1;

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->start = c->end = 0;
    c->last = false;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) != 0) {
        fail("connect: %s", strerror(errno));
    }
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

static void conn_close(struct conn *c)
{
    close(c->fd);
    c->fd = -1;
}

static void conn_send(struct conn *c, const char *data, size_t size, int flags)
{
    while (size > 0) {
        ssize_t n = send(c->fd, data, size, flags | MSG_NOSIGNAL);
        if (n < 0) {
            fail("send: %s", strerror(errno));
        }
        data += n;
        size -= (size_t)n;
    }
}

/* Read more behind what is there; false at the end of the connection. */
static bool conn_fill(struct conn *c)
{
    memmove(c->input, c->input + c->start, c->end - c->start);
    c->end -= c->start;
    c->start = 0;
    if (c->end == INPUT_SIZE - 1) {
        fail("head of an answer too large");
    }
    ssize_t n = recv(c->fd, c->input + c->end, INPUT_SIZE - 1 - c->end, 0);
    if (n < 0) {
        fail("recv: %s", strerror(errno));
    }
    c->end += (size_t)n;
    c->input[c->end] = '\0';
    return n > 0;
}

/* Everything up to and with mark; the text is good until the next read. */
static char *conn_until(struct conn *c, const char *mark)
{
    char *found = NULL;

    while (c->start == c->end || !(found = strstr(c->input + c->start, mark))) {
        if (!conn_fill(c)) {
            fail("connection closed inside an answer");
        }
    }
    char *text = c->input + c->start;
    *found = '\0';
    c->start = (size_t)(found - c->input) + strlen(mark);
    return text;
}

/* Take size bytes (UINT64_MAX: all up to the end) away, into keep unless it
 * is NULL; gives how many came. */
static uint64_t conn_take(struct conn *c, uint64_t size, FILE *keep)
{
    uint64_t taken = 0;

    while (taken < size) {
        uint64_t left = size - taken;
        if (c->start == c->end && !keep) {
            size_t most = left < (1u << 30) ? (size_t)left : 1u << 30;
            ssize_t n = recv(c->fd, NULL, most, MSG_TRUNC);
            if (n <= 0) {
                break;
            }
            taken += (uint64_t)n;
            continue;
        }
        if (c->start == c->end && !conn_fill(c)) {
            break;
        }
        size_t here = c->end - c->start;
        here = left < here ? (size_t)left : here;
        if (keep) {
            fwrite(c->input + c->start, 1, here, keep);
        }
        c->start += here;
        taken += here;
    }
    return taken;
}

/* HTTP. */

static const char *field(const char *head, const char *name)
{
    const char *found = strcasestr(head, name);

    return found ? found + strlen(name) : NULL;
}

static uint64_t read_chunks(struct conn *c, FILE *keep)
{
    uint64_t total = 0;

    for (;;) {
        uint64_t size = strtoull(conn_until(c, "\r\n"), NULL, 16);
        if (conn_take(c, size, keep) != size) {
            fail("connection closed inside a chunk");
        }
        total += size;
        conn_until(c, "\r\n");
        if (size == 0) {
            return total;
        }
    }
}

/* Read one answer; its body goes to keep or nowhere; gives its size. */
static uint64_t read_answer(struct conn *c, FILE *keep)
{
    const char *head = conn_until(c, "\r\n\r\n");
    const char *length = field(head, "\r\nContent-Length:");
    uint64_t size = length ? strtoull(length, NULL, 10) : UINT64_MAX;
    bool chunked = field(head, "\r\nTransfer-Encoding: chunked");

    if (strncmp(head, "HTTP/1.1 2", 10) != 0) {
        fail("answer: %.60s", head);
    }
    if (strncmp(head + 9, "204", 3) == 0) {
        size = 0;
    }
    c->last = field(head, "\r\nConnection: close") ||
              (size == UINT64_MAX && !chunked);
    if (chunked) {
        return read_chunks(c, keep);
    }
    uint64_t taken = conn_take(c, size, keep);
    if (size != UINT64_MAX && taken != size) {
        fail("answer ended after %ju of %ju bytes", taken, size);
    }
    return taken;
}

/* Send the head of a request; type NULL means that it has no body. */
static void send_head(struct conn *c, const char *method, const char *type,
                      uint64_t body_size)
{
    const char *star = strchr(path, '*');
    char head[HEAD_SIZE];
    char entity[HEAD_SIZE / 4] = "";
    char target[HEAD_SIZE / 2];

    snprintf(target, sizeof target, "%s", path);
    if (star) {
        snprintf(target, sizeof target, "%.*s%lu%s", (int)(star - path), path,
                 atomic_fetch_add(&serial, 1) + 1, star + 1);
    }
    if (type) {
        snprintf(entity, sizeof entity,
                 "Content-Type: %s\r\nContent-Length: %ju\r\n%s", type,
                 body_size, fields);
    }
    int n = snprintf(head, sizeof head,
                     "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\n"
                     "Accept: application/json\r\n%s\r\n",
                     method, target, entity);
    if (n >= HEAD_SIZE) {
        fail("path too long");
    }
    conn_send(c, head, (size_t)n, body_size > 0 ? MSG_MORE : 0);
}

/* One request and its answer on c, opened if it is not. */
static void exchange(struct worker *w)
{
    if (w->conn.fd < 0) {
        conn_open(&w->conn);
    }
    send_head(&w->conn, w->method, w->type, w->body_size);
    conn_send(&w->conn, w->body, w->body_size, 0);
    read_answer(&w->conn, NULL);
    if (w->conn.last) {
        conn_close(&w->conn);
    }
}

/* Latencies. */

static void latencies_add(struct latencies *l, uint64_t since)
{
    if (l->count == l->room) {
        l->room = l->room ? 2 * l->room : 1024;
        l->us = need(realloc(l->us, l->room * sizeof *l->us));
    }
    l->us[l->count++] = (uint32_t)((now() - since) / 1000);
}

static void latencies_join(struct latencies *to, const struct latencies *from)
{
    to->room = to->count + from->count;
    to->us = need(realloc(to->us, (to->room + 1) * sizeof *to->us));
    if (from->count > 0) {
        memcpy(to->us + to->count, from->us, from->count * sizeof *to->us);
    }
    to->count = to->room;
}

static int compare_us(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Milliseconds that the given part (0..1) of all answers stayed within. */
static double percentile(const struct latencies *l, double part)
{
    size_t last = l->count ? l->count - 1 : 0;

    return l->count ? l->us[(size_t)(part * (double)last)] / 1000.0 : 0;
}

/* Print l as the members of a JSON object, sorting it. */
static void latencies_print(struct latencies *l)
{
    qsort(l->us, l->count, sizeof *l->us, compare_us);
    printf("\"requests\":%zu,\"p50\":%.3f,\"p90\":%.3f,\"p99\":%.3f,"
           "\"max\":%.3f",
           l->count, percentile(l, 0.5), percentile(l, 0.9),
           percentile(l, 0.99), percentile(l, 1));
}

/* The modes. */

static void *work(void *arg)
{
    struct worker *w = arg;
    uint64_t start;

    while ((start = now()) < w->end) {
        exchange(w);
        latencies_add(&w->done, start);
    }
    return NULL;
}

/* Run count copies of model for some seconds and print what they did. */
static void run_workers(struct worker *model, uint64_t count, uint64_t seconds)
{
    struct worker *workers = need(calloc(count, sizeof *workers));
    struct latencies all = {0};
    uint64_t start = now();

    model->conn.fd = -1;
    model->end = start + seconds * 1000000000u;
    for (uint64_t i = 0; i < count; i++) {
        workers[i] = *model;
        if (pthread_create(&workers[i].thread, NULL, work, &workers[i])) {
            fail("cannot start a thread");
        }
    }
    for (uint64_t i = 0; i < count; i++) {
        pthread_join(workers[i].thread, NULL);
        latencies_join(&all, &workers[i].done);
        free(workers[i].done.us);
    }
    double took = seconds_since(start);
    printf("{\"seconds\":%.6f,\"rate\":%.3f,", took, (double)all.count / took);
    latencies_print(&all);
    puts("}");
    free(all.us);
    free(workers);
}

static void mode_get(char **args)
{
    struct worker model = {.method = "GET"};

    run_workers(&model, number(args[0]), number(args[1]));
}

static void mode_small(char **args)
{
    size_t size = number(args[2]);
    bool form = strcmp(args[3], "form") == 0;
    char *body = need(malloc(size + FORM_SIZE));
    struct worker model = {.method = form ? "POST" : "PUT",
                           .type = "application/octet-stream",
                           .body = body,
                           .body_size = size};
    int head = 0;

    if (size > PATTERN_SIZE) {
        fail("at most %d bytes", PATTERN_SIZE);
    }
    if (form) {
        head = snprintf(body, FORM_SIZE / 2,
                        "--" BOUNDARY "\r\nContent-Disposition: form-data; "
                        "name=\"file\"; filename=\"small.bin\"\r\n"
                        "Content-Type: application/octet-stream\r\n\r\n");
    }
    memcpy(body + head, pattern, size);
    if (form) {
        int tail = snprintf(body + (size_t)head + size, FORM_SIZE / 2,
                            "\r\n--" BOUNDARY "--\r\n");
        model.type = "multipart/form-data; boundary=" BOUNDARY;
        model.body_size += (size_t)(head + tail);
    }
    run_workers(&model, number(args[0]), number(args[1]));
    free(body);
}

/* One upload of size bytes; prints its time and the body of the answer. */
static void send_one(const char *method, const char *type, uint64_t size)
{
    uint64_t start = now();
    struct conn c;
    char *body = NULL;
    size_t body_size = 0;
    FILE *keep = need(open_memstream(&body, &body_size));

    conn_open(&c);
    send_head(&c, method, type, size);
    for (uint64_t left = size; left > 0;) {
        size_t n = left < PATTERN_SIZE ? (size_t)left : PATTERN_SIZE;
        conn_send(&c, pattern, n, 0);
        left -= n;
    }
    read_answer(&c, keep);
    printf("{\"seconds\":%.6f,\"bytes\":%ju}\n", seconds_since(start), size);
    conn_close(&c);
    fclose(keep);
    fwrite(body, 1, body_size, stdout);
    free(body);
}

static void mode_put(char **args)
{
    send_one("PUT", "application/octet-stream", number(args[0]));
}

static void mode_patch(char **args)
{
    fields = "Tus-Resumable: 1.0.0\r\nUpload-Offset: 0\r\n";
    send_one("PATCH", "application/offset+octet-stream", number(args[0]));
}

static void mode_download(char **args)
{
    uint64_t start = now();
    struct conn c;

    (void)args;
    conn_open(&c);
    send_head(&c, "GET", NULL, 0);
    uint64_t size = read_answer(&c, NULL);
    printf("{\"seconds\":%.6f,\"bytes\":%ju}\n", seconds_since(start), size);
    conn_close(&c);
}

/* Small uploads at fixed times until the slow clients are done. A latency
 * counts from the time a probe was due, so a stall is not hidden by the
 * probes that it delayed. */
static void *probe(void *arg)
{
    struct worker *w = arg;

    for (uint64_t due = now(); !atomic_load(&slow_over);
         due += PROBE_MS * 1000000u) {
        sleep_until(due);
        exchange(w);
        latencies_add(&w->done, due);
    }
    return NULL;
}

/* Send the bodies, all clients in step but spread evenly over each step;
 * gives by how many nanoseconds a send was late at most. */
static uint64_t pace(struct conn *conns, uint64_t count, uint64_t size,
                     uint64_t piece, struct worker *prober)
{
    const uint64_t step_ns = 1000000000u / PIECES;
    uint64_t start = now();
    uint64_t latest = 0;

    for (uint64_t step = 0; step * piece < size; step++) {
        uint64_t left = size - step * piece;
        if (step == PIECES &&
            pthread_create(&prober->thread, NULL, probe, prober)) {
            fail("cannot start a thread");
        }
        for (uint64_t i = 0; i < count; i++) {
            uint64_t due = start + step * step_ns + i * step_ns / count;
            sleep_until(due);
            if (step == 0) {
                conn_open(&conns[i]);
                send_head(&conns[i], "PUT", "application/octet-stream", size);
            }
            conn_send(&conns[i], pattern, left < piece ? left : piece, 0);
            uint64_t late = now() - due;
            latest = late > latest ? late : latest;
        }
    }
    return latest;
}

static void mode_slow(char **args)
{
    uint64_t count = number(args[0]);
    uint64_t size = number(args[1]);
    uint64_t piece = number(args[2]) / PIECES;
    struct conn *conns = need(calloc(count, sizeof *conns));
    struct worker prober = {.conn = {.fd = -1},
                            .method = "PUT",
                            .type = "application/octet-stream",
                            .body = pattern,
                            .body_size = PROBE_BYTES};
    struct rlimit files = {.rlim_cur = count + 64, .rlim_max = count + 64};
    uint64_t start = now();

    if (piece == 0 || piece > PATTERN_SIZE || size <= PIECES * piece) {
        fail("a slow upload must last longer than a second");
    }
    if (setrlimit(RLIMIT_NOFILE, &files) != 0) {
        fail("%ju open files: %s", files.rlim_cur, strerror(errno));
    }
    uint64_t latest = pace(conns, count, size, piece, &prober);
    atomic_store(&slow_over, true);
    for (uint64_t i = 0; i < count; i++) {
        read_answer(&conns[i], NULL);
        conn_close(&conns[i]);
    }
    pthread_join(prober.thread, NULL);
    printf("{\"seconds\":%.6f,\"completed\":%ju,\"late\":%.3f,\"probe\":{",
           seconds_since(start), count, (double)latest / 1e6);
    latencies_print(&prober.done);
    puts("}}");
    free(prober.done.us);
    free(conns);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;     /* first argument */
        void (*run)(char **); /* gets the arguments after PATH */
        int count;            /* how many those are */
    } modes[] = {
        {"put", mode_put, 1},     {"patch", mode_patch, 1},
        {"get", mode_get, 2},     {"download", mode_download, 0},
        {"small", mode_small, 4}, {"slow", mode_slow, 3},
    };

    for (size_t i = 0; i < sizeof pattern; i++) {
        pattern[i] = (char)(i * 2654435761u >> 13);
    }
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
        if (argc >= 4 && argc == 4 + modes[i].count &&
            strcmp(argv[1], modes[i].name) == 0) {
            port = htons((uint16_t)number(argv[2]));
            path = argv[3];
            modes[i].run(argv + 4);
            return 0;
        }
    }
    fail("wrong arguments; see the head of bench/client.c");
}
