/*
 * HTTP dates (RFC 9110 section 5.6.7) and RFC 3339 times. Pure; independent
 * of the locale and the time zone.
 */
#ifndef SLIPWAY_HTTP_DATE_H
#define SLIPWAY_HTTP_DATE_H

#include <stdbool.h>
#include <stdint.h>

enum { DATE_MAX = 32 };

void date_http(char out[DATE_MAX], int64_t seconds);    /* IMF-fixdate */
void date_rfc3339(char out[DATE_MAX], int64_t seconds); /* in UTC, with Z */

/* All three forms of section 5.6.7. false if malformed. now decides the
 * century of the two-digit year of RFC 850 dates. */
bool date_parse(const char *s, int64_t now, int64_t *seconds);

#endif
