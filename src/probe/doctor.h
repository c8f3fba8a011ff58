/*
 * The doctor: whether everything that slipway stands on is in order. Findings
 * are for the owner and may name paths. Thread-safe.
 */
#ifndef SLIPWAY_PROBE_DOCTOR_H
#define SLIPWAY_PROBE_DOCTOR_H

#include "base/config.h"
#include "http/request.h"
#include "probe/report.h"
#include "store/store.h"

/* What can be seen from within: configuration, directories, database, disk,
 * clock. s: NULL for the configuration alone. */
void doctor_examine_place(const struct config *c, struct store *s,
                          struct report *r);

/* What the web server of req lets through: slipway sends requests to itself,
 * to /status/echo and /status/file/, up to 64 MiB. May take many seconds. false
 * if the web server could not be asked: the report says why. */
bool doctor_examine_web(const struct request *req, struct store *s,
                        struct report *r);

#endif
