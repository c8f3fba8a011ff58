/*
 * Cleaning of file names: from anything a client may send to one name that
 * is safe as a directory entry, in a URL, a header and a page, on every
 * system that may later receive the file.
 *
 * Pure. The rules, each with its rows in the hostile table of the test:
 * - UTF-8 only, else refused; normalised to NFC (Unicode, UAX 15);
 * - only what follows the last '/' or '\' (filename_clean);
 * - controls, bidirectional controls, zero-width and other format
 *   characters, private use and unassigned ones, line and paragraph
 *   separators, and any of : * ? " < > | become '_';
 * - leading dots, leading and trailing blanks, trailing dots go away; a
 *   leading '-' or '~' becomes '_';
 * - Windows device names (CON, NUL, COM1, CONIN$, ... with any extension, and
 *   the superscript digits) get a leading '_';
 * - what a server could run or read as configuration is defused wherever it
 *   stands: any of the extensions .php .phtml .cgi .fcgi .pl .py .asp .jsp
 *   .shtml ... (all in one table) except when it is not followed or preceded
 *   by anything gets '_' appended to it (`a.php` -> `a.php_`, `a.php.jpg` ->
 *   `a.php_.jpg`); names such as web.config or php.ini get a leading '_';
 * - at most FILENAME_MAX_BYTES bytes, cut before the extension and at a
 *   UTF-8 boundary, never leaving half a sequence or a trailing dot.
 */
#ifndef SLIPWAY_HTTP_FILENAME_H
#define SLIPWAY_HTTP_FILENAME_H

#include <stdbool.h>
#include <stddef.h>

enum {
    FILENAME_MAX_BYTES = 200, /* of one name; leaves room for suffixes */
    FILENAME_PATH_MAX = 1024, /* of one relative path */
    FILENAME_DEPTH_MAX = 16   /* directories of one relative path */
};

/* The cleaned base name of name. false if nothing usable remains (empty,
 * only dots or blanks, invalid UTF-8, a NUL cannot occur in a C string). */
bool filename_clean(const char *name, char out[FILENAME_MAX_BYTES + 1]);

/* The cleaned relative path of a file in a directory upload. '\' counts as
 * '/'. A leading '/' and './' go away. false for an empty component, '..'
 * anywhere, a drive letter, more than FILENAME_DEPTH_MAX directories, more
 * than FILENAME_PATH_MAX bytes, or a component that cannot be cleaned. */
bool filename_clean_path(const char *path, char out[FILENAME_PATH_MAX + 1]);

/* `name` -> `name (n)`, before the extension, still within the limit. */
void filename_numbered(const char *name, unsigned n,
                       char out[FILENAME_MAX_BYTES + 1]);

#endif
