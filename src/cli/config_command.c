/*
 * The command `slipway config`: see config_command.h. Runs before any thread.
 */
#include "cli/config_command.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/config.h"

enum { EXIT_USAGE = 2 };

struct arguments {
    const char *config; /* --config, or NULL */
    bool sample;        /* --sample */
    bool manual;        /* --man */
};

static bool read_arguments(int argc, char **argv, struct arguments *a)
{
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--sample") == 0)
            a->sample = true;
        else if (strcmp(argv[i], "--man") == 0)
            a->manual = true;
        else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc)
            a->config = argv[++i];
        else
            return false;
    }
    return true;
}

/* The message names the file without its directory, so the path goes first. */
static bool print_config(const char *flag)
{
    struct error e;
    char *path = config_find(flag);
    struct config *c = config_load(path, &e);

    if (c)
        config_print(c, stdout);
    else if (path)
        fprintf(stderr, "slipway: %s is not usable:\n%s\n", path, e.detail);
    else
        fprintf(stderr, "slipway: %s\n", e.detail);
    config_free(c);
    free(path);
    return c != NULL;
}

int config_command(int argc, char **argv)
{
    struct arguments a = {0};

    if (!read_arguments(argc, argv, &a)) {
        fputs("usage: slipway config [--config PATH | --sample | --man]\n",
              stderr);
        return EXIT_USAGE;
    }
    if (a.sample)
        config_print_sample(stdout);
    else if (a.manual)
        config_print_manual(stdout);
    else if (!print_config(a.config))
        return EXIT_FAILURE;
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("slipway: standard output");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
