/*
 * The part of the doctor that asks the web server: see patient.h.
 */
#include "probe/doctor.h"
#include "probe/patient.h"
#include "probe/selfcall.h"

enum { URL_MAX_BYTES = 8192 };

/* Another web server is in front of the one that runs slipway. Its limits
 * cannot be seen from behind it. */
static bool has_proxy(const struct request *req)
{
    static const char *const fields[] = {"Via", "Forwarded", "X-Forwarded-For",
                                         "X-Forwarded-Proto", "X-Real-IP"};

    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++)
        if (request_header(req, fields[i]))
            return true;
    return false;
}

/* Whether slipway can ask as a client does. */
static bool can_ask(struct patient *p)
{
    struct client_call get = {.method = "GET", .limit_ms = PATIENT_CALL_MS};
    char refusal[PATIENT_REFUSAL_MAX];

    if (selfcall_is_tls(p->req)) {
        report_add(p->report, "web server", VERDICT_UNKNOWN,
                   "This site speaks TLS, which slipway does not, so it cannot "
                   "ask itself.");
    } else if (has_proxy(p->req)) {
        report_add(p->report, "web server", VERDICT_UNKNOWN,
                   "A proxy is in front of the web server, and slipway can "
                   "only ask behind it.");
    } else if (!patient_echoes(p, &get, "method", "GET")) {
        patient_refusal(p, refusal);
        report_add(p->report, "web server", VERDICT_UNKNOWN,
                   "slipway has asked its own web server, at the address that "
                   "this request came in by, and %s.",
                   refusal);
    } else {
        report_add(p->report, "web server", VERDICT_FINE,
                   "It passes on requests that slipway sends to itself.");
        return true;
    }
    report_remedy(p->report, "Open this page in a browser with JavaScript, "
                             "which then asks.");
    return false;
}

static bool examine_all(struct patient *p)
{
    static void (*const checks[])(struct patient * p) = {
        examine_static,        examine_downloads, examine_streaming,
        examine_size,          examine_methods,   examine_types,
        examine_authorization, examine_interim};

    examine_secrets(p);
    if (!can_ask(p))
        return false;
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
