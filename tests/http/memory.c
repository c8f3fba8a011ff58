/*
 * The HTTP cases without a network: every case of a directory goes straight
 * to the gateway, as README.md here describes, under the sanitizers.
 *
 *     http_memory tests/http/cases [text]    # cases whose file or name has it
 *
 * Prints one line for each case that fails and `N passed, N failed` at last;
 * the status is 1 if any failed.
 *
 * What is repeated: a case that has a body in its request, or in one of those
 * that follow, is done three times, with its set-up: bodies in one piece, in
 * pieces of one byte (if none is longer than 64 KiB) and in pieces of 7 bytes.
 * Each repetition has a store of its own, so the ids it chooses are free
 * again. Everything expected must come every time; status and problem must be
 * those of the first time, also where the case leaves a choice.
 *
 * Beyond what the cases say, no answer but the owner's may name the directory
 * of the store in its body, no log line may hold control bytes, and at the end
 * each database must be sound and agree with its uploads directory.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "service.h"
#include "spell.h"
#include "transport.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/common_interface_defs.h>
#endif

enum {
    VARIABLES_MAX = 64,            /* of one request */
    BYTEWISE_MAX = 64 * 1024,      /* longest body given byte by byte */
    ARENA_MAX = 256 * 1024 * 1024, /* of one run of a case */
    ANSWER_MAX = 64 * 1024 * 1024, /* bytes of an answer */
    WRONG_MAX = 64 * 1024,         /* text about one case */
    SHOWN_MAX = 200                /* bytes of a body shown */
};

static const size_t pieces[] = {0, 1, 7};
static const char script_name[] = "/slipway";

static char current[256]; /* the case being run, for a crash */

struct run {
    struct services *services; /* */
    const char *only;          /* text that names must hold */
    long passed, failed;       /* */
};

/* One run of one case. */
struct scene {
    struct services *services; /* */
    struct service *service;   /* */
    struct arena *arena;       /* */
    json_t *captured;          /* text by name */
    size_t piece;              /* */
    struct buf *wrong;         /* */
};

/* How its last request ended; what must not depend on the pieces. */
struct outcome {
    int status;    /* */
    char slug[64]; /* */
};

struct cgi {
    struct memory_variable variables[VARIABLES_MAX]; /* */
    size_t count;                                    /* */
};

/* Set or replace a variable; a value of NULL removes it. */
static bool set(struct cgi *c, const char *name, const char *value)
{
    size_t i = 0;

    while (i < c->count && strcmp(c->variables[i].name, name) != 0)
        i++;
    if (i == VARIABLES_MAX)
        return false;
    if (i == c->count)
        c->variables[c->count++].name = name;
    c->variables[i].value = value;
    return true;
}

static const char *get(const struct cgi *c, const char *name)
{
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->variables[i].name, name) == 0)
            return c->variables[i].value;
    return NULL;
}

/* A value that may hold captured text, and no NUL. NULL if it cannot be. */
static const char *variable_text(const struct scene *s, const json_t *value)
{
    struct bytes text = spell_filled(s->arena, value, s->captured);

    if (text.data && strlen(text.data) == text.len)
        return text.data;
    wrong_add(s->wrong, "a value that no CGI variable can have");
    return NULL;
}

static bool set_header(const struct scene *s, struct cgi *c,
                       const json_t *field)
{
    const char *name = json_string_value(json_array_get(field, 0));
    const char *value = variable_text(s, json_array_get(field, 1));
    char *cgi_name = arena_printf(s->arena, "HTTP_%s", name ? name : "");
    const char *before;

    if (!name || !value || !cgi_name)
        return false;
    for (char *p = cgi_name; *p; p++)
        *p = (char)(isalnum((unsigned char)*p) ? toupper((unsigned char)*p)
                                               : '_');
    if (strcmp(cgi_name, "HTTP_CONTENT_TYPE") == 0)
        cgi_name += strlen("HTTP_");
    before = get(c, cgi_name);
    if (before)
        value = arena_printf(s->arena, "%s, %s", before, value);
    return set(c, cgi_name, value);
}

static int hex_value(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *found = c ? strchr(digits, tolower((unsigned char)c)) : NULL;

    return found ? (int)(found - digits) : -1;
}

/* The path of a request from where slipway is mounted, with its query. NULL
 * if it does not lead there. */
static const char *mounted_path(const struct scene *s, const json_t *request)
{
    const char *path = variable_text(s, json_object_get(request, "path"));
    size_t base = strlen(script_name);

    if (!path || !json_object_get(request, "absolute"))
        return path;
    if (strncmp(path, script_name, base) == 0 && path[base] == '/')
        return path + base;
    wrong_add(s->wrong, "%s does not lead to slipway", path);
    return NULL;
}

/* PATH_INFO and QUERY_STRING from the path of a request. */
static bool set_path(const struct scene *s, struct cgi *c,
                     const json_t *request)
{
    const char *path = mounted_path(s, request);
    const char *query = path ? strchr(path, '?') : NULL;
    char *info, *out;

    if (!path)
        return false;
    info = query ? arena_strndup(s->arena, path, (size_t)(query - path))
                 : arena_strdup(s->arena, path);
    if (!info)
        return false;
    out = info;
    for (const char *p = info; *p; p++) {
        int high = *p == '%' ? hex_value(p[1]) : -1;
        int low = high >= 0 ? hex_value(p[2]) : -1;

        *out++ = (char)(low >= 0 ? high << 4 | low : *p);
        p += low >= 0 ? 2 : 0;
        if (out[-1] == '\0')
            wrong_add(s->wrong, "PATH_INFO cannot hold a NUL");
    }
    *out = '\0';
    return set(c, "PATH_INFO", info) &&
           set(c, "QUERY_STRING", query ? query + 1 : "");
}

static bool set_length(const struct scene *s, struct cgi *c,
                       const json_t *request, size_t body_len)
{
    const json_t *length = json_object_get(request, "length");
    const char *method = get(c, "REQUEST_METHOD");
    bool plain = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
    const char *text = json_string_value(length);

    if (text && strcmp(text, "none") == 0)
        return true;
    if (!text && json_is_integer(length))
        body_len = (size_t)json_integer_value(length);
    else if (!text && plain && body_len == 0)
        return true;
    if (!text)
        text = arena_printf(s->arena, "%zu", body_len);
    return set(c, "CONTENT_LENGTH", text);
}

static bool set_variables(const struct scene *s, struct cgi *c, json_t *request,
                          size_t body_len)
{
    const char *method = json_string_value(json_object_get(request, "method"));
    const char *name;
    json_t *value;
    size_t i;
    bool ok;

    ok = set(c, "GATEWAY_INTERFACE", "CGI/1.1") &&
         set(c, "SERVER_PROTOCOL", "HTTP/1.1") &&
         set(c, "SCRIPT_NAME", script_name) &&
         set(c, "REQUEST_METHOD", method ? method : "GET") &&
         set_path(s, c, request) && set_length(s, c, request, body_len);
    json_array_foreach(json_object_get(request, "headers"), i, value)
        ok = ok && set_header(s, c, value);
    json_object_foreach(json_object_get(request, "cgi"), name, value)
    {
        const char *text = json_is_null(value) ? NULL : variable_text(s, value);

        ok = ok && (text || json_is_null(value)) && set(c, name, text);
    }
    return ok;
}

/* Do one request. The body is memory of its own, exactly as long as it is, so
 * that reading past its end is found. */
static bool serve(const struct scene *s, json_t *request, struct buf *raw)
{
    struct bytes body = spell_filled(s->arena, json_object_get(request, "body"),
                                     s->captured);
    const json_t *cut = json_object_get(request, "cut");
    size_t len = cut ? (size_t)json_integer_value(cut) : body.len;
    struct cgi c = {.count = 0};
    char *copy;

    if (!body.data || len > body.len) {
        wrong_add(s->wrong, "cannot read the body of the request");
        return false;
    }
    if (!set_variables(s, &c, request, body.len)) {
        wrong_add(s->wrong, "cannot make the request");
        return false;
    }
    copy = malloc(len > 0 ? len : 1);
    if (!copy)
        return false;
    memcpy(copy, body.data, len);
    const struct memory_request mr = {c.variables, c.count,  copy,
                                      len,         s->piece, cut != NULL};
    memory_serve(service_app(s->service), &mr, raw);
    free(copy);
    return true;
}

static void capture(const struct scene *s, const struct answer *a,
                    json_t *wanted)
{
    const char *name;
    json_t *from;

    json_object_foreach(wanted, name, from)
    {
        const char *where = json_string_value(from);
        const char *text = where ? answer_pick(a, s->arena, where) : NULL;

        if (!text ||
            json_object_set_new(s->captured, name, json_string(text)) != 0)
            wrong_add(s->wrong, "nothing to capture as %s", name);
    }
}

static void prepare_one(const struct scene *s, json_t *request)
{
    json_t *wanted = json_object_get(request, "status");
    const char *method = json_string_value(json_object_get(request, "method"));
    struct answer a;
    struct buf raw;

    buf_init(&raw, ANSWER_MAX);
    if (serve(s, request, &raw)) {
        answer_parse(&a, &raw, method, s->wrong);
        if (!json_object_get(request, "cut") &&
            (wanted ? !status_wanted(wanted, a.status) : a.status >= 400))
            wrong_add(s->wrong, "set-up: status %d %.*s", a.status,
                      (int)SHOWN_MAX, a.body);
        capture(s, &a, json_object_get(request, "capture"));
        answer_free(&a);
    }
    buf_free(&raw);
}

/* The requests before the one under test. */
static bool prepare(const struct scene *s, const json_t *requests)
{
    size_t before = s->wrong->len;
    json_t *request;
    size_t i;

    json_array_foreach(requests, i, request) prepare_one(s, request);
    return s->wrong->len == before;
}

static void check_count(const struct scene *s, const json_t *expect,
                        const char *name, bool by_default, long found)
{
    const json_t *wanted = json_object_get(expect, name);

    if ((wanted || by_default) && found != json_integer_value(wanted))
        wrong_add(s->wrong, "%s %ld, wanted %ld", name, found,
                  (long)json_integer_value(wanted));
}

static bool refusal(const json_t *wanted)
{
    size_t i;
    json_t *one;

    json_array_foreach(wanted, i,
                       one) if (json_integer_value(one) < 400) return false;
    return json_is_array(wanted) || json_integer_value(wanted) >= 400;
}

static void check_traces(const struct scene *s, const json_t *expect,
                         struct traces before)
{
    struct traces now = service_traces(s->service);
    bool refused = refusal(json_object_get(expect, "status"));

    if (now.files < 0 || now.rows < 0 || now.incoming < 0)
        wrong_add(s->wrong, "cannot tell what was left behind");
    check_count(s, expect, "files", refused, now.files - before.files);
    check_count(s, expect, "rows", refused, now.rows - before.rows);
    check_count(s, expect, "incoming", true, now.incoming - before.incoming);
}

/* What came and what it left behind. */
static void check_step(const struct scene *s, json_t *step,
                       const struct answer *a, struct traces before)
{
    json_t *expect = json_object_get(step, "expect");
    size_t at = s->wrong->len;

    answer_check(a, expect, s->captured, s->arena, s->wrong);
    if (!json_is_true(json_object_get(expect, "paths")) &&
        service_named_in(s->services, a->body, a->body_len))
        wrong_add(s->wrong, "the body names the store's directory");
    check_traces(s, expect, before);
    service_check_log(s->services, s->wrong);
    capture(s, a, json_object_get(json_object_get(step, "request"), "capture"));
    if (s->wrong->len > at)
        wrong_add(s->wrong, "the answer: %d %.*s", a->status, SHOWN_MAX,
                  a->body);
}

/* One request and what it expects: a case, or a member of its "then". */
static void perform_step(const struct scene *s, json_t *step,
                         struct outcome *out)
{
    json_t *request = json_object_get(step, "request");
    struct traces before = service_traces(s->service);
    struct answer a;
    struct buf raw;

    buf_init(&raw, ANSWER_MAX);
    if (serve(s, request, &raw)) {
        answer_parse(&a, &raw,
                     json_string_value(json_object_get(request, "method")),
                     s->wrong);
        check_step(s, step, &a, before);
        out->status = a.status;
        (void)snprintf(out->slug, sizeof out->slug, "%s", answer_slug(&a));
        answer_free(&a);
    }
    buf_free(&raw);
}

static void perform(const struct scene *s, json_t *entry, struct outcome *out)
{
    size_t at = s->wrong->len;
    json_t *step;
    size_t i;

    if (!prepare(s, json_object_get(entry, "setup")))
        return;
    perform_step(s, entry, out);
    json_array_foreach(json_object_get(entry, "then"), i, step)
    {
        if (s->wrong->len > at)
            return;
        perform_step(s, step, out);
        if (s->wrong->len > at)
            wrong_add(s->wrong, "in request %zu of then", i + 1);
    }
}

static void run_pieces(struct run *r, json_t *entry, size_t piece,
                       struct outcome *out, struct buf *wrong)
{
    struct scene s = {.services = r->services, .piece = piece, .wrong = wrong};

    s.service = service_get(r->services, json_object_get(entry, "config"),
                            piece, wrong);
    s.arena = arena_new(ARENA_MAX);
    s.captured = json_object();
    if (s.service && s.arena && s.captured)
        perform(&s, entry, out);
    else
        wrong_add(wrong, "no service for the case");
    json_decref(s.captured);
    arena_free(s.arena);
}

static size_t step_length(struct arena *a, json_t *step)
{
    return spell(a, json_object_get(json_object_get(step, "request"), "body"))
        .len;
}

/* Bytes of the longest body of a case, before anything is filled in. */
static size_t body_length(json_t *entry)
{
    struct arena *a = arena_new(ARENA_MAX);
    size_t longest, i;
    json_t *step;

    if (!a)
        return 0;
    longest = step_length(a, entry);
    json_array_foreach(json_object_get(entry, "then"), i, step)
    {
        size_t len = step_length(a, step);

        longest = len > longest ? len : longest;
    }
    arena_free(a);
    return longest;
}

/* One line, with what does not print as \xNN. */
static void print_failure(const char *name, size_t piece,
                          const struct buf *wrong)
{
    printf("FAIL %s", name);
    if (piece > 0)
        printf(" [pieces of %zu]", piece);
    printf(": ");
    for (size_t i = 0; i < wrong->len; i++) {
        unsigned char c = (unsigned char)wrong->data[i];

        if (c >= 0x20 && c < 0x7F)
            putchar(c);
        else
            printf("\\x%02x", c);
    }
    putchar('\n');
}

static void run_case(struct run *r, const char *name, json_t *entry)
{
    size_t len = body_length(entry);
    struct outcome first = {0}, now;
    struct buf wrong;
    size_t i;

    buf_init(&wrong, WRONG_MAX);
    for (i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        if (i > 0 && (len == 0 || (pieces[i] == 1 && len > BYTEWISE_MAX)))
            continue;
        now = (struct outcome){0};
        run_pieces(r, entry, pieces[i], &now, &wrong);
        if (i == 0)
            first = now;
        else if (now.status != first.status ||
                 strcmp(now.slug, first.slug) != 0)
            wrong_add(&wrong, "in one piece it was %d %s", first.status,
                      first.slug);
        if (wrong.len > 0)
            break;
    }
    if (wrong.len > 0) {
        print_failure(name, pieces[i], &wrong);
        r->failed++;
    } else {
        r->passed++;
    }
    buf_free(&wrong);
}

static void run_file(struct run *r, const char *dir, const char *file)
{
    char path[512];
    json_error_t error;
    json_t *cases, *entry;
    size_t i;

    (void)snprintf(path, sizeof path, "%s/%s", dir, file);
    cases = json_load_file(path, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL,
                           &error);
    if (!cases) {
        printf("FAIL %s: line %d: %s\n", file, error.line, error.text);
        r->failed++;
        return;
    }
    json_array_foreach(cases, i, entry)
    {
        const char *name = json_string_value(json_object_get(entry, "name"));

        (void)snprintf(current, sizeof current, "%s: %s", file,
                       name ? name : "?");
        if (!json_is_false(json_object_get(entry, "memory")) &&
            strstr(current, r->only))
            run_case(r, current, entry);
    }
    json_decref(cases);
}

static int is_case_file(const struct dirent *d)
{
    size_t len = strlen(d->d_name);

    return len > 5 && strcmp(d->d_name + len - 5, ".json") == 0;
}

static bool run_directory(struct run *r, const char *dir)
{
    struct dirent **names;
    int count = scandir(dir, &names, is_case_file, alphasort);

    if (count < 0)
        return false;
    for (int i = 0; i < count; i++) {
        run_file(r, dir, names[i]->d_name);
        free(names[i]);
    }
    free(names);
    return true;
}

static void check_stores(struct run *r)
{
    struct service *s = NULL;
    struct buf wrong;

    (void)snprintf(current, sizeof current, "the stores afterwards");
    buf_init(&wrong, WRONG_MAX);
    while ((s = service_next(r->services, s)))
        service_check_store(s, &wrong);
    if (wrong.len > 0) {
        print_failure(current, 0, &wrong);
        r->failed++;
    }
    buf_free(&wrong);
}

#ifdef __SANITIZE_ADDRESS__
static void tell_current(void)
{
    fprintf(stderr, "during %s\n", current);
}
#endif

int main(int argc, char **argv)
{
    struct run r = {.only = argc > 2 ? argv[2] : ""};

    if (argc < 2 || argc > 3) {
        fputs("usage: http_memory DIRECTORY [TEXT]\n", stderr);
        return 2;
    }
#ifdef __SANITIZE_ADDRESS__
    __sanitizer_set_death_callback(tell_current);
#endif
    r.services = services_open();
    if (!r.services || !run_directory(&r, argv[1])) {
        perror(argv[1]);
        return 1;
    }
    check_stores(&r);
    services_close(r.services);
    printf("%ld passed, %ld failed\n", r.passed, r.failed);
    return r.failed > 0 || r.passed == 0;
}
