/*
 * Content negotiation (RFC 9110 section 12.5.1) between the few forms that
 * slipway answers in. Pure.
 */
#ifndef SLIPWAY_HTTP_ACCEPT_H
#define SLIPWAY_HTTP_ACCEPT_H

enum accept_type { ACCEPT_TEXT, ACCEPT_JSON, ACCEPT_HTML, ACCEPT_EVENTS };

/* The form with the highest quality among application/json (also
 * application/problem+json), text/html, text/plain and text/event-stream.
 * Only types named in full count; a tie goes to the one named first. fallback
 * if none is named (no header, or curl's star). */
enum accept_type accept_choose(const char *header, enum accept_type fallback);

#endif
