/*
 * One examination of a web server: requests of slipway to itself, and what
 * comes of them. One thread at a time.
 */
#ifndef SLIPWAY_PROBE_PATIENT_H
#define SLIPWAY_PROBE_PATIENT_H

#include <jansson.h>

#include "base/buf.h"
#include "base/config.h"
#include "http/request.h"
#include "probe/client.h"
#include "probe/report.h"
#include "store/witness.h"

enum {
    PATIENT_ANSWER_MAX = 8192, /* bytes of an answer that are looked at */
    PATIENT_REFUSAL_MAX = 64,
    PATIENT_CALL_MS = 5000 /* for a small request: mod_fcgid waits a second
                              before it starts a second process */
};

struct patient {
    const struct request *req; /* came in by the web server */
    struct store *store;
    const struct config *config;
    struct report *report;
    struct witness witness;          /* lies in both directories meanwhile */
    struct buf path;                 /* of the request being made */
    char answer[PATIENT_ANSWER_MAX]; /* to the last one */
};

enum server { SERVER_OTHER, SERVER_APACHE, SERVER_LIGHTTPD, SERVER_NGINX };
enum server patient_server(const struct patient *p);

/* Let the next request be for what slipway has at below and name. */
void patient_path(struct patient *p, const char *below, const char *name);

/* Make the request for p->path. false if there was no answer. */
bool patient_call(struct patient *p, struct client_call *c);

/* The status of the last answer, 0 if there is none; and the same in words, as
 * the end of a sentence. */
long patient_status(const struct patient *p);
void patient_refusal(const struct patient *p, char out[PATIENT_REFUSAL_MAX]);

/* What /status/echo tells of the request; NULL if something else answered. The
 * caller owns the reference. */
json_t *patient_echo(struct patient *p, struct client_call *c);

/* Whether it says this. */
bool patient_echoes(struct patient *p, struct client_call *c, const char *key,
                    const char *value);

/* --- What is examined, each with findings in p->report ----------------------
 */

/* Whether the web shows data or settings. */
void examine_secrets(struct patient *p);

/* What the web server does with files. */
void examine_static(struct patient *p);
void examine_downloads(struct patient *p);

/* What it does with requests. */
void examine_streaming(struct patient *p);
void examine_size(struct patient *p);
void examine_methods(struct patient *p);
void examine_types(struct patient *p);
void examine_authorization(struct patient *p);
void examine_interim(struct patient *p); /* nothing if that is off */

#endif
