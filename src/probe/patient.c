/*
 * See patient.h.
 */
#define _GNU_SOURCE
#include "probe/patient.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "http/query.h"
#include "probe/selfcall.h"

enum server patient_server(const struct patient *p)
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

bool patient_call(struct patient *p, struct client_call *c)
{
    p->answer[0] = '\0';
    c->path = buf_text(&p->path);
    c->fields = c->fields ? c->fields : "";
    return !buf_failed(&p->path) &&
           selfcall(p->req, 0, c, p->answer, sizeof p->answer);
}

void patient_path(struct patient *p, const char *below, const char *name)
{
    buf_clear(&p->path);
    percent_encode_path(&p->path, p->req->base);
    buf_printf(&p->path, "%s%s?probe=%s", below, name,
               config_text(p->config, OPT_PROBE_TOKEN));
}

long patient_status(const struct patient *p)
{
    return client_status(p->answer);
}

json_t *patient_echo(struct patient *p, struct client_call *c)
{
    const char *text;
    json_t *j;

    patient_path(p, "/status/echo", "");
    if (!patient_call(p, c) || patient_status(p) != 200)
        return NULL;
    text = client_body(p->answer);
    text = text ? strchr(text, '{') : NULL;
    j = text ? json_loads(text, JSON_DISABLE_EOF_CHECK, NULL) : NULL;
    if (json_is_string(json_object_get(j, "method")))
        return j;
    json_decref(j);
    return NULL;
}

bool patient_echoes(struct patient *p, struct client_call *c, const char *key,
                    const char *value)
{
    json_t *j = patient_echo(p, c);
    const char *text = json_string_value(json_object_get(j, key));
    bool same = text && strcmp(text, value) == 0;

    json_decref(j);
    return same;
}

void patient_refusal(const struct patient *p, char out[PATIENT_REFUSAL_MAX])
{
    long status = patient_status(p);

    if (status == 0)
        (void)snprintf(out, PATIENT_REFUSAL_MAX, "there is no answer");
    else
        (void)snprintf(out, PATIENT_REFUSAL_MAX, "the answer is %ld", status);
}
