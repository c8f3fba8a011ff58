/*
 * The part of the doctor that asks the web server. Each check is one or more
 * requests to this same site; /status/echo answers what has arrived of them.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "http/query.h"
#include "probe/doctor.h"
#include "probe/reach.h"
#include "probe/selfcall.h"
#include "probe/vouch.h"
#include "probe/webroot.h"
#include "store/place.h"
#include "store/witness.h"

enum {
    URL_MAX_BYTES = 8192,
    ANSWER_MAX = 8192,  /* bytes of an answer that are looked at */
    HTTP_PORT = 80,     /* of a TLS site's plain side */
    CALL_MS = 5000,     /* for a small request: mod_fcgid waits a second
                           before it starts a second process */
    LARGE_MS = 30000,   /* for a large one */
    PAUSE_MS = 800,     /* in the middle of a body */
    STREAMED_MS = 400,  /* that slipway must have waited for the rest then */
    PAUSED_BODY = 1000, /* bytes of such a body */
    BISECT_STEPS = 9,   /* from 1M to within 2K */
    REFUSED_MAX = 200   /* bytes of a list of what was refused */
};

/* One examination. */
struct patient {
    const struct request *req;
    struct store *store;
    const struct config *config;
    struct report *report;
    int port;                /* as in selfcall() */
    struct witness witness;  /* lies in both directories meanwhile */
    struct buf path;         /* of the request being made */
    char answer[ANSWER_MAX]; /* to the last one */
};

enum server { SERVER_OTHER, SERVER_APACHE, SERVER_LIGHTTPD, SERVER_NGINX };

static enum server server_of(const struct patient *p)
{
    const char *software = request_variable(p->req, "SERVER_SOFTWARE");

    if (!software)
        return SERVER_OTHER;
    if (strncmp(software, "Apache", 6) == 0)
        return SERVER_APACHE;
    if (strncmp(software, "lighttpd", 8) == 0)
        return SERVER_LIGHTTPD;
    return strncmp(software, "nginx", 5) == 0 ? SERVER_NGINX : SERVER_OTHER;
}

/* --- Requests and answers ---------------------------------------------------
 */

/* Make a request for p->path. */
static bool call(struct patient *p, struct client_call *c)
{
    c->path = buf_text(&p->path);
    c->fields = c->fields ? c->fields : "";
    return !buf_failed(&p->path) &&
           selfcall(p->req, p->port, c, p->answer, sizeof p->answer);
}

static void set_path(struct patient *p, const char *below, const char *name)
{
    const char *script = request_variable(p->req, "SCRIPT_NAME");

    buf_clear(&p->path);
    percent_encode_path(&p->path, script ? script : "");
    while (p->path.len > 0 && p->path.data[p->path.len - 1] == '/')
        p->path.data[--p->path.len] = '\0';
    buf_printf(&p->path, "%s%s?probe=%s", below, name,
               config_text(p->config, OPT_PROBE_TOKEN));
}

/* The status of the last answer, 0 if there is none. */
static long status_of(const struct patient *p)
{
    const char *blank = strchr(p->answer, ' ');

    return blank && strncmp(p->answer, "HTTP/1.", 7) == 0
               ? strtol(blank, NULL, 10)
               : 0;
}

/* What /status/echo tells of the request; NULL if something else answered.
 * The caller owns the reference. */
static json_t *echo(struct patient *p, struct client_call *c)
{
    const char *text;
    json_t *j;

    set_path(p, "/status/echo", "");
    if (!call(p, c) || status_of(p) != 200)
        return NULL;
    text = strstr(p->answer, "\r\n\r\n");
    text = text ? strchr(text, '{') : NULL;
    j = text ? json_loads(text, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    if (json_is_string(json_object_get(j, "method")))
        return j;
    json_decref(j);
    return NULL;
}

/* Whether the echo of the request says this. */
static bool echoes(struct patient *p, struct client_call *c, const char *key,
                   const char *value)
{
    json_t *j = echo(p, c);
    const char *text = json_string_value(json_object_get(j, key));
    bool same = text && strcmp(text, value) == 0;

    json_decref(j);
    return same;
}

/* "the web server answers 403", for the owner. */
static void describe_refusal(const struct patient *p, char *out, size_t cap)
{
    long status = status_of(p);

    if (status == 0)
        (void)snprintf(out, cap, "there is no answer");
    else
        (void)snprintf(out, cap, "the answer is %ld", status);
}

/* --- Checks -----------------------------------------------------------------
 */

static bool reaches_itself(struct patient *p)
{
    struct client_call get = {.method = "GET", .limit_ms = CALL_MS};

    if (echoes(p, &get, "method", "GET"))
        return true;
    if (!selfcall_is_tls(p->req))
        return false;
    p->port = HTTP_PORT;
    return echoes(p, &get, "method", "GET");
}

static void examine_itself(struct patient *p)
{
    char refusal[64];

    describe_refusal(p, refusal, sizeof refusal);
    if (selfcall_is_tls(p->req))
        report_add(p->report, "web server", VERDICT_UNKNOWN,
                   "This site speaks TLS, which slipway does not, so it cannot "
                   "ask itself.");

    else
        report_add(p->report, "web server", VERDICT_UNKNOWN,
                   "slipway has asked its own web server, at the address that "
                   "this request came in by, and %s.",
                   refusal);
}

/* The fields must be those that keep scripts in files of strangers quiet. */
static void examine_uploads(struct patient *p)
{
    struct client_call get = {.method = "GET",
                              .fields = SELFCALL_MARK ": " SELFCALL_FILE "\r\n",
                              .limit_ms = CALL_MS};
    const char *url = place_uploads_url(p->store);
    char refusal[64];
    bool found;

    buf_clear(&p->path);
    buf_printf(&p->path, "%s/%s", url, p->witness.path);
    found = call(p, &get) && status_of(p) == 200 &&
            strstr(p->answer, p->witness.content);
    describe_refusal(p, refusal, sizeof refusal);
    if (!found) {
        report_add(p->report, "static files", VERDICT_WRONG,
                   "The web server does not serve the uploads directory at "
                   "%s/: %s.",
                   url, refusal);
        report_remedy(p->report,
                      "Serve %s there, or correct [uploads] url and directory.",
                      place_uploads(p->store));
    } else if (!strcasestr(p->answer, "\nX-Content-Type-Options: nosniff")) {
        report_add(p->report, "static files", VERDICT_WRONG,
                   "The web server serves %s/ without the header fields for "
                   "files of strangers: a page among them could act as this "
                   "site.",
                   url);
        report_remedy(p->report, "Take the lines for that directory from the "
                                 "example configuration of your web server.");
    } else {
        report_add(p->report, "static files", VERDICT_FINE,
                   "The web server serves the uploads directory at %s/, with "
                   "safe header fields.",
                   url);
    }
}

static const char *offload_remedy(const struct patient *p)
{
    switch (server_of(p)) {
    case SERVER_APACHE:
        return "offload = xsendfile needs mod_xsendfile with XSendFilePath; "
               "without it take local-redirect with offload_prefix, or none.";
    case SERVER_LIGHTTPD:
        return "lighttpd wants offload = xsendfile, and in fastcgi.server "
               "x-sendfile = enable and the directory in x-sendfile-docroot.";
    case SERVER_NGINX:
        return "nginx wants offload = xaccel and offload_prefix, the place of "
               "an internal location with the directory as alias.";
    default:
        return "Set [download] offload = none, or as the web server wants it.";
    }
}

static void examine_downloads(struct patient *p)
{
    struct client_call get = {.method = "GET", .limit_ms = CALL_MS};
    bool offload = config_choice(p->config, OPT_OFFLOAD) != 0;
    char refusal[64];
    const char *body;

    set_path(p, "/status/file/", p->witness.name);
    body = call(p, &get) && status_of(p) == 200 ? strstr(p->answer, "\r\n\r\n")
                                                : NULL;
    describe_refusal(p, refusal, sizeof refusal);
    if (body && strstr(body, p->witness.content)) {
        report_add(p->report, "downloads", VERDICT_FINE,
                   offload ? "The web server sends the files that slipway "
                             "hands over to it."
                           : "slipway sends them itself; [download] offload "
                             "would leave that to the web server.");
        return;
    }
    report_add(p->report, "downloads", VERDICT_WRONG,
               "A file does not arrive when it is downloaded: %s%s.", refusal,
               status_of(p) == 200 ? ", but the file is not in it" : "");
    report_remedy(p->report, "%s",
                  offload ? offload_remedy(p)
                          : "Look into the error log of the web server.");
}

static const char *streaming_remedy(const struct patient *p)
{
    switch (server_of(p)) {
    case SERVER_APACHE:
        return "mod_fcgid always does that; slipway.cgi or mod_proxy_fcgi do "
               "not, unless ModSecurity examines bodies "
               "(SecRequestBodyAccess). Else send large files in pieces, as "
               "resumable clients can.";
    case SERVER_LIGHTTPD:
        return "Set server.stream-request-body = 1.";
    case SERVER_NGINX:
        return "Set fastcgi_request_buffering off.";
    default:
        return "Let the web server hand on request bodies as they come.";
    }
}

/* Half of a body, a pause, the other half: does slipway wait for it? */
static void examine_streaming(struct patient *p)
{
    struct client_call post = {.method = "POST",
                               .length = PAUSED_BODY,
                               .pause_ms = PAUSE_MS,
                               .limit_ms = CALL_MS};
    json_t *j = echo(p, &post);

    if (!j) {
        report_add(p->report, "streaming", VERDICT_UNKNOWN,
                   "A slow upload got no answer from slipway.");
    } else if (json_integer_value(json_object_get(j, "waited_ms")) >=
               STREAMED_MS) {
        report_add(p->report, "streaming", VERDICT_FINE,
                   "Uploads reach slipway while they arrive.");
    } else {
        report_add(p->report, "streaming", VERDICT_WRONG,
                   "The web server gathers uploads before slipway sees them: "
                   "no progress meanwhile, and what breaks begins anew.");
        report_remedy(p->report, "%s", streaming_remedy(p));
    }
    json_decref(j);
}

/* Whether as many bytes get through, as octets or as a file in a form, for
 * which firewalls have different limits. */
static bool takes(struct patient *p, bool is_form, uint64_t bytes)
{
    struct client_call post = {
        .method = "POST",
        .fields = is_form ? "Content-Type: " CLIENT_FORM "\r\n"
                          : "Content-Type: application/octet-stream\r\n",
        .is_form = is_form,
        .length = bytes,
        .limit_ms = LARGE_MS};
    json_t *j = echo(p, &post);
    json_int_t received = json_integer_value(json_object_get(j, "received"));

    json_decref(j);
    return received >= 0 && (uint64_t)received >= bytes;
}

static void examine_size(struct patient *p)
{
    static const uint64_t sizes[] = {UINT64_C(100) << 10, UINT64_C(1) << 20,
                                     UINT64_C(8) << 20, UINT64_C(64) << 20};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    bool is_form = !takes(p, false, 1);
    uint64_t most = 0, refused = 0;

    for (int i = 0; i < SIZES && !refused; i++)
        *(takes(p, is_form, sizes[i]) ? &most : &refused) = sizes[i];
    if (!refused) {
        report_add(p->report, "largest body", VERDICT_FINE,
                   "Requests of 64 MiB arrive whole.");
        return;
    }
    for (int i = 0; i < BISECT_STEPS; i++) {
        uint64_t middle = most + (refused - most) / 2;

        *(takes(p, is_form, middle) ? &most : &refused) = middle;
    }
    report_add(p->report, "largest body", VERDICT_WRONG,
               "Requests of more than %" PRIu64 " KiB do not get through.",
               most >> 10);
    report_remedy(
        p->report, "%s",
        server_of(p) == SERVER_NGINX
            ? "Set client_max_body_size 0."
            : "Raise the limit of the web server (FcgidMaxRequestLen, "
              "LimitRequestBody, SecRequestBodyLimit, server.max-request-size)"
              " or send large files in smaller pieces, as resumable clients "
              "can.");
}

static void list_append(char list[REFUSED_MAX], const char *word)
{
    size_t used = strlen(list);

    (void)snprintf(list + used, REFUSED_MAX - used, "%s%s", used ? ", " : "",
                   word);
}

static void examine_methods(struct patient *p)
{
    static const char *const methods[] = {"PUT", "PATCH", "DELETE", "OPTIONS"};
    char refused[REFUSED_MAX] = "";
    bool overrides;

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct client_call c = {.method = methods[i], .limit_ms = CALL_MS};

        if (!echoes(p, &c, "method", methods[i]))
            list_append(refused, methods[i]);
    }
    if (*refused == '\0') {
        report_add(p->report, "methods", VERDICT_FINE,
                   "PUT, PATCH, DELETE and OPTIONS reach slipway.");
        return;
    }
    overrides = echoes(
        p,
        &(struct client_call){.method = "POST",
                              .fields = "X-HTTP-Method-Override: PATCH\r\n"
                                        "Content-Type: "
                                        "application/offset+octet-stream\r\n",
                              .length = 1,
                              .limit_ms = CALL_MS},
        "override", "PATCH");
    report_add(p->report, "methods", VERDICT_WRONG,
               "These methods do not reach slipway: %s.", refused);
    report_remedy(p->report, "%s",
                  overrides ? "Let the web server allow them, or have tus "
                              "clients override methods (overridePatchMethod)."
                            : "Let the web server allow them, or upload by "
                              "forms alone (POST /upload/ID).");
}

static void examine_types(struct patient *p)
{
    static const char *const types[] = {CLIENT_FORM, "application/octet-stream",
                                        "application/offset+octet-stream",
                                        "application/partial-upload"};
    char refused[REFUSED_MAX] = "";

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        char fields[128];
        struct client_call c = {.method = "POST",
                                .fields = fields,
                                .is_form = i == 0,
                                .length = 1,
                                .limit_ms = CALL_MS};

        (void)snprintf(fields, sizeof fields, "Content-Type: %s\r\n", types[i]);
        if (!echoes(p, &c, "type", types[i]))
            list_append(refused, types[i]);
    }
    if (*refused == '\0') {
        report_add(p->report, "content types", VERDICT_FINE,
                   "Forms, octet streams and those of tus and the IETF draft "
                   "reach slipway.");
        return;
    }
    report_add(p->report, "content types", VERDICT_WRONG,
               "These do not reach slipway: %s.", refused);
    report_remedy(p->report, "Let the firewall (mod_security) allow them for "
                             "slipway, or upload by forms alone.");
}

static void examine_authorization(struct patient *p)
{
    struct client_call get = {.method = "GET",
                              .fields = "Authorization: Bearer probe\r\n",
                              .limit_ms = CALL_MS};
    json_t *j = echo(p, &get);

    if (!j) {
        report_add(p->report, "Authorization", VERDICT_UNKNOWN,
                   "A request with this header field got no answer from "
                   "slipway.");
    } else if (json_is_true(json_object_get(j, "authorization"))) {
        report_add(p->report, "Authorization", VERDICT_FINE,
                   "The header field is passed on to slipway.");
    } else {
        report_add(p->report, "Authorization", VERDICT_WRONG,
                   "The web server keeps this header field from slipway: "
                   "nobody can sign in by it.");
        report_remedy(
            p->report, "%s",
            server_of(p) == SERVER_APACHE
                ? "Set CGIPassAuth On, or take the .htaccess that "
                  "comes with slipway."
                : "Let the web server pass it as HTTP_AUTHORIZATION.");
    }
    json_decref(j);
}

/* With [upload] interim = on, does 104 arrive, and the answer after it? */
static void examine_interim(struct patient *p)
{
    struct client_call get = {.method = "GET",
                              .fields = "Upload-Draft-Interop-Version: 8\r\n",
                              .limit_ms = CALL_MS};

    if (config_choice(p->config, OPT_INTERIM) == 0)
        return;
    set_path(p, "/status/echo", "");
    (void)call(p, &get);
    if (status_of(p) == 104 && strstr(p->answer, "\nHTTP/1.1 200")) {
        report_add(p->report, "interim answers", VERDICT_FINE,
                   "The web server passes them on.");
        return;
    }
    report_add(p->report, "interim answers", VERDICT_WRONG,
               "The web server does not pass on interim answers (104), and "
               "[upload] interim is on: uploads by the IETF draft break.");
    report_remedy(p->report, "Set interim = off.");
}

/* What comes of asking for the data directory at its URL. */
static enum reach ask_for_data(struct patient *p)
{
    enum reach r = reach_ask(p->store, p->req, buf_text(&p->path));

    if (r == REACH_UNKNOWN && vouch_bars(p->req, place_data(p->store)))
        return REACH_BARRED;
    return r;
}

/* The ini file holds the token. */
static enum reach ask_for_ini(struct patient *p)
{
    struct client_call get = {.method = "GET",
                              .fields = SELFCALL_MARK ": " SELFCALL_FILE "\r\n",
                              .limit_ms = CALL_MS};

    return call(p, &get)
               ? reach_verdict(p->answer,
                               config_text(p->config, OPT_PROBE_TOKEN))
               : REACH_UNKNOWN;
}

/* Whether the web shows path, by all roots that it is below. */
static void examine_exposure(struct patient *p, const char *check,
                             const char *path, const char *remedy,
                             enum reach (*ask)(struct patient *p))
{
    struct webroot roots[WEBROOTS];
    enum reach worst = REACH_BARRED;
    bool is_below = false, has_root = false;

    webroots_find(p->req, roots);
    for (int i = 0; i < WEBROOTS; i++) {
        has_root = has_root || roots[i].path;
        if (webroot_url(&roots[i], path, &p->path)) {
            enum reach r = ask(p);

            is_below = true;
            worst = r > worst ? r : worst;
        }
    }
    webroots_free(roots);
    if (!has_root)
        report_add(p->report, check, VERDICT_UNKNOWN,
                   "The web server does not say where its document root is. "
                   "%s must not be below it.",
                   path);
    else if (!is_below)
        report_add(p->report, check, VERDICT_FINE,
                   "%s is outside of the document root.", path);
    else if (worst == REACH_BARRED)
        report_add(p->report, check, VERDICT_FINE,
                   "%s is below the document root, and the web server refuses "
                   "to show it.",
                   path);
    else
        report_add(p->report, check,
                   worst == REACH_REACHABLE ? VERDICT_WRONG : VERDICT_UNKNOWN,
                   worst == REACH_REACHABLE
                       ? "The web can read %s."
                       : "%s is below the document root, and it is not clear "
                         "whether the web can read it.",
                   path);
    if (is_below && worst != REACH_BARRED)
        report_remedy(p->report, "%s", remedy);
}

static void examine_secrets(struct patient *p)
{
    const char *file = config_file(p->config);
    const char *path;

    examine_exposure(p, "data on the web", place_data(p->store),
                     "Let [storage] data name a directory outside of the "
                     "document root.",
                     ask_for_data);
    if (!file)
        return;
    path = arena_printf(p->report->arena, "%s/%s", config_directory(p->config),
                        file);
    if (path)
        examine_exposure(p, "settings on the web", path,
                         "Take the .htaccess that comes with slipway, or move "
                         "the file and name it in SLIPWAY_CONFIG; then change "
                         "probe_token.",
                         ask_for_ini);
}

static bool examine_all(struct patient *p)
{
    static void (*const checks[])(struct patient * p) = {
        examine_uploads,       examine_downloads, examine_streaming,
        examine_size,          examine_methods,   examine_types,
        examine_authorization, examine_interim};

    examine_secrets(p);
    if (!reaches_itself(p)) {
        examine_itself(p);
        return false;
    }
    report_add(p->report, "web server", VERDICT_FINE,
               "It passes on requests that slipway sends to itself.");
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++)
        checks[i](p);
    return true;
}

bool doctor_examine_web(const struct request *req, struct store *s,
                        struct report *r)
{
    struct patient p = {
        .req = req, .store = s, .config = store_config(s), .report = r};
    struct error e;
    bool asked;

    if (witness_put(s, &p.witness, &e) != ERR_NONE) {
        report_add(r, "web server", VERDICT_UNKNOWN, "%s", e.detail);
        return false;
    }
    buf_init(&p.path, URL_MAX_BYTES);
    asked = examine_all(&p);
    buf_free(&p.path);
    witness_remove(s, p.witness.name);
    return asked;
}
