/*
 * The configuration and the store of a command.
 */
#ifndef SLIPWAY_CLI_OPEN_H
#define SLIPWAY_CLI_OPEN_H

#include "base/config.h"
#include "store/store.h"

/* The ini file that flag (of --config) names, or the usual one if it is NULL.
 * NULL and e. */
struct config *open_config(const char *flag, struct error *e);

/* Open the store, if its data directory is there, as the user who owns it: root
 * becomes that user for the rest of the process. So nothing is made that the
 * web server's user could not use. */
enum error_code open_store(const struct config *c, struct store **out,
                           struct error *e);

#endif
