/*
 * Ids: 128 random bits as 26 characters of lower-case base32, for files and
 * upload sessions; and the ids that callers may choose for a session. Pure
 * but for the kernel's random numbers.
 */
#ifndef SLIPWAY_STORE_ID_H
#define SLIPWAY_STORE_ID_H

#include <stdbool.h>

#include "base/error.h"

enum { ID_LENGTH = 26, UPLOAD_ID_MIN = 8, UPLOAD_ID_MAX = 64 };

enum error_code id_new(char out[ID_LENGTH + 1], struct error *e);

bool id_is_generated(const char *s); /* of the form that id_new gives */
bool id_is_upload(const char *s);    /* 8 to 64 of A-Z a-z 0-9 _ - */

#endif
