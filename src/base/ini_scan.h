/*
 * The grammar of the ini file. iniparser fetches the values, but it keeps no
 * line numbers, overwrites duplicates and silently drops what it does not
 * expect. This scan goes first: it finds where each section and key stands
 * and refuses every line that iniparser would refuse, cut or join.
 *
 * A line is at most INI_LINE_MAX bytes of UTF-8 and is one of
 *   blank; a comment that starts with ; or #; [section]; key = value
 * A value may be quoted with "" or '' (no escapes within); after it, or after
 * a blank in an unquoted value, ; or # starts a comment.
 */
#ifndef SLIPWAY_BASE_INI_SCAN_H
#define SLIPWAY_BASE_INI_SCAN_H

#include <stdio.h>

#include "base/error.h"

/* iniparser reads lines into 1024 bytes (ASCIILINESZ), newline included. */
enum { INI_LINE_MAX = 1000 };

struct ini_place {
    const char *file;    /* name of the file for messages */
    const char *section; /* in lower case, trimmed; "" before the first */
    const char *key;     /* in lower case, trimmed; NULL at a section line */
    unsigned line;       /* from 1 */
};

/* Called for each section line and each key, in order. The strings last for
 * the call. Anything but ERR_NONE ends the scan with that code. */
typedef enum error_code ini_visit(void *ctx, const struct ini_place *place,
                                  struct error *e);

/* Scan the whole of in. file names it in messages; ERR_CONFIG on failure. */
enum error_code ini_scan(FILE *in, const char *file, ini_visit *visit,
                         void *ctx, struct error *e);

#endif
