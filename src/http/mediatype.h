/*
 * Media types: by file name, as sent, as accepted, and which are safe to show
 * inside a page's origin. Pure tables.
 */
#ifndef SLIPWAY_HTTP_MEDIATYPE_H
#define SLIPWAY_HTTP_MEDIATYPE_H

#include <stdbool.h>
#include <stddef.h>

enum { MEDIATYPE_MAX = 128 };

/* By the last extension of name, case-insensitively; NULL if unknown. The
 * result is static, without parameters. */
const char *mediatype_by_name(const char *name);

/* The type to store and to send: by the extension of name where that is
 * known, else declared in lower case without parameters where it is valid
 * (RFC 9110 section 8.3.1), else application/octet-stream. A name decides
 * before a declaration because front servers go by the name. */
void mediatype_effective(char out[MEDIATYPE_MAX], const char *name,
                         const char *declared);

/* One comma-separated list as in HTML's accept attribute: `.ext` (matched at
 * the end of name, so `.tar.gz` works), `type/subtype` or `type/` followed by
 * a star (matched against type). Case-insensitive; it is an OR. An empty or
 * NULL list accepts everything. */
bool mediatype_accepted(const char *list, const char *name, const char *type);

/* May be sent inline: images but SVG, audio, video, application/pdf and
 * text/plain. Everything a browser would run or lay out is not. */
bool mediatype_is_inline_safe(const char *type);

#endif
