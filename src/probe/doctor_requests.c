/*
 * The part of the doctor that looks at what the web server lets through.
 * /status/echo answers what has arrived of a request.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "probe/patient.h"

enum {
    LARGE_MS = 10000,   /* for a large request */
    PAUSE_MS = 800,     /* in the middle of a body */
    STREAMED_MS = 400,  /* that slipway must have waited for the rest then */
    PAUSED_BODY = 1000, /* bytes of such a body */
    NARROW = 2048,      /* how exactly a limit is wanted */
    NARROW_MS = 15000,  /* how long to look for it */
    REFUSED_MAX = 200   /* bytes of a list of what was refused */
};

static const char *streaming_remedy(const struct patient *p)
{
    switch (patient_server(p)) {
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
void examine_streaming(struct patient *p)
{
    struct client_call post = {.method = "POST",
                               .length = PAUSED_BODY,
                               .pause_ms = PAUSE_MS,
                               .limit_ms = PATIENT_CALL_MS};
    json_t *j = patient_echo(p, &post);

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

enum taken { TAKEN, REFUSED, TOO_SLOW };

/* Whether as many bytes get through, as octets or as a file in a form, for
 * which firewalls have different limits. */
static enum taken take(struct patient *p, bool is_form, uint64_t bytes)
{
    struct client_call post = {
        .method = "POST",
        .fields = is_form ? "Content-Type: " CLIENT_FORM "\r\n"
                          : "Content-Type: application/octet-stream\r\n",
        .is_form = is_form,
        .length = bytes,
        .limit_ms = LARGE_MS};
    int64_t until = clock_monotonic_ms() + LARGE_MS;
    json_t *j = patient_echo(p, &post);
    json_int_t received = json_integer_value(json_object_get(j, "received"));

    json_decref(j);
    if (received > 0 && (uint64_t)received >= bytes)
        return TAKEN;
    return patient_status(p) == 0 && clock_monotonic_ms() >= until ? TOO_SLOW
                                                                   : REFUSED;
}

/* The limit is between two sizes: narrow it down. */
static uint64_t narrow(struct patient *p, bool is_form, uint64_t most,
                       uint64_t refused)
{
    int64_t until = clock_monotonic_ms() + NARROW_MS;

    while (refused - most > NARROW && clock_monotonic_ms() < until) {
        uint64_t middle = most + (refused - most) / 2;

        *(take(p, is_form, middle) == TAKEN ? &most : &refused) = middle;
    }
    return most;
}

static void examine_limit(struct patient *p, uint64_t most)
{
    report_add(p->report, "largest body", VERDICT_WRONG,
               "Requests of more than %" PRIu64 " KiB do not get through.",
               most >> 10);
    report_remedy(
        p->report, "%s",
        patient_server(p) == SERVER_NGINX
            ? "Set client_max_body_size 0."
            : "Raise the limit of the web server (FcgidMaxRequestLen, "
              "LimitRequestBody, SecRequestBodyLimit, server.max-request-size)"
              " or send large files in smaller pieces, as resumable clients "
              "can.");
}

void examine_size(struct patient *p)
{
    static const uint64_t sizes[] = {UINT64_C(100) << 10, UINT64_C(1) << 20,
                                     UINT64_C(8) << 20, UINT64_C(64) << 20};
    enum { SIZES = sizeof sizes / sizeof sizes[0] };
    bool is_form = take(p, false, 1) != TAKEN;
    enum taken taken = TAKEN;
    uint64_t most = 0;

    for (int i = 0; i < SIZES && taken == TAKEN; i++) {
        taken = take(p, is_form, sizes[i]);
        if (taken == TAKEN)
            most = sizes[i];
        else if (taken == REFUSED)
            examine_limit(p, narrow(p, is_form, most, sizes[i]));
    }
    if (taken != REFUSED)
        report_add(p->report, "largest body",
                   most ? VERDICT_FINE : VERDICT_UNKNOWN,
                   "Requests of %" PRIu64 " KiB arrive whole%s.", most >> 10,
                   taken == TAKEN ? "" : "; larger ones take too long to try");
}

static void list_append(char list[REFUSED_MAX], const char *word)
{
    size_t used = strlen(list);

    (void)snprintf(list + used, REFUSED_MAX - used, "%s%s", used ? ", " : "",
                   word);
}

void examine_methods(struct patient *p)
{
    static const char *const methods[] = {"PUT", "PATCH", "DELETE", "OPTIONS"};
    char refused[REFUSED_MAX] = "";
    bool overrides;

    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        struct client_call c = {.method = methods[i],
                                .limit_ms = PATIENT_CALL_MS};

        if (!patient_echoes(p, &c, "method", methods[i]))
            list_append(refused, methods[i]);
    }
    if (*refused == '\0') {
        report_add(p->report, "methods", VERDICT_FINE,
                   "PUT, PATCH, DELETE and OPTIONS reach slipway.");
        return;
    }
    overrides = patient_echoes(
        p,
        &(struct client_call){.method = "POST",
                              .fields = "X-HTTP-Method-Override: PATCH\r\n"
                                        "Content-Type: "
                                        "application/offset+octet-stream\r\n",
                              .length = 1,
                              .limit_ms = PATIENT_CALL_MS},
        "override", "PATCH");
    report_add(p->report, "methods", VERDICT_WRONG,
               "These methods do not reach slipway: %s.", refused);
    report_remedy(p->report, "%s",
                  overrides ? "Let the web server allow them, or have tus "
                              "clients override methods (overridePatchMethod)."
                            : "Let the web server allow them, or upload by "
                              "forms alone (POST /upload/ID).");
}

void examine_types(struct patient *p)
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
                                .limit_ms = PATIENT_CALL_MS};

        (void)snprintf(fields, sizeof fields, "Content-Type: %s\r\n", types[i]);
        if (!patient_echoes(p, &c, "type", types[i]))
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

void examine_authorization(struct patient *p)
{
    struct client_call get = {.method = "GET",
                              .fields = "Authorization: Bearer probe\r\n",
                              .limit_ms = PATIENT_CALL_MS};
    json_t *j = patient_echo(p, &get);

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
            patient_server(p) == SERVER_APACHE
                ? "Set CGIPassAuth On, or take the .htaccess that "
                  "comes with slipway."
                : "Let the web server pass it as HTTP_AUTHORIZATION.");
    }
    json_decref(j);
}

/* With [upload] interim = on, does 104 arrive, and the answer after it? */
void examine_interim(struct patient *p)
{
    struct client_call get = {.method = "GET",
                              .fields = "Upload-Draft-Interop-Version: 8\r\n",
                              .limit_ms = PATIENT_CALL_MS};

    if (!config_choice(p->config, OPT_INTERIM))
        return;
    patient_path(p, "/status/echo", "");
    (void)patient_call(p, &get);
    if (patient_status(p) == 104 && strstr(p->answer, "\nHTTP/1.1 200")) {
        report_add(p->report, "interim answers", VERDICT_FINE,
                   "The web server passes them on.");
        return;
    }
    report_add(p->report, "interim answers", VERDICT_WRONG,
               "The web server does not pass on interim answers (104), and "
               "[upload] interim is on: uploads by the IETF draft break.");
    report_remedy(p->report, "Set interim = off.");
}
