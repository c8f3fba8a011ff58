/*
 * The commands of slipway, for people and scripts: one table.
 */
#ifndef SLIPWAY_CLI_CLI_H
#define SLIPWAY_CLI_CLI_H

/* Run `slipway argv[1] ...`. Returns the exit status: 0, 1 for a failure, 2
 * for wrong arguments. */
int cli_run(int argc, char **argv);

#endif
