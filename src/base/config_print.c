/*
 * Writing the configuration: the values in force, the sample file, and the
 * list in the manual page. The first two come out as files that config_load
 * reads. No state; safe from any thread that owns the FILE.
 */
#include <string.h>

#include "base/config.h"
#include "base/config_private.h"
#include "base/option_value.h"

enum { WIDTH = 78 };

static const char head[] =
    "# slipway.ini - the settings of slipway\n"
    "#\n"
    "# Every setting is shown with its default, commented out by a semicolon.\n"
    "# To change one, remove the semicolon and edit the value. slipway config\n"
    "# prints the values in force and where each comes from.\n"
    "#\n"
    "# Where this file is looked for: --config PATH, else the environment\n"
    "# variable SLIPWAY_CONFIG, else slipway.ini next to the executable, else\n"
    "# all defaults apply. It is read at the start; a FastCGI process starts\n"
    "# anew soon after it has changed. Anything wrong in it is an error that\n"
    "# names the line; nothing is ignored or corrected.\n"
    "#\n"
    "# Syntax: [section] in a line of its own, then lines of key = value.\n"
    "# A line is UTF-8, at most 1000 bytes, and does not end in a backslash.\n"
    "# Names may be in upper or lower case. A key may be given only once.\n"
    "# Comments start with # or ; in a line of their own or after a blank.\n"
    "# A value that holds # or ;, or starts or ends with a blank, goes in\n"
    "# \"double\" or 'single' quotes. There are no escapes within quotes.\n"
    "#\n"
    "# Sizes are bytes; K M G T P E multiply by powers of 1024: 64K, 16G.\n"
    "# Durations are seconds; s m h d are units: 90s, 15m, 7d.\n"
    "# Relative paths count from the directory of this file.\n";

/* Print text as comment lines, broken at blanks. */
static void print_comment(const char *text, FILE *out)
{
    while (*text) {
        size_t len = strlen(text);
        size_t room = WIDTH - 2;
        if (len > room) {
            len = room;
            while (len > 0 && text[len] != ' ')
                len--;
            if (len == 0)
                len = strcspn(text, " ");
        }
        fprintf(out, "# %.*s\n", (int)len, text);
        text += len;
        text += strspn(text, " ");
    }
}

/* The quote that text needs in the file, or "". Text that needs one holds at
 * most one kind, since it came out of the file in the other. */
static const char *quote_for(const char *text)
{
    size_t len = strlen(text);

    if (len == 0)
        return "";
    if (!strpbrk(text, ";#") && !strchr("\"' \t", text[0]) &&
        !strchr(" \t\\", text[len - 1]))
        return "";
    return strchr(text, '"') ? "'" : "\"";
}

static void print_setting(const struct config_option *o, const char *prefix,
                          const char *text, FILE *out)
{
    const char *quote = quote_for(text);

    fprintf(out, "%s%s =%s%s%s%s\n", prefix, o->key, *text ? " " : "", quote,
            text, quote);
}

/* Start a section where the table enters one. */
static void print_section(size_t i, FILE *out)
{
    const char *section = config_options[i].section;

    if (i > 0 && strcmp(config_options[i - 1].section, section) == 0)
        return;
    fprintf(out, "%s[%s]\n", i > 0 ? "\n" : "", section);
}

void config_print(const struct config *c, FILE *out)
{
    for (size_t i = 0; i < OPT_COUNT_; i++) {
        const struct config_value *v = &c->values[i];
        print_section(i, out);
        if (v->line > 0)
            fprintf(out, "# %s:%u", c->file, v->line);
        else
            fputs("# default", out);
        if (v->path) /* the parenthesis keeps a backslash off the end */
            fprintf(out, " (%s)", v->path);
        fputs("\n", out);
        print_setting(&config_options[i], "", v->text, out);
    }
}

void config_print_sample(FILE *out)
{
    char expected[OPTION_EXPECTED_MAX];

    fputs(head, out);
    fputs("\n", out);
    for (size_t i = 0; i < OPT_COUNT_; i++) {
        const struct config_option *o = &config_options[i];
        print_section(i, out);
        fputs("\n", out);
        print_comment(o->help, out);
        option_expected(o, expected);
        char allowed[OPTION_EXPECTED_MAX + 16];
        (void)snprintf(allowed, sizeof allowed, "Allowed: %s.", expected);
        print_comment(allowed, out);
        print_setting(o, ";", o->standard, out);
    }
}

/* Print text as a paragraph of mdoc(7): each sentence in a line of its own,
 * and nothing in it means anything to roff. */
static void print_mdoc(const char *text, FILE *out)
{
    bool starts_line = true;

    for (const char *p = text; *p; p++) {
        bool ends_sentence = p > text && p[-1] == '.' && *p == ' ';

        if (starts_line && strchr(".'", *p))
            fputs("\\&", out);
        if (ends_sentence)
            fputc('\n', out);
        else if (*p == '\\')
            fputs("\\e", out);
        else if (*p == '-')
            fputs("\\-", out);
        else
            fputc(*p, out);
        starts_line = ends_sentence;
    }
    fputc('\n', out);
}

void config_print_manual(FILE *out)
{
    char expected[OPTION_EXPECTED_MAX];
    const char *section = "";

    for (size_t i = 0; i < OPT_COUNT_; i++) {
        const struct config_option *o = &config_options[i];

        if (strcmp(o->section, section) != 0)
            fprintf(out, "%s.Ss [%s]\n.Bl -tag -width Ds\n",
                    *section ? ".El\n" : "", o->section);
        section = o->section;
        fprintf(out, ".It Cm %s\n", o->key);
        print_mdoc(o->help, out);
        option_expected(o, expected);
        fputs(".br\nAllowed: ", out);
        print_mdoc(expected, out);
        fputs(".br\nDefault: ", out);
        print_mdoc(*o->standard ? o->standard : "nothing", out);
    }
    fputs(".El\n", out);
}
