/*
 * Escaping of text for HTML (content and double-quoted attributes). Pure.
 */
#ifndef SLIPWAY_HTTP_HTML_H
#define SLIPWAY_HTTP_HTML_H

#include "base/buf.h"

void html_escape(struct buf *out, const char *text);

#endif
