/*
 * Cleaning of file names. The order of the steps matters: normalise first,
 * because that can make one character out of another; cut before and after
 * marking what a server could run, because a cut can bare a shorter
 * extension (`a.phpx...` -> `a.php`) and a mark makes the name longer.
 *
 * A clean name is a fixed point: cleaning it again gives the same bytes.
 *
 * Pure; safe from any thread. Memory is taken only for a copy of the name.
 */
#include "http/filename.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/text.h"
#include "http/token.h"

enum {
    RAW_MAX = 1024,    /* bytes of a name that are looked at */
    EXTENSION_MAX = 32 /* longer than this, it is no extension */
};

/* Extensions that a server may run, parse or take headers from, wherever
 * they stand in a name (mod_mime looks at all of them). */
static const char *const active_extensions[] = {
    "asa",   "asax", "ascx", "ashx",  "asis",  "asmx",   "asp",  "aspx",
    "axd",   "bash", "cer",  "cfc",   "cfm",   "cfml",   "cgi",  "cshtml",
    "csh",   "erb",  "fcgi", "fpl",   "imap",  "jhtml",  "jsp",  "jspf",
    "jspx",  "jsv",  "jsw",  "jtml",  "ksh",   "lua",    "phar", "php",
    "php2",  "php3", "php4", "php5",  "php6",  "php7",   "php8", "php9",
    "phps",  "pht",  "phtm", "phtml", "pl",    "plx",    "psgi", "py",
    "pyc",   "pyo",  "pyw",  "rb",    "rhtml", "scgi",   "sh",   "shtm",
    "shtml", "ssi",  "stm",  "tcl",   "var",   "vbhtml", "wsgi", "zsh",
};

/* Whole names that a server or an interpreter reads as configuration. */
static const char *const config_names[] = {
    "web.config",
    "php.ini",
    "php5.ini",
    "app_offline.htm",
};

/* Names that Windows takes for devices, with any extension. */
static const char *const device_names[] = {
    "con", "prn", "aux", "nul", "conin$", "conout$", "clock$",
};

static bool in_list(const char *s, size_t len, const char *const *list,
                    size_t count)
{
    size_t i;

    for (i = 0; i < count; i++)
        if (token_equal_ci(s, len, list[i]))
            return true;
    return false;
}

#define IN_LIST(s, len, list) \
    in_list((s), (len), (list), sizeof(list) / sizeof((list)[0]))

/* COM0 to COM9 and LPT0 to LPT9; the digit may be a superscript 1, 2 or 3. */
static bool is_port(const char *s, size_t len)
{
    if (len < 4 ||
        !(token_equal_ci(s, 3, "com") || token_equal_ci(s, 3, "lpt")))
        return false;
    if (len == 4)
        return s[3] >= '0' && s[3] <= '9';
    return len == 5 &&
           (memcmp(s + 3, "\u00b9", 2) == 0 ||
            memcmp(s + 3, "\u00b2", 2) == 0 || memcmp(s + 3, "\u00b3", 2) == 0);
}

static bool is_device(const char *name)
{
    size_t len = strcspn(name, ".");

    while (len > 0 && name[len - 1] == ' ')
        len--;
    return IN_LIST(name, len, device_names) || is_port(name, len);
}

/* The bytes of the last character of s, which is len bytes of UTF-8, if that
 * is a dot or any Unicode blank; else 0. */
static size_t trailing_junk(const char *s, size_t len)
{
    utf8proc_int32_t c;
    size_t n = 1;

    if (len == 0)
        return 0;
    if ((s[len - 1] & 0x80) == 0)
        return s[len - 1] == '.' || s[len - 1] == ' ' ? 1 : 0;
    while (n < len && ((unsigned char)s[len - n] & 0xc0) == 0x80)
        n++;
    utf8proc_iterate((const utf8proc_uint8_t *)s + len - n, (utf8proc_ssize_t)n,
                     &c);
    return utf8proc_category(c) == UTF8PROC_CATEGORY_ZS ? n : 0;
}

static size_t leading_junk(const char *s)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t n;

    if ((*s & 0x80) == 0)
        return *s == '.' || *s == ' ' ? 1 : 0;
    n = utf8proc_iterate((const utf8proc_uint8_t *)s, -1, &c);
    return utf8proc_category(c) == UTF8PROC_CATEGORY_ZS ? (size_t)n : 0;
}

static void trim(char *s)
{
    size_t n, skip = 0, len;

    while ((n = leading_junk(s + skip)) > 0)
        skip += n;
    len = strlen(s + skip);
    while ((n = trailing_junk(s + skip, len)) > 0)
        len -= n;
    memmove(s, s + skip, len);
    s[len] = '\0';
}

/* Where the extension of a name starts, at its dot; its end if it has none.
 * `.tar` before another extension belongs to it. */
static size_t extension_start(const char *s)
{
    size_t len = strlen(s);
    const char *dot = strrchr(s, '.');
    size_t at = dot ? (size_t)(dot - s) : 0;

    if (at == 0 || len - at > EXTENSION_MAX)
        return len;
    if (at > 4 && token_equal_ci(s + at - 4, 4, ".tar"))
        at -= 4;
    return at;
}

/* Whether the last component of the first len bytes is active. */
static bool ends_active(const char *s, size_t len)
{
    size_t n = 0;

    while (n < len && s[len - n - 1] != '.')
        n++;
    return n < len && IN_LIST(s + len - n, n, active_extensions);
}

/* Cuts s to max bytes before its extension, at a character, and on until
 * what is left ends neither in junk nor in an active extension. */
static void cut(char *s, size_t max)
{
    size_t len = strlen(s), ext = extension_start(s), stem, junk;

    if (len <= max)
        return;
    stem = max - (len - ext);
    while (stem > 0 && ((unsigned char)s[stem] & 0xc0) == 0x80)
        stem--;
    for (;;) {
        if ((junk = trailing_junk(s, stem)) > 0)
            stem -= junk;
        else if (ends_active(s, stem))
            stem--;
        else
            break;
    }
    memmove(s + stem, s + ext, len - ext + 1);
}

/* The first RAW_MAX bytes or so of a name of len bytes in NFC (UAX 15), which
 * bounds the time that normalising takes. NULL for invalid UTF-8 or no
 * memory; the caller frees. */
static char *normalise(const char *name, size_t len)
{
    utf8proc_uint8_t *nfc = NULL;
    char *raw;

    if (!text_is_utf8(name, len) || !(raw = malloc(len + 1)))
        return NULL;
    memcpy(raw, name, len);
    raw[len] = '\0';
    cut(raw, RAW_MAX);
    (void)utf8proc_map((const utf8proc_uint8_t *)raw, 0, &nfc,
                       UTF8PROC_NULLTERM | UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    free(raw);
    return (char *)nfc;
}

/* Characters that nobody can see, that change how others are shown, or that
 * have no meaning that all systems share. Variation selectors stay: they are
 * part of how emoji are written. */
static bool is_unsafe_unicode(utf8proc_int32_t c)
{
    switch (utf8proc_category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return true;
    default:
        if ((c >= 0xfe00 && c <= 0xfe0f) || (c >= 0xe0100 && c <= 0xe01ef))
            return false;
        return c == 0x2800 || utf8proc_get_property(c)->ignorable;
    }
}

/* Puts '_' in the place of every character that is not wanted. */
static void replace_unsafe(char *s)
{
    char *out = s;

    while (*s != '\0') {
        utf8proc_int32_t c = (unsigned char)*s;
        utf8proc_ssize_t n = 1;
        bool unsafe;

        if ((*s & 0x80) == 0) {
            unsafe = token_is_control(*s) || strchr("/\\:*?\"<>|", *s);
        } else {
            n = utf8proc_iterate((const utf8proc_uint8_t *)s, -1, &c);
            unsafe = is_unsafe_unicode(c);
        }
        if (unsafe) {
            *out++ = '_';
        } else {
            memmove(out, s, (size_t)n);
            out += n;
        }
        s += n;
    }
    *out = '\0';
}

/* Appends '_' to every active extension. The buffer has room for one more
 * byte per three (a dot and two letters). */
static void defuse(char *s)
{
    size_t end = strcspn(s, ".");

    while (s[end] == '.') {
        end += 1 + strcspn(s + end + 1, ".");
        if (ends_active(s, end)) {
            memmove(s + end + 1, s + end, strlen(s + end) + 1);
            s[end++] = '_';
        }
    }
}

static void prefix(char *s)
{
    if (*s == '-' || *s == '~') {
        *s = '_';
    } else if (is_device(s) || IN_LIST(s, strlen(s), config_names)) {
        memmove(s + 1, s, strlen(s) + 1);
        *s = '_';
    }
}

/* Cleans len bytes that hold no separator. */
static bool clean(const char *name, size_t len,
                  char out[FILENAME_MAX_BYTES + 1])
{
    char s[FILENAME_MAX_BYTES + FILENAME_MAX_BYTES / 3 + 3];
    char *nfc = normalise(name, len);

    if (!nfc)
        return false;
    replace_unsafe(nfc);
    trim(nfc);
    cut(nfc, FILENAME_MAX_BYTES);
    (void)snprintf(s, sizeof s, "%s", nfc);
    free(nfc);
    defuse(s);
    prefix(s);
    cut(s, FILENAME_MAX_BYTES);
    prefix(s); /* `nul` and 200 blanks may have been cut to `nul` */
    memcpy(out, s, strlen(s) + 1);
    return *s != '\0';
}

bool filename_clean(const char *name, char out[FILENAME_MAX_BYTES + 1])
{
    const char *base = name, *p;

    for (p = name; *p != '\0'; p++)
        if (*p == '/' || *p == '\\')
            base = p + 1;
    return clean(base, strlen(base), out);
}

static bool has_drive(const char *path)
{
    return token_lower(*path) >= 'a' && token_lower(*path) <= 'z' &&
           path[1] == ':';
}

static const char *skip_root(const char *path)
{
    if (*path == '/' || *path == '\\')
        path++;
    while (path[0] == '.' && (path[1] == '/' || path[1] == '\\'))
        path += 2;
    return path;
}

bool filename_clean_path(const char *path, char out[FILENAME_PATH_MAX + 1])
{
    size_t used = 0, depth = 0;

    path = skip_root(path);
    if (has_drive(path))
        return false;
    for (;; depth++) {
        char part[FILENAME_MAX_BYTES + 1];
        size_t raw = strcspn(path, "/\\"), len;

        if (depth > FILENAME_DEPTH_MAX || !clean(path, raw, part))
            return false;
        len = strlen(part);
        if (used + len > FILENAME_PATH_MAX)
            return false;
        memcpy(out + used, part, len + 1);
        used += len;
        path += raw;
        if (*path++ == '\0')
            return true;
        if (used >= FILENAME_PATH_MAX)
            return false;
        out[used++] = '/';
    }
}

void filename_numbered(const char *name, unsigned n,
                       char out[FILENAME_MAX_BYTES + 1])
{
    char s[FILENAME_MAX_BYTES + 1], number[16];
    size_t ext, len;

    len = (size_t)snprintf(number, sizeof number, " (%u)", n);
    (void)snprintf(s, sizeof s, "%s", name);
    cut(s, FILENAME_MAX_BYTES - len);
    ext = extension_start(s);
    (void)snprintf(out, FILENAME_MAX_BYTES + 1, "%.*s%s%s", (int)ext, s, number,
                   s + ext);
}
