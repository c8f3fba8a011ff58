/*
 * The parts of the doctor that need neither a store nor a web server: the
 * report, the paths at which the web shows a directory, and the client, here
 * against servers of one answer.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "probe/client.h"
#include "probe/report.h"
#include "probe/vouch.h"
#include "probe/webroot.h"

enum { TEXT_MAX = 64 * 1024, SOON_MS = 2500, LIMIT_MS = 3000, PAUSE_MS = 200 };

/* --- The report -------------------------------------------------------------
 */

static void a_report_is_lines(void **state)
{
    struct arena *a = arena_new(TEXT_MAX);
    struct report r;
    struct buf b;

    (void)state;
    report_init(&r, a);
    report_add(&r, "clock", VERDICT_FINE, "It agrees with %s.", "all");
    report_add(&r, "settings on the web", VERDICT_WRONG, "100%% open.");
    report_remedy(&r, "chmod o-w %s", "/a%sb");
    report_add(&r, "web server", VERDICT_UNKNOWN, "No answer.");
    buf_init(&b, TEXT_MAX);
    report_text(&r, &b);
    assert_string_equal(buf_text(&b),
                        "fine     clock                It agrees with all.\n"
                        "wrong    settings on the web  100% open.\n"
                        "                              To do: chmod o-w /a%sb\n"
                        "unknown  web server           No answer.\n");
    assert_int_equal(r.wrong, 1);
    assert_false(r.failed);
    buf_free(&b);
    arena_free(a);
}

static void a_report_without_memory_says_so(void **state)
{
    struct arena *a = arena_new(4096);
    struct report r;
    struct buf b;

    (void)state;
    report_init(&r, a);
    for (int i = 0; i < 200; i++) {
        report_add(&r, "clock", VERDICT_WRONG, "%0100d", i);
        report_remedy(&r, "%0100d", i);
    }
    assert_true(r.failed);
    buf_init(&b, TEXT_MAX);
    report_text(&r, &b);
    assert_non_null(strstr(buf_text(&b), "There was no memory for all of it."));
    buf_free(&b);
    arena_free(a);
}

static void long_texts_are_cut(void **state)
{
    struct arena *a = arena_new(TEXT_MAX);
    struct report r;

    (void)state;
    report_init(&r, a);
    report_add(&r, "clock", VERDICT_FINE, "%05000d", 1);
    report_remedy(&r, "%05000d", 1);
    assert_false(r.failed);
    assert_in_range(strlen(r.first->why), 1000, 5000);
    assert_in_range(strlen(r.first->remedy), 1000, 5000);
    arena_free(a);
}

/* --- The web server's variables ---------------------------------------------
 */

struct variable {
    const char *name;  /* */
    const char *value; /* */
};

/* ctx: an array that ends with a name of NULL. */
static const char *lookup(const void *ctx, const char *name)
{
    for (const struct variable *v = ctx; v->name; v++)
        if (strcmp(v->name, name) == 0)
            return v->value;
    return NULL;
}

static void a_path_becomes_that_of_a_url(void **state)
{
    static const struct {
        const char *root, *prefix, *path, *url; /* url: NULL if not below */
    } rows[] = {
        {"/srv/www", "", "/srv/www/data", "/data"},
        {"/srv/www", "", "/srv/www", ""},
        {"/srv/www", "/~me/", "/srv/www/a b/c?d", "/~me/a%20b/c%3Fd"},
        {"/srv/www", "/x%2F", "/srv/www/d#\xc3\xa4", "/x%252F/d%23%C3%A4"},
        {"/", "", "/srv/data", "/srv/data"},
        {"/srv/www", "", "/srv/www2/data", NULL},
        {"/srv/www", "", "/srv", NULL},
    };
    struct buf b;

    (void)state;
    buf_init(&b, TEXT_MAX);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char root[16];
        const struct webroot w = {root, rows[i].prefix};

        (void)snprintf(root, sizeof root, "%s", rows[i].root);
        assert_int_equal(webroot_url(&w, rows[i].path, &b),
                         rows[i].url != NULL);
        if (rows[i].url)
            assert_string_equal(buf_text(&b), rows[i].url);
    }
    assert_false(webroot_url(&(struct webroot){NULL, ""}, "/srv", &b));
    buf_free(&b);
}

static void roots_are_real_paths(void **state)
{
    static const struct variable named[] = {
        {"DOCUMENT_ROOT", "/usr/../tmp/."}, {"CONTEXT_PREFIX", "/~me"}, {0}};
    static const struct variable odd[] = {
        {"DOCUMENT_ROOT", "tmp"}, {"CONTEXT_DOCUMENT_ROOT", "/no/such"}, {0}};
    struct request req = {.variable = lookup, .variable_ctx = named};
    struct webroot roots[WEBROOTS];

    (void)state;
    webroots_find(&req, roots);
    assert_null(roots[0].path);
    assert_string_equal(roots[1].path, "/tmp");
    assert_string_equal(roots[1].prefix, "");
    webroots_free(roots);
    req.variable_ctx = odd;
    webroots_find(&req, roots);
    assert_null(roots[0].path);
    assert_null(roots[1].path);
    webroots_free(roots);
}

static void only_the_directory_named_is_vouched_for(void **state)
{
    static const struct {
        const char *script, *name; /* */
        bool bars;
    } rows[] = {
        {"/usr/slipway.cgi", "bin", true},
        {"/usr/slipway.cgi", "../usr/bin", true},
        {"/usr/slipway.cgi", "lib", false},
        {"/usr/slipway.cgi", "no-such", false},
        {"/usr/slipway.cgi", "", false},
        {"/etc/slipway.cgi", "bin", false},
        {"slipway.cgi", "bin", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct variable v[] = {{"SSL_SLIPWAY_BARS", rows[i].name},
                                     {"SCRIPT_FILENAME", rows[i].script},
                                     {0}};
        const struct request req = {.variable = lookup, .variable_ctx = v};

        assert_int_equal(vouch_bars(&req, "/usr/bin"), rows[i].bars);
        assert_false(vouch_guards(&req, "/usr/bin"));
    }
}

/* --- The client -------------------------------------------------------------
 */

/* A server that answers one request. */
struct server {
    int listener;                  /* */
    struct client_address address; /* */
    const char *answer;            /* */
    size_t reads;                  /* bytes it reads before it answers */
    bool stays;                    /* keeps the connection until the other
                                      side closes it */
    size_t received;               /* bytes, the head too */
    char head[256];                /* beginning of the request */
    pthread_t thread;              /* */
};

static void *serve(void *arg)
{
    struct server *s = arg;
    int fd = accept(s->listener, NULL, NULL);
    char piece[4096];
    ssize_t n = 1;

    while (s->received < s->reads && (n = read(fd, piece, sizeof piece)) > 0) {
        for (ssize_t i = 0; i < n; i++, s->received++)
            if (s->received < sizeof s->head - 1)
                s->head[s->received] = piece[i];
    }
    if (send(fd, s->answer, strlen(s->answer), MSG_NOSIGNAL) < 0)
        n = 0;
    while (s->stays && n > 0)
        n = read(fd, piece, sizeof piece);
    close(fd);
    return NULL;
}

static void start(struct server *s, size_t reads, bool stays,
                  const char *answer)
{
    struct sockaddr_in *v4 = (struct sockaddr_in *)&s->address.socket;

    *s = (struct server){.answer = answer, .reads = reads, .stays = stays};
    v4->sin_family = AF_INET;
    v4->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    s->address.len = sizeof *v4;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(s->listener, (struct sockaddr *)v4, s->address.len),
                     0);
    assert_int_equal(listen(s->listener, 1), 0);
    assert_int_equal(
        getsockname(s->listener, (struct sockaddr *)v4, &s->address.len), 0);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(struct server *s)
{
    assert_int_equal(pthread_join(s->thread, NULL), 0);
    close(s->listener);
}

static const struct client_call plain = {.method = "GET",
                                         .path = "/a?b=c",
                                         .host = "www.example.org:81",
                                         .fields = "Accept: */*\r\n",
                                         .limit_ms = LIMIT_MS};

/* Time that the exchange takes, in ms; the answer must be this. */
static int64_t ask(struct server *s, const struct client_call *call,
                   const char *wanted)
{
    int64_t started = clock_monotonic_ms();
    char answer[4096];
    int64_t took;

    assert_int_equal(client_exchange(&s->address, call, answer, sizeof answer),
                     *wanted != '\0');
    took = clock_monotonic_ms() - started;
    assert_string_equal(answer, wanted);
    stop(s);
    return took;
}

static void a_request_is_well_formed(void **state)
{
    static const char head[] =
        "GET /a?b=c HTTP/1.1\r\nHost: www.example.org:81\r\n"
        "Accept: */*\r\nUser-Agent: slipway\r\nConnection: close\r\n\r\n";
    struct server s;

    (void)state;
    start(&s, sizeof head - 1, false, "HTTP/1.1 200 OK\r\n\r\nhello");
    (void)ask(&s, &plain, "HTTP/1.1 200 OK\r\n\r\nhello");
    assert_string_equal(s.head, head);
}

static void an_answer_is_over_when_it_is_whole(void **state)
{
    static const char *const rows[] = {
        "HTTP/1.1 413 No\r\ncontent-LENGTH: 2\r\n\r\nno",
        "HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n",
        ("HTTP/1.1 104 Wait\r\n\r\nHTTP/1.1 200 OK\r\n"
         "Content-Length: 2\r\n\r\nok"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server s;

        start(&s, 1, true, rows[i]);
        assert_in_range(ask(&s, &plain, rows[i]), 0, SOON_MS);
    }
}

static void else_it_is_over_with_the_connection_or_the_time(void **state)
{
    static const char *const rows[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nno",
        "HTTP/1.1 200 OK\r\n\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Len",
        "",
    };
    struct client_call brief = plain;

    (void)state;
    brief.limit_ms = PAUSE_MS;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct server s;

        start(&s, 1, false, rows[i]);
        assert_in_range(ask(&s, &plain, rows[i]), 0, SOON_MS);
        start(&s, 1, true, rows[i]);
        assert_in_range(ask(&s, &brief, rows[i]), PAUSE_MS - 5, SOON_MS);
    }
}

static void a_body_is_sent_whole_with_its_pause(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct client_call post = plain;
    struct server s;
    const char *end;

    (void)state;
    post.method = "POST";
    post.length = 200001;
    post.pause_ms = PAUSE_MS;
    start(&s, post.length, true, answer);
    assert_in_range(ask(&s, &post, answer), PAUSE_MS - 5, SOON_MS);
    assert_non_null(strstr(s.head, "\r\nContent-Length: 200001\r\n"));
    end = strstr(s.head, "\r\n\r\n");
    assert_non_null(end);
    assert_true(s.received >= post.length);
}

static void a_form_has_the_bytes_as_a_file(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    static const char wanted[] =
        "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 82\r\n"
        "User-Agent: slipway\r\nConnection: close\r\n\r\n"
        "--b\r\nContent-Disposition: form-data; name=\"file\"; "
        "filename=\"probe\"\r\n\r\n\0\0\0\r\n--b--\r\n";
    const struct client_call post = {.method = "POST",
                                     .path = "/",
                                     .host = "h",
                                     .fields = "",
                                     .length = 3,
                                     .is_form = true,
                                     .limit_ms = LIMIT_MS};
    struct server s;

    (void)state;
    start(&s, sizeof wanted - 1, true, answer);
    assert_in_range(ask(&s, &post, answer), 0, SOON_MS);
    assert_int_equal(s.received, sizeof wanted - 1);
    assert_memory_equal(s.head, wanted, sizeof wanted - 1);
}

static void an_early_answer_ends_a_body(void **state)
{
    static const char answer[] = "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n";
    struct client_call post = plain;
    struct server s;

    (void)state;
    post.method = "POST";
    post.length = UINT64_C(1) << 40;
    start(&s, 1, true, answer);
    assert_in_range(ask(&s, &post, answer), 0, SOON_MS);
}

static void nobody_there_is_no_answer(void **state)
{
    struct client_address nowhere = {.len = 0};
    struct server s;
    char answer[64];

    (void)state;
    assert_false(client_exchange(&nowhere, &plain, answer, sizeof answer));
    assert_string_equal(answer, "");
    start(&s, 1, false, "");
    nowhere = s.address;
    assert_false(client_exchange(&nowhere, &plain, answer, sizeof answer));
    stop(&s);
    assert_false(client_exchange(&nowhere, &plain, answer, sizeof answer));
    assert_string_equal(answer, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_report_is_lines),
        cmocka_unit_test(a_report_without_memory_says_so),
        cmocka_unit_test(long_texts_are_cut),
        cmocka_unit_test(a_path_becomes_that_of_a_url),
        cmocka_unit_test(roots_are_real_paths),
        cmocka_unit_test(only_the_directory_named_is_vouched_for),
        cmocka_unit_test(a_request_is_well_formed),
        cmocka_unit_test(an_answer_is_over_when_it_is_whole),
        cmocka_unit_test(else_it_is_over_with_the_connection_or_the_time),
        cmocka_unit_test(a_body_is_sent_whole_with_its_pause),
        cmocka_unit_test(a_form_has_the_bytes_as_a_file),
        cmocka_unit_test(an_early_answer_ends_a_body),
        cmocka_unit_test(nobody_there_is_no_answer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
