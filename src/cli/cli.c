/*
 * The table of commands. Output on stdout is for scripts; complaints go to
 * stderr.
 */
#include "cli/cli.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/config_command.h"
#include "cli/doctor_command.h"
#include "cli/open.h"

typedef int command(int argc, char **argv);

static int gc_command(int argc, char **argv)
{
    bool named = argc == 3 && strcmp(argv[1], "--config") == 0;
    struct config *c;
    struct store *s = NULL;
    struct error e;
    bool ok;

    if (!named && argc != 1) {
        fputs("usage: slipway gc [--config PATH]\n", stderr);
        return 2;
    }
    c = open_config(named ? argv[2] : NULL, &e);
    ok = c && open_store(c, &s, &e) == ERR_NONE &&
         store_sweep(s, true, &e) == ERR_NONE;
    if (!ok)
        fprintf(stderr, "slipway: %s\n", e.detail);
    store_close(s);
    config_free(c);
    return ok ? 0 : 1;
}

static int version_command(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("slipway " SLIPWAY_VERSION);
    return 0;
}

static int help_command(int argc, char **argv);

static const struct {
    const char *name;
    command *run;     /* argv[0] is the name */
    const char *help; /* one line */
} commands[] = {
    {"config", config_command, "print the configuration in force"},
    {"doctor", doctor_command, "say what is in order, and what is to do"},
    {"gc", gc_command, "remove what nobody needs any more, now"},
    {"help", help_command, "print this list"},
    {"version", version_command, "print the version"},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static int help_command(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    puts("usage: slipway COMMAND\n\n"
         "  serve    answer FastCGI requests: slipway serve --socket PATH");
    for (size_t i = 0; i < COMMANDS; i++)
        printf("  %-8s %s\n", commands[i].name, commands[i].help);
    puts("\nserve, config, doctor and gc take --config PATH; else the file is\n"
         "SLIPWAY_CONFIG, or slipway.ini next to the program. Started by a\n"
         "web server, slipway needs no command.");
    return 0;
}

int cli_run(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "help";

    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
        name = "help";
    if (strcmp(name, "--version") == 0)
        name = "version";
    for (size_t i = 0; i < COMMANDS; i++)
        if (strcmp(name, commands[i].name) == 0)
            return commands[i].run(argc > 1 ? argc - 1 : 1,
                                   argc > 1 ? argv + 1 : argv);
    fprintf(stderr, "slipway: no command %s; see slipway help\n", name);
    return 2;
}
