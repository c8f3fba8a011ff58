/*
 * The part of the doctor that asks the web server: see patient.h.
 */
#include "probe/doctor.h"
#include "probe/patient.h"
#include "probe/selfcall.h"

enum { URL_MAX_BYTES = 8192, HTTP_PORT = 80 /* of a TLS site's plain side */ };

static bool reaches_itself(struct patient *p)
{
    struct client_call get = {.method = "GET", .limit_ms = PATIENT_CALL_MS};

    if (patient_echoes(p, &get, "method", "GET"))
        return true;
    if (!selfcall_is_tls(p->req))
        return false;
    p->port = HTTP_PORT;
    return patient_echoes(p, &get, "method", "GET");
}

static void examine_itself(struct patient *p)
{
    char refusal[PATIENT_REFUSAL_MAX];

    patient_refusal(p, refusal);
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
