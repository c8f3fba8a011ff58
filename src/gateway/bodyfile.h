/*
 * A request body that the front server has received already and left in a
 * file: nginx with client_body_in_file_only. [server] body_files names the
 * only directory such a file may be in.
 */
#ifndef SLIPWAY_GATEWAY_BODYFILE_H
#define SLIPWAY_GATEWAY_BODYFILE_H

#include "base/config.h"
#include "http/request.h"

struct bodyfile {
    struct body body;      /* first: the body is found from it */
    struct body_file file; /* what it tells of itself */
    int fd;
    char *buffer; /* of the request's arena */
};

/* If the option is set and the request names a file (variable
 * SLIPWAY_BODY_FILE, which no client can set), let req->body be that file.
 * ERR_CONFIG if the file is not below the directory or cannot be read. b is to
 * be closed in any case. */
enum error_code bodyfile_open(struct bodyfile *b, const struct config *c,
                              struct request *req, struct error *e);
void bodyfile_close(struct bodyfile *b);

#endif
