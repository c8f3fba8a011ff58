/*
 * The store: rows in SQLite and bytes on disk, kept in step. Everything above
 * sees upload sessions, files and segments, never a row; where they lie is for
 * the guard and the doctor (place.h, survey.h, witness.h).
 *
 * On disk:
 *   <data>/slipway.db               the rows
 *   <data>/incoming/<home>/         one upload session, locked while held
 *   <data>/incoming/<home>/<id>/    one file or directory upload in it
 *   <uploads>/<id>/<name>           the same once published
 * A file is published by moving its directory <id>: one step, nothing in
 * between. data is 0700; both must be on one filesystem.
 *
 * A store is opened once per process, after the last fork, and is safe from
 * any thread.
 */
#ifndef SLIPWAY_STORE_STORE_H
#define SLIPWAY_STORE_STORE_H

#include <stdint.h>

#include "base/config.h"
#include "base/error.h"

struct store;

/* Make directories and database where missing, check that they fit together,
 * and finish or undo what a killed process left. c must outlive the store. */
enum error_code store_open(const struct config *c, struct store **out,
                           struct error *e);
void store_close(struct store *s);

/* The configuration it was opened with. */
const struct config *store_config(const struct store *s);

/* Work that goes on behind the answers is to stop soon. */
void store_stop(struct store *s);

/* To be called after every answer: goes on with final uploads that were not
 * put together in time. And clean up: recover, forget ended sessions, remove
 * what nobody owns. Does nothing unless due (once a minute, in one process);
 * force is for the command. Takes as long as there is work. */
enum error_code store_sweep(struct store *s, bool force, struct error *e);

#endif
