/*
 * Without a URL the place is examined by this process. With one the slipway
 * behind the web server is asked to examine itself, since it is that process,
 * its user and its server that count. Runs before any thread.
 */
#define _GNU_SOURCE
#include "cli/doctor_command.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"
#include "cli/open.h"
#include "probe/client.h"
#include "probe/doctor.h"
#include "store/id.h"

enum {
    EXIT_USAGE = 2,
    TEXT_MAX = 64 * 1024,
    HOST_MAX = 255,
    EXAMINE_MS = 120000 /* with large requests among them */
};

struct arguments {
    const char *config; /* --config, or NULL */
    const char *url;    /* --url, or NULL */
};

static bool read_arguments(int argc, char **argv, struct arguments *a)
{
    for (int i = 1; i < argc; i += 2) {
        if (i + 1 < argc && strcmp(argv[i], "--config") == 0)
            a->config = argv[i + 1];
        else if (i + 1 < argc && strcmp(argv[i], "--url") == 0)
            a->url = argv[i + 1];
        else
            return false;
    }
    return true;
}

/* --- Asking the slipway behind a web server ---------------------------------
 */

/* A URL http://HOST[:PORT]/PATH in parts. */
struct place {
    char host[HOST_MAX + 1]; /* as in the Host field, with the port */
    char name[HOST_MAX + 1]; /* without */
    char port[8];
    const char *path; /* begins with a slash, or "" */
    int path_len;     /* without slashes at the end */
};

static bool parse_url(const char *url, struct place *p)
{
    static const char scheme[] = "http://";
    const char *colon, *host = url + sizeof scheme - 1;
    size_t len;

    if (strncmp(url, scheme, sizeof scheme - 1) != 0)
        return false;
    len = strcspn(host, "/?#");
    if (len == 0 || len > HOST_MAX || host[len] == '?' || host[len] == '#')
        return false;
    (void)snprintf(p->host, sizeof p->host, "%.*s", (int)len, host);
    p->path = host + len;
    p->path_len = (int)strlen(p->path);
    while (p->path_len > 0 && p->path[p->path_len - 1] == '/')
        p->path_len--;
    colon = strrchr(p->host, ':');
    if (colon && strchr(colon, ']'))
        colon = NULL;
    (void)snprintf(p->port, sizeof p->port, "%s", colon ? colon + 1 : "80");
    len = colon ? (size_t)(colon - p->host) : len;
    if (p->host[0] == '[' && len > 2)
        (void)snprintf(p->name, sizeof p->name, "%.*s", (int)len - 2,
                       p->host + 1);
    else
        (void)snprintf(p->name, sizeof p->name, "%.*s", (int)len, p->host);
    return true;
}

/* Make the call at the first of the host's addresses that answers. */
static bool call_host(const struct place *p, const struct client_call *call,
                      char *answer, size_t cap)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    int failure = getaddrinfo(p->name, p->port, &hints, &found);
    bool ok = false;

    if (failure != 0) {
        fprintf(stderr, "slipway: %s: %s\n", p->host, gai_strerror(failure));
        return false;
    }
    for (const struct addrinfo *a = found; a && !ok; a = a->ai_next) {
        struct client_address to = {.len = a->ai_addrlen};

        memcpy(&to.socket, a->ai_addr, a->ai_addrlen);
        ok = client_exchange(&to, call, answer, cap);
    }
    freeaddrinfo(found);
    if (!ok)
        fprintf(stderr, "slipway: there is no answer from %s\n", p->host);
    return ok;
}

static void suggest_curl(const char *url, const char *token)
{
    fprintf(stderr, "For a TLS site:\n  curl '%s/status?probe=%s'\n", url,
            token);
}

/* Print an answer to the request for a report; 0 if nothing is wrong. */
static int show(const char *answer, const char *url, const char *token)
{
    const char *body = client_body(answer);
    long status = client_status(answer);
    const char *type = strcasestr(answer, "\r\nContent-Type: text/plain");

    if (!body || !type || type > body) {
        fprintf(stderr, "slipway: the answer (%ld) is not slipway's. ", status);
        suggest_curl(url, token);
        return EXIT_FAILURE;
    }
    fputs(body, status == 200 ? stdout : stderr);
    return status == 200 && strncmp(body, "wrong ", 6) != 0 &&
                   !strstr(body, "\nwrong ")
               ? EXIT_SUCCESS
               : EXIT_FAILURE;
}

/* The report of the slipway at url, as text. 0, or the exit status. */
static int ask(const char *url, const char *token)
{
    static char answer[TEXT_MAX];
    struct place p;
    struct client_call get = {.method = "GET",
                              .fields = "Accept: text/plain\r\n",
                              .host = p.host,
                              .limit_ms = EXAMINE_MS};
    char path[TEXT_MAX / 16];
    int n;

    if (!parse_url(url, &p)) {
        fputs("slipway: --url takes http://HOST[:PORT]/PATH. ", stderr);
        suggest_curl(url, token);
        return EXIT_USAGE;
    }
    n = snprintf(path, sizeof path, "%.*s/status?probe=%s", p.path_len, p.path,
                 token);
    get.path = path;
    if (n < 0 || (size_t)n >= sizeof path ||
        !call_host(&p, &get, answer, sizeof answer))
        return EXIT_FAILURE;
    return show(answer, url, token);
}

/* A line to write into slipway.ini. */
static void suggest_token(void)
{
    char token[ID_LENGTH + 1];
    struct error e;

    if (id_new(token, &e) == ERR_NONE)
        fprintf(stderr,
                "slipway: write this below [access] in slipway.ini, so that "
                "you alone can ask:\n  probe_token = %s\n",
                token);
}

/* --- Looking from here ------------------------------------------------------
 */

static void examine(const struct config *c, struct store *s,
                    const struct error *why, struct report *r)
{
    if (c)
        doctor_examine_place(c, s, r);
    if (!c || !s) {
        report_add(r, c ? "store" : "configuration", VERDICT_WRONG, "%s",
                   why->detail);
        return;
    }
    report_add(r, "web server", VERDICT_UNKNOWN,
               "What it lets through cannot be seen from here.");
    report_remedy(r, "slipway doctor --url http://HOST/slipway, or open "
                     "/slipway/status?probe=TOKEN of the site, with [access] "
                     "probe_token.");
}

static int print(const struct report *r)
{
    struct buf b;
    bool ok;

    buf_init(&b, TEXT_MAX);
    report_text(r, &b);
    fputs(buf_text(&b), stdout);
    ok = r->wrong == 0 && !r->failed && !buf_failed(&b);
    buf_free(&b);
    return ok ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int examine_here(const struct config *c, const struct error *failure)
{
    struct arena *a = arena_new(16 * TEXT_MAX);
    struct error why = *failure;
    struct store *s = NULL;
    struct report r;
    int status;

    if (!a)
        return EXIT_FAILURE;
    report_init(&r, a);
    if (c)
        (void)open_store(c, &s, &why);
    examine(c, s, &why, &r);
    status = print(&r);
    store_close(s);
    arena_free(a);
    return status;
}

int doctor_command(int argc, char **argv)
{
    struct arguments a = {0};
    struct error e = {0};
    struct config *c;
    int status;

    if (!read_arguments(argc, argv, &a)) {
        fputs("usage: slipway doctor [--config PATH] [--url URL]\n", stderr);
        return EXIT_USAGE;
    }
    c = open_config(a.config, &e);
    if (!a.url || !c) {
        status = examine_here(c, &e);
    } else if (*config_text(c, OPT_PROBE_TOKEN) == '\0') {
        suggest_token();
        status = EXIT_FAILURE;
    } else {
        status = ask(a.url, config_text(c, OPT_PROBE_TOKEN));
    }
    config_free(c);
    return status;
}
