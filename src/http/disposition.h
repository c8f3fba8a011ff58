/*
 * The Content-Disposition response header (RFC 6266, RFC 8187). Pure.
 */
#ifndef SLIPWAY_HTTP_DISPOSITION_H
#define SLIPWAY_HTTP_DISPOSITION_H

#include <stdbool.h>

#include "base/buf.h"

/* Appends `attachment; filename="ascii"; filename*=UTF-8''...` (or inline).
 * The ASCII name comes first, always present, with every byte outside
 * printable ASCII and each of " \ % replaced by '_' (curl -OJ reads only
 * that one); filename* follows when it differs. name is any UTF-8. */
void disposition_format(struct buf *out, bool is_inline, const char *name);

/* The file name in a request's Content-Disposition header: filename* where
 * valid UTF-8 (RFC 8187), else filename. Only the part after the last slash
 * or backslash. false if there is none or it does not fit. */
bool disposition_filename(const char *header, char *out, size_t cap);

#endif
