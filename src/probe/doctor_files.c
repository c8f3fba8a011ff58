/*
 * The part of the doctor that looks at what the web server does with files:
 * those that it must not show, and those that it is to send.
 */
#define _GNU_SOURCE
#include <string.h>

#include "probe/patient.h"
#include "probe/reach.h"
#include "probe/selfcall.h"
#include "probe/webroot.h"
#include "store/place.h"

/* Ask for a static file at p->path; should the request come to slipway, it
 * knows it. */
static bool fetch(struct patient *p)
{
    struct client_call get = {.method = "GET",
                              .fields = SELFCALL_MARK ": " SELFCALL_FILE "\r\n",
                              .limit_ms = PATIENT_CALL_MS};

    return patient_call(p, &get);
}

/* What comes of asking for the data directory at its URL. */
static enum reach ask_for_data(struct patient *p)
{
    return reach_ask(p->store, p->req, buf_text(&p->path));
}

/* The ini file holds the token. */
static enum reach ask_for_ini(struct patient *p)
{
    return fetch(p) ? reach_verdict(p->answer,
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
                   "%s is outside of the document root; an alias of the web "
                   "server could still show it.",
                   path);
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

void examine_secrets(struct patient *p)
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

/* Those that keep scripts in files of strangers quiet. What a web server says
 * of the witness it says of every file that it does not know to be harmless. */
static bool has_safe_fields(const char *answer)
{
    const char *policy = strcasestr(answer, "\nContent-Security-Policy:");

    return strcasestr(answer, "\nX-Content-Type-Options: nosniff") &&
           strcasestr(answer, "\nContent-Disposition: attachment") && policy &&
           memmem(policy, strcspn(policy + 1, "\r\n"), "sandbox", 7);
}

/* Whether a request for the witness with this behind its name gets it. */
static bool gets_witness(struct patient *p, const char *behind)
{
    buf_clear(&p->path);
    buf_printf(&p->path, "%s/%s%s", place_uploads_url(p->store),
               p->witness.path, behind);
    return fetch(p) && patient_status(p) == 200 &&
           strstr(p->answer, p->witness.content);
}

static void uploads_are_wrong(struct patient *p, const char *what,
                              const char *remedy)
{
    report_add(p->report, "static files", VERDICT_WRONG,
               "The web server serves %s/ %s: a page among them could act as "
               "this site.",
               place_uploads_url(p->store), what);
    report_remedy(p->report, "%s", remedy);
}

void examine_static(struct patient *p)
{
    const char *url = place_uploads_url(p->store);
    char refusal[PATIENT_REFUSAL_MAX];
    bool found = gets_witness(p, "");

    patient_refusal(p, refusal);
    if (!found) {
        report_add(p->report, "static files", VERDICT_WRONG,
                   "The web server does not serve the uploads directory at "
                   "%s/: %s.",
                   url, refusal);
        report_remedy(p->report,
                      "Serve %s there, or correct [uploads] url and directory.",
                      place_uploads(p->store));
    } else if (!has_safe_fields(p->answer)) {
        uploads_are_wrong(p, "without the header fields for files of strangers",
                          "Take the lines for that directory from the example "
                          "configuration of your web server.");
    } else if (gets_witness(p, "/page.pdf")) {
        uploads_are_wrong(p,
                          "with each FILE under FILE/page.pdf as well, with "
                          "the header fields for that name",
                          "Switch path info off: AcceptPathInfo Off for "
                          "Apache, static-file.disable-pathinfo = enable for "
                          "lighttpd.");
    } else {
        report_add(p->report, "static files", VERDICT_FINE,
                   "The web server serves the uploads directory at %s/, with "
                   "safe header fields.",
                   url);
    }
}

static const char *offload_remedy(const struct patient *p)
{
    switch (patient_server(p)) {
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

void examine_downloads(struct patient *p)
{
    struct client_call get = {.method = "GET", .limit_ms = PATIENT_CALL_MS};
    bool offload = config_choice(p->config, OPT_OFFLOAD) != OFFLOAD_NONE;
    char refusal[PATIENT_REFUSAL_MAX];
    const char *body;

    patient_path(p, "/status/file/", p->witness.name);
    body = patient_call(p, &get) && patient_status(p) == 200
               ? client_body(p->answer)
               : NULL;
    patient_refusal(p, refusal);
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
               patient_status(p) == 200 ? ", but the file is not in it" : "");
    report_remedy(p->report, "%s",
                  offload ? offload_remedy(p)
                          : "Look into the error log of the web server.");
}
