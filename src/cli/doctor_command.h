/*
 * The command `slipway doctor`: what is in order, and what is to do.
 */
#ifndef SLIPWAY_CLI_DOCTOR_COMMAND_H
#define SLIPWAY_CLI_DOCTOR_COMMAND_H

/* argv[0] is the word doctor, then [--config PATH] [--url URL], the URL being
 * where the web server mounts slipway. Returns the exit status: 0 if nothing is
 * wrong, 1 if something is, 2 if the arguments are wrong. */
int doctor_command(int argc, char **argv);

#endif
