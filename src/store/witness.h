/*
 * A witness is a small file that slipway puts into its data and its uploads
 * directory for a moment. A web server that hands out its content serves
 * these very directories.
 *
 * The latter lies where an upload with an id of its own would, so the same
 * rules of the web server hold for it. The name says where; the file among the
 * data is the last to go, so what a killed process leaves is found by looking
 * there. Thread-safe.
 */
#ifndef SLIPWAY_STORE_WITNESS_H
#define SLIPWAY_STORE_WITNESS_H

#include <stdbool.h>

#include "store/id.h"
#include "store/store.h"

struct witness {
    char name[ID_LENGTH + 8];     /* of both files */
    char path[2 * ID_LENGTH + 9]; /* of the one below the uploads directory */
    char content[ID_LENGTH + 1];  /* all that either holds */
};

/* Make both files, as readable as an upload is. After a failure there is
 * neither. */
enum error_code witness_put(struct store *s, struct witness *w,
                            struct error *e);

/* Remove both files with this name; missing is fine, and so is a name that no
 * witness has: then nothing is done. */
void witness_remove(struct store *s, const char *name);

/* The witness of this name, which may come from anybody: false unless it is
 * a file among the data that witness_put has made. */
bool witness_read(struct store *s, const char *name, struct witness *w);

#endif
