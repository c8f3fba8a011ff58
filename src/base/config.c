/*
 * Loading the configuration: see config.h. ini_scan finds the lines, iniparser
 * the values, option_value judges them. A config that was returned has a valid
 * value for every option.
 */
#include "base/config.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <iniparser/iniparser.h>

#include "base/buf.h"
#include "base/config_private.h"
#include "base/ini_scan.h"
#include "base/option_value.h"
#include "base/text.h"

enum { QUOTE_MAX = 64 };

/* A part of the file as it may stand in a message: not long, still UTF-8. */
struct quote {
    char text[QUOTE_MAX + 4];
};

static struct quote quote(const char *s)
{
    struct quote q;
    size_t len = strnlen(s, QUOTE_MAX + 1);

    if (len <= QUOTE_MAX) {
        memcpy(q.text, s, len + 1);
        return q;
    }
    memcpy(q.text, s, QUOTE_MAX);
    q.text[QUOTE_MAX] = '\0';
    text_cut_utf8(q.text, QUOTE_MAX);
    strncat(q.text, "...", 4);
    return q;
}

static enum error_code no_memory(struct error *e)
{
    return error_set(e, ERR_MEMORY, "No memory for the configuration.");
}

/* "sections are storage, uploads" or, within a section, its keys. */
static void list_names(struct buf *out, const char *section)
{
    const char *last = "";

    for (size_t i = 0; i < OPT_COUNT_; i++) {
        const struct config_option *o = &config_options[i];
        if (section ? strcmp(o->section, section) != 0
                    : strcmp(o->section, last) == 0)
            continue;
        last = o->section;
        buf_printf(out, "%s%s", out->len > 0 ? ", " : "",
                   section ? o->key : o->section);
    }
}

static enum error_code unknown_name(const struct ini_place *place,
                                    struct error *e)
{
    struct buf names;

    buf_init(&names, ERROR_DETAIL_MAX);
    if (place->key) {
        list_names(&names, place->section);
        error_set(e, ERR_CONFIG,
                  "%s:%u: [%s] %s: unknown key; the keys there are %s",
                  place->file, place->line, place->section,
                  quote(place->key).text, buf_text(&names));
    } else {
        list_names(&names, NULL);
        error_set(e, ERR_CONFIG,
                  "%s:%u: [%s]: unknown section; the sections are %s",
                  place->file, place->line, quote(place->section).text,
                  buf_text(&names));
    }
    buf_free(&names);
    return ERR_CONFIG;
}

/* ini_visit: note the line of a key; refuse what is unknown or repeated. */
static enum error_code note_line(void *ctx, const struct ini_place *place,
                                 struct error *e)
{
    struct config *c = ctx;

    for (size_t i = 0; i < OPT_COUNT_; i++) {
        const struct config_option *o = &config_options[i];
        if (strcmp(o->section, place->section) != 0)
            continue;
        if (!place->key)
            return ERR_NONE;
        if (strcmp(o->key, place->key) != 0)
            continue;
        if (c->values[i].line > 0)
            return error_set(e, ERR_CONFIG,
                             "%s:%u: [%s] %s is given twice, first in line %u",
                             place->file, place->line, o->section, o->key,
                             c->values[i].line);
        c->values[i].line = place->line;
        return ERR_NONE;
    }
    return unknown_name(place, e);
}

static enum error_code cannot_read(const struct config *c, int sys,
                                   struct error *e)
{
    error_set(e, ERR_CONFIG, "%s: cannot be read: %s", c->file, strerror(sys));
    if (e)
        e->sys = sys;
    return ERR_CONFIG;
}

static enum error_code find_lines(struct config *c, const char *path,
                                  struct error *e)
{
    struct stat st;
    FILE *in = fopen(path, "re");

    if (!in)
        return cannot_read(c, errno, e);

    enum error_code code;
    if (fstat(fileno(in), &st) != 0)
        code = cannot_read(c, errno, e);
    else if (!S_ISREG(st.st_mode))
        code = error_set(e, ERR_CONFIG, "%s: is not a regular file", c->file);
    else
        code = ini_scan(in, c->file, note_line, c, e);
    (void)fclose(in);
    return code;
}

/* What iniparser has to say was found, with its line, by the scan. */
static int __attribute__((format(printf, 1, 2))) be_quiet(const char *fmt, ...)
{
    (void)fmt;
    return 0;
}

static enum error_code read_values(struct config *c, const char *path,
                                   struct error *e)
{
    enum error_code code = ERR_NONE;

    iniparser_set_error_callback(be_quiet);
    dictionary *ini = iniparser_load(path);
    iniparser_set_error_callback(NULL);
    if (!ini)
        return error_set(e, ERR_CONFIG, "%s: iniparser cannot read it",
                         c->file);

    for (size_t i = 0; i < OPT_COUNT_ && code == ERR_NONE; i++) {
        const struct config_option *o = &config_options[i];
        struct config_value *v = &c->values[i];
        char name[QUOTE_MAX];
        if (v->line == 0)
            continue;
        (void)snprintf(name, sizeof name, "%s:%s", o->section, o->key);
        const char *text = iniparser_getstring(ini, name, NULL);
        if (!text)
            code = error_set(e, ERR_CONFIG, "%s:%u: iniparser cannot read it",
                             c->file, v->line);
        else if (!(v->text = strdup(text)))
            code = no_memory(e);
    }
    iniparser_freedict(ini);
    return code;
}

/* A relative path counts from the directory of the ini file. */
static char *absolute(const struct config *c, const char *path)
{
    struct buf b;

    buf_init(&b, SIZE_MAX);
    if (path[0] != '/') {
        buf_puts(&b, c->directory);
        if (strcmp(c->directory, "/") != 0)
            buf_puts(&b, "/");
    }
    buf_puts(&b, path);
    if (buf_failed(&b))
        buf_free(&b);
    for (size_t n = b.len; b.data && n > 1 && b.data[n - 1] == '/'; n--)
        b.data[n - 1] = '\0';
    return b.data;
}

static enum error_code check_value(struct config *c, enum option_id id,
                                   struct error *e)
{
    const struct config_option *o = &config_options[id];
    struct config_value *v = &c->values[id];
    char expected[OPTION_EXPECTED_MAX];

    if (!v->text && !(v->text = strdup(o->standard)))
        return no_memory(e);
    if (!option_parse(o, v->text, &v->number)) { /* a secret is not shown */
        option_expected(o, expected);
        return error_set(e, ERR_CONFIG, "%s:%u: [%s] %s = \"%s\": expected %s",
                         c->file, v->line, o->section, o->key,
                         o->type == OPTION_TOKEN ? "..." : quote(v->text).text,
                         expected);
    }
    if (o->type == OPTION_PATH && *v->text && !(v->path = absolute(c, v->text)))
        return no_memory(e);
    return ERR_NONE;
}

/* What no option can tell alone. The later line of the two is named. */
static enum error_code check_together(const struct config *c, struct error *e)
{
    const struct config_value *offload = &c->values[OPT_OFFLOAD];
    const struct config_value *min = &c->values[OPT_MIN_FILE_SIZE];
    const struct config_value *max = &c->values[OPT_MAX_FILE_SIZE];

    if ((strcmp(offload->text, "xaccel") == 0 ||
         strcmp(offload->text, "local-redirect") == 0) &&
        c->values[OPT_OFFLOAD_PREFIX].text[0] == '\0')
        return error_set(e, ERR_CONFIG,
                         "%s:%u: [download] offload = \"%s\": needs "
                         "offload_prefix as well",
                         c->file, offload->line, offload->text);
    if (max->number > 0 && min->number > max->number)
        return error_set(e, ERR_CONFIG,
                         "%s:%u: [limits] min_file_size = \"%s\": is more "
                         "than max_file_size, which is %s",
                         c->file, min->line > max->line ? min->line : max->line,
                         min->text, max->text);
    return ERR_NONE;
}

/* The directory part of path as given; owned by the caller. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

/* The directory of the executable; owned by the caller. */
static char *executable_directory(void)
{
    char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof path - 1);

    if (len < 0)
        return strdup(".");
    path[len] = '\0';
    return directory_of(path);
}

static enum error_code place_config(struct config *c, const char *path,
                                    struct error *e)
{
    char *directory = path ? directory_of(path) : executable_directory();

    if (path) {
        const char *slash = strrchr(path, '/');
        c->file = strdup(slash ? slash + 1 : path);
    }
    if (!directory || (path && !c->file)) {
        free(directory);
        return no_memory(e);
    }
    c->directory = realpath(directory, NULL);
    int sys = errno;
    free(directory);
    if (c->directory)
        return ERR_NONE;
    if (path)
        return cannot_read(c, sys, e);
    return error_errno(e, sys, "Finding the directory of the executable");
}

static enum error_code fill(struct config *c, const char *path, struct error *e)
{
    enum error_code code = place_config(c, path, e);

    if (code == ERR_NONE && path)
        code = find_lines(c, path, e);
    if (code == ERR_NONE && path)
        code = read_values(c, path, e);
    for (size_t i = 0; i < OPT_COUNT_ && code == ERR_NONE; i++)
        code = check_value(c, (enum option_id)i, e);
    return code == ERR_NONE ? check_together(c, e) : code;
}

struct config *config_load(const char *path, struct error *e)
{
    struct config *c = calloc(1, sizeof *c);

    if (!c) {
        no_memory(e);
        return NULL;
    }
    if (fill(c, path, e) != ERR_NONE) {
        config_free(c);
        return NULL;
    }
    return c;
}

void config_free(struct config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < OPT_COUNT_; i++) {
        free(c->values[i].text);
        free(c->values[i].path);
    }
    free(c->file);
    free(c->directory);
    free(c);
}

const char *config_text(const struct config *c, enum option_id id)
{
    const struct config_value *v = &c->values[id];

    return v->path ? v->path : v->text;
}

uint64_t config_number(const struct config *c, enum option_id id)
{
    return c->values[id].number;
}

unsigned config_choice(const struct config *c, enum option_id id)
{
    return (unsigned)c->values[id].number;
}

bool config_is_set(const struct config *c, enum option_id id)
{
    return c->values[id].line > 0;
}

const char *config_directory(const struct config *c)
{
    return c->directory;
}

const char *config_file(const struct config *c)
{
    return c->file;
}

char *config_find(const char *flag)
{
    const char *variable = getenv("SLIPWAY_CONFIG");

    if (flag)
        return strdup(flag);
    if (variable && *variable)
        return strdup(variable);

    struct buf path;
    char *directory = executable_directory();
    if (!directory)
        return NULL;
    buf_init(&path, SIZE_MAX);
    buf_printf(&path, "%s/slipway.ini", directory);
    free(directory);
    if (buf_failed(&path) || access(path.data, F_OK) != 0)
        buf_free(&path);
    return path.data;
}
