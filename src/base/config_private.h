/*
 * The inside of struct config, for config.c and config_print.c only.
 */
#ifndef SLIPWAY_BASE_CONFIG_PRIVATE_H
#define SLIPWAY_BASE_CONFIG_PRIVATE_H

#include <stdint.h>

#include "base/config.h"

struct config_value {
    char *text;      /* as in the file, or the default; owned */
    char *path;      /* absolute, for OPTION_PATH only; owned */
    uint64_t number; /* as option_parse gives it */
    unsigned line;   /* where it stands in the file, 0: default */
};

struct config {
    struct config_value values[OPT_COUNT_]; /* by option id */
    char *file;      /* name of the file without directory, or NULL; owned */
    char *directory; /* absolute; relative paths count from it; owned */
};

#endif
