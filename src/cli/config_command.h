/*
 * The command `slipway config`: show the configuration in force, or all there
 * is to configure.
 */
#ifndef SLIPWAY_CLI_CONFIG_COMMAND_H
#define SLIPWAY_CLI_CONFIG_COMMAND_H

/* argv[0] is the word config, then [--config PATH | --sample | --man]. Prints
 * an ini file, or with --man the list of options in mdoc(7), on standard
 * output, complaints on standard error. Returns the exit status: 0, 1 if the
 * configuration is wrong or cannot be written, 2 if the arguments are wrong. */
int config_command(int argc, char **argv);

#endif
